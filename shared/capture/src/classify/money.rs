//! Amounts of money, whichever way their thousands and cents are divided.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// An amount that was found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    /// Its bytes in the text, with the currency beside it.
    pub(super) range: Range<usize>,
    /// In hundredths.
    pub(super) cents: i64,
    /// ISO 4217, where one stands beside it.
    pub(super) currency: Option<&'static str>,
}

impl Found {
    /// `1234.56 EUR`; without a currency `1234.56`.
    pub(super) fn normal(&self, otherwise: Option<&str>) -> String {
        let sign = if self.cents < 0 { "-" } else { "" };
        let cents = self.cents.unsigned_abs();
        let amount = format!("{sign}{}.{:02}", cents / 100, cents % 100);
        match self.currency.or(otherwise) {
            Some(currency) => format!("{amount} {currency}"),
            None => amount,
        }
    }
}

/// How currencies are written.
const CURRENCIES: [(&str, &str); 18] = [
    ("EUR", "EUR"),
    ("€", "EUR"),
    ("EURO", "EUR"),
    ("USD", "USD"),
    ("US$", "USD"),
    ("$", "USD"),
    ("GBP", "GBP"),
    ("£", "GBP"),
    ("CHF", "CHF"),
    ("SFR", "CHF"),
    ("FR.", "CHF"),
    ("SEK", "SEK"),
    ("NOK", "NOK"),
    ("DKK", "DKK"),
    ("MYR", "MYR"),
    ("RM", "MYR"),
    ("JPY", "JPY"),
    ("PLN", "PLN"),
];

const SIGNS: &str = r"EURO?|€|USD|US\$|\$|GBP|£|CHF|SFr|Fr\.|SEK|NOK|DKK|MYR|RM|JPY|PLN";
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

static AMOUNT: LazyLock<Regex> = LazyLock::new(|| {
    // Thousands in threes, or digits without any; cents are needed unless a currency stands beside.
    pattern(&format!(
        r"(?i)(?:(?P<before>{SIGNS}) ?)?(?P<sign>-)?(?P<number>\d{{1,3}}(?:[., '’]\d{{3}})+(?:[.,] ?\d{{2}})?|\d+(?:[.,] ?\d{{2}})?)\b(?: ?(?P<after>{SIGNS}))?"
    ))
});
static CURRENCY: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r"(?i)(?:^|[\W\d_])({SIGNS})(?:[\W\d_]|$)")));

/// All amounts of a text: numbers with cents, or with a currency beside them.
pub(super) fn find_all(text: &str) -> Vec<Found> {
    let amounts = AMOUNT.captures_iter(text).filter_map(|groups| {
        let whole = groups.get(0)?;
        let number = groups.name("number")?;
        let before = text[..whole.start()].chars().next_back();
        let after = text[whole.end()..].chars().next();
        let glued = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "/-%.,:".contains(c));
        let ends_sentence = after.is_some_and(|c| ".,:".contains(c))
            && text[whole.end() + 1..].chars().next().is_none_or(|c| !c.is_alphanumeric());
        let percent = text[whole.end()..].trim_start().starts_with('%');
        if percent || glued(before) && before != Some(':') || glued(after) && !ends_sentence {
            return None;
        }
        let currency =
            groups.name("before").or(groups.name("after")).and_then(|sign| currency(sign.as_str()));
        let (cents, exact) = cents(number.as_str())?;
        if !exact && currency.is_none() {
            return None;
        }
        let cents = if groups.name("sign").is_some() { -cents } else { cents };
        Some(Found { range: whole.range(), cents, currency })
    });
    amounts.collect()
}

/// The hundredths of an amount in its normal form.
pub(super) fn cents_of(normal: &str) -> Option<i64> {
    let (sign, number) = normal.strip_prefix('-').map_or((1, normal), |number| (-1, number));
    let (whole, rest) = number.split_once('.')?;
    let fraction = rest.get(..2)?;
    let whole: i64 = whole.parse().ok()?;
    let fraction: i64 = fraction.parse().ok()?;
    Some(sign * whole.checked_mul(100)?.checked_add(fraction)?)
}

/// The currency written most often in a text.
pub(super) fn usual_currency(text: &str) -> Option<&'static str> {
    let mut counts: Vec<(&'static str, usize)> = Vec::new();
    for groups in CURRENCY.captures_iter(text) {
        let Some(code) = groups.get(1).and_then(|sign| currency(sign.as_str())) else { continue };
        match counts.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count += 1,
            None => counts.push((code, 1)),
        }
    }
    counts.into_iter().reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(code, _)| code)
}

fn currency(sign: &str) -> Option<&'static str> {
    let sign = sign.to_uppercase();
    CURRENCIES.iter().find(|(written, _)| *written == sign).map(|(_, code)| *code)
}

/// A written number in hundredths, and whether it has cents.
fn cents(number: &str) -> Option<(i64, bool)> {
    let number: String = number.chars().filter(|c| !matches!(c, ' ' | '\'' | '’')).collect();
    // The last sign divides the cents off if exactly two digits follow it.
    let divider = number.rfind(['.', ',']).filter(|place| number.len() - place == 3);
    let (whole, fraction) = match divider {
        Some(place) => (&number[..place], Some(&number[place + 1..])),
        None => (&number[..], None),
    };
    let digits: String = whole.chars().filter(char::is_ascii_digit).collect();
    let whole: i64 = digits.parse().ok()?;
    let fraction_cents: i64 = fraction.map_or(Some(0), |digits| digits.parse().ok())?;
    Some((whole.checked_mul(100)?.checked_add(fraction_cents)?, fraction.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, normal: &[&str]) {
        let found: Vec<String> = find_all(text).iter().map(|found| found.normal(None)).collect();
        assert_eq!(found, normal, "{text}");
    }

    #[test]
    fn amounts_are_read_in_the_ways_people_write_them() {
        check("Total due EUR 12,480.00", &["12480.00 EUR"]);
        check("Gesamtbetrag 1.684,45 EUR", &["1684.45 EUR"]);
        check("TOTAL GBP 61.50", &["61.50 GBP"]);
        check("$1,250", &["1250.00 USD"]);
        check("CHF 1'234.50", &["1234.50 CHF"]);
        check("1 234,56 €", &["1234.56 EUR"]);
        check("RM 6.00", &["6.00 MYR"]);
        check("-12.00", &["-12.00"]);
        check("fee of EUR 2,150.00.", &["2150.00 EUR"]);
    }

    #[test]
    fn dates_shares_and_counts_are_no_amounts() {
        check("12 May 2026, 23.07.2026, 20.5%, 19 %, 4500-71932, 14:37", &[]);
        check("page 3 of 12", &[]);
    }

    #[test]
    fn a_number_too_long_to_be_money_is_none() {
        check("99999999999999999999999999.00", &[]);
    }

    #[test]
    fn the_usual_currency_is_the_one_written_most() {
        assert_eq!(usual_currency("EUR 5.00 and 3 € or $4"), Some("EUR"));
        assert_eq!(usual_currency("FORM"), None);
    }
}
