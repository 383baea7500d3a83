//! Fronts and backs from a feeder that scans one side: two files, one after the other, are one stack of paper. Pure.
//!
//! Halves are paired by scanner: by the folder they lie in, and the group `scanner` of the pattern. A half whose other
//! side does not come is not paired with something else later: it goes to a person, alone.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use regex::Regex;

use super::listing::Sight;

/// How halves are told apart.
#[derive(Clone, Debug)]
pub struct DuplexRule {
    pattern: Option<Regex>,
    /// How long after the fronts the backs may come, in milliseconds.
    pub within_ms: u64,
    /// Whether the backs come last page first.
    pub backs_reversed: bool,
}

/// A whole file that may be a half, and since when it has been seen.
#[derive(Clone, Copy, Debug)]
pub struct Half<'s> {
    /// The file.
    pub sight: &'s Sight,
    /// How long it has stood still, in milliseconds.
    pub still_ms: u64,
}

/// What is to be done with the halves there are.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Paired {
    /// Fronts with their backs.
    pub pairs: Vec<[OsString; 2]>,
    /// Fronts whose backs did not come in time.
    pub alone: Vec<OsString>,
    /// Fronts whose backs may still come, with the time left for them, in milliseconds.
    pub waiting: Vec<(OsString, u64)>,
}

impl DuplexRule {
    /// A rule from its configuration.
    pub fn new(duplex: &crate::config::Duplex) -> Result<Self, regex::Error> {
        let pattern = duplex.pattern.as_deref().map(Regex::new).transpose()?;
        Ok(Self { pattern, within_ms: duplex.within_ms, backs_reversed: duplex.backs_reversed })
    }

    /// Pairs whole files by the order in which they were finished. `unfinished` names files that may yet be the other
    /// half of one of these: while one is being written, nothing of its scanner is given up.
    pub fn pair<'s>(&self, halves: &[Half<'s>], unfinished: impl Iterator<Item = &'s OsString>) -> Paired {
        let mut by_scanner: BTreeMap<Vec<u8>, Vec<Half<'s>>> = BTreeMap::new();
        for half in halves {
            by_scanner.entry(self.scanner(&half.sight.name)).or_default().push(*half);
        }
        let coming: Vec<Vec<u8>> = unfinished.map(|name| self.scanner(name)).collect();
        let mut paired = Paired::default();
        for (scanner, mut halves) in by_scanner {
            // By the file's own time: it tells the order even where both were there at start.
            halves.sort_by(|a, b| {
                let key = |half: &Half<'s>| (half.sight.identity.changed_ns, half.sight.name.clone());
                key(a).cmp(&key(b))
            });
            let mut rest = halves.into_iter().peekable();
            while let Some(front) = rest.next() {
                let name = front.sight.name.clone();
                let gap_ms = |back: &Half<'s>| {
                    let gap = back.sight.identity.changed_ns - front.sight.identity.changed_ns;
                    u64::try_from(gap / 1_000_000).unwrap_or(0)
                };
                match rest.next_if(|back| gap_ms(back) <= self.within_ms) {
                    Some(back) => paired.pairs.push([name, back.sight.name.clone()]),
                    None if rest.peek().is_some() => paired.alone.push(name),
                    None => match self.within_ms.saturating_sub(front.still_ms) {
                        0 if !coming.contains(&scanner) => paired.alone.push(name),
                        left => paired.waiting.push((name, left.max(1))),
                    },
                }
            }
        }
        paired
    }

    fn scanner(&self, name: &OsStr) -> Vec<u8> {
        let bytes = name.as_bytes();
        let (folder, base) = match bytes.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (&bytes[..slash], &bytes[slash + 1..]),
            None => (&bytes[..0], bytes),
        };
        let base = String::from_utf8_lossy(base);
        let found = self.pattern.as_ref().and_then(|pattern| pattern.captures(&base)?.name("scanner"));
        let scanner = found.map_or(&[][..], |scanner| scanner.as_str().as_bytes());
        [folder, b"/", scanner].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Halves as (name, second it was finished at), judged at second `now`.
    fn check(
        halves: &[(&str, u64)],
        unfinished: &[&str],
        now: u64,
        expected: (&[[&str; 2]], &[&str], &[&str]),
    ) {
        let rule = DuplexRule::new(&crate::config::Duplex {
            pattern: Some("^(?<scanner>[a-z]+)[0-9]".into()),
            within_ms: 60_000,
            backs_reversed: true,
        });
        let rule = rule.expect("a pattern");
        let sights: Vec<(Sight, u64)> = halves
            .iter()
            .map(|(name, second)| (Sight::made_up(name, 9, second * 1_000_000_000), *second))
            .collect();
        let halves: Vec<Half<'_>> =
            sights.iter().map(|(sight, second)| Half { sight, still_ms: (now - second) * 1_000 }).collect();
        let unfinished: Vec<OsString> = unfinished.iter().map(OsString::from).collect();
        let paired = rule.pair(&halves, unfinished.iter());
        let text = |name: &OsString| name.to_string_lossy().into_owned();
        let pairs: Vec<[String; 2]> =
            paired.pairs.iter().map(|pair| [text(&pair[0]), text(&pair[1])]).collect();
        let alone: Vec<String> = paired.alone.iter().map(text).collect();
        let waiting: Vec<String> = paired.waiting.iter().map(|(name, _)| text(name)).collect();
        assert_eq!(pairs, expected.0);
        assert_eq!(
            (alone, waiting),
            (
                expected.1.iter().map(ToString::to_string).collect(),
                expected.2.iter().map(ToString::to_string).collect(),
            )
        );
    }

    #[test]
    fn two_files_of_one_scanner_are_a_stack() {
        check(&[("a1.pdf", 0), ("a2.pdf", 50)], &[], 60, (&[["a1.pdf", "a2.pdf"]], &[], &[]));
        check(&[("a2.pdf", 0), ("a1.pdf", 50)], &[], 60, (&[["a2.pdf", "a1.pdf"]], &[], &[]));
        check(&[("a1.pdf", 0)], &[], 59, (&[], &[], &["a1.pdf"]));
    }

    #[test]
    fn scanners_and_folders_are_told_apart() {
        check(
            &[("a1.pdf", 0), ("b1.pdf", 1), ("x/a1.pdf", 2)],
            &[],
            9,
            (&[], &[], &["a1.pdf", "b1.pdf", "x/a1.pdf"]),
        );
        check(
            &[("a1.pdf", 0), ("b1.pdf", 1), ("a2.pdf", 2)],
            &[],
            9,
            (&[["a1.pdf", "a2.pdf"]], &[], &["b1.pdf"]),
        );
    }

    #[test]
    fn a_half_whose_other_side_does_not_come_goes_alone_and_is_paired_with_nothing_later() {
        check(&[("a1.pdf", 0)], &[], 61, (&[], &["a1.pdf"], &[]));
        check(&[("a1.pdf", 0)], &["a2.pdf"], 61, (&[], &[], &["a1.pdf"]));
        check(&[("a1.pdf", 0)], &["b2.pdf"], 61, (&[], &["a1.pdf"], &[]));
        check(&[("a1.pdf", 0), ("a2.pdf", 70)], &[], 71, (&[], &["a1.pdf"], &["a2.pdf"]));
        let three = &[("a1.pdf", 0), ("a2.pdf", 70), ("a3.pdf", 80)];
        check(three, &[], 81, (&[["a2.pdf", "a3.pdf"]], &["a1.pdf"], &[]));
    }
}
