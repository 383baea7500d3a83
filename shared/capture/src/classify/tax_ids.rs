//! Tax numbers: for value-added tax with their country, and those of single countries without one.
//!
//! A country's number is known by its length and by which places hold letters, and proven by its check sum. A letter
//! that scanners make of a digit is put right only where the sum then agrees. What a country only gives a form (an
//! American employer's number, a German tax office's) is less certain, and read beside a label alone.

mod sums;

use std::sync::LazyLock;

use regex::Regex;

use super::identifiers::{Found, as_digit};
use super::pattern::pattern;
use sums::*;

pub(super) use sums::mod_97;

/// Certainty of a number in which a letter was taken for a digit, and whose sum agrees.
const MENDED: f32 = 0.9;
/// Certainty of a number that has a form and no check sum.
const UNPROVEN: f32 = 0.7;
/// Longest number without its country.
const LONGEST: usize = 15;

/// How a number looks: `9` a digit, `A` a letter, `X` either, anything else itself.
type Shape = &'static str;

/// The numbers of one country: the prefix, shapes without it (longer ones first), and whether a number of that shape is
/// right.
struct Country {
    code: &'static str,
    shapes: &'static [Shape],
    is_right: fn(&str) -> bool,
    /// Characters at the end of a shape that only say what kind of number it is.
    mark: usize,
}

const fn country(code: &'static str, shapes: &'static [Shape], is_right: fn(&str) -> bool) -> Country {
    Country { code, shapes, is_right, mark: 0 }
}

static COUNTRIES: [Country; 35] = [
    Country { code: "CHE", shapes: &["999999999MWST"], is_right: swiss, mark: 4 },
    Country { code: "CHE", shapes: &["999999999TVA", "999999999IVA"], is_right: swiss, mark: 3 },
    country("CHE", &["999999999"], swiss),
    // "No" is also a word: without its mark the number must follow at once.
    Country { code: "NO", shapes: &["999999999MVA"], is_right: norwegian, mark: 3 },
    country("AT", &["U99999999"], austrian),
    country("BE", &["9999999999", "999999999"], belgian),
    country("BG", &["9999999999", "999999999"], bulgarian),
    country("CY", &["99999999A"], cypriot),
    country("CZ", &["9999999999", "999999999", "99999999"], czech),
    country("DE", &["999999999"], german),
    country("DK", &["99999999"], danish),
    country("EE", &["999999999"], estonian),
    country("EL", &["999999999"], greek),
    country("GR", &["999999999"], greek),
    country("ES", &["X9999999X"], spanish),
    country("FI", &["99999999"], finnish),
    country("FR", &["XX999999999"], french),
    country("GB", &["999999999999", "999999999", "GD999", "HA999"], british),
    country("XI", &["999999999999", "999999999", "GD999", "HA999"], british),
    country("HR", &["99999999999"], iso_7064_mod_11_10),
    country("HU", &["99999999"], hungarian),
    country("IE", &["9999999AA", "9999999A", "9X99999A"], irish),
    country("IT", &["99999999999"], italian),
    country("LT", &["999999999999", "999999999"], lithuanian),
    country("LU", &["99999999"], luxembourgish),
    country("LV", &["99999999999"], latvian),
    country("MT", &["99999999"], maltese),
    country("NL", &["999999999B99"], dutch),
    country("NO", &["999999999"], norwegian),
    country("PL", &["9999999999"], polish),
    country("PT", &["999999999"], portuguese),
    country("RO", &["9999999999", "999999999", "99999999", "9999999", "999999", "99999"], romanian),
    country("SE", &["999999999999"], swedish),
    country("SI", &["99999999"], slovenian),
    country("SK", &["9999999999"], slovak),
];

static PREFIX: LazyLock<Regex> = LazyLock::new(|| {
    let mut codes: Vec<&str> = COUNTRIES.iter().map(|country| country.code).collect();
    codes.dedup();
    pattern(&format!(r"\b(?:{})", codes.join("|")))
});

/// The first value-added tax number with a right check sum: its country and the number, without blanks.
pub(super) fn vat_id(text: &str) -> Option<Found> {
    let mut from = 0;
    while let Some(prefix) = PREFIX.find_at(text, from) {
        let known = COUNTRIES.iter().filter(|country| country.code == prefix.as_str());
        let found = known
            .flat_map(|country| country.shapes.iter().map(move |shape| (country, *shape)))
            .find_map(|(country, shape)| {
                let at_once = country.code == "NO" && country.mark == 0;
                let fitted = fit(&text[prefix.end()..], shape, !at_once)?;
                let number = &fitted.number[..fitted.number.len() - country.mark];
                (country.is_right)(number).then(|| {
                    let range = prefix.start()..prefix.end() + fitted.end;
                    (range, format!("{}{number}", country.code), if fitted.mended { MENDED } else { 1.0 })
                })
            });
        if found.is_some() {
            return found;
        }
        from = prefix.start() + 1;
    }
    None
}

/// Characters at the beginning of a text that have a shape.
struct Fitted {
    number: String,
    /// The byte after them.
    end: usize,
    /// Whether a letter was taken for a digit.
    mended: bool,
}

/// The beginning of a text as a number of a shape, with a blank, dot, dash or bar between its characters here and there;
/// `None` where it has another shape or goes on.
fn fit(text: &str, shape: Shape, may_follow: bool) -> Option<Fitted> {
    let mut fitted = Fitted { number: String::with_capacity(LONGEST), end: 0, mended: false };
    let mut characters = text.char_indices().peekable();
    for wanted in shape.chars() {
        let mut skipped = 0;
        while let Some((_, c)) = characters.next_if(|(_, c)| " .-/\u{a0}".contains(*c)) {
            skipped += 1;
            let first = fitted.number.is_empty();
            if skipped > 2 || first && (!may_follow || c == '/') {
                return None;
            }
        }
        let (place, read) = characters.next()?;
        let fits = match wanted {
            '9' if read.is_ascii_digit() => read,
            '9' => {
                fitted.mended = true;
                Some(as_digit(read)).filter(char::is_ascii_digit)?
            }
            'A' => Some(read).filter(char::is_ascii_uppercase)?,
            'X' => Some(read).filter(|c| c.is_ascii_uppercase() || c.is_ascii_digit())?,
            other => Some(read).filter(|read| *read == other)?,
        };
        fitted.number.push(fits);
        fitted.end = place + read.len_utf8();
    }
    let rest = &text[fitted.end..];
    // "123456789" is not the beginning of "1234567890", nor of "123456789-12".
    let mut next = rest.chars();
    let goes_on = match next.next() {
        Some(c) if c.is_alphanumeric() => true,
        Some('-' | '/' | '.') => next.next().is_some_and(|c| c.is_ascii_digit()),
        _ => false,
    };
    (!goes_on).then_some(fitted)
}

/// Numbers without a country: shape, whether it is right, and whether that is proven.
struct National {
    pattern: &'static str,
    shape: Shape,
    is_right: fn(&str) -> bool,
    certainty: f32,
}

/// In the order they are tried: a longer number is not the beginning of a shorter one.
static NATIONAL: LazyLock<Vec<(Regex, National)>> = LazyLock::new(|| {
    let all = [
        // France: SIRET and SIREN.
        National { pattern: r"\d", shape: "99999999999999", is_right: siret, certainty: 1.0 },
        National { pattern: r"\d", shape: "999999999", is_right: luhn, certainty: 1.0 },
        // Germany: the number of a person.
        National { pattern: r"[1-9]", shape: "99999999999", is_right: german_person, certainty: 1.0 },
        // United Kingdom: the unique taxpayer reference.
        National { pattern: r"\d", shape: "9999999999", is_right: british_taxpayer, certainty: 1.0 },
        // Spain: NIF, NIE and CIF, with a letter at one end or both.
        National { pattern: r"[A-Z\d]", shape: "X9999999X", is_right: spanish, certainty: 1.0 },
    ];
    let edge = |national: &National| format!(r"(?:^|[^\w./-])({})", national.pattern);
    all.into_iter().map(|national| (pattern(&edge(&national)), national)).collect()
});
/// The United States: an employer's number.
static EIN: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b(\d{2})-\d{7}\b"));
/// Germany: the number a tax office gives, in the forms of the states that have bars.
static BARRED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b(?:\d{2,3} ?/ ?\d{3,4} ?/ ?\d{4,5}|\d{5} ?/ ?\d{5})\b"));
/// The same, in the form with blanks.
static SPACED: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b0\d{2} \d{3} \d{5}\b"));

/// The first tax number of one country in a text that stands beside its label: digits and letters without blanks, with
/// the dash or bars that belong to its form.
pub(super) fn tax_id(text: &str) -> Option<Found> {
    let unproven = |found: regex::Match<'_>| (found.range(), found.as_str().replace(' ', ""), UNPROVEN);
    let employer = || EIN.captures_iter(text).find(|groups| is_ein_prefix(&groups[1]))?.get(0);
    // A dash or bars at their places tell more than a sum: that of one in ten such numbers is right by chance.
    let formed = employer().or_else(|| BARRED.find(text)).map(unproven);
    let proven = || {
        NATIONAL.iter().find_map(|(edge, national)| {
            edge.captures_iter(text).find_map(|groups| {
                let start = groups.get(1)?.start();
                let fitted = fit(&text[start..], national.shape, true)?;
                // Nothing is put right here: so many shapes would find a right sum by chance.
                let fits = !fitted.mended && (national.is_right)(&fitted.number);
                fits.then_some((start..start + fitted.end, fitted.number, national.certainty))
            })
        })
    };
    formed.or_else(proven).or_else(|| SPACED.find(text).map(unproven))
}

/// Prefixes that the revenue service has given out.
fn is_ein_prefix(prefix: &str) -> bool {
    !["00", "07", "08", "09", "17", "18", "19", "28", "29", "49", "69", "70", "78", "79", "89", "96", "97"]
        .contains(&prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(find: fn(&str) -> Option<Found>, text: &str, expected: Option<&str>) {
        assert_eq!(find(text).map(|(_, value, _)| value).as_deref(), expected, "{text}");
    }

    #[test]
    fn every_country_s_tax_number_is_read_whole_and_needs_its_check_sum() {
        for (text, expected) in [
            ("UID ATU13585627", "ATU13585627"),
            ("BE 0428.759.497", "BE0428759497"),
            ("BG 175074752", "BG175074752"),
            ("CY10259033P", "CY10259033P"),
            ("DIC CZ25123891", "CZ25123891"),
            ("USt-IdNr.: DE136695976", "DE136695976"),
            ("USt-IdNr.: DE 136 695 976 Geschäftsführer", "DE136695976"),
            ("CVR DK 13 58 56 28", "DK13585628"),
            ("EE 100 931 558", "EE100931558"),
            ("EL 094259216", "EL094259216"),
            ("NIF ES B58378431", "ESB58378431"),
            ("ES54362315K", "ES54362315K"),
            ("FI-20774740", "FI20774740"),
            ("TVA FR 40 303 265 045", "FR40303265045"),
            ("VAT no GB980780684", "GB980780684"),
            ("GB 980 7806 84", "GB980780684"),
            ("XI 980780684", "XI980780684"),
            ("HR 33392005961", "HR33392005961"),
            ("HU-12892312", "HU12892312"),
            ("IE 6433435F", "IE6433435F"),
            ("IE6433435OA", "IE6433435OA"),
            ("P.IVA IT 00743110157", "IT00743110157"),
            ("LT119511515", "LT119511515"),
            ("LU 150 274 42", "LU15027442"),
            ("LV40003521600", "LV40003521600"),
            ("MT 1167-9112", "MT11679112"),
            ("NL004495445B01", "NL004495445B01"),
            ("NL 123456789 B13", "NL123456789B13"),
            ("PL 8567346215", "PL8567346215"),
            ("PT 501 964 843", "PT501964843"),
            ("RO 18547290", "RO18547290"),
            ("SE 123456789701", "SE123456789701"),
            ("SI50223054", "SI50223054"),
            ("SK2022749619", "SK2022749619"),
            ("CHE-107.787.577 IVA", "CHE107787577"),
            ("CHE-107.787.577", "CHE107787577"),
            ("NO 995 525 828 MVA", "NO995525828"),
            ("NO995525828", "NO995525828"),
        ] {
            check(vat_id, text, Some(expected));
            // One digit off: no number of that country is right any more.
            let place = expected.rfind(|c: char| c.is_ascii_digit()).expect("it has digits");
            let place =
                if expected.starts_with("NL") || expected.starts_with("SE") { place - 4 } else { place };
            let digit = (u32::from(expected.as_bytes()[place] - b'0') + 1) % 10;
            let wrong = format!("{}{digit}{}", &expected[..place], &expected[place + 1..]);
            check(vat_id, &wrong, None);
        }
    }

    #[test]
    fn a_word_that_is_also_a_country_is_none() {
        check(vat_id, "VAT ID NO DE136695976", Some("DE136695976"));
        check(vat_id, "VAT NO 995525828", None);
        check(vat_id, "IT 12345678901", None);
        check(vat_id, "DE1366959761", None);
        check(vat_id, "DE", None);
        check(vat_id, "", None);
    }

    #[test]
    fn a_letter_read_for_a_digit_is_put_right_where_the_sum_agrees() {
        check(vat_id, "DE I36 695 976", Some("DE136695976"));
        assert!(vat_id("DE I36 695 976").is_some_and(|(_, _, certainty)| certainty < 1.0));
        check(vat_id, "DE I36 695 977", None);
    }

    #[test]
    fn tax_numbers_of_single_countries_have_their_own_forms() {
        check(tax_id, "93815/08152", Some("93815/08152"));
        check(tax_id, "Nr. 181 / 815 / 08155", Some("181/815/08155"));
        check(tax_id, "36 574 261 809", Some("36574261809"));
        check(tax_id, "36 574 261 808", None);
        check(tax_id, ": 04-2103594", Some("04-2103594"));
        check(tax_id, "07-2103594", None);
        // Without its dash the first would be a right number of France, the second one of a person in Germany.
        check(tax_id, "91-1144442", Some("91-1144442"));
        check(tax_id, "365/742/61809", Some("365/742/61809"));
        check(tax_id, "911144442", Some("911144442"));
        check(tax_id, "012 345 67890", Some("01234567890"));
        check(tax_id, "1955839661", Some("1955839661"));
        check(tax_id, "2955839661", None);
        check(tax_id, "552 008 443", Some("552008443"));
        check(tax_id, "552 008 444", None);
        check(tax_id, "SIRET 732 829 320 00074", Some("73282932000074"));
        check(tax_id, "54362315K", Some("54362315K"));
        check(tax_id, "54362315Z", None);
        check(tax_id, "X-5253868-R", Some("X5253868R"));
        check(tax_id, "A-58818501", Some("A58818501"));
        check(tax_id, "A-58818502", None);
        check(tax_id, "12 May 2026", None);
    }

    #[test]
    fn a_number_with_a_form_alone_is_less_certain_than_one_with_a_sum() {
        let certainty = |text: &str| tax_id(text).expect("it is one").2;
        assert!(certainty("04-2103594") < certainty("1955839661"));
    }
}
