//! Dates as people write them, in the order their country uses.
//!
//! `03/04/2026` is two dates. Which one is meant is first asked of the document (another date in it may have a
//! day over 12), then of its money and paper; where nothing tells, the day comes first and the certainty is low.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::fuzzy;

/// Which number comes first in a date written with numbers only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// 31/03/2026.
    DayFirst,
    /// 03/31/2026.
    MonthFirst,
    /// Nothing tells; day first is assumed.
    Unknown,
}

/// A date that was found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    /// Its bytes in the text.
    pub(super) range: Range<usize>,
    /// ISO 8601.
    pub(super) iso: String,
    /// 1 where it can only be read one way.
    pub(super) certainty: f32,
}

/// Years outside of these are misreadings.
const YEARS: std::ops::RangeInclusive<i16> = 1900..=2099;
/// Two-digit years up to this belong to this century, later ones to the last.
const CENTURY_PIVOT: i16 = 68;
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

static YEAR_FIRST: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b(\d{4})[-./](\d{1,2})[-./](\d{1,2})(?:\b|T)"));
static NUMBERS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b(\d{1,2}) ?([-./]) ?(\d{1,2}) ?[-./] ?(\d{4}|\d{2})\b"));
static DAY_NAME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b(\d{1,2})(?:st|nd|rd|th|er|\.)?[ ./-]{0,2}(?:de |of |day of )?([^\W\d_]{3,10})[.,]?[ ./-]{0,2}(?:de )?(\d{4}|\d{2})\b",
    )
});
static NAME_DAY: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b([^\W\d_]{3,10})\.? ?(\d{1,2})(?:st|nd|rd|th)?[,.]? ?(\d{4})\b"));

/// Finds the first date in a text.
pub(super) fn find(text: &str, order: Order) -> Option<Found> {
    let number = |group: Option<regex::Match<'_>>| group.and_then(|group| group.as_str().parse::<i16>().ok());
    let mut found: Vec<Found> = Vec::new();
    let mut add = |whole: Option<regex::Match<'_>>, year, month, day, certainty| {
        if let (Some(whole), Some(iso)) = (whole, normal(year, month, day)) {
            found.push(Found { range: whole.range(), iso, certainty });
        }
    };
    for groups in YEAR_FIRST.captures_iter(text).take(1) {
        add(groups.get(0), number(groups.get(1)), number(groups.get(2)), number(groups.get(3)), 1.0);
    }
    for groups in DAY_NAME.captures_iter(text) {
        let month = groups.get(2).and_then(|name| month(name.as_str()));
        add(groups.get(0), number(groups.get(3)), month, number(groups.get(1)), 1.0);
    }
    for groups in NAME_DAY.captures_iter(text) {
        let month = groups.get(1).and_then(|name| month(name.as_str()));
        add(groups.get(0), number(groups.get(3)), month, number(groups.get(2)), 1.0);
    }
    for groups in NUMBERS.captures_iter(text) {
        let (first, second) = (number(groups.get(1)), number(groups.get(3)));
        let year = number(groups.get(4));
        let dotted = groups.get(2).is_some_and(|sign| sign.as_str() == ".");
        let either = first.zip(second).is_some_and(|(first, second)| first <= 12 && second <= 12);
        // Dots are written by countries that put the day first.
        let month_first = match (first, second) {
            (Some(first), _) if first > 12 => false,
            (_, Some(second)) if second > 12 => true,
            _ => order == Order::MonthFirst && !dotted,
        };
        let certainty =
            if either && first != second && order == Order::Unknown && !dotted { 0.6 } else { 1.0 };
        let (month, day) = if month_first { (first, second) } else { (second, first) };
        add(groups.get(0), year, month, day, certainty);
    }
    found.into_iter().min_by_key(|found| found.range.start)
}

/// Which order a document's own dates show.
pub(super) fn order_shown(text: &str) -> Order {
    let (mut day_first, mut month_first) = (0, 0);
    for groups in NUMBERS.captures_iter(text) {
        let number =
            |group| groups.get(group).and_then(|group: regex::Match<'_>| group.as_str().parse::<i16>().ok());
        match (number(1), number(3)) {
            (Some(13..=31), Some(1..=12)) => day_first += 1,
            (Some(1..=12), Some(13..=31)) => month_first += 1,
            _ => {}
        }
    }
    match (day_first, month_first) {
        (0, 0) => Order::Unknown,
        (day_first, month_first) if day_first >= month_first => Order::DayFirst,
        _ => Order::MonthFirst,
    }
}

fn normal(year: Option<i16>, month: Option<i16>, day: Option<i16>) -> Option<String> {
    let year = match year? {
        short @ 0..=CENTURY_PIVOT => 2000 + short,
        short @ 69..=99 => 1900 + short,
        year => year,
    };
    if !YEARS.contains(&year) {
        return None;
    }
    let date = jiff::civil::Date::new(year, month?.try_into().ok()?, day?.try_into().ok()?).ok()?;
    Some(date.to_string())
}

/// The month by its name or the first letters of it, in English, German, French or Spanish.
fn month(name: &str) -> Option<i16> {
    const STARTS: [(&str, i16); 34] = [
        ("jan", 1),
        ("ene", 1),
        ("feb", 2),
        ("fev", 2),
        ("mar", 3),
        ("mrz", 3),
        ("mae", 3),
        ("apr", 4),
        ("avr", 4),
        ("abr", 4),
        ("may", 5),
        ("mai", 5),
        ("jun", 6),
        ("juin", 6),
        ("jul", 7),
        ("juil", 7),
        ("aug", 8),
        ("aou", 8),
        ("ago", 8),
        ("sep", 9),
        ("set", 9),
        ("oct", 10),
        ("okt", 10),
        ("nov", 11),
        ("dec", 12),
        ("dez", 12),
        ("dic", 12),
        ("janvier", 1),
        ("enero", 1),
        ("mayo", 5),
        ("marz", 3),
        ("fevrier", 2),
        ("septembre", 9),
        ("decembre", 12),
    ];
    const NAMES: [&str; 44] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "januar",
        "februar",
        "marz",
        "mai",
        "juni",
        "juli",
        "oktober",
        "dezember",
        "janvier",
        "fevrier",
        "mars",
        "avril",
        "juin",
        "juillet",
        "aout",
        "septembre",
        "octobre",
        "novembre",
        "decembre",
        "enero",
        "febrero",
        "marzo",
        "abril",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre",
        "octubre",
        "noviembre",
        "diciembre",
        "maerz",
    ];
    let folded = fuzzy::fold(name);
    let short = folded.chars().count() <= 4;
    // A word that only begins like a month ("Marina 12, 2026") is none.
    let known = short || NAMES.iter().any(|month| strsim::osa_distance(&folded, month) <= 1);
    known.then(|| STARTS.iter().find(|(start, _)| folded.starts_with(start)).map(|(_, month)| *month))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, order: Order, iso: Option<&str>) {
        assert_eq!(find(text, order).map(|found| found.iso).as_deref(), iso, "{text}");
    }

    #[test]
    fn dates_are_read_in_the_ways_people_write_them() {
        for (text, iso) in [
            ("as of March 16, 2026 (the", "2026-03-16"),
            ("on 1 September 2026 between", "2026-09-01"),
            ("the 3rd day of May, 2024", "2024-05-03"),
            ("16. März 2026", "2026-03-16"),
            ("le 14 février 2025", "2025-02-14"),
            ("5 de marzo de 2025", "2025-03-05"),
            ("Date 25/FEB/2017", "2017-02-25"),
            ("28 MAR 18 12:04", "2018-03-28"),
            ("2026-11-03T10:00", "2026-11-03"),
            ("23.07.2026", "2026-07-23"),
            ("12-31-99", "1999-12-31"),
        ] {
            check(text, Order::Unknown, Some(iso));
        }
    }

    #[test]
    fn what_is_no_day_is_no_date() {
        for text in ["31.02.2026", "99/99/2026", "Marina 12, 2026", "order 4500-71932", "1.415,50", ""] {
            check(text, Order::Unknown, None);
        }
    }

    #[test]
    fn the_order_of_day_and_month_follows_the_document() {
        check("03/04/2026", Order::MonthFirst, Some("2026-03-04"));
        check("03/04/2026", Order::DayFirst, Some("2026-04-03"));
        check("03/14/2026", Order::DayFirst, Some("2026-03-14"));
        check("03.04.2026", Order::MonthFirst, Some("2026-04-03"));
        assert_eq!(order_shown("due 03/04/2026, sent 02/25/2026"), Order::MonthFirst);
        assert_eq!(order_shown("25/02/2026"), Order::DayFirst);
        assert!(find("03/04/2026", Order::Unknown).is_some_and(|found| found.certainty < 1.0));
    }
}
