//! What a cover sheet's code says, as text.
//!
//! `platen:sheet?type=nda&department=legal`: names and values as in a web address, so that any reader of QR codes shows
//! something a person understands. Beside it a sheet bears [`ANY_SHEET`], which survives where the larger code does not,
//! so that its loss is noticed.

use std::collections::BTreeMap;

/// What the small code of a cover sheet with values says.
pub const ANY_SHEET: &str = "PLATEN-SHEET";
/// What its text begins with.
const BEGINS: &str = "platen:sheet";
/// The longest text in bytes: a code of more would need a fine printer and a fine scanner.
const TEXT_MAX: usize = 600;
/// The longest name.
const NAME_MAX: usize = 40;

/// The values that a cover sheet gives its document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SheetValues(BTreeMap<String, String>);

/// Why values cannot stand on a sheet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SheetError {
    /// A name is not one.
    #[error("{0:?} is no name: use small letters, digits and _, at most {NAME_MAX}")]
    Name(String),
    /// A value is empty or has control characters.
    #[error("the value of {0} is empty, or has characters that cannot be printed")]
    Value(String),
    /// All together is too long.
    #[error("the values are too long for one code: {0} bytes of at most {TEXT_MAX}")]
    TooLong(usize),
}

impl SheetValues {
    /// These values.
    ///
    /// # Errors
    ///
    /// Where a name or value cannot stand on a sheet.
    pub fn new(values: impl IntoIterator<Item = (String, String)>) -> Result<Self, SheetError> {
        let mut all = BTreeMap::new();
        for (name, value) in values {
            if !is_name(&name) {
                return Err(SheetError::Name(name));
            }
            let value = value.trim().to_owned();
            if value.is_empty() || value.chars().any(char::is_control) {
                return Err(SheetError::Value(name));
            }
            all.insert(name, value);
        }
        let sheet = Self(all);
        match sheet.text().len() {
            length if length > TEXT_MAX => Err(SheetError::TooLong(length)),
            _ => Ok(sheet),
        }
    }

    /// The names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text of the code.
    pub fn text(&self) -> String {
        let mut text = BEGINS.to_owned();
        for (index, (name, value)) in self.iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            text.push_str(name);
            text.push('=');
            for byte in value.bytes() {
                match byte {
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                        text.push(byte.into());
                    }
                    _ => text.push_str(&format!("%{byte:02X}")),
                }
            }
        }
        text
    }

    /// Reads the text of a code; `None` where it is no cover sheet's.
    pub fn read(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(BEGINS)?;
        let pairs = match rest.strip_prefix('?') {
            Some(pairs) => pairs,
            None => return rest.is_empty().then(Self::default),
        };
        let values = pairs.split('&').map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((name.to_owned(), decoded(value)?))
        });
        Self::new(values.collect::<Option<Vec<_>>>()?).ok()
    }
}

fn is_name(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(value in "\\PC{1,40}", name in "[a-z0-9_]{1,40}") {
            if let Ok(sheet) = SheetValues::new([(name, value)]) {
                prop_assert_eq!(SheetValues::read(&sheet.text()), Some(sheet));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(platen:sheet)?\\??\\PC{0,40}") {
            SheetValues::read(&text);
        }
    }

    #[test]
    fn the_text_is_one_that_a_person_understands() {
        let values = [("type", "nda"), ("department", "legal & tax")].map(|(a, b)| (a.into(), b.into()));
        let sheet = SheetValues::new(values).expect("values");
        assert_eq!(sheet.text(), "platen:sheet?department=legal%20%26%20tax&type=nda");
    }

    #[test]
    fn values_that_cannot_stand_on_a_sheet_are_refused() {
        let one = |name: &str, value: &str| SheetValues::new([(name.into(), value.into())]);
        assert_eq!(one("Type", "x"), Err(SheetError::Name("Type".into())));
        assert_eq!(one("type", " "), Err(SheetError::Value("type".into())));
        assert!(matches!(one("type", &"x".repeat(700)), Err(SheetError::TooLong(_))));
    }
}
