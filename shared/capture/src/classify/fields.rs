//! Values read from a document: beside or below their label, or where they usually stand.
//!
//! A label's value is looked for first to the right on the same row, then in the rows just below, by the boxes
//! of the words: recognisers often put a label and its value into different blocks. Where no label leads to one, a rule's
//! patterns and its box on the page are asked. Every value keeps its page, its box and the text it was made from, so
//! that a person can check it at a glance.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::ToSpan;
use jiff::civil::Date;
use platen_model::{Field, Rect};

use super::dates::{self, Manner, Order, Past};
use super::evidence::{Finder, Hit, suits};
use super::fuzzy;
use super::reading::Reading;
use super::rules::{FieldKind, FieldRule};
use super::{Origin, addressee, boxes, identifiers, letterhead, money, parties, tax_ids};

/// How many rows below its label a value may stand.
const ROWS_BELOW: usize = 2;
/// How far below its label a value may begin, in heights of the label.
const BELOW_HEIGHTS: u32 = 4;
/// A gap of so many heights of type ends a value's words.
const GAP_HEIGHTS: u32 = 3;
/// Most words of a name.
const NAME_WORDS: usize = 7;
/// How many signature anchors are kept.
const MOST_ANCHORS: usize = 4;
/// Most words on the line of a signature anchor.
const ANCHOR_LINE_WORDS: usize = 8;
/// Share of certainty left when no label vouches for a value.
const WITHOUT_LABEL: f32 = 0.75;
/// The smallest coin where totals are rounded, in hundredths.
const SMALLEST_COIN: i64 = 5;
/// Certainty of an amount that is found by rounding another one.
const ROUNDED: f32 = 0.9;
/// Share of certainty left for each step down the list of labels.
const PER_LABEL_RANK: f32 = 0.985;
/// Longest text searched for parties, in words.
const PARTIES_WORDS: usize = 400;
/// Most places of one label that are looked at; the first ones tell.
pub(super) const MOST_HITS: usize = 64;
/// How many days after its capture a date that cannot lie ahead may be: clocks and time zones differ.
const DAYS_AHEAD: i64 = 2;
/// Certainty of a value that a pattern of the rules found.
const BY_PATTERN: f32 = 0.9;
/// Certainty of a value in a box of the rules: pages are laid differently on the glass.
const BY_PLACE: f32 = 0.85;
/// Words after an amount that begin a part of it: "119,00 EUR incl. 19,00 EUR VAT".
const PART_OF_IT: [&str; 18] = [
    "inkl",
    "inklusive",
    "incl",
    "including",
    "inclusive",
    "davon",
    "darin",
    "enthalten",
    "enthaltene",
    "dont",
    "thereof",
    "compris",
    "inclus",
    "incluye",
    "incluido",
    "plus",
    "zzgl",
    "includes",
];

/// What holds for the whole document.
pub(super) struct Habits {
    order: Order,
    currency: Option<&'static str>,
    country: Option<String>,
    captured_on: Option<Date>,
}

impl Habits {
    /// What the document's own dates, amounts and numbers show.
    pub(super) fn of(reading: &Reading<'_>, origin: &Origin<'_>) -> Self {
        let text = reading.text_of(0..reading.words.len());
        let currency = money::usual_currency(&text);
        let order = match dates::order_shown(&text) {
            Order::Unknown if currency == Some("USD") => Order::MonthLikely,
            Order::Unknown if currency.is_some() => Order::DayLikely,
            order => order,
        };
        // Where it was issued: by its tax number, its account, its money.
        let numbered = tax_ids::vat_id(&text).or_else(|| identifiers::iban(&text));
        let country = numbered.and_then(|(_, number, _)| Some(number.get(..2)?.to_owned()));
        let country = country.or_else(|| currency.and_then(money::country).map(str::to_owned));
        Self { order, currency, country, captured_on: origin.day }
    }

    /// The currency that amounts without one are in.
    pub(super) fn currency(&self) -> Option<&'static str> {
        self.currency
    }

    /// How dates of a field are read: one that lies in so many years before its capture cannot lie ahead.
    fn manner(&self, years_back: Option<u16>) -> Manner {
        let until = self.captured_on.and_then(|day| day.checked_add(DAYS_AHEAD.days()).ok());
        let past = until.zip(years_back).map(|(until, years)| Past { until, years });
        Manner { order: self.order, past }
    }
}

/// Words that may hold a value, and how far they are trusted.
pub(super) struct Zone {
    pub(super) words: Vec<usize>,
    pub(super) trust: f32,
}

/// Reads all fields of these rules.
pub(super) fn read(finder: &Finder<'_>, rules: &[&FieldRule], habits: &Habits) -> BTreeMap<String, Field> {
    let reading = finder.reading;
    let mut fields = BTreeMap::new();
    for rule in rules {
        match rule.kind {
            FieldKind::Anchor => anchors(finder, rule, &mut fields),
            FieldKind::Parties => read_parties(reading, rule, &mut fields),
            FieldKind::Company => {
                fields.extend(letterhead::name(reading).map(|field| (rule.name.clone(), field)))
            }
            FieldKind::Address => {
                fields.extend(letterhead::address(reading).map(|field| (rule.name.clone(), field)))
            }
            FieldKind::CheckBox => {
                fields.extend(boxes::beside_label(finder, rule).map(|field| (rule.name.clone(), field)))
            }
            FieldKind::Addressee => {
                if let Some(found) = addressee::find(finder, rule) {
                    fields.insert(rule.name.clone(), found.name);
                    fields.extend(found.address.map(|field| (format!("{}_address", rule.name), field)));
                }
            }
            FieldKind::Heading => fields.extend(heading(reading).map(|field| (rule.name.clone(), field))),
            _ => fields.extend(read_one(finder, rule, habits).map(|field| (rule.name.clone(), field))),
        }
    }
    fields
}

/// Reads a field by its labels in their order, then without.
fn read_one(finder: &Finder<'_>, rule: &FieldRule, habits: &Habits) -> Option<Field> {
    let reading = finder.reading;
    let excused = Excused::of(finder, rule);
    for (rank, label) in (0..).zip(&rule.labels) {
        let hits = finder.find(label).into_iter().filter(|hit| !excused.holds(*hit)).take(MOST_HITS);
        let found = hits.filter_map(|hit| {
            let trust = hit.likeness * PER_LABEL_RANK.powi(rank);
            zones(reading, finder.words(hit), trust)
                .into_iter()
                .find_map(|zone| value(reading, Wanted::by(rule), &zone, habits))
        });
        let best = match rule.kind {
            // Of a credit note, where all are negative, the one furthest from nought.
            FieldKind::Money => found.max_by_key(|(cents, _)| (*cents > 0, cents.unsigned_abs())),
            _ => found.reduce(|first, _| first),
        };
        if let Some((cents, field)) = best {
            let rounded =
                (rule.kind == FieldKind::Money).then(|| rounded(finder, rule, cents, habits)).flatten();
            return Some(rounded.unwrap_or(field));
        }
    }
    by_pattern(reading, rule, habits)
        .or_else(|| by_place(reading, rule, habits))
        .or_else(|| without_label(reading, rule, habits))
}

/// The first match of the rule's patterns that holds a value; of a pattern with a group, what is in the group.
fn by_pattern(reading: &Reading<'_>, rule: &FieldRule, habits: &Habits) -> Option<Field> {
    rule.patterns.iter().find_map(|pattern| {
        reading.lines.iter().find_map(|line| {
            let words: Vec<usize> = line.words.clone().collect();
            let text = join(reading, &words);
            pattern.captures_iter(&text).find_map(|groups| {
                let matched = groups.get(1).or(groups.get(0)).filter(|matched| !matched.is_empty())?;
                let covered = words_in(reading, &words, matched.range());
                if rule.kind == FieldKind::Identifier {
                    return Some(field(reading, covered, matched.as_str().trim().to_owned(), BY_PATTERN));
                }
                let zone = Zone { words: covered, trust: BY_PATTERN };
                value(reading, Wanted::by(rule), &zone, habits).map(|(_, field)| field)
            })
        })
    })
}

/// What stands in the rule's box on the first page.
fn by_place(reading: &Reading<'_>, rule: &FieldRule, habits: &Habits) -> Option<Field> {
    let [x, y, w, h] = rule.place?;
    let (width, height) = reading.page_size(0);
    let inside = |word: &usize| {
        let rect = reading.words[*word].word.rect;
        let across = (rect.x as f32 + rect.w as f32 / 2.0) / width.max(1) as f32;
        let down = (rect.y as f32 + rect.h as f32 / 2.0) / height.max(1) as f32;
        (x..=x + w).contains(&across) && (y..=y + h).contains(&down)
    };
    let zone = Zone { words: page_words(reading, 0).filter(inside).collect(), trust: BY_PLACE };
    value(reading, Wanted::by(rule), &zone, habits).map(|(_, field)| field)
}

/// A value of this kind on the first line of the rule's region that holds one.
fn without_label(reading: &Reading<'_>, rule: &FieldRule, habits: &Habits) -> Option<Field> {
    let region = rule.without_label?;
    let lines = reading.lines.iter().filter(|line| suits(reading, &line.words, region).is_some());
    let zones = lines.map(|line| Zone { words: line.words.clone().collect(), trust: WITHOUT_LABEL });
    zones.into_iter().find_map(|zone| value(reading, Wanted::by(rule), &zone, habits)).map(|(_, field)| field)
}

/// The amount that is paid in place of a total where coins of one and two hundredths are no longer used: the document
/// says that it rounds, and the rounded amount stands on it.
fn rounded(finder: &Finder<'_>, rule: &FieldRule, cents: i64, habits: &Habits) -> Option<Field> {
    let paid = (cents + SMALLEST_COIN / 2).div_euclid(SMALLEST_COIN) * SMALLEST_COIN;
    let rounds = rule.rounding.iter().any(|phrase| !finder.find(phrase).is_empty());
    if paid == cents || !rounds {
        return None;
    }
    let reading = finder.reading;
    reading.lines.iter().find_map(|line| {
        let words: Vec<usize> = line.words.clone().collect();
        let text = reading.spaced_text(words.iter().copied());
        let found = money::find_all(&text).into_iter().find(|found| found.cents == paid)?;
        let value = found.normal(habits.currency);
        Some(field(reading, words_in(reading, &words, found.range), value, ROUNDED))
    })
}

/// The places of phrases that contain a label and mean something else: "total" in "total weight".
pub(super) struct Excused(Vec<(usize, usize)>);

impl Excused {
    pub(super) fn of(finder: &Finder<'_>, rule: &FieldRule) -> Self {
        let mut places: Vec<(usize, usize)> = rule
            .unless
            .iter()
            .flat_map(|phrase| finder.find(phrase).into_iter().map(|hit| (hit.first, hit.last)))
            .collect();
        places.sort_unstable();
        // Each with the farthest end of those that begin no later, so that one look tells.
        let mut farthest = 0;
        for (_, last) in &mut places {
            farthest = farthest.max(*last);
            *last = farthest;
        }
        Self(places)
    }

    /// Whether a label stands inside one of them.
    pub(super) fn holds(&self, hit: Hit) -> bool {
        let before = self.0.partition_point(|(first, _)| *first <= hit.first);
        before.checked_sub(1).is_some_and(|place| self.0[place].1 >= hit.last)
    }
}

/// What kind of value is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) kind: FieldKind,
    /// Of a date that cannot lie ahead: how many years before its capture it may be.
    years_back: Option<u16>,
}

impl Wanted {
    /// A value of a kind, without any bound.
    pub(super) fn any(kind: FieldKind) -> Self {
        Self { kind, years_back: None }
    }

    fn by(rule: &FieldRule) -> Self {
        Self { kind: rule.kind, years_back: rule.years_back }
    }
}

/// Where the value of a label may stand, likeliest first.
fn zones(reading: &Reading<'_>, label: Range<usize>, trust: f32) -> Vec<Zone> {
    let page = reading.words[label.start].page;
    let rect = reading.rect_of(label.clone());
    let height = rect.h.max(1);
    let on_page = |word: &usize| reading.words[*word].page == page && !label.contains(word);
    let all = || page_words(reading, page).filter(on_page);
    let center = |rect: Rect| rect.y + rect.h / 2;

    let is_right = |word: &usize| {
        let other = reading.words[*word].word.rect;
        let same_row = center(other).abs_diff(center(rect)) <= height.max(other.h) / 2;
        same_row && other.x + other.w / 2 >= rect.x + rect.w
    };
    let mut right: Vec<usize> = all().filter(is_right).collect();
    right.sort_by_key(|word| reading.words[*word].word.rect.x);

    let is_below = |word: &usize| {
        let other = reading.words[*word].word.rect;
        let deep = center(other).saturating_sub(rect.y + rect.h);
        center(other) > rect.y + rect.h
            && deep <= height * BELOW_HEIGHTS
            && other.x + other.w > rect.x.saturating_sub(height * 2)
    };
    let mut below: Vec<usize> = all().filter(is_below).collect();
    below.sort_by_key(|word| (reading.words[*word].word.rect.y, *word));

    let mut zones = vec![Zone { words: right, trust }];
    for _ in 0..ROWS_BELOW {
        let Some(&top) = below.first() else { break };
        let row_center = center(reading.words[top].word.rect);
        let (mut row, rest): (Vec<usize>, Vec<usize>) = below.into_iter().partition(|word| {
            let other = reading.words[*word].word.rect;
            center(other).abs_diff(row_center) <= other.h.max(1) / 2
        });
        row.sort_by_key(|word| reading.words[*word].word.rect.x);
        // The value stands under its label, not under the next one.
        let starts_here = row
            .first()
            .is_some_and(|word| reading.words[*word].word.rect.x <= rect.x + rect.w + height * GAP_HEIGHTS);
        if starts_here {
            zones.push(Zone { words: row, trust: trust * 0.9 });
        }
        below = rest;
    }
    zones
}

/// All words of a page, as positions.
pub(super) fn page_words<'r>(reading: &'r Reading<'_>, page: usize) -> impl Iterator<Item = usize> + 'r {
    let start = reading.words.partition_point(|read| read.page < page);
    (start..reading.words.len()).take_while(move |word| reading.words[*word].page == page)
}

/// Reads a value of a kind from a zone; the number orders amounts.
pub(super) fn value(
    reading: &Reading<'_>,
    wanted: Wanted,
    zone: &Zone,
    habits: &Habits,
) -> Option<(i64, Field)> {
    let text = join(reading, &zone.words);
    let made = |range: Range<usize>, value: String, certainty: f32| {
        field(reading, words_in(reading, &zone.words, range), value, certainty * zone.trust)
    };
    let simple = |found: Option<identifiers::Found>| {
        found.map(|(range, value, certainty)| (0, made(range, value, certainty)))
    };
    match wanted.kind {
        FieldKind::Date => {
            let found = dates::find(&text, habits.manner(wanted.years_back))?;
            Some((0, made(found.range, found.iso, found.certainty)))
        }
        FieldKind::Money => {
            let found = sum_of_row(reading, &zone.words)?;
            let certainty = if found.currency(habits.currency).is_some() { 1.0 } else { 0.85 };
            let normal = found.normal(habits.currency);
            Some((found.cents, made(found.range, normal, certainty)))
        }
        FieldKind::Identifier => simple(identifiers::identifier(&text)),
        FieldKind::Iban => simple(identifiers::iban(&text)),
        FieldKind::VatId => simple(tax_ids::vat_id(&text)),
        FieldKind::TaxId => simple(tax_ids::tax_id(&text)),
        FieldKind::Phone => simple(identifiers::phone(&text, habits.country.as_deref())),
        FieldKind::Email => simple(divided_email(&text).or_else(|| identifiers::email(&text))),
        FieldKind::Name => {
            let words = first_cell(reading, &zone.words);
            let text = join(reading, &words);
            let name = text.trim_matches(|c: char| !c.is_alphanumeric() && !".)".contains(c));
            let letters = name.chars().filter(|c| c.is_alphabetic()).count();
            let is_label = text.trim_end().ends_with(':');
            (letters >= 2 && !is_label).then(|| (0, field(reading, words, name.to_owned(), 0.9 * zone.trust)))
        }
        FieldKind::Parties
        | FieldKind::CheckBox
        | FieldKind::Anchor
        | FieldKind::Heading
        | FieldKind::Addressee
        | FieldKind::Company
        | FieldKind::Address => None,
    }
}

/// The rightmost amount of a row is its sum; a rate or a count may stand before it. What follows the sum and names a part
/// of it, or stands in brackets, or is another label beyond a wide gap, is not looked at.
fn sum_of_row(reading: &Reading<'_>, words: &[usize]) -> Option<money::Found> {
    let text = reading.spaced_text(words.iter().copied());
    let first = money::find_all(&text).into_iter().next()?;
    let mut start = 0;
    let mut end = text.len();
    for (place, &word) in words.iter().enumerate() {
        let read = &reading.words[word].word.text;
        let apart = place > 0 && reading.is_apart(words[place - 1], word);
        let folded = fuzzy::words(read).next().unwrap_or_default();
        let next = words.get(place + 1).map(|next| reading.words[*next].word.text.to_lowercase());
        let is_part =
            PART_OF_IT.contains(&folded.as_str()) || folded == "of" && next.as_deref() == Some("which");
        let is_label =
            apart && folded.chars().filter(|c| c.is_alphabetic()).count() > 1 && !money::is_currency(read);
        if start >= first.range.end && (is_part || is_label || read.starts_with(['(', '['])) {
            end = start;
            break;
        }
        start += read.len() + 1;
    }
    money::find_all(&text[..end]).pop()
}

/// All words of a zone as they stand.
pub(super) fn whole(reading: &Reading<'_>, zone: Zone) -> Option<Field> {
    let text = join(reading, &zone.words);
    (!text.trim().is_empty()).then(|| field(reading, zone.words, text, zone.trust))
}

/// An address at the beginning of its zone whose first part a recogniser set apart: "jonas. weber@example.com".
fn divided_email(text: &str) -> Option<identifiers::Found> {
    let (head, rest) = text.split_once(' ')?;
    let part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    if !head.ends_with(['.', '_', '-']) || !head.chars().all(part) || rest.starts_with(' ') {
        return None;
    }
    let (range, tail, _) = identifiers::email(rest)?;
    (range.start == 0).then(|| (0..head.len() + 1 + range.end, format!("{head}{tail}"), 0.7))
}

/// The words up to the first wide gap.
fn first_cell(reading: &Reading<'_>, words: &[usize]) -> Vec<usize> {
    let mut cell: Vec<usize> = Vec::new();
    for &word in words.iter().take(NAME_WORDS) {
        let rect = reading.words[word].word.rect;
        if let Some(&last) = cell.last() {
            let last = reading.words[last].word.rect;
            if rect.x.saturating_sub(last.x + last.w) > last.h.max(rect.h) * GAP_HEIGHTS / 2 {
                break;
            }
        }
        cell.push(word);
    }
    cell
}

/// Where to sign: each place, in reading order, as `<name>`, `<name>_2`, and so on.
fn anchors(finder: &Finder<'_>, rule: &FieldRule, fields: &mut BTreeMap<String, Field>) {
    let reading = finder.reading;
    let excused = Excused::of(finder, rule);
    let mut places: Vec<(Range<usize>, f32)> = Vec::new();
    for label in &rule.labels {
        for hit in finder.find(label).into_iter().take(MOST_HITS) {
            let words = finder.words(hit);
            let line = reading.line(words.start);
            let text = reading.text_of(words.clone());
            // A sentence may speak of a signature; a place to sign says little else, and expects something.
            let begins = words.start <= line.words.start + 1;
            let expects = text.ends_with([':', '_', '.', '-', 'X']) || words.end >= line.words.end;
            let short_label = label.0.len() == 1 && text.chars().count() <= 4;
            let fits = begins
                && expects
                && line.words.len() <= ANCHOR_LINE_WORDS
                && (!short_label || text.contains(':'));
            let taken = places.iter().any(|(other, _)| other.start < words.end && words.start < other.end);
            if fits && !taken && !excused.holds(hit) {
                places.push((words, hit.likeness));
            }
        }
    }
    places.sort_by_key(|(words, _)| words.start);
    for (number, (words, likeness)) in (1..).zip(places.into_iter().take(MOST_ANCHORS)) {
        let name = if number == 1 { rule.name.clone() } else { format!("{}_{number}", rule.name) };
        let text = reading.text_of(words.clone());
        let value = text.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
        fields.insert(name, field(reading, words.collect(), value, likeness));
    }
}

fn read_parties(reading: &Reading<'_>, rule: &FieldRule, fields: &mut BTreeMap<String, Field>) {
    let words: Vec<usize> = (0..reading.words.len().min(PARTIES_WORDS)).collect();
    let text = join(reading, &words);
    for (number, (range, name)) in (1..).zip(parties::find(&text).into_iter().flatten()) {
        let words = words_in(reading, &words, range);
        fields.insert(format!("{}_{number}", rule.name), field(reading, words, name, 0.85));
    }
}

/// The first line of the first page that is mostly letters.
fn heading(reading: &Reading<'_>) -> Option<Field> {
    let line = reading.lines.iter().find(|line| {
        let text = reading.text_of(line.words.clone());
        let letters = text.chars().filter(|c| c.is_alphabetic()).count();
        line.page == 0 && letters >= 4 && letters * 3 >= text.chars().count() * 2
    })?;
    let text = reading.text_of(line.words.clone());
    Some(field(reading, line.words.clone().collect(), text, 0.6))
}

/// A field over some words; its confidence is no better than theirs.
pub(super) fn field(reading: &Reading<'_>, words: Vec<usize>, value: String, certainty: f32) -> Field {
    let read = words.iter().map(|word| reading.words[*word].word.confidence);
    let poorest = read.fold(1.0f32, f32::min);
    let page = words.first().map_or(0, |word| reading.words[*word].page as u32);
    let rect = (!words.is_empty()).then(|| reading.rect_of(words.iter().copied()));
    let confidence = (certainty * poorest).clamp(0.0, 1.0);
    Field { value, text: join(reading, &words), confidence, page, rect }
}

fn join(reading: &Reading<'_>, words: &[usize]) -> String {
    let words: Vec<&str> = words.iter().map(|word| reading.words[*word].word.text.as_str()).collect();
    words.join(" ")
}

/// The words that a range of bytes of their joined text covers.
fn words_in(reading: &Reading<'_>, words: &[usize], range: Range<usize>) -> Vec<usize> {
    let mut start = 0;
    let mut covered = Vec::new();
    for &word in words {
        let end = start + reading.words[word].word.text.len();
        if start < range.end && range.start < end {
            covered.push(word);
        }
        start = end + 1;
    }
    covered
}

#[cfg(test)]
mod tests;
