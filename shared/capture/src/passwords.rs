//! Passwords of locked files.
//!
//! A person supplies them in a file, one a line, because what stands on a command line or in an environment can be
//! read by others. They are tried in the worker, and stand in no record, message or log.

use std::fmt;
use std::io::{self, Read as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The most passwords of a file: each is tried on a locked document, and trying is made to be slow.
const COUNT_MAX: usize = 1_000;
/// The longest file of passwords, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// Passwords to try, in order.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Passwords(Vec<String>);

impl Passwords {
    /// Reads a file of passwords: one a line, empty lines aside. Blanks within and around a password belong to it.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read, is no UTF-8, or passes a limit.
    pub fn from_file(path: &Path) -> io::Result<Self> {
        let mut text = String::new();
        std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(io::Error::other(format!("it is longer than {FILE_BYTES_MAX} bytes")));
        }
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.strip_suffix('\r').unwrap_or(line))
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect();
        if lines.len() > COUNT_MAX {
            return Err(io::Error::other(format!("it holds more than {COUNT_MAX} passwords")));
        }
        Ok(Self(lines))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passwords", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_password_is_a_line_and_is_never_shown() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(" secret \r\n\nanother\n".as_bytes()).expect("written");
        let passwords = Passwords::from_file(file.path()).expect("it can be read");
        assert_eq!(passwords.iter().collect::<Vec<_>>(), [" secret ", "another"]);
        assert_eq!(format!("{passwords:?}"), "2 passwords");
    }
}
