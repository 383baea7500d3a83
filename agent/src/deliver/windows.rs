//! The hours in which something may be sent: `22:00-06:00`, `Mon-Fri 19:00-07:00`, `Sat,Sun 00:00-24:00`.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Minutes of a day.
const DAY_MINUTES: u16 = 24 * 60;
/// Days that are looked ahead: a window that opens at all opens within a week.
const DAYS_AHEAD: usize = 8;
/// The names of the days.
const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Some windows, in one time zone.
#[derive(Clone, Debug)]
pub struct Windows {
    windows: Vec<Window>,
    zone: TimeZone,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Window {
    days: Vec<Weekday>,
    from: u16,
    /// At most `from` where the window ends on the next day.
    to: u16,
}

impl Windows {
    /// Windows from their texts; none at all for an empty list, which is open always.
    ///
    /// # Errors
    ///
    /// A sentence that names the text that is none.
    pub fn parse(texts: &[String], zone: TimeZone) -> Result<Self, String> {
        let parsed = texts.iter().map(|text| {
            Window::parse(text).ok_or_else(|| {
                format!("{text:?} is no window; write for example \"22:00-06:00\" or \"Mon-Fri 19:00-07:00\"")
            })
        });
        Ok(Self { windows: parsed.collect::<Result<_, _>>()?, zone })
    }

    /// Open always.
    pub fn always() -> Self {
        Self { windows: Vec::new(), zone: TimeZone::UTC }
    }

    /// Whether any was configured.
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// Whether something may be sent.
    pub fn is_open(&self, now: Timestamp) -> bool {
        let local = now.to_zoned(self.zone.clone());
        self.windows.is_empty() || self.windows.iter().any(|window| window.is_open(&local))
    }

    /// When the next window opens.
    pub fn opens_at(&self, now: Timestamp) -> Timestamp {
        let today = now.to_zoned(self.zone.clone()).date();
        let mut dates = today.series(jiff::Span::new().days(1));
        let starts = dates.by_ref().take(DAYS_AHEAD).flat_map(|date| {
            let starts = self.windows.iter().filter(move |it| it.days.contains(&date.weekday()));
            starts.filter_map(move |it| it.start_on(date, &self.zone))
        });
        starts.filter(|start| *start > now).min().unwrap_or(now)
    }
}

impl Window {
    fn parse(text: &str) -> Option<Self> {
        let (days, hours) = match text.trim().rsplit_once(' ') {
            Some((days, hours)) => (parse_days(days.trim())?, hours),
            None => (DAYS.iter().map(|(_, day)| *day).collect(), text.trim()),
        };
        let (from, to) = hours.split_once('-')?;
        let (from, to) = (parse_minute(from)?, parse_minute(to)?);
        (from != to && from < DAY_MINUTES).then_some(Self { days, from, to })
    }

    fn is_open(&self, local: &Zoned) -> bool {
        let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        let today = self.days.contains(&local.weekday());
        if self.from < self.to {
            return today && (self.from..self.to).contains(&minute);
        }
        let yesterday = self.days.contains(&local.weekday().previous());
        (today && minute >= self.from) || (yesterday && minute < self.to)
    }

    fn start_on(&self, date: Date, zone: &TimeZone) -> Option<Timestamp> {
        let (hour, minute) = (i8::try_from(self.from / 60).ok()?, i8::try_from(self.from % 60).ok()?);
        Some(date.at(hour, minute, 0, 0).to_zoned(zone.clone()).ok()?.timestamp())
    }
}

fn parse_days(text: &str) -> Option<Vec<Weekday>> {
    let day = |name: &str| {
        let name = name.trim().to_lowercase();
        DAYS.iter().position(|(short, _)| *short == name)
    };
    let mut days = Vec::new();
    for range in text.split(',') {
        match range.split_once('-') {
            None => days.push(DAYS[day(range)?].1),
            Some((first, last)) => {
                let (first, last) = (day(first)?, day(last)?);
                let count = (last + DAYS.len() - first) % DAYS.len() + 1;
                days.extend((first..first + count).map(|index| DAYS[index % DAYS.len()].1));
            }
        }
    }
    Some(days)
}

fn parse_minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (minute < 60 && hour * 60 + minute <= DAY_MINUTES).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(texts: &[&str]) -> Windows {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        Windows::parse(&texts, TimeZone::UTC).expect("windows")
    }

    /// 2026-03-02 is a Monday.
    fn at(text: &str) -> Timestamp {
        format!("2026-03-{text}:00Z").parse().expect("a time")
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_opens() {
        let check = |texts: &[&str], now: &str, opens: Option<&str>| {
            let windows = windows(texts);
            assert_eq!(windows.is_open(at(now)), opens.is_none(), "{texts:?} at {now}");
            if let Some(opens) = opens {
                assert_eq!(windows.opens_at(at(now)), at(opens), "{texts:?} at {now}");
            }
        };
        check(&[], "02T12:00", None);
        check(&["22:00-06:00"], "02T23:00", None);
        check(&["22:00-06:00"], "02T05:59", None);
        check(&["22:00-06:00"], "02T06:00", Some("02T22:00"));
        check(&["Mon-Fri 19:00-07:00"], "07T03:00", None);
        check(&["Mon-Fri 19:00-07:00"], "07T12:00", Some("09T19:00"));
        check(&["Sat,Sun 00:00-24:00"], "07T12:00", None);
        check(&["Sat,Sun 00:00-24:00", "12:00-13:00"], "04T13:00", Some("05T12:00"));
        check(&["Fri-Mon 10:00-11:00"], "03T10:30", Some("06T10:00"));
    }

    #[test]
    fn what_is_no_window_is_refused_by_name() {
        for text in ["", "22:00", "22:00-22:00", "25:00-26:00", "Mo 1:00-2:00", "1:60-2:00"] {
            let error = Windows::parse(&[text.to_owned()], TimeZone::UTC).expect_err(text);
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
