//! How well rules do on documents of which a person has said what they are.
//!
//! [`judge`] decides each example as a new document would be decided and compares. What counts most is what was decided
//! without a person: how many of all, and how many of these rightly. Whether confidences mean what they say is measured
//! for every document, decided or not: the *expected calibration error* is the mean distance between the confidence of
//! documents and the share of them whose best type was right.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use platen_model::{Decision, DocumentType, Example, Verdict};

use super::calibration::{self, Calibration, FitError, Method};
use super::rules::RuleSet;
use super::{Assessment, Origin, assess, classify, fuzzy};

/// Steps of confidence in which the calibration error is measured.
const BINS: usize = 10;

/// What became of one example.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The example's name.
    pub name: String,
    /// What it is.
    pub truth: DocumentType,
    /// What it was decided to be.
    pub decision: Decision,
    /// Whether the best type, named or not, was the right one, and how strongly it spoke.
    pub(super) strength: f32,
    pub(super) best_is_right: bool,
    /// Fields that had to be read: the value wanted, and the one read.
    pub fields: BTreeMap<String, (String, Option<String>)>,
    /// Milliseconds that deciding took.
    pub ms: f64,
    /// Pages it has.
    pub pages: usize,
}

impl Judged {
    /// Whether the decision went on without a person.
    pub fn is_automatic(&self) -> bool {
        self.decision.verdict == Verdict::Auto
    }

    /// Whether it was decided without a person, and wrongly.
    pub fn is_wrong(&self) -> bool {
        self.is_automatic() && self.decision.document_type != self.truth
    }

    /// The names of fields that were not read as they must be.
    pub fn wrong_fields(&self) -> impl Iterator<Item = (&str, &str, Option<&str>)> {
        let wrong = self.fields.iter().filter(|(_, (wanted, read))| !same_value(wanted, read.as_deref()));
        wrong.map(|(name, (wanted, read))| (name.as_str(), wanted.as_str(), read.as_deref()))
    }
}

/// What became of one type's documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Examples of this type.
    pub examples: usize,
    /// Of these, decided rightly without a person.
    pub right: usize,
    /// Of these, left to a person.
    pub abstained: usize,
    /// Documents of other types that were decided to be of this one.
    pub taken_wrongly: usize,
}

/// What became of all examples.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    /// Each of them, in the order given.
    pub judged: Vec<Judged>,
}

/// Decides each example and compares.
pub fn judge(examples: &[Example], rules: &RuleSet) -> Verdicts {
    let judged = examples.iter().map(|example| {
        let begun = Instant::now();
        let origin =
            Origin { file_name: &example.file_name, source: &example.source, day: example.captured_on };
        let decision = classify(&example.text, &origin, rules);
        let ms = begun.elapsed().as_secs_f64() * 1e3;
        let Assessment { best, strength } = assess(&example.text, &origin, rules);
        let read = |name: &str| decision.fields.get(name).map(|field| field.value.clone());
        let fields = example.fields.iter().map(|(name, wanted)| (name.clone(), (wanted.clone(), read(name))));
        Judged {
            name: example.name.clone(),
            truth: example.document_type.clone(),
            best_is_right: best.as_ref() == Some(&example.document_type),
            strength,
            fields: fields.collect(),
            ms,
            pages: example.text.pages.len(),
            decision,
        }
    });
    Verdicts { judged: judged.collect() }
}

impl Verdicts {
    /// Joins two.
    pub fn and(mut self, other: Self) -> Self {
        self.judged.extend(other.judged);
        self
    }

    /// The share of examples decided without a person; `None` without examples.
    pub fn share_automatic(&self) -> Option<f64> {
        share(self.count(Judged::is_automatic), self.judged.len())
    }

    /// Of what was decided without a person, the share that is right.
    pub fn share_right(&self) -> Option<f64> {
        let automatic = self.count(Judged::is_automatic);
        share(automatic - self.count(Judged::is_wrong), automatic)
    }

    /// The expected calibration error, 0 to 1.
    pub fn calibration_error(&self) -> Option<f64> {
        let mut bins = [(0usize, 0.0f64, 0usize); BINS];
        for judged in &self.judged {
            let confidence = f64::from(judged.decision.confidence);
            let bin = &mut bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
            bin.0 += 1;
            bin.1 += confidence;
            bin.2 += usize::from(judged.best_is_right);
        }
        let off: f64 = bins.iter().map(|(_, confidences, right)| (confidences - *right as f64).abs()).sum();
        share_of(off, self.judged.len())
    }

    /// What became of each type's documents, by type.
    pub fn by_type(&self) -> BTreeMap<DocumentType, Tally> {
        let mut tallies: BTreeMap<DocumentType, Tally> = BTreeMap::new();
        for judged in &self.judged {
            let own = tallies.entry(judged.truth.clone()).or_default();
            own.examples += 1;
            own.right += usize::from(judged.is_automatic() && !judged.is_wrong());
            own.abstained += usize::from(!judged.is_automatic());
            if judged.is_wrong() {
                tallies.entry(judged.decision.document_type.clone()).or_default().taken_wrongly += 1;
            }
        }
        tallies
    }

    /// Of the fields of this name that had to be read, how many were read exactly, and how many there are.
    pub fn field(&self, name: &str) -> (usize, usize) {
        let wanted = self.judged.iter().filter_map(|judged| judged.fields.get(name));
        wanted.fold((0, 0), |(exact, all), (wanted, read)| {
            (exact + usize::from(same_value(wanted, read.as_deref())), all + 1)
        })
    }

    /// The names of the fields that had to be read, sorted.
    pub fn field_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.judged.iter().flat_map(|judged| judged.fields.keys().map(String::as_str)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Mean milliseconds a page.
    pub fn ms_a_page(&self) -> Option<f64> {
        let pages: usize = self.judged.iter().map(|judged| judged.pages).sum();
        share_of(self.judged.iter().map(|judged| judged.ms).sum(), pages)
    }

    fn count(&self, is: impl Fn(&Judged) -> bool) -> usize {
        self.judged.iter().filter(|judged| is(judged)).count()
    }
}

/// Fits the rules' confidences to examples.
///
/// # Errors
///
/// Where the examples do not carry a calibration.
pub fn fit(examples: &[Example], rules: &RuleSet) -> Result<Calibration, FitError> {
    fit_by(Method::of(examples.len()), examples, rules)
}

fn fit_by(method: Method, examples: &[Example], rules: &RuleSet) -> Result<Calibration, FitError> {
    let strengths: Vec<(f32, bool)> =
        judge(examples, rules).judged.iter().map(|judged| (judged.strength, judged.best_is_right)).collect();
    calibration::fit(&strengths, method)
}

/// Fits to one half of the examples and judges the other, then the other way round: what the fit is worth on documents
/// that it has not seen. The halves are made by the examples' order, every other one, and fitted by the method that all of
/// them would be.
///
/// # Errors
///
/// Where a half does not carry a calibration.
pub fn split_judged(examples: &[Example], rules: &RuleSet) -> Result<Verdicts, FitError> {
    let half = |parity: usize| -> Vec<Example> {
        examples
            .iter()
            .enumerate()
            .filter(|(at, _)| at % 2 == parity)
            .map(|(_, example)| example.clone())
            .collect()
    };
    let (one, other) = (half(0), half(1));
    let judged_with = |fitted_to: &[Example], judged: &[Example]| {
        let calibration = fit_by(Method::of(examples.len()), fitted_to, rules)?;
        Ok(judge(judged, &rules.clone().with_calibration(calibration)))
    };
    Ok(judged_with(&one, &other)?.and(judged_with(&other, &one)?))
}

/// Whether a value was read exactly, but for the case, the blanks and the punctuation between its words; an empty one
/// wants none. Where a currency is not wanted it does not count.
fn same_value(wanted: &str, read: Option<&str>) -> bool {
    let words = |text: &str| fuzzy::words(text).collect::<Vec<_>>();
    let Some(read) = read else { return wanted.trim().is_empty() };
    let (wanted, mut read) = (words(wanted), words(read));
    let is_amount =
        |words: &[String]| words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
    if is_amount(&wanted) && read.len() == wanted.len() + 1 && read.last().is_some_and(|last| last.len() == 3)
    {
        read.pop();
    }
    wanted == read
}

fn share(part: usize, whole: usize) -> Option<f64> {
    share_of(part as f64, whole)
}

fn share_of(part: f64, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part / whole as f64)
}

impl fmt::Display for Verdicts {
    /// The report as a person reads it in a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_cent =
            |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{:.1} %", value * 100.0));
        writeln!(
            f,
            "{:<20} {:>8} {:>6} {:>9} {:>13}",
            "type", "examples", "right", "abstained", "taken wrongly"
        )?;
        for (kind, tally) in self.by_type() {
            let Tally { examples, right, abstained, taken_wrongly } = tally;
            writeln!(f, "{:<20} {examples:>8} {right:>6} {abstained:>9} {taken_wrongly:>13}", kind.0)?;
        }
        for name in self.field_names() {
            let (exact, all) = self.field(name);
            writeln!(f, "field {name}: {exact} of {all} exact")?;
        }
        writeln!(f, "decided without a person: {}", per_cent(self.share_automatic()))?;
        writeln!(f, "of these right: {}", per_cent(self.share_right()))?;
        writeln!(f, "calibration error: {:.3}", self.calibration_error().unwrap_or(0.0))
    }
}

#[cfg(test)]
mod tests;
