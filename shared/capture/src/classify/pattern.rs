//! The patterns that stand in the source.

use regex::Regex;

/// A pattern that is written in the source. Its digits (`\d`) are those of ASCII, which the readers of numbers expect:
/// compiling the digits of all scripts, some twenty times in one pattern of amounts, was a good part of a start.
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(&text.replace(r"\d", "[0-9]")).expect("a constant pattern")
}
