//! Numbers that name something: accounts, tax numbers, addresses, order numbers.
//!
//! Where a check sum exists, it decides; a misread character is then put right only if the sum agrees.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// Something that was found: its bytes in the text, its normal form, and how far it is proven (0 to 1).
pub(super) type Found = (Range<usize>, String, f32);

/// Longest and shortest identifier in characters.
const IDENTIFIER_LENGTH: std::ops::RangeInclusive<usize> = 2..=30;
/// How many words after a label may precede its number ("no.", "is").
const WORDS_BEFORE_NUMBER: usize = 3;
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

// Recognisers like to set a blank before the sign; a word alone before "@example.com" can only belong to it.
static EMAIL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)[a-z0-9][a-z0-9._%+-]{0,63} ?@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}"));
static IBAN: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b[A-Z]{2} ?[0-9OILSB]{2}(?: ?[A-Z0-9]){11,30}"));
static VAT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"\b(?:AT|BE|CH|CZ|DE|DK|ES|FI|FR|GB|IE|IT|LU|NL|NO|PL|PT|SE)[ A-Z0-9.-]{8,16}")
});

/// Lengths of account numbers by country (ISO 13616 registry).
const IBAN_LENGTHS: [(&str, usize); 22] = [
    ("AT", 20),
    ("BE", 16),
    ("BG", 22),
    ("CH", 21),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("ES", 24),
    ("FI", 18),
    ("FR", 27),
    ("GB", 22),
    ("HU", 28),
    ("IE", 22),
    ("IT", 27),
    ("LI", 21),
    ("LU", 20),
    ("NL", 18),
    ("NO", 15),
    ("PL", 28),
    ("PT", 25),
    ("SE", 24),
    ("SK", 24),
];

/// The first e-mail address, in lower case.
pub(super) fn email(text: &str) -> Option<Found> {
    let found = EMAIL.find(text)?;
    let address: String = found.as_str().chars().filter(|c| *c != ' ').flat_map(char::to_lowercase).collect();
    let certainty = if address.len() == found.len() { 1.0 } else { 0.9 };
    Some((found.range(), address, certainty))
}

/// The first account number with a correct check sum, without blanks.
pub(super) fn iban(text: &str) -> Option<Found> {
    IBAN.find_iter(text).find_map(|found| {
        let read: String = found.as_str().chars().filter(|c| *c != ' ').collect();
        let length = IBAN_LENGTHS.iter().find(|(country, _)| read.starts_with(country))?.1;
        let read = read.get(..length)?;
        // The match may have run on into the next words; end where the number ends.
        let end = end_of(found.as_str(), length);
        let range = found.start()..found.start() + end;
        if iban_sum_is_right(read) {
            return Some((range, read.to_owned(), 1.0));
        }
        let digits =
            format!("{}{}", &read[..4].replace(read.get(2..4)?, &as_digits(read.get(2..4)?)), &read[4..]);
        let all_digits = format!("{}{}", &read[..2], as_digits(&read[2..]));
        [digits, all_digits].into_iter().find(|read| iban_sum_is_right(read)).map(|read| (range, read, 0.9))
    })
}

/// The first value-added tax number, without blanks; proven where we know the country's check sum.
pub(super) fn vat_id(text: &str) -> Option<Found> {
    VAT.find_iter(text).find_map(|found| {
        let country = &found.as_str()[..2];
        let rest: String = found.as_str()[2..].chars().filter(char::is_ascii_alphanumeric).collect();
        let digits: String = as_digits(&rest).chars().take_while(char::is_ascii_digit).collect();
        let number = match country {
            "DE" => digits.get(..9).filter(|digits| german_vat_sum_is_right(digits)),
            "GB" => digits.get(..9).filter(|digits| british_vat_sum_is_right(digits)),
            _ => digits.get(..8.max(digits.len().min(12))).filter(|digits| digits.len() >= 8),
        }?;
        let proven = if matches!(country, "DE" | "GB") { 1.0 } else { 0.7 };
        let end = end_of(found.as_str(), 2 + number.len());
        Some((found.start()..found.start() + end, format!("{country}{number}"), proven))
    })
}

/// The number or mark that stands after a label.
pub(super) fn identifier(text: &str) -> Option<Found> {
    let mut start = 0;
    for (number, word) in text.split(' ').enumerate() {
        let begin = start;
        start += word.len() + 1;
        if number > WORDS_BEFORE_NUMBER {
            return None;
        }
        let trimmed = word.trim_matches(|c: char| !c.is_alphanumeric());
        let fits = IDENTIFIER_LENGTH.contains(&trimmed.chars().count())
            && trimmed.chars().any(|c| c.is_ascii_digit())
            && trimmed.chars().all(|c| c.is_alphanumeric() || "-/._".contains(c))
            && super::dates::find(trimmed, super::dates::Order::DayFirst).is_none();
        if fits {
            let certainty = if number == 0 { 0.95 } else { 0.8 };
            return Some((begin..begin + word.len(), trimmed.to_owned(), certainty));
        }
    }
    None
}

/// The byte after the `count`-th character that is not a sign or blank.
fn end_of(text: &str, count: usize) -> usize {
    let mut places = text.char_indices().filter(|(_, c)| c.is_alphanumeric());
    places.nth(count.saturating_sub(1)).map_or(text.len(), |(place, c)| place + c.len_utf8())
}

/// Letters that scanners make of digits, as digits.
fn as_digits(text: &str) -> String {
    let digit = |c| match c {
        'O' | 'o' | 'D' | 'Q' => '0',
        'I' | 'l' | '|' | 'L' => '1',
        'Z' => '2',
        'S' => '5',
        'B' => '8',
        c => c,
    };
    text.chars().map(digit).collect()
}

/// ISO 7064 MOD 97-10 over the rearranged number.
fn iban_sum_is_right(iban: &str) -> bool {
    if iban.len() < 5 || !iban.is_ascii() {
        return false;
    }
    let mut rest = 0u32;
    for c in iban[4..].chars().chain(iban[..4].chars()) {
        let Some(value) = c.to_digit(36) else { return false };
        rest = (rest * if value > 9 { 100 } else { 10 } + value) % 97;
    }
    rest == 1
}

/// ISO 7064 MOD 11,10, as German tax numbers use it.
fn german_vat_sum_is_right(digits: &str) -> bool {
    let digits: Vec<u32> = digits.chars().filter_map(|c| c.to_digit(10)).collect();
    let Some((check, body)) = digits.split_last() else { return false };
    let product = body.iter().fold(10, |product, digit| {
        let sum = match (digit + product) % 10 {
            0 => 10,
            sum => sum,
        };
        sum * 2 % 11
    });
    digits.len() == 9 && digits[0] != 0 && (11 - product) % 10 == *check
}

/// The weighted sum modulo 97 of British tax numbers, in its old and new form.
fn british_vat_sum_is_right(digits: &str) -> bool {
    let digits: Vec<u32> = digits.chars().filter_map(|c| c.to_digit(10)).collect();
    if digits.len() != 9 {
        return false;
    }
    let sum: u32 = digits.iter().zip((2..=8).rev()).map(|(digit, weight)| digit * weight).sum();
    let sum = sum + digits[7] * 10 + digits[8];
    sum.is_multiple_of(97) || (sum + 55).is_multiple_of(97)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(found: Option<Found>) -> Option<String> {
        found.map(|(_, value, _)| value)
    }

    #[test]
    fn account_numbers_need_a_right_sum() {
        let check =
            |text: &str, expected: Option<&str>| assert_eq!(value(iban(text)).as_deref(), expected, "{text}");
        check("IBAN: GB29 NWBK 6016 1331 9268 19", Some("GB29NWBK60161331926819"));
        check("IBAN: DE02 1203 0000 0000 2020 51 BIC: BYLADEM1001", Some("DE02120300000000202051"));
        check("DE02 1203 0000 0000 2020 52", None);
        check("IBAN DEO2 12O3 0000 0000 202051 BIC", Some("DE02120300000000202051"));
        check("DE", None);
    }

    #[test]
    fn tax_numbers_need_a_right_sum_where_we_know_it() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(value(vat_id(text)).as_deref(), expected, "{text}")
        };
        check("USt-IdNr.: DE136695976", Some("DE136695976"));
        check("USt-IdNr.: DE 136 695 976 Geschäftsführer", Some("DE136695976"));
        check("DE136695977", None);
        check("VAT no GB980780684", Some("GB980780684"));
        check("GB123456789", None);
    }

    #[test]
    fn an_address_is_read_whole_and_in_lower_case() {
        assert_eq!(
            value(email("Email: Jonas.Weber@Example.com,")).as_deref(),
            Some("jonas.weber@example.com")
        );
        assert_eq!(value(email("office @example.com")).as_deref(), Some("office@example.com"));
        assert_eq!(value(email("a@b")), None);
    }

    #[test]
    fn an_identifier_has_a_digit_and_is_no_date() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(value(identifier(text)).as_deref(), expected, "{text}")
        };
        check("BW-2026-0417", Some("BW-2026-0417"));
        check(": ‘R-2026-1093", Some("R-2026-1093"));
        check("No. 4500-71932", Some("4500-71932"));
        check("14.04.2026", None);
        check("and the next words hold 17", None);
    }
}
