//! Names of files, as they are shown to people.

use std::ffi::OsStr;
use std::path::Path;

/// A name for people: what is not UTF-8, or would move a terminal's cursor, is replaced. Whoever may write into a hot folder
/// must not be able to write what they like on the administrator's screen.
pub fn shown(name: &OsStr) -> String {
    name.to_string_lossy().replace(char::is_control, "\u{fffd}")
}

/// A path as one word of a command line that a person can copy.
pub fn for_shell(path: &Path) -> String {
    let text = shown(path.as_os_str());
    let is_plain = |one: char| one.is_alphanumeric() || "/._-+,:@%=".contains(one);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn a_path_is_one_word_for_the_shell() {
        let check = |path: &str, expected: &str| assert_eq!(for_shell(Path::new(path)), expected);
        check("/hot/desk-1", "/hot/desk-1");
        check("/hot/front desk", "'/hot/front desk'");
        check("/hot/Anna's; $(x)", r"'/hot/Anna'\''s; $(x)'");
        check("", "''");
    }

    #[test]
    fn a_name_moves_no_cursor_and_stays_on_its_line() {
        let check = |name: &[u8], expected: &str| assert_eq!(shown(OsStr::from_bytes(name)), expected);
        check("Übersicht 1.pdf".as_bytes(), "Übersicht 1.pdf");
        check(b"in/a\x1b[2J\x1b]0;all is well\x07.pdf", "in/a\u{fffd}[2J\u{fffd}]0;all is well\u{fffd}.pdf");
        check(b"a\nsource desk: 9 ready", "a\u{fffd}source desk: 9 ready");
        check(b"a\xff.pdf", "a\u{fffd}.pdf");
        check("a\u{9b}31m.pdf".as_bytes(), "a\u{fffd}31m.pdf");
    }
}
