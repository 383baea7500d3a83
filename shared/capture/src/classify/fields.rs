//! Values read from a document: beside or below their label, or where they usually stand.
//!
//! A label's value is looked for first to the right on the same row, then in the rows just below, by the boxes
//! of the words: recognisers often put a label and its value into different blocks. Every value keeps its page,
//! its box and the text it was made from, so that a person can check it at a glance.

use std::collections::BTreeMap;
use std::ops::Range;

use platen_model::{Field, Rect};

use super::dates::{self, Order};
use super::evidence::{Finder, Hit, suits};
use super::reading::Reading;
use super::rules::{FieldKind, FieldRule};
use super::{identifiers, letterhead, money, parties};

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

/// What holds for the whole document.
pub(super) struct Habits {
    order: Order,
    currency: Option<&'static str>,
}

impl Habits {
    /// What the document's own dates and amounts show.
    pub(super) fn of(reading: &Reading<'_>) -> Self {
        let text = reading.text_of(0..reading.words.len());
        let currency = money::usual_currency(&text);
        let order = match dates::order_shown(&text) {
            Order::Unknown if currency == Some("USD") => Order::MonthFirst,
            Order::Unknown if currency.is_some() => Order::DayFirst,
            order => order,
        };
        Self { order, currency }
    }

    /// The currency that amounts without one are in.
    pub(super) fn currency(&self) -> Option<&'static str> {
        self.currency
    }
}

/// Words that may hold a value, and how far they are trusted.
pub(super) struct Zone {
    pub(super) words: Vec<usize>,
    pub(super) trust: f32,
}

/// Reads all fields of these rules.
pub(super) fn read(finder: &Finder<'_>, rules: &[&FieldRule]) -> BTreeMap<String, Field> {
    let reading = finder.reading;
    let habits = Habits::of(reading);
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
            FieldKind::Heading => fields.extend(heading(reading).map(|field| (rule.name.clone(), field))),
            _ => fields.extend(read_one(finder, rule, &habits).map(|field| (rule.name.clone(), field))),
        }
    }
    fields
}

/// Reads a field by its labels in their order, then without.
fn read_one(finder: &Finder<'_>, rule: &FieldRule, habits: &Habits) -> Option<Field> {
    let reading = finder.reading;
    for (rank, label) in (0..).zip(&rule.labels) {
        let hits = finder.find(label).into_iter().filter(|hit| !is_excused(finder, *hit, rule));
        let found = hits.filter_map(|hit| {
            let trust = hit.likeness * PER_LABEL_RANK.powi(rank);
            zones(reading, finder.words(hit), trust)
                .into_iter()
                .find_map(|zone| value(reading, rule.kind, &zone, habits))
        });
        let best = match rule.kind {
            FieldKind::Money => found.max_by(|a, b| a.0.cmp(&b.0)),
            _ => found.reduce(|first, _| first),
        };
        if let Some((cents, field)) = best {
            let rounded =
                (rule.kind == FieldKind::Money).then(|| rounded(finder, rule, cents, habits)).flatten();
            return Some(rounded.unwrap_or(field));
        }
    }
    let region = rule.without_label?;
    let lines = reading.lines.iter().filter(|line| suits(reading, &line.words, region).is_some());
    lines
        .filter_map(|line| {
            value(
                reading,
                rule.kind,
                &Zone { words: line.words.clone().collect(), trust: WITHOUT_LABEL },
                habits,
            )
        })
        .next()
        .map(|(_, field)| field)
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
        let found = money::find_all(&join(reading, &words)).into_iter().find(|found| found.cents == paid)?;
        let value = found.normal(habits.currency);
        Some(field(reading, words_in(reading, &words, found.range), value, ROUNDED))
    })
}

/// Whether a label stands inside a phrase that means something else: "total" in "total weight".
fn is_excused(finder: &Finder<'_>, hit: Hit, rule: &FieldRule) -> bool {
    let inside = |other: Hit| other.first <= hit.first && hit.last <= other.last;
    rule.unless.iter().any(|phrase| finder.find(phrase).into_iter().any(inside))
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
    kind: FieldKind,
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
    match kind {
        FieldKind::Date => {
            let found = dates::find(&text, habits.order)?;
            Some((0, made(found.range, found.iso, found.certainty)))
        }
        FieldKind::Money => {
            let amounts = money::find_all(&text);
            // The rightmost amount of a row is the sum; a rate or a count may stand before it.
            let found = amounts.into_iter().next_back()?;
            let certainty = if found.currency.or(habits.currency).is_some() { 1.0 } else { 0.85 };
            let normal = found.normal(habits.currency);
            Some((found.cents, made(found.range, normal, certainty)))
        }
        FieldKind::Identifier => simple(identifiers::identifier(&text)),
        FieldKind::Iban => simple(identifiers::iban(&text)),
        FieldKind::VatId => simple(identifiers::vat_id(&text)),
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
        | FieldKind::Anchor
        | FieldKind::Heading
        | FieldKind::Company
        | FieldKind::Address => None,
    }
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
    let mut places: Vec<(Range<usize>, f32)> = Vec::new();
    for label in &rule.labels {
        for hit in finder.find(label) {
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
            if fits && !taken && !is_excused(finder, hit, rule) {
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
