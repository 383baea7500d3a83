//! Amounts of money, whichever way their thousands and cents are divided.
//!
//! A sign such as `$` or `kr` belongs to several currencies. A code beside it tells ("$1,200.00 CAD"), else the
//! document's usual currency, else what most people mean by it. In a text to be read here a tab stands where there is a
//! wide gap between words ([`super::reading::Reading::spaced_text`]): no amount goes across one.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::pattern::pattern;

/// An amount that was found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    /// Its bytes in the text, with the currency beside it.
    pub(super) range: Range<usize>,
    /// In hundredths, what is finer cut off.
    pub(super) cents: i64,
    /// Decimals after the hundredths: `5` of 0.125.
    finer: String,
    sign: Option<Sign>,
}

/// What stands beside an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// A sign or code of one currency (ISO 4217).
    Code(&'static str),
    /// A sign of several: its name, their codes, and which one is meant where nothing tells.
    Shared(&'static [&'static str], Option<&'static str>),
}

impl Sign {
    fn of(written: &str) -> Option<Self> {
        let written = written.to_uppercase();
        let shared = match written.as_str() {
            "$" => Some(Self::Shared(&DOLLARS, Some("USD"))),
            "¥" => Some(Self::Shared(&["JPY", "CNY"], Some("JPY"))),
            "KR" | "KR." => Some(Self::Shared(&["SEK", "NOK", "DKK", "ISK"], None)),
            _ => None,
        };
        let code =
            || CURRENCIES.iter().find(|(known, _)| *known == written).map(|(_, code)| Self::Code(code));
        let other =
            || CODES.iter().chain(&WORDLY).find(|code| **code == written).map(|code| Self::Code(code));
        shared.or_else(code).or_else(other)
    }

    fn currency(self, usual: Option<&'static str>) -> Option<&'static str> {
        match self {
            Self::Code(code) => Some(code),
            Self::Shared(codes, meant) => usual.filter(|usual| codes.contains(usual)).or(meant),
        }
    }

    /// Whether another sign beside the same amount says more exactly what this one does.
    fn is_told_by(self, other: Self) -> bool {
        matches!((self, other), (Self::Shared(codes, _), Self::Code(code)) if codes.contains(&code))
    }
}

impl Found {
    /// Its currency (ISO 4217): by the sign beside it, and where none stands there the document's `usual` one. A sign that
    /// the usual one does not explain is of some other, and nobody knows which.
    pub(super) fn currency(&self, usual: Option<&'static str>) -> Option<&'static str> {
        self.sign.map_or(usual, |sign| sign.currency(usual))
    }

    /// Whether a sign stands beside it that is hardly ever part of a number of something else, as `SCR-0012` is.
    pub(super) fn has_clear_sign(&self) -> bool {
        self.sign.is_some_and(|sign| !matches!(sign, Sign::Code(code) if is_rare(code)))
    }

    /// `1234.56 EUR`; without a currency `1234.56`.
    pub(super) fn normal(&self, usual: Option<&'static str>) -> String {
        let amount = format!("{}{}", plain(self.cents), self.finer);
        match self.currency(usual) {
            Some(currency) => format!("{amount} {currency}"),
            None => amount,
        }
    }
}

/// Hundredths as a number: `-100.50`.
pub(super) fn plain(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}

/// Whether a code is one that counts in capitals and beside an amount only.
fn is_rare(code: &str) -> bool {
    CODES.contains(&code) || WORDLY.contains(&code)
}

/// Whether a word is a sign or code of a currency.
pub(super) fn is_currency(word: &str) -> bool {
    CODES.contains(&word) || usual_currency(word).is_some()
}

const DOLLARS: [&str; 24] = [
    "USD", "CAD", "AUD", "NZD", "SGD", "HKD", "TWD", "MXN", "ARS", "BBD", "BMD", "BSD", "BZD", "CLP", "COP",
    "DOP", "FJD", "GYD", "JMD", "NAD", "SRD", "TTD", "UYU", "XCD",
];

/// How single currencies are written, in capitals.
const CURRENCIES: [(&str, &str); 56] = [
    ("EUR", "EUR"),
    ("€", "EUR"),
    ("EURO", "EUR"),
    ("USD", "USD"),
    ("US$", "USD"),
    ("CAD", "CAD"),
    ("CA$", "CAD"),
    ("C$", "CAD"),
    ("CDN$", "CAD"),
    ("AUD", "AUD"),
    ("AU$", "AUD"),
    ("A$", "AUD"),
    ("NZD", "NZD"),
    ("NZ$", "NZD"),
    ("SGD", "SGD"),
    ("SG$", "SGD"),
    ("S$", "SGD"),
    ("HKD", "HKD"),
    ("HK$", "HKD"),
    ("TWD", "TWD"),
    ("NT$", "TWD"),
    ("MXN", "MXN"),
    ("MX$", "MXN"),
    ("BRL", "BRL"),
    ("R$", "BRL"),
    ("GBP", "GBP"),
    ("£", "GBP"),
    ("CHF", "CHF"),
    ("SFR", "CHF"),
    ("SFR.", "CHF"),
    ("FR.", "CHF"),
    ("SEK", "SEK"),
    ("NOK", "NOK"),
    ("DKK", "DKK"),
    ("ISK", "ISK"),
    ("MYR", "MYR"),
    ("RM", "MYR"),
    ("JPY", "JPY"),
    ("CNY", "CNY"),
    ("CN¥", "CNY"),
    ("INR", "INR"),
    ("₹", "INR"),
    ("PLN", "PLN"),
    ("ZŁ", "PLN"),
    ("CZK", "CZK"),
    ("KČ", "CZK"),
    ("HUF", "HUF"),
    ("₽", "RUB"),
    ("₺", "TRY"),
    ("₴", "UAH"),
    ("₪", "ILS"),
    ("₩", "KRW"),
    ("฿", "THB"),
    ("₫", "VND"),
    ("₱", "PHP"),
    ("₦", "NGN"),
];
/// The other currencies in use (ISO 4217). Their codes count in capitals and beside an amount only: an amount in one of them
/// is never one in the document's usual currency.
const CODES: [&str; 118] = [
    "AED", "AFN", "ANG", "AOA", "ARS", "AWG", "AZN", "BBD", "BDT", "BGN", "BHD", "BIF", "BMD", "BND", "BSD",
    "BTN", "BWP", "BYN", "BZD", "CDF", "CLP", "CRC", "CVE", "DJF", "DOP", "DZD", "EGP", "ERN", "ETB", "FJD",
    "FKP", "GHS", "GIP", "GMD", "GNF", "GTQ", "GYD", "HNL", "HTG", "IDR", "ILS", "IQD", "IRR", "JMD", "JOD",
    "KES", "KGS", "KHR", "KMF", "KPW", "KRW", "KWD", "KYD", "KZT", "LBP", "LKR", "LRD", "LSL", "LYD", "MDL",
    "MGA", "MKD", "MMK", "MNT", "MRU", "MUR", "MVR", "MWK", "MZN", "NAD", "NGN", "NIO", "NPR", "OMR", "PAB",
    "PGK", "PHP", "PKR", "PYG", "QAR", "RON", "RSD", "RUB", "RWF", "SAR", "SBD", "SCR", "SDG", "SHP", "SLE",
    "SRD", "SSP", "STN", "SYP", "SZL", "THB", "TJS", "TMT", "TND", "TTD", "TZS", "UAH", "UGX", "UYU", "UZS",
    "VES", "VND", "VUV", "WST", "XAF", "XCD", "XCG", "XOF", "XPF", "YER", "ZAR", "ZMW", "ZWG",
];
/// The same, of codes that are words or names too: they count behind an amount only.
const WORDLY: [&str; 14] =
    ["ALL", "AMD", "BAM", "BOB", "COP", "CUP", "GEL", "LAK", "MAD", "MOP", "PEN", "SOS", "TOP", "TRY"];

/// Codes of currencies and signs made of letters only.
const LETTERS: &str = r"EURO?|USD|CAD|AUD|NZD|SGD|HKD|TWD|MXN|BRL|GBP|CHF|SEK|NOK|DKK|ISK|MYR|RM|JPY|CNY|INR|PLN|CZK|HUF|SFr\.?|Fr\.|kr\.?|zł|Kč";
/// Signs that end in something else than a letter, the longer first.
const SIGNS: &str = r"\b(?:US|CA|CDN|AU|NZ|SG|HK|NT|MX|C|A|S|R)\$|\bCN¥|[€$£¥₹₽₺₴₪₩฿₫₱₦]";
/// A number: below one with thousandths, thousands in threes, or digits without any.
/// In India only the last three stand together, those before them in twos.
const NUMBER: &str = r"0[.,]\d{3,4}|[1-9]\d?(?:,\d{2})+,\d{3}(?:\.\d{2})?|[1-9]\d{0,2}(?:[., '’]\d{3})+(?:[.,] ?\d{2})?|\d+(?:[.,] ?\d{2})?";
/// What makes an amount negative where it stands before it.
const MINUS: [char; 3] = ['-', '\u{2212}', '\u{2013}'];

static AMOUNT: LazyLock<Regex> = LazyLock::new(|| {
    let (codes, worldly) = (CODES.join("|"), WORDLY.join("|"));
    let before = format!(r"\b(?:{LETTERS}|(?-i:{codes}))|{SIGNS}");
    let after = format!(r"(?:{LETTERS})(?:\b|$|[^\w])|(?-i:{codes}|{worldly})\b|{SIGNS}");
    pattern(&format!(
        r"(?i)(?:(?P<first>{before}) ?)?(?:(?P<second>{before}) ?)?(?P<inner>[-\u2212\u2013] ?|\()?(?P<number>{NUMBER})\b(?P<trail>[-\u2212])?(?P<close>\))?(?P<beside> ?(?P<after>{after}))?"
    ))
});
static CURRENCY: LazyLock<Regex> = LazyLock::new(|| {
    let codes = LETTERS.replace(r"|SFr\.?|Fr\.|kr\.?", "");
    pattern(&format!(r"(?i)(?:^|[\W\d_])({codes}|{SIGNS})(?:[\W\d_]|$)"))
});

/// All amounts of a text: numbers with cents, or with a currency beside them.
pub(super) fn find_all(text: &str) -> Vec<Found> {
    let mut amounts = Vec::new();
    let mut from = 0;
    while let Some(groups) = AMOUNT.captures_at(text, from) {
        let (end, found) = read(text, &groups);
        amounts.extend(found);
        from = end;
    }
    amounts
}

/// One amount, and where the search goes on.
fn read(text: &str, groups: &Captures<'_>) -> (usize, Option<Found>) {
    let (whole, number) = match (groups.get(0), groups.name("number")) {
        (Some(whole), Some(number)) => (whole, number),
        _ => return (text.len(), None),
    };
    let sign = |name| groups.name(name).and_then(|written| Sign::of(written.as_str().trim_end_matches(' ')));
    let after_sign = || {
        let written = groups.name("after")?.as_str();
        Sign::of(written).or_else(|| Sign::of(written.trim_end_matches(|c: char| !c.is_alphanumeric())))
    };
    let (first, second) = (sign("first"), sign("second"));
    let before = match (first, second) {
        (Some(one), Some(other)) if other.is_told_by(one) => Some(one),
        (_, Some(other)) => Some(other),
        (one, None) => one,
    };
    // "EUR 100.00 USD 120.00": the second currency belongs to the next amount.
    let after = after_sign()
        .filter(|after| before.is_none_or(|before| before.is_told_by(*after) || before == *after));
    let beside = groups.name("beside");
    let end = match beside {
        // The character that ends a currency of letters is not its own.
        Some(beside) if after.is_some() => {
            let written = groups.name("after").map_or("", |after| after.as_str());
            let own =
                written.trim_end_matches(|c: char| !c.is_alphanumeric() && !"€$£¥₹₽₺₴₪₩฿₫₱₦.".contains(c));
            let own = if Sign::of(own).is_some() { own } else { own.trim_end_matches('.') };
            beside.end() - (written.len() - own.len())
        }
        Some(beside) => beside.start(),
        None => whole.end(),
    };
    let sign = match (before, after) {
        (Some(before), Some(after)) if before.is_told_by(after) => Some(after),
        (before, after) => before.or(after),
    };
    let found = || {
        let rest = &text[end..];
        let (is_negative, start) = minus(text, groups, whole.start(), rest)?;
        let next = rest.chars().next();
        let glued = next.is_some_and(|c| c.is_alphanumeric() || "/-%.,:".contains(c));
        let ends_sentence = next.is_some_and(|c| ".,:".contains(c))
            && rest.chars().nth(1).is_none_or(|c| !c.is_alphanumeric());
        let percent = rest.trim_start_matches(' ').starts_with('%');
        if percent || glued && !ends_sentence || is_day(groups, number.as_str(), rest) {
            return None;
        }
        let (cents, finer, exact) = cents(number.as_str())?;
        if !exact && sign.is_none() {
            return None;
        }
        let cents = if is_negative { -cents } else { cents };
        Some(Found { range: start..end, cents, finer, sign })
    };
    (end.max(number.end()), found())
}

/// Whether the amount is negative, and where it begins; `None` where it is the end of something else.
fn minus(text: &str, groups: &Captures<'_>, start: usize, rest: &str) -> Option<(bool, usize)> {
    let inner = groups.name("inner").map_or("", |inner| inner.as_str());
    let mut begin = start;
    let mut head = &text[..start];
    let has_sign = groups.name("first").is_some() || groups.name("second").is_some();
    let mut dash = inner.starts_with(MINUS);
    let mut bracket = inner == "(";
    // "-$12.00", "- EUR 12.00", "($12.00)": what makes it negative stands before the currency.
    if has_sign && !dash && !bracket {
        let bare = head.trim_end_matches(' ');
        dash = bare.ends_with(MINUS);
        bracket = bare.ends_with('(');
        if dash || bracket {
            head = bare.trim_end_matches(MINUS);
            head = head.strip_suffix('(').unwrap_or(head);
            begin = head.len();
        }
    }
    let before = head.chars().next_back();
    let glued = |c: char| c.is_alphanumeric() || "/%.,".contains(c) || MINUS.contains(&c);
    let spaced = inner.ends_with(' ') || dash && text[begin..].chars().nth(1) == Some(' ');
    if dash && spaced {
        // "10.00 - 20.00", "Widget - 20.00": a dash between two things; alone before an amount it is a sign.
        let between = head.trim_end_matches(' ').chars().next_back().is_some_and(char::is_alphanumeric);
        return Some((!between, begin));
    }
    if before.is_some_and(glued) && (!has_sign || before.is_some_and(char::is_alphanumeric)) {
        return None;
    }
    let closes = groups.name("close").is_some() || rest.starts_with(')');
    if bracket && closes {
        // Accounts put what is negative in brackets; a sentence puts there what it means.
        let word = |text: &str| text.trim().chars().next().is_some_and(char::is_alphabetic);
        let last: String = head.trim_end_matches(' ').chars().rev().take(1).collect();
        let prose = word(&last) || word(rest.trim_start_matches([')', ' ']));
        return Some((!prose, begin));
    }
    Some((dash || groups.name("trail").is_some(), begin))
}

/// Whether "Fr. 14.03." is a day of the week and a date, not an amount.
fn is_day(groups: &Captures<'_>, number: &str, rest: &str) -> bool {
    let friday = groups.name("first").or(groups.name("second")).is_some_and(|sign| sign.as_str() == "Fr.");
    let parts = number.split_once('.').and_then(|(day, month)| day.parse().ok().zip(month.parse().ok()));
    let is_date =
        parts.is_some_and(|(day, month): (u8, u8)| (1..=31).contains(&day) && (1..=12).contains(&month));
    friday && is_date && rest.starts_with('.')
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

/// The country (ISO 3166) whose money this is, where it is one's.
pub(super) fn country(currency: &str) -> Option<&str> {
    // The first two letters of a currency are its country; the euro and those of several countries (X) have none.
    (currency != "EUR" && !currency.starts_with('X')).then(|| currency.get(..2)).flatten()
}

/// The currency written most often in a text. Signs of several currencies stand for the one that a code in the text
/// names, where it names one.
pub(super) fn usual_currency(text: &str) -> Option<&'static str> {
    let mut counts: Vec<(Sign, usize)> = Vec::new();
    let mut vote = |sign: Sign| match counts.iter_mut().find(|(known, _)| *known == sign) {
        Some((_, count)) => *count += 1,
        None => counts.push((sign, 1)),
    };
    let mut from = 0;
    while let Some(groups) = CURRENCY.captures_at(text, from) {
        let Some(written) = groups.get(1) else { break };
        Sign::of(written.as_str()).into_iter().for_each(&mut vote);
        from = written.end();
    }
    // "Fr." is an abbreviation of much, "kr" of some, and many a code a name: only an amount beside them makes them
    // currencies.
    let is_uncounted = |found: &Found| {
        let written = &text[found.range.clone()];
        match found.sign {
            Some(Sign::Code("CHF")) => !written.to_uppercase().contains("CHF"),
            Some(Sign::Code(code)) => is_rare(code) && written.contains(code),
            Some(Sign::Shared(_, meant)) => meant.is_none(),
            None => false,
        }
    };
    find_all(text)
        .iter()
        .filter(|found| is_uncounted(found))
        .filter_map(|found| found.sign)
        .for_each(&mut vote);
    let codes: Vec<&'static str> = counts
        .iter()
        .filter_map(|(sign, _)| match sign {
            Sign::Code(code) => Some(*code),
            Sign::Shared(..) => None,
        })
        .collect();
    let best = counts.iter().reduce(|best, next| if next.1 > best.1 { next } else { best })?.0;
    let named = match best {
        Sign::Shared(shared, _) => {
            let mut named = codes.iter().filter(|code| shared.contains(*code));
            named.next().copied().filter(|_| named.next().is_none())
        }
        Sign::Code(_) => None,
    };
    named.or(best.currency(None))
}

/// A written number in hundredths, the decimals after them, and whether it has cents.
fn cents(number: &str) -> Option<(i64, String, bool)> {
    let number: String = number.chars().filter(|c| !matches!(c, ' ' | '\'' | '’')).collect();
    // Below one no thousands are divided: "0,125" is an eighth. It is exact only where a currency stands beside it.
    if let Some(decimals) = number.strip_prefix("0.").or(number.strip_prefix("0,")).filter(|it| it.len() > 2)
    {
        let finer = decimals[2..].trim_end_matches('0').to_owned();
        return Some((decimals[..2].parse().ok()?, finer, false));
    }
    // The last sign divides the cents off if exactly two digits follow it.
    let divider = number.rfind(['.', ',']).filter(|place| number.len() - place == 3);
    let (whole, fraction) = match divider {
        Some(place) => (&number[..place], Some(&number[place + 1..])),
        None => (&number[..], None),
    };
    let digits: String = whole.chars().filter(char::is_ascii_digit).collect();
    let whole: i64 = digits.parse().ok()?;
    let fraction_cents: i64 = fraction.map_or(Some(0), |digits| digits.parse().ok())?;
    Some((whole.checked_mul(100)?.checked_add(fraction_cents)?, String::new(), fraction.is_some()))
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
        check("EUR 2,150.00, or", &["2150.00 EUR"]);
        check("12,50 EUR.", &["12.50 EUR"]);
        check("Total:12.50", &["12.50"]);
    }

    #[test]
    fn a_code_says_which_of_several_currencies_a_sign_means() {
        check("$1,200.00 CAD", &["1200.00 CAD"]);
        check("AUD $1,200.00", &["1200.00 AUD"]);
        check(
            "A$12.00 CA$13.00 S$14.00 HK$15.00 US$16.00",
            &["12.00 AUD", "13.00 CAD", "14.00 SGD", "15.00 HKD", "16.00 USD"],
        );
        check("USD $5.00", &["5.00 USD"]);
        check("¥1,200 and ₹5,000.00", &["1200.00 JPY", "5000.00 INR"]);
        check("¥ 1,200 CNY", &["1200.00 CNY"]);
        check("25,00 zł", &["25.00 PLN"]);
        check("120,00 kr", &["120.00"]);
        check("120 kr.", &["120.00"]);
        check("120,00 kr SEK", &["120.00"]);
        check("$ 1.190,00 ARS", &["1190.00 ARS"]);
        check("EUR 100.00 USD 120.00", &["100.00 EUR", "120.00 USD"]);
        check("100.00 EUR 120.00 USD", &["100.00 EUR", "120.00 USD"]);
    }

    #[test]
    fn signs_of_several_currencies_follow_the_document() {
        let check = |text: &str, usual: Option<&str>, normal: &[&str]| {
            let found = usual_currency(text);
            assert_eq!(found, usual, "{text}");
            let all: Vec<String> = find_all(text).iter().map(|amount| amount.normal(found)).collect();
            assert_eq!(all, normal, "{text}");
        };
        check("All amounts in CAD. $5.00 and $6.00", Some("CAD"), &["5.00 CAD", "6.00 CAD"]);
        check("$5.00 and $6.00", Some("USD"), &["5.00 USD", "6.00 USD"]);
        check("CAD or AUD: $5.00, $6.00", Some("USD"), &["5.00 USD", "6.00 USD"]);
        check("Pris i DKK: 120,00 kr, 130,00 kr", Some("DKK"), &["120.00 DKK", "130.00 DKK"]);
        check("120,00 kr", None, &["120.00"]);
    }

    #[test]
    fn an_amount_with_a_sign_is_never_in_the_usual_currency_by_chance() {
        let check = |text: &str, normal: &str| {
            let found: Vec<String> = find_all(text).iter().map(|found| found.normal(Some("EUR"))).collect();
            assert_eq!(found, [normal], "{text}");
        };
        check("1.190,00 RON", "1190.00 RON");
        check("RON 1.190,00", "1190.00 RON");
        check("ZAR 1,190.00", "1190.00 ZAR");
        check("1.190,00 TRY", "1190.00 TRY");
        check("1 190,00 ₴", "1190.00 UAH");
        check("120,00 kr", "120.00");
        check("120,00", "120.00 EUR");
        // Words and names in front of an amount are no codes, nor is what is not written in capitals.
        check("PEN 2.50", "2.50 EUR");
        check("2.50 pen", "2.50 EUR");
        check("Ron 2.50", "2.50 EUR");
    }

    #[test]
    fn no_code_is_listed_twice() {
        for code in CODES.iter().chain(&WORDLY) {
            let known = CURRENCIES.iter().any(|(written, _)| written == code);
            let times = CODES.iter().chain(&WORDLY).filter(|other| *other == code).count();
            assert!(!known && times == 1, "{code}");
        }
    }

    #[test]
    fn thousands_may_stand_as_in_india() {
        check("₹1,15,640.00", &["115640.00 INR"]);
        check("INR 12,34,56,789", &["123456789.00 INR"]);
        check("2,50,000.50", &["250000.50"]);
        check("Sections 1,15 and 4,50,12", &["1.15"]);
    }

    #[test]
    fn hundredths_are_written_with_one_sign() {
        let check = |cents: i64, written: &str| assert_eq!(plain(cents), written);
        check(-10_050, "-100.50");
        check(-5, "-0.05");
        check(1_234, "12.34");
    }

    #[test]
    fn what_is_owed_to_the_reader_is_negative() {
        for text in
            ["120,00-", "-120.00", "- 120.00", "\u{2212}120.00", "\u{2013}120.00", "(120.00)", "\t- 120.00"]
        {
            check(text, &["-120.00"]);
        }
        for text in ["-$120.00", "$-120.00", "- $120.00", "($120.00)", "$(120.00)", "$120.00-"] {
            check(text, &["-120.00 USD"]);
        }
        check("120,00- EUR", &["-120.00 EUR"]);
        check("(120.00 EUR)", &["-120.00 EUR"]);
        check("EUR -120.00", &["-120.00 EUR"]);
    }

    #[test]
    fn a_dash_between_two_things_and_a_bracket_in_a_sentence_are_no_signs() {
        check("10.00 - 20.00", &["10.00", "20.00"]);
        check("Widget - 20.00", &["20.00"]);
        check("the fee ($120.00) is due", &["120.00 USD"]);
        check("AB-12.00", &[]);
    }

    #[test]
    fn no_thousands_follow_a_leading_nought() {
        check("0,125 EUR", &["0.125 EUR"]);
        check("EUR 0.1250", &["0.125 EUR"]);
        check("0,50 EUR", &["0.50 EUR"]);
        check("0,125", &[]);
    }

    #[test]
    fn an_amount_goes_across_no_wide_gap() {
        check("4\t120.00", &["120.00"]);
        check("4 120.00", &["4120.00"]);
        check("EUR\t120.00", &["120.00"]);
    }

    #[test]
    fn dates_shares_and_counts_are_no_amounts() {
        check("12 May 2026, 23.07.2026, 20.5%, 19 %, 4500-71932, 14:37", &[]);
        check("page 3 of 12", &[]);
        check("Fr. 14.03.", &[]);
        check("Fr. 14.03", &["14.03 CHF"]);
    }

    #[test]
    fn a_sign_begins_at_the_edge_of_a_word() {
        check("Uniform 25.00", &["25.00"]);
        check("Uniform 25", &[]);
        check("Doktor 25.00", &["25.00"]);
        check("25.00 europe", &["25.00"]);
    }

    #[test]
    fn a_number_too_long_to_be_money_is_none() {
        check("99999999999999999999999999.00", &[]);
    }

    #[test]
    fn the_usual_currency_is_the_one_written_most() {
        let check = |text: &str, usual: Option<&str>| assert_eq!(usual_currency(text), usual, "{text}");
        check("EUR 5.00 and 3 € or $4", Some("EUR"));
        check("FORM", None);
        check("Fr. Müller, Fr. 14.03. um neun", None);
        check("Fr. Müller zahlt Fr. 25.50", Some("CHF"));
        check("Uniform 25.00", None);
        check("RM EUR EUR", Some("EUR"));
        check("EUR 5.00, then 6.00 RON and RON 7.00", Some("RON"));
        check("BOB RON AED, EUR 5.00", Some("EUR"));
    }
}
