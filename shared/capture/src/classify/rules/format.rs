//! The format of a rules file, and its way to compiled rules.
//!
//! Everything that can be wrong with a file is found here and named with its line; what leaves this module can
//! speak.

use platen_model::DocumentType;
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use toml::Spanned;

use super::{
    EvidenceRule, FieldKind, FieldRule, LookFor, Phrase, Region, RulesError, Thresholds, TypeRules,
    Vocabulary,
};
use crate::classify::calibration::Calibration;
use crate::classify::fuzzy;

/// Largest size of a compiled pattern in bytes; a pattern over it is refused.
const PATTERN_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommonFile {
    pub(super) version: String,
    #[serde(default)]
    pub(super) field: Vec<Spanned<FieldEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypeFile {
    #[serde(rename = "type")]
    document_type: Spanned<String>,
    thresholds: Spanned<ThresholdsEntry>,
    evidence: Vec<Spanned<EvidenceEntry>>,
    #[serde(default)]
    field: Vec<Spanned<FieldEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ThresholdsEntry {
    auto: Option<f32>,
    wrong_per_1000: Option<f32>,
    review: f32,
    #[serde(default)]
    quarantine: f32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EvidenceEntry {
    name: String,
    weight: f32,
    #[serde(rename = "where", default)]
    region: Region,
    most: Option<usize>,
    phrases: Option<Vec<Spanned<String>>>,
    patterns: Option<Vec<Spanned<String>>>,
    near: Option<Vec<Spanned<String>>>,
    within_words: Option<usize>,
    pages_from: Option<u32>,
    pages_to: Option<u32>,
    height_to_width_from: Option<f32>,
    file_name: Option<Vec<Spanned<String>>>,
    source: Option<Vec<Spanned<String>>>,
    barcodes: Option<Vec<Spanned<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldEntry {
    name: String,
    kind: FieldKind,
    #[serde(default)]
    labels: Vec<Spanned<String>>,
    #[serde(default)]
    unless: Vec<Spanned<String>>,
    #[serde(default)]
    rounding: Vec<Spanned<String>>,
    #[serde(default)]
    patterns: Vec<Spanned<String>>,
    #[serde(rename = "box")]
    place: Option<[f32; 4]>,
    without_label: Option<Region>,
    years_back: Option<u16>,
}

/// Compiles file after file into rules of one vocabulary.
#[derive(Default)]
pub(super) struct Compiler<'f> {
    /// Name and text of the file being compiled.
    pub(super) file: (&'f str, &'f str),
    pub(super) vocabulary: Vocabulary,
}

impl Compiler<'_> {
    pub(super) fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, RulesError> {
        toml::from_str(self.file.1).map_err(|error| {
            let place = error.span().map_or(0, |span| span.start);
            self.complain(place, error.message().to_owned())
        })
    }

    pub(super) fn type_rules(&mut self) -> Result<TypeRules, RulesError> {
        let file: TypeFile = self.parse()?;
        let name = file.document_type.get_ref().clone();
        if name.is_empty() || name == "unknown" {
            return Err(
                self.complain(file.document_type.span().start, "a type needs a name of its own".into())
            );
        }
        let thresholds = thresholds(file.thresholds.get_ref())
            .map_err(|message| self.complain(file.thresholds.span().start, message.into()))?;
        let evidence =
            file.evidence.into_iter().map(|entry| self.evidence(&name, entry)).collect::<Result<_, _>>()?;
        let fields = self.fields(file.field)?;
        Ok(TypeRules { document_type: DocumentType(name), thresholds, evidence, fields })
    }

    fn evidence(&mut self, owner: &str, entry: Spanned<EvidenceEntry>) -> Result<EvidenceRule, RulesError> {
        let place = entry.span().start;
        let entry = entry.into_inner();
        if !entry.weight.is_finite() || entry.weight == 0.0 {
            return Err(self.complain(place, "a weight is a number other than 0".into()));
        }
        let within = entry.within_words;
        let mut looked_for: Vec<LookFor> = Vec::new();
        if let Some(phrases) = &entry.phrases {
            looked_for.push(LookFor::Phrases(self.phrases(phrases)?));
        }
        if let Some(patterns) = &entry.patterns {
            looked_for.push(LookFor::Patterns(self.patterns(patterns)?));
        }
        if let Some(near) = &entry.near {
            let within = within.ok_or_else(|| self.complain(place, "`near` needs `within_words`".into()))?;
            looked_for.push(LookFor::Near(self.phrases(near)?, within));
        }
        if let Some(names) = &entry.file_name {
            looked_for.push(LookFor::FileName(self.names(names)?));
        }
        if let Some(names) = &entry.source {
            looked_for.push(LookFor::Source(self.names(names)?));
        }
        if let Some(patterns) = &entry.barcodes {
            looked_for.push(LookFor::Barcodes(self.patterns(patterns)?));
        }
        looked_for.extend(entry.height_to_width_from.map(LookFor::Shape));
        if entry.pages_from.is_some() || entry.pages_to.is_some() {
            looked_for
                .push(LookFor::Pages(entry.pages_from.unwrap_or(1), entry.pages_to.unwrap_or(u32::MAX)));
        }
        let (Some(look_for), true) = (looked_for.pop(), looked_for.is_empty()) else {
            let message = "evidence has exactly one of `phrases`, `patterns`, `near`, `file_name`, `source`, \
                           `barcodes`, `pages_from`/`pages_to`, `height_to_width_from`";
            return Err(self.complain(place, message.into()));
        };
        let most = entry.most.unwrap_or(1).max(1);
        let name = format!("{owner}/{}", entry.name);
        Ok(EvidenceRule { name, weight: entry.weight, region: entry.region, most, look_for })
    }

    pub(super) fn calibration(&self) -> Result<Calibration, RulesError> {
        let calibration: Spanned<Calibration> = self.parse()?;
        calibration.get_ref().check().map_err(|message| self.complain(calibration.span().start, message))?;
        Ok(calibration.into_inner())
    }

    pub(super) fn fields(&mut self, entries: Vec<Spanned<FieldEntry>>) -> Result<Vec<FieldRule>, RulesError> {
        entries
            .into_iter()
            .map(|entry| {
                let start = entry.span().start;
                let entry = entry.into_inner();
                let is_place = |[x, y, w, h]: [f32; 4]| {
                    x >= 0.0 && y >= 0.0 && w > 0.0 && h > 0.0 && x + w <= 1.0 && y + h <= 1.0
                };
                if entry.place.is_some_and(|place| !is_place(place)) {
                    let message = "`box` is [left, top, width, height] as shares of the page, within it";
                    return Err(self.complain(start, message.into()));
                }
                if entry.years_back.is_some() && entry.kind != FieldKind::Date {
                    return Err(self.complain(start, "only a date has `years_back`".into()));
                }
                Ok(FieldRule {
                    name: entry.name,
                    kind: entry.kind,
                    labels: self.phrases(&entry.labels)?,
                    unless: self.phrases(&entry.unless)?,
                    rounding: self.phrases(&entry.rounding)?,
                    patterns: self.patterns(&entry.patterns)?,
                    place: entry.place,
                    without_label: entry.without_label,
                    years_back: entry.years_back,
                })
            })
            .collect()
    }

    fn phrases(&mut self, texts: &[Spanned<String>]) -> Result<Vec<Phrase>, RulesError> {
        let mut phrases = Vec::new();
        for text in texts {
            let phrase = self.vocabulary.phrase(text.get_ref());
            if phrase.0.is_empty() {
                return Err(self.complain(text.span().start, "a phrase needs at least one word".into()));
            }
            phrases.push(phrase);
        }
        Ok(phrases)
    }

    /// Names, each as the shapes of its words: "front-desk" is two.
    fn names(&self, names: &[Spanned<String>]) -> Result<Vec<Vec<String>>, RulesError> {
        let shapes = |name: &Spanned<String>| {
            let shapes = fuzzy::shapes(name.get_ref());
            match shapes.is_empty() {
                true => Err(self.complain(name.span().start, "a name needs at least one word".into())),
                false => Ok(shapes),
            }
        };
        names.iter().map(shapes).collect()
    }

    fn patterns(&self, patterns: &[Spanned<String>]) -> Result<Vec<Regex>, RulesError> {
        patterns.iter().map(|pattern| self.pattern(pattern)).collect()
    }

    fn pattern(&self, pattern: &Spanned<String>) -> Result<Regex, RulesError> {
        let built =
            RegexBuilder::new(pattern.get_ref()).case_insensitive(true).size_limit(PATTERN_BYTES).build();
        built.map_err(|error| self.complain(pattern.span().start, format!("not a pattern: {error}")))
    }

    pub(super) fn complain(&self, place: usize, message: String) -> RulesError {
        let (file, text) = self.file;
        let line = text.bytes().take(place).filter(|byte| *byte == b'\n').count() + 1;
        RulesError::Invalid { file: file.to_owned(), line, message }
    }
}

/// The thresholds as confidences. Since a confidence is the share that is right, "so many wrong in a thousand" is one.
fn thresholds(entry: &ThresholdsEntry) -> Result<Thresholds, &'static str> {
    let auto = match (entry.auto, entry.wrong_per_1000) {
        (Some(auto), None) => auto,
        (None, Some(wrong)) => 1.0 - wrong / 1_000.0,
        _ => return Err("thresholds hold either `auto` or `wrong_per_1000`"),
    };
    let (review, quarantine) = (entry.review, entry.quarantine);
    let rise = 0.0 <= quarantine && quarantine <= review && review <= auto && auto <= 1.0;
    rise.then_some(Thresholds { auto, review, quarantine }).ok_or(
        "thresholds lie between 0 and 1, and `quarantine` is not above `review`, nor `review` above `auto`",
    )
}
