//! Dates as people write them, in the order their country uses.
//!
//! `03/04/2026` is two dates. Which one is meant is first asked of the document (another date in it may have a
//! day over 12), then of its money and paper; where nothing tells, the day comes first and the certainty is low.
//! What cannot lie ahead (a birth, an invoice) is not read as a day after its capture: of two readings the other one is
//! meant, and of two centuries the last.

use std::ops::Range;
use std::sync::LazyLock;

use jiff::ToSpan;
use jiff::civil::Date;
use regex::{Captures, Match, Regex};

use super::fuzzy;
use super::pattern::pattern;

/// Which number comes first in a date written with numbers only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// 31/03/2026.
    DayFirst,
    /// 03/31/2026.
    MonthFirst,
    /// Day first by the document's currency; its dates do not tell.
    DayLikely,
    /// Month first by the document's currency; its dates do not tell.
    MonthLikely,
    /// Nothing tells; day first is assumed.
    Unknown,
}

impl Order {
    fn is_month_first(self) -> bool {
        matches!(self, Self::MonthFirst | Self::MonthLikely)
    }

    /// Whether the document's own dates show it.
    fn is_shown(self) -> bool {
        matches!(self, Self::DayFirst | Self::MonthFirst)
    }

    /// Certainty of a date that could be read either way.
    fn certainty(self) -> f32 {
        match self {
            Self::DayFirst | Self::MonthFirst => 1.0,
            Self::DayLikely | Self::MonthLikely => 0.7,
            Self::Unknown => 0.6,
        }
    }
}

/// How dates of one field are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// The order of day and month.
    pub(super) order: Order,
    /// Where it cannot lie ahead.
    pub(super) past: Option<Past>,
}

/// The days that something which has happened may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    /// The last one.
    pub(super) until: Date,
    /// How many years before it a year of two digits is looked for.
    pub(super) years: u16,
}

impl From<Order> for Manner {
    fn from(order: Order) -> Self {
        Self { order, past: None }
    }
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
static YEAR_FIRST: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b(?P<year>\d{4})[-./](?P<month>\d{1,2})[-./](?P<day>\d{1,2})(?:\b|T)"));
static NUMBERS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b(?P<one>\d{1,2}) ?(?P<sign>[-./]) ?(?P<two>\d{1,2}) ?(?P<second>[-./])(?P<gap> ?)(?P<year>\d{4}|\d{2})\b",
    )
});
static DAY_NAME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b(?P<day>\d{1,2})(?:st|nd|rd|th|er|\.)?[ ./-]{0,2}(?:de |of |day of )?(?P<name>[^\W\d_]{3,10})[.,]?(?P<gap>[ ./-]{0,2}(?:del? )?)(?P<year>\d{4}|\d{2})\b",
    )
});
static NAME_DAY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"\b(?P<name>[^\W\d_]{3,10})\.? ?(?P<day>\d{1,2})(?:st|nd|rd|th)?[,.]? ?(?P<year>\d{4})\b")
});
/// What follows the hour of a time of day.
static AFTER_HOUR: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)^(?::\d| ?(?:h|uhr|am|pm)\b|h\d)"));

/// Finds the first date in a text.
pub(super) fn find(text: &str, manner: impl Into<Manner>) -> Option<Found> {
    let manner = manner.into();
    let mut found: Vec<Found> = Vec::new();
    let mut add = |groups: &Captures<'_>, month: Option<i16>, day: Option<i16>, certainty| {
        let (Some(whole), Some(year)) = (groups.get(0), groups.name("year")) else { return false };
        let iso = normal(year.as_str(), month, day, manner.past);
        found.extend(iso.clone().map(|iso| Found { range: whole.range(), iso, certainty }));
        iso.is_some()
    };
    for groups in YEAR_FIRST.captures_iter(text) {
        add(&groups, number(&groups, "month"), number(&groups, "day"), 1.0);
    }
    for pattern in [&DAY_NAME, &NAME_DAY] {
        for groups in pattern.captures_iter(text).filter(|groups| !ends_in_hour(text, groups)) {
            let month = groups.name("name").and_then(|name| month(name.as_str()));
            add(&groups, month, number(&groups, "day"), 1.0);
        }
    }
    for groups in NUMBERS.captures_iter(text).filter(|groups| !ends_in_hour(text, groups)) {
        let (first, second) = (number(&groups, "one"), number(&groups, "two"));
        let dotted = groups.name("sign").is_some_and(|sign| sign.as_str() == ".");
        let either = first.zip(second).is_some_and(|(first, second)| first <= 12 && second <= 12);
        let month_first = match (first, second) {
            (Some(first), _) if first > 12 => false,
            (_, Some(second)) if second > 12 => true,
            // Dots are written by countries that put the day first.
            _ => manner.order.is_month_first() && !dotted,
        };
        let ambiguous = either && first != second && !dotted;
        let certainty = if ambiguous { manner.order.certainty() } else { 1.0 };
        let (month, day) = if month_first { (first, second) } else { (second, first) };
        // Where one reading lies ahead of what is possible, the other is meant; but not where the document's own dates show
        // their order: rents and subscriptions are invoiced ahead, and another day is worse than none.
        let is_guessed = ambiguous && !manner.order.is_shown();
        if !add(&groups, month, day, certainty) && is_guessed && manner.past.is_some() {
            add(&groups, day, month, manner.order.certainty());
        }
    }
    found.into_iter().min_by_key(|found| found.range.start)
}

fn number(groups: &Captures<'_>, name: &str) -> Option<i16> {
    groups.name(name).and_then(|group: Match<'_>| group.as_str().parse().ok())
}

/// Whether the two digits at the end are the hour of a time of day: "14.05. 12:30", "14 May 12:30".
fn ends_in_hour(text: &str, groups: &Captures<'_>) -> bool {
    let apart = groups.name("gap").is_some_and(|gap| gap.as_str().ends_with(' '));
    let year = groups.name("year").filter(|year| year.as_str().len() == 2);
    apart && year.is_some_and(|year| AFTER_HOUR.is_match(&text[year.end()..]))
}

/// Which order a document's own dates show. Numbers with dots or dashes and a short year are as often something else.
pub(super) fn order_shown(text: &str) -> Order {
    let (mut day_first, mut month_first) = (false, false);
    for groups in NUMBERS.captures_iter(text) {
        let name = |name| groups.name(name).map_or("", |group| group.as_str());
        let is_date = name("sign") == name("second") && (name("sign") == "/" || name("year").len() == 4);
        let (one, two) = (number(&groups, "one"), number(&groups, "two"));
        let valid = |month, day| is_date && normal(name("year"), month, day, None).is_some();
        day_first |= one > Some(12) && valid(two, one);
        month_first |= two > Some(12) && valid(one, two);
    }
    match (day_first, month_first) {
        (true, false) => Order::DayFirst,
        (false, true) => Order::MonthFirst,
        _ => Order::Unknown,
    }
}

fn normal(year: &str, month: Option<i16>, day: Option<i16>, past: Option<Past>) -> Option<String> {
    let written: i16 = year.parse().ok()?;
    let (month, day) = (month?.try_into().ok()?, day?.try_into().ok()?);
    let date = |year: i16| Date::new(year, month, day).ok().filter(|_| YEARS.contains(&year));
    let possible = |date: &Date| past.is_none_or(|past| *date <= past.until);
    let found = match (year.len(), past) {
        (4, _) => date(written),
        (_, Some(past)) => {
            let earliest = past.until.checked_sub(i64::from(past.years).years()).ok()?;
            let both = [2000, 1900].into_iter().filter_map(|century| date(century + written));
            both.filter(possible).find(|date| *date > earliest)
        }
        (_, None) if written <= CENTURY_PIVOT => date(2000 + written),
        (_, None) => date(1900 + written),
    };
    found.filter(possible).map(|date| date.to_string())
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
    // A word that only begins like a month ("Marina 12, 2026") is none; one that a month begins with is ("juill.").
    let known = short
        || NAMES.iter().any(|month| month.starts_with(&folded) || strsim::osa_distance(&folded, month) <= 1);
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
            ("5 de marzo del 2025", "2025-03-05"),
            ("12 juill. 2025", "2025-07-12"),
            ("le 3 sept. 2025", "2025-09-03"),
            ("no 2026.99.99 of 2026-03-04", "2026-03-04"),
            ("25/03/18:12:04", "2018-03-25"),
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
    fn an_hour_is_no_year() {
        for text in [
            "14.05. 12:30",
            "14 May 12:30",
            "14/05/ 09:15:20",
            "14. Mai 12 Uhr",
            "14 mai 12h30",
            "May 14 12:30",
        ] {
            check(text, Order::Unknown, None);
        }
        check("14.05.26 12:30", Order::Unknown, Some("2026-05-14"));
    }

    #[test]
    fn the_order_of_day_and_month_follows_the_document() {
        check("03/04/2026", Order::MonthFirst, Some("2026-03-04"));
        check("03/04/2026", Order::MonthLikely, Some("2026-03-04"));
        check("03/04/2026", Order::DayFirst, Some("2026-04-03"));
        check("03/14/2026", Order::DayFirst, Some("2026-03-14"));
        check("03.04.2026", Order::MonthFirst, Some("2026-04-03"));
        let shown = |text: &str, order: Order| assert_eq!(order_shown(text), order, "{text}");
        shown("due 03/04/2026, sent 02/25/2026", Order::MonthFirst);
        shown("25/02/2026", Order::DayFirst);
        shown("25/02/26", Order::DayFirst);
        shown("sort code 12-24-81", Order::Unknown);
        shown("02/31/2026", Order::Unknown);
        shown("25/02/2026 and 02/25/2026", Order::Unknown);
    }

    #[test]
    fn only_dates_of_the_document_itself_make_the_order_certain() {
        let certainty = |order: Order| find("03/04/2026", order).expect("it is a date").certainty;
        assert_eq!(certainty(Order::DayFirst), 1.0);
        assert!(certainty(Order::DayLikely) <= 0.7 && certainty(Order::MonthLikely) <= 0.7);
        assert!(certainty(Order::Unknown) < certainty(Order::MonthLikely));
    }

    #[test]
    fn a_day_ahead_is_not_swapped_with_its_month_where_the_document_shows_their_order() {
        let check = |order: Order, iso: Option<&str>| {
            let past = Some(Past { until: jiff::civil::date(2026, 11, 28), years: 60 });
            let found = find("05/12/2026", Manner { order, past });
            assert_eq!(found.as_ref().map(|found| found.iso.as_str()), iso, "{order:?}");
            assert!(found.is_none_or(|found| found.certainty <= 0.7 || order == Order::MonthFirst));
        };
        check(Order::DayFirst, None);
        check(Order::MonthFirst, Some("2026-05-12"));
        check(Order::DayLikely, Some("2026-05-12"));
        check(Order::Unknown, Some("2026-05-12"));
    }

    #[test]
    fn what_cannot_lie_ahead_is_read_as_a_day_before_its_capture() {
        let check = |text: &str, years: u16, iso: Option<&str>| {
            let past = Some(Past { until: jiff::civil::date(2026, 3, 10), years });
            let manner = Manner { order: Order::DayLikely, past };
            assert_eq!(find(text, manner).map(|found| found.iso).as_deref(), iso, "{text}");
        };
        check("12.05.61", 110, Some("1961-05-12"));
        check("12.05.25", 110, Some("2025-05-12"));
        check("10.03.26", 60, Some("2026-03-10"));
        check("11.03.26", 60, None);
        check("12.05.98", 60, Some("1998-05-12"));
        check("12.05.2027", 60, None);
        check("12 May 2027", 60, None);
        check("03/04/2026", 60, Some("2026-03-04"));
        check("09/10/2025", 60, Some("2025-10-09"));
        check("printed 2027-01-01 of 2026-01-01", 60, Some("2026-01-01"));
    }
}
