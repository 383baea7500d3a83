//! What a document is: weighted evidence from its words, with reasons.
//!
//! Rules first, and only rules: each document type has a file of weighted evidence (`shared/capture/rules/`),
//! each decision names the rules that spoke, the words they saw and where those stand. [`classify`] is pure:
//! the same text and the same rules give the same decision, on any machine, at any time.
//!
//! The danger is a confident mistake, because a confident document goes on without a person. So confidence
//! needs both evidence and distance from the next best type, a poor reading lowers it, and where too little
//! speaks the answer is `unknown`. What a confidence promises is measured on labelled examples ([`calibration`],
//! [`judge`]). A document that lacks a page or its words goes to a person, whatever the rest of it says.

mod addressee;
mod boxes;
pub mod calibration;
mod dates;
mod evidence;
mod fields;
mod fuzzy;
mod identifiers;
pub mod judge;
pub mod layout;
mod letterhead;
mod money;
pub mod normal;
mod parties;
mod pattern;
mod reading;
mod rules;
mod table;
mod tax_ids;

use jiff::Timestamp;
use jiff::civil::Date;
use platen_model::{Decision, DocumentType, Field, Lack, LineItem, PageText, Reason, Verdict};

pub use rules::{CALIBRATION, RuleSet, RulesError};

use evidence::Finder;
use reading::Reading;
use rules::TypeRules;

/// Most reasons a decision carries.
const MOST_REASONS: usize = 24;

/// The field that tables of goods add up to.
const TOTAL: &str = "total";
/// Certainty of a total that its rows add up to.
const ADDED_UP: f32 = 0.97;
/// Share of certainty left to a total that they contradict.
const CONTRADICTED: f32 = 0.6;

/// Where a document comes from: weak evidence of what it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The name its file had; may be empty.
    pub file_name: &'a str,
    /// The hot folder or program it came by; may be empty.
    pub source: &'a str,
    /// The day of its capture, after which nothing on it can have happened; `None` where nobody knows.
    pub day: Option<Date>,
}

/// No clock of a machine that runs this release stands rightly before this day.
const RELEASED: Date = jiff::civil::date(2026, 11, 1);

/// The day of a capture, for [`Origin::day`]; `None` where the machine's clock stands before this release, and so is wrong.
pub fn day_of(captured_at: Timestamp) -> Option<Date> {
    let day = captured_at.to_zoned(jiff::tz::TimeZone::UTC).date();
    (day >= RELEASED).then_some(day)
}

impl<'a> Origin<'a> {
    /// A file of which only the name is known.
    pub fn file(file_name: &'a str) -> Self {
        Self { file_name, ..Self::default() }
    }
}

/// One type with what speaks for it.
struct Candidate<'r> {
    rules: &'r TypeRules,
    score: f32,
    reasons: Vec<Reason>,
}

/// The best type before anything is decided, and how strongly it speaks.
struct Assessment {
    best: Option<DocumentType>,
    strength: f32,
}

/// Decides what a document is. Pure: the same text, origin and rules give the same decision.
///
/// The fields read are those of the named type and those that any document may hold.
pub fn classify(text: &PageText, origin: &Origin<'_>, rules: &RuleSet) -> Decision {
    let reading = Reading::new(text);
    let finder = Finder::new(&reading, &rules.vocabulary);
    let candidates = rank(&finder, origin, rules);
    let best = candidates.first().map(|best| {
        let confidence = rules.calibration.confidence(strength(&candidates, text));
        (best.rules, confidence, best.rules.thresholds.verdict(confidence))
    });
    let (named, confidence, verdict) = match best {
        Some((best, confidence, verdict)) => {
            let named = confidence >= best.thresholds.review;
            (named.then_some(best), confidence, verdict)
        }
        None => (None, 0.0, Verdict::Review),
    };
    let document_type = named.map_or_else(DocumentType::unknown, |rules| rules.document_type.clone());
    let named = Named { document_type, rules: named, confidence, verdict };
    decided(text, &finder, origin, rules, named, candidates)
}

/// What [`classify`] weighs before it decides.
fn assess(text: &PageText, origin: &Origin<'_>, rules: &RuleSet) -> Assessment {
    let reading = Reading::new(text);
    let finder = Finder::new(&reading, &rules.vocabulary);
    let candidates = rank(&finder, origin, rules);
    let best = candidates.first().map(|best| best.rules.document_type.clone());
    Assessment { best, strength: strength(&candidates, text) }
}

fn strength(candidates: &[Candidate<'_>], text: &PageText) -> f32 {
    let score = |place: usize| candidates.get(place).map_or(0.0, |candidate| candidate.score);
    calibration::strength(score(0), score(1), text.mean_confidence())
}

/// What is read from a document whose type somebody has named: its fields are those of that type, or only those that any
/// document may hold where no rule knows it ([`RuleSet::knows`]).
pub fn classify_as(
    text: &PageText,
    document_type: &DocumentType,
    origin: &Origin<'_>,
    rules: &RuleSet,
) -> Decision {
    let reading = Reading::new(text);
    let finder = Finder::new(&reading, &rules.vocabulary);
    let own = rules.types.iter().find(|rules| rules.document_type == *document_type);
    let (document_type, verdict) = (document_type.clone(), Verdict::Auto);
    let named = Named { document_type, rules: own, confidence: 1.0, verdict };
    decided(text, &finder, origin, rules, named, Vec::new())
}

/// A type, how sure it is, and what follows from that.
struct Named<'r> {
    document_type: DocumentType,
    rules: Option<&'r TypeRules>,
    confidence: f32,
    verdict: Verdict,
}

fn decided(
    text: &PageText,
    finder: &Finder<'_>,
    origin: &Origin<'_>,
    rules: &RuleSet,
    named: Named<'_>,
    candidates: Vec<Candidate<'_>>,
) -> Decision {
    let Named { document_type, rules: named, confidence, verdict } = named;
    let lacks = lacks(text, &document_type);
    let own = named.into_iter().flat_map(|rules| &rules.fields);
    let wanted: Vec<_> = rules.common.iter().chain(own).collect();
    let habits = fields::Habits::of(finder.reading, origin);
    let mut fields = fields::read(finder, &wanted, &habits);
    let line_items = table::line_items(finder.reading, &habits);
    let mut reasons = strongest(lacks, candidates);
    if let Some(total) = fields.get_mut(TOTAL) {
        // First, where no other reason can crowd it out: a person has to look at it.
        let differs = hold_against_rows(total, finder.reading, &line_items, &document_type);
        reasons.splice(0..0, differs);
    }
    let verdict = if reasons.iter().any(Reason::is_doubt) { Verdict::Review } else { verdict };
    Decision { document_type, confidence, verdict, reasons, fields, line_items, policy: rules.policy.clone() }
}

/// A total that its rows add up to is as sure as they are; one to which the document still adds a tax is doubtful, and one
/// that they contradict says so too.
fn hold_against_rows(
    total: &mut Field,
    reading: &Reading<'_>,
    line_items: &[LineItem],
    document_type: &DocumentType,
) -> Option<Reason> {
    match table::agreement(reading, line_items, &total.value)? {
        table::Agreement::Agrees => {
            total.confidence = total.confidence.max(ADDED_UP);
            None
        }
        table::Agreement::BeforeTax => {
            total.confidence *= CONTRADICTED;
            None
        }
        table::Agreement::Differs { sum } => {
            total.confidence *= CONTRADICTED;
            let seen = format!("The rows add up to {}, the total reads {}.", money::plain(sum), total.value);
            let document_type = document_type.clone();
            let (page, rect) = (total.page, total.rect);
            Some(Reason { rule: Reason::TOTAL_DIFFERS.into(), document_type, weight: 0.0, seen, page, rect })
        }
    }
}

/// All types for which anything speaks, best first; equal ones in the order of their files.
fn rank<'r>(finder: &Finder<'_>, origin: &Origin<'_>, rules: &'r RuleSet) -> Vec<Candidate<'r>> {
    let mut candidates: Vec<Candidate<'r>> = rules
        .types
        .iter()
        .map(|rules| {
            let (score, reasons) = evidence::weigh(finder, origin, rules);
            Candidate { rules, score, reasons }
        })
        .filter(|candidate| candidate.score > 0.0)
        .collect();
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    candidates
}

/// The pages that lack something, as reasons. They speak for no type, but nobody saw what they would have said.
fn lacks(text: &PageText, document_type: &DocumentType) -> Vec<Reason> {
    let reason = |(page, record): (u32, &platen_model::PageRecord)| {
        let rule = match record.lacks? {
            Lack::Text => Reason::PAGE_WITHOUT_TEXT,
            Lack::Image => Reason::PAGE_MISSING,
            Lack::Content => Reason::CONTENT_ELSEWHERE,
        };
        Some(Reason {
            rule: rule.into(),
            document_type: document_type.clone(),
            weight: 0.0,
            seen: record.notes.join(" "),
            page,
            rect: None,
        })
    };
    (0u32..).zip(&text.pages).filter_map(reason).collect()
}

/// What pages lack, then the reasons of the best type and its rival, strongest first.
fn strongest(mut lacks: Vec<Reason>, candidates: Vec<Candidate<'_>>) -> Vec<Reason> {
    let mut reasons: Vec<Reason> =
        candidates.into_iter().take(2).flat_map(|candidate| candidate.reasons).collect();
    reasons.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()));
    lacks.append(&mut reasons);
    lacks.truncate(MOST_REASONS);
    lacks
}

#[cfg(test)]
mod tests;
