//! Evidence: what the rules find in a document, and what it weighs.

use std::collections::HashMap;

use platen_model::Reason;

use super::reading::Reading;
use super::rules::{EvidenceRule, LookFor, Phrase, Region, TypeRules, Vocabulary};
use super::{Origin, fuzzy};

/// The share of the first page that is its top.
const TOP: f32 = 1.0 / 3.0;
/// The share of the first page in which a title may stand.
const TITLE_DEPTH: f32 = 0.45;
/// Most words on the line of a title.
const TITLE_WORDS: usize = 9;
/// How much larger than usual the type of a title is.
const TITLE_SIZE: f32 = 1.25;
/// How far capitals in ordinary size make a title.
const CAPITAL_TITLE: f32 = 0.9;
/// How far ordinary type on a line of its own makes a title: it may as well be a caption.
const PLAIN_TITLE: f32 = 0.6;
/// In phrases of at least this many words, one foreign word (a speck, a stamp) may stand between two.
const SLACK_WORDS: usize = 3;

/// Where a phrase was found: its first and last token, and how well it fits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) likeness: f32,
}

/// Where each word of the vocabulary stands in a document.
pub(super) struct Finder<'r> {
    pub(super) reading: &'r Reading<'r>,
    places: Vec<Vec<(usize, f32)>>,
}

impl<'r> Finder<'r> {
    /// Compares each different word of the document with the vocabulary once.
    pub(super) fn new(reading: &'r Reading<'r>, vocabulary: &Vocabulary) -> Self {
        let mut places = vec![Vec::new(); vocabulary.len()];
        let mut known: HashMap<(&str, bool), Vec<(u32, f32)>> = HashMap::new();
        for (place, token) in reading.tokens.iter().enumerate() {
            let confidence = reading.words[token.word].word.confidence;
            let sure = confidence >= 0.9;
            let like = known
                .entry((&token.shape, sure))
                .or_insert_with(|| vocabulary.like(&token.shape, confidence));
            for (number, likeness) in like {
                places[*number as usize].push((place, *likeness));
            }
        }
        Self { reading, places }
    }

    /// All places where a phrase stands, in reading order; across line breaks, never across pages.
    pub(super) fn find(&self, phrase: &Phrase) -> Vec<Hit> {
        let Some((first, rest)) = phrase.0.split_first() else { return Vec::new() };
        let slack = usize::from(phrase.0.len() >= SLACK_WORDS);
        let mut hits = Vec::new();
        for &(start, likeness) in &self.places[*first as usize] {
            let mut hit = Hit { first: start, last: start, likeness };
            let complete = rest.iter().all(|word| {
                let places = &self.places[*word as usize];
                let next = places.partition_point(|(place, _)| *place <= hit.last);
                match places.get(next) {
                    Some(&(place, likeness)) if place - hit.last <= 1 + slack => {
                        hit.last = place;
                        hit.likeness = hit.likeness.min(likeness);
                        true
                    }
                    _ => false,
                }
            });
            if complete && self.page(hit.first) == self.page(hit.last) {
                hits.push(hit);
            }
        }
        hits
    }

    /// The words of a hit, as positions in the reading.
    pub(super) fn words(&self, hit: Hit) -> std::ops::Range<usize> {
        self.reading.tokens[hit.first].word..self.reading.tokens[hit.last].word + 1
    }

    fn page(&self, token: usize) -> usize {
        self.reading.words[self.reading.tokens[token].word].page
    }

    /// How well a hit's place suits a region.
    fn suits(&self, hit: Hit, region: Region) -> Option<f32> {
        suits(self.reading, &self.words(hit), region)
    }
}

/// How well some words' place suits a region: 1 for fully, `None` for not at all.
pub(super) fn suits(reading: &Reading<'_>, words: &std::ops::Range<usize>, region: Region) -> Option<f32> {
    let first = words.start;
    let on_first_page = reading.words[first].page == 0;
    let fits = |fits: bool| fits.then_some(1.0);
    match region {
        Region::Anywhere => Some(1.0),
        Region::Top => fits(on_first_page && reading.depth(first) <= TOP),
        Region::Bottom => fits(reading.depth(first) >= 1.0 - TOP),
        Region::LineStart => fits(reading.line(first).words.start == first),
        Region::Title => {
            let length = reading.line(first).words.len();
            let large = reading.size(first) >= TITLE_SIZE;
            let little_else = words.len() * 2 >= length;
            let text = reading.text_of(words.clone());
            let suits = match (large, little_else) {
                (true, _) => 1.0,
                (false, true) if !text.contains(char::is_lowercase) => CAPITAL_TITLE,
                (false, true) => PLAIN_TITLE,
                (false, false) => return None,
            };
            let near_top = on_first_page && reading.depth(first) <= TITLE_DEPTH;
            (near_top && length <= TITLE_WORDS).then_some(suits)
        }
    }
}

/// The evidence for and against one type, and its sum.
pub(super) fn weigh(finder: &Finder<'_>, origin: &Origin<'_>, rules: &TypeRules) -> (f32, Vec<Reason>) {
    let mut reasons = Vec::new();
    for rule in &rules.evidence {
        match &rule.look_for {
            LookFor::Phrases(phrases) => {
                let best = phrases.iter().filter_map(|phrase| best_hit(finder, phrase, rule.region));
                let mut hits: Vec<Hit> = best.collect();
                hits.sort_by(|a, b| b.likeness.total_cmp(&a.likeness));
                let mut counted: Vec<Hit> = Vec::new();
                for hit in hits {
                    // "Invoice" inside "invoice number" is not a second witness.
                    let overlaps =
                        counted.iter().any(|other| hit.first <= other.last && other.first <= hit.last);
                    if !overlaps && counted.len() < rule.most {
                        counted.push(hit);
                    }
                }
                let reason = |hit| reason(finder, rules, rule, finder.words(hit), hit.likeness);
                reasons.extend(counted.into_iter().map(reason));
            }
            LookFor::Patterns(patterns) => {
                let found = patterns.iter().filter_map(|pattern| matched(finder, pattern, rule.region));
                let reason = |(words, suits)| reason(finder, rules, rule, words, suits);
                reasons.extend(found.take(rule.most).map(reason));
            }
            LookFor::Near(phrases, within) => {
                if let Some((words, likeness)) = nearby(finder, phrases, *within) {
                    reasons.push(reason(finder, rules, rule, words, likeness));
                }
            }
            LookFor::Pages(from, to) => {
                let count = finder.reading.page_count();
                if (*from as usize..=*to as usize).contains(&count) && !finder.reading.words.is_empty() {
                    reasons.push(bare_reason(rules, rule, format!("{count} pages")));
                }
            }
            LookFor::Shape(from) => {
                let (width, height) = finder.reading.page_size(0);
                if height as f32 >= width as f32 * from && !finder.reading.words.is_empty() {
                    reasons.push(bare_reason(rules, rule, format!("a page of {width} by {height} pixels")));
                }
            }
            LookFor::FileName(names) => reasons.extend(named(finder, rules, rule, names, origin.file_name)),
            LookFor::Source(names) => reasons.extend(named(finder, rules, rule, names, origin.source)),
            LookFor::Barcodes(patterns) => {
                let codes = finder
                    .reading
                    .barcodes()
                    .filter(|(_, code)| patterns.iter().any(|pattern| pattern.is_match(&code.text)));
                reasons.extend(codes.take(rule.most).map(|(page, code)| Reason {
                    page: page as u32,
                    rect: Some(code.rect),
                    ..bare_reason(rules, rule, code.text.clone())
                }));
            }
        }
    }
    (reasons.iter().map(|reason| reason.weight).sum(), reasons)
}

/// Words in a row in the name of the file or the folder a document came by. A name never decides alone: an empty page called
/// "nda" is an empty page.
fn named(
    finder: &Finder<'_>,
    rules: &TypeRules,
    rule: &EvidenceRule,
    names: &[Vec<String>],
    name: &str,
) -> Option<Reason> {
    let shapes = fuzzy::shapes(name);
    let seen =
        names.iter().any(|wanted| shapes.windows(wanted.len()).any(|words| words == wanted.as_slice()));
    (seen && !finder.reading.words.is_empty()).then(|| bare_reason(rules, rule, name.to_owned()))
}

fn best_hit(finder: &Finder<'_>, phrase: &Phrase, region: Region) -> Option<Hit> {
    let inside = finder.find(phrase).into_iter().filter_map(|hit| {
        let suits = finder.suits(hit, region)?;
        Some(Hit { likeness: hit.likeness * suits, ..hit })
    });
    // Of equally good hits the first in reading order is the one a person would point at.
    inside.reduce(|best, hit| if hit.likeness > best.likeness { hit } else { best })
}

/// The first match of a pattern on any line.
fn matched(
    finder: &Finder<'_>,
    pattern: &regex::Regex,
    region: Region,
) -> Option<(std::ops::Range<usize>, f32)> {
    let reading = finder.reading;
    reading.lines.iter().find_map(|line| {
        let text = reading.text_of(line.words.clone());
        let found = pattern.find(&text)?;
        let before = text[..found.start()].matches(' ').count();
        let spanned = found.as_str().trim_end().matches(' ').count();
        let first = (line.words.start + before).min(line.words.end - 1);
        let words = first..(first + spanned + 1).min(line.words.end);
        let suits = suits(reading, &words, region)?;
        Some((words, suits))
    })
}

/// The first place where all phrases stand within so many words.
fn nearby(finder: &Finder<'_>, phrases: &[Phrase], within: usize) -> Option<(std::ops::Range<usize>, f32)> {
    let (first, others) = phrases.split_first()?;
    let others: Vec<Vec<Hit>> = others.iter().map(|phrase| finder.find(phrase)).collect();
    finder.find(first).into_iter().find_map(|hit| {
        let mut all = hit;
        for hits in &others {
            let close = hits.iter().find(|other| {
                other.first.abs_diff(hit.first) <= within
                    && finder.page(other.first) == finder.page(hit.first)
            })?;
            all.first = all.first.min(close.first);
            all.last = all.last.max(close.last);
            all.likeness = all.likeness.min(close.likeness);
        }
        Some((finder.words(all), all.likeness))
    })
}

fn reason(
    finder: &Finder<'_>,
    rules: &TypeRules,
    rule: &EvidenceRule,
    words: std::ops::Range<usize>,
    likeness: f32,
) -> Reason {
    let reading = finder.reading;
    Reason {
        weight: rule.weight * likeness,
        page: reading.words[words.start].page as u32,
        rect: Some(reading.rect_of(words.clone())),
        ..bare_reason(rules, rule, reading.text_of(words))
    }
}

fn bare_reason(rules: &TypeRules, rule: &EvidenceRule, seen: String) -> Reason {
    let (document_type, rule, weight) = (rules.document_type.clone(), rule.name.clone(), rule.weight);
    Reason { rule, document_type, weight, seen, page: 0, rect: None }
}
