//! What a document is: weighted evidence from its words, with reasons.
//!
//! Rules first, and only rules: each document type has a file of weighted evidence (`shared/capture/rules/`),
//! each decision names the rules that spoke, the words they saw and where those stand. [`classify`] is pure:
//! the same text and the same rules give the same decision, on any machine, at any time.
//!
//! The danger is a confident mistake, because a confident document goes on without a person. So confidence
//! needs both evidence and distance from the next best type, a poor reading lowers it, and where too little
//! speaks the answer is `unknown`. A document that lacks a page or its words goes to a person, whatever the rest
//! of it says.

mod confidence;
mod dates;
mod evidence;
mod fields;
mod fuzzy;
mod identifiers;
mod money;
pub mod normal;
mod parties;
mod reading;
mod rules;

use platen_model::{Decision, DocumentType, Lack, PageText, Reason, Verdict};

pub use rules::{RuleSet, RulesError};

use evidence::Finder;
use reading::Reading;
use rules::TypeRules;

/// Most reasons a decision carries.
const MOST_REASONS: usize = 24;

/// One type with what speaks for it.
struct Candidate<'r> {
    rules: &'r TypeRules,
    score: f32,
    reasons: Vec<Reason>,
}

/// Decides what a document is. Pure: the same text and rules give the same decision.
///
/// `file_name` is weak evidence and may be empty. The fields read are those of the named type and those that
/// any document may hold.
pub fn classify(text: &PageText, file_name: &str, rules: &RuleSet) -> Decision {
    let reading = Reading::new(text);
    let finder = Finder::new(&reading, &rules.vocabulary);
    let candidates = rank(&finder, file_name, rules);
    let second = candidates.get(1).map_or(0.0, |candidate| candidate.score);
    let words = text.mean_confidence();
    let best = candidates.first().map(|best| (best, confidence::confidence(best.score, second, words)));

    let (named, confidence, verdict) = match best {
        Some((best, confidence)) if confidence >= best.rules.auto => {
            (Some(best.rules), confidence, Verdict::Auto)
        }
        Some((best, confidence)) if confidence >= best.rules.review => {
            (Some(best.rules), confidence, Verdict::Review)
        }
        Some((_, confidence)) => (None, confidence, Verdict::Review),
        None => (None, 0.0, Verdict::Review),
    };
    decided(text, &finder, rules, (named, confidence, verdict), candidates)
}

/// What is read from a document whose type somebody has named: its fields are those of that type. `None` where no rule
/// knows the type.
pub fn classify_as(text: &PageText, document_type: &DocumentType, rules: &RuleSet) -> Option<Decision> {
    let named = rules.types.iter().find(|rules| rules.document_type == *document_type)?;
    let reading = Reading::new(text);
    let finder = Finder::new(&reading, &rules.vocabulary);
    Some(decided(text, &finder, rules, (Some(named), 1.0, Verdict::Auto), Vec::new()))
}

fn decided(
    text: &PageText,
    finder: &Finder<'_>,
    rules: &RuleSet,
    (named, confidence, verdict): (Option<&TypeRules>, f32, Verdict),
    candidates: Vec<Candidate<'_>>,
) -> Decision {
    let document_type = named.map_or_else(DocumentType::unknown, |rules| rules.document_type.clone());
    let lacks = lacks(text, &document_type);
    let verdict = if lacks.is_empty() { verdict } else { Verdict::Review };
    let own = named.into_iter().flat_map(|rules| &rules.fields);
    let wanted: Vec<_> = rules.common.iter().chain(own).collect();
    Decision {
        document_type,
        confidence,
        verdict,
        reasons: strongest(lacks, candidates),
        fields: fields::read(finder, &wanted),
        policy: rules.policy.clone(),
    }
}

/// All types for which anything speaks, best first; equal ones in the order of their files.
fn rank<'r>(finder: &Finder<'_>, file_name: &str, rules: &'r RuleSet) -> Vec<Candidate<'r>> {
    let mut candidates: Vec<Candidate<'r>> = rules
        .types
        .iter()
        .map(|rules| {
            let (score, reasons) = evidence::weigh(finder, file_name, rules);
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
