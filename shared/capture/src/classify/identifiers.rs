//! Numbers and names that lead to somebody: accounts, e-mail addresses, telephones, order numbers.
//!
//! Where a check sum exists, it decides; a misread character is then put right only if the sum agrees.

use std::ops::Range;
use std::sync::LazyLock;

use email_address::EmailAddress;
use phonenumber::Mode;
use regex::Regex;

use super::dates;
use super::money;
use super::pattern::pattern;
use super::tax_ids::mod_97;

/// Something that was found: its bytes in the text, its normal form, and how far it is proven (0 to 1).
pub(super) type Found = (Range<usize>, String, f32);

/// Longest and shortest identifier in characters.
const IDENTIFIER_LENGTH: std::ops::RangeInclusive<usize> = 2..=30;
/// How many words after a label may precede its number ("no.", "is").
const WORDS_BEFORE_NUMBER: usize = 3;
/// Words after a label that make another label of it: "invoice amount".
const OTHER_THINGS: [&str; 22] = [
    "amount", "total", "subtotal", "betrag", "summe", "montant", "importe", "sum", "value", "balance",
    "date", "datum", "fecha", "due", "month", "period", "page", "seite", "from", "to", "of", "von",
];
/// Certainty of a telephone number whose country is that of the document.
const NATIONAL: f32 = 0.9;

// Recognisers like to set a blank before the sign; a word alone before "@example.com" can only belong to it.
static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)[a-z0-9][a-z0-9.!#$%&'*+/=?^_`{|}~-]{0,63} ?@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}")
});
static IBAN: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b[A-Z]{2} ?[0-9OILSB]{2}(?: ?[A-Z0-9]){11,30}"));
static PHONE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:\+ ?|\b00 ?)?\(?\d(?:[ ()./\u2013-]{0,3}\d){5,15}\b"));

/// Lengths of account numbers by country (the registry of ISO 13616).
const IBAN_LENGTHS: [(&str, usize); 88] = [
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HN", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
];

/// The first e-mail address, in lower case.
pub(super) fn email(text: &str) -> Option<Found> {
    EMAIL.find_iter(text).find_map(|found| {
        let address: String =
            found.as_str().chars().filter(|c| *c != ' ').flat_map(char::to_lowercase).collect();
        let certainty = if address.len() == found.len() { 1.0 } else { 0.9 };
        EmailAddress::is_valid(&address).then_some((found.range(), address, certainty))
    })
}

/// The first telephone number that there may be, as `+442079460958` (E.164). `country` (ISO 3166) is where a number
/// without its country is dialled; without it there is none.
pub(super) fn phone(text: &str, country: Option<&str>) -> Option<Found> {
    let country = country.and_then(|code| code.parse().ok());
    PHONE.find_iter(text).find_map(|found| {
        let written = found.as_str();
        let international = written.starts_with('+') || written.starts_with("00");
        let dialled = match written.strip_prefix("00") {
            Some(rest) => format!("+{rest}"),
            None => written.to_owned(),
        };
        // "+44 (0)20": the nought in brackets is for those within the country.
        let dialled = if international { dialled.replace("(0)", "") } else { dialled };
        let number = phonenumber::parse(if international { None } else { country }, dialled).ok()?;
        let certainty = if international { 1.0 } else { NATIONAL };
        let normal = number.format().mode(Mode::E164).to_string();
        number.is_valid().then_some((found.range(), normal, certainty))
    })
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

/// The number or mark that stands after a label.
pub(super) fn identifier(text: &str) -> Option<Found> {
    let date = dates::find(text, dates::Order::DayFirst).map(|found| found.range);
    let is_in_date = |word: &Range<usize>| {
        date.as_ref().is_some_and(|date| word.start < date.end && date.start < word.end)
    };
    let mut start = 0;
    for (number, word) in text.split(' ').enumerate() {
        let range = start..start + word.len();
        start = range.end + 1;
        let trimmed = word.trim_matches(|c: char| !c.is_alphanumeric());
        if number > WORDS_BEFORE_NUMBER || OTHER_THINGS.contains(&trimmed.to_lowercase().as_str()) {
            return None;
        }
        let fits = IDENTIFIER_LENGTH.contains(&trimmed.chars().count())
            && trimmed.chars().any(|c| c.is_ascii_digit())
            && trimmed.chars().all(|c| c.is_alphanumeric() || "-/._".contains(c))
            && !is_in_date(&range);
        if fits && is_amount(text, &range) {
            return None;
        }
        if fits {
            let certainty = if number == 0 { 0.95 } else { 0.8 };
            return Some((range, trimmed.to_owned(), certainty));
        }
    }
    None
}

/// Whether a word is an amount with its currency.
fn is_amount(text: &str, word: &Range<usize>) -> bool {
    let meets = |found: &money::Found| found.range.start < word.end && word.start < found.range.end;
    money::find_all(text).iter().any(|found| meets(found) && found.has_clear_sign())
}

/// The byte after the `count`-th character that is not a sign or blank.
fn end_of(text: &str, count: usize) -> usize {
    let mut places = text.char_indices().filter(|(_, c)| c.is_alphanumeric());
    places.nth(count.saturating_sub(1)).map_or(text.len(), |(place, c)| place + c.len_utf8())
}

/// The digit that scanners make a letter of; the character itself where there is none.
pub(super) fn as_digit(c: char) -> char {
    match c {
        'O' | 'o' | 'D' | 'Q' => '0',
        'I' | 'l' | '|' | 'L' => '1',
        'Z' => '2',
        'S' => '5',
        'B' => '8',
        c => c,
    }
}

fn as_digits(text: &str) -> String {
    text.chars().map(as_digit).collect()
}

/// ISO 7064 MOD 97-10 over the rearranged number.
fn iban_sum_is_right(iban: &str) -> bool {
    let parts = iban.split_at_checked(4).filter(|(_, account)| !account.is_empty());
    parts.is_some_and(|(head, account)| mod_97(&format!("{account}{head}")) == Some(1))
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
    fn account_numbers_of_every_country_have_their_length() {
        for number in [
            "AL47212110090000000235698741",
            "BE68539007547034",
            "CH9300762011623852957",
            "ES9121000418450200051332",
            "FR1420041010050500013M02606",
            "GR1601101250000000012300695",
            "LC55HEMM000100010012001200023015",
            "MT84MALT011000012345MTLCAST001S",
            "NL91ABNA0417164300",
            "NO9386011117947",
            "SA0380000000608010167519",
            "TR330006100519786457841326",
        ] {
            assert_eq!(value(iban(number)).as_deref(), Some(number));
            assert_eq!(value(iban(&number[..number.len() - 1])), None, "{number} cut off");
        }
        let mut countries: Vec<&str> = IBAN_LENGTHS.iter().map(|(country, _)| *country).collect();
        countries.dedup();
        assert!(countries.is_sorted() && countries.len() == IBAN_LENGTHS.len());
    }

    #[test]
    fn telephones_are_read_as_they_are_dialled_from_anywhere() {
        let check = |text: &str, country: Option<&str>, expected: Option<&str>| {
            assert_eq!(value(phone(text, country)).as_deref(), expected, "{text}")
        };
        check("+44 20 7946 0958", None, Some("+442079460958"));
        check("+44 (0)20 7946 0958", None, Some("+442079460958"));
        check("0049 30 901820", None, Some("+4930901820"));
        check("Tel. 020 7946 0958 or", Some("GB"), Some("+442079460958"));
        check("030/901820", Some("DE"), Some("+4930901820"));
        check("(212) 736-5000", Some("US"), Some("+12127365000"));
        check("020 7946 0958", None, None);
        check("020 7946 0958", Some("nowhere"), None);
        check("14.05.2026", Some("DE"), None);
        check("+99 1", None, None);
        check("", Some("GB"), None);
    }

    #[test]
    fn an_address_is_read_whole_and_in_lower_case() {
        assert_eq!(
            value(email("Email: Jonas.Weber@Example.com,")).as_deref(),
            Some("jonas.weber@example.com")
        );
        assert_eq!(value(email("office @example.com")).as_deref(), Some("office@example.com"));
        assert_eq!(value(email("Write to o'neil@x.ie.")).as_deref(), Some("o'neil@x.ie"));
        assert_eq!(
            value(email("ann..lee@example.com or ann.lee@example.com")).as_deref(),
            Some("ann.lee@example.com")
        );
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
        check("amount $450.00", None);
        check("$450.00", None);
        check("total 450.00", None);
        check("14 April 2026", None);
        check("no. 17/4 of 14 April 2026", Some("17/4"));
        check("2026.17", Some("2026.17"));
    }
}
