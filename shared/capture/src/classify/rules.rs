//! The rules: one TOML file for each document type, and `common.toml` with the fields any document may hold.
//!
//! A file is refused as a whole, with its name and line, when it holds a key we do not know, an empty phrase, a
//! weight that is no number or a pattern that does not compile: a rule that silently never speaks is worse than
//! no rule. Phrases are compiled into numbers of one vocabulary, so that a document's words are compared with
//! each wanted word once, however many rules want it.

mod format;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use platen_model::{Digest, DocumentType, PolicyRef, Verdict};
use regex::Regex;
use serde::Deserialize;

use super::calibration::Calibration;
use super::fuzzy;
use format::{CommonFile, Compiler};

/// The file of the fields that any document may hold.
const COMMON: &str = "common.toml";
/// The file that says what confidences mean; made by `rules fit`. Without it strengths count as they are.
pub const CALIBRATION: &str = "calibration.toml";

/// The files of this release.
const SHIPPED: [(&str, &str); 15] = [
    ("bank_form.toml", include_str!("../../rules/bank_form.toml")),
    (CALIBRATION, include_str!("../../rules/calibration.toml")),
    (COMMON, include_str!("../../rules/common.toml")),
    ("contract.toml", include_str!("../../rules/contract.toml")),
    ("delivery_note.toml", include_str!("../../rules/delivery_note.toml")),
    ("form.toml", include_str!("../../rules/form.toml")),
    ("hr_form.toml", include_str!("../../rules/hr_form.toml")),
    ("identity_document.toml", include_str!("../../rules/identity_document.toml")),
    ("invoice.toml", include_str!("../../rules/invoice.toml")),
    ("letter.toml", include_str!("../../rules/letter.toml")),
    ("memo.toml", include_str!("../../rules/memo.toml")),
    ("nda.toml", include_str!("../../rules/nda.toml")),
    ("purchase_order.toml", include_str!("../../rules/purchase_order.toml")),
    ("receipt.toml", include_str!("../../rules/receipt.toml")),
    ("resume.toml", include_str!("../../rules/resume.toml")),
];

/// What is wrong with a folder of rules. The rules in force before stay in force.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A file or the folder could not be read.
    #[error("cannot read {file}: {error}; check that it exists and that this user may read it")]
    Unreadable {
        /// The file or folder.
        file: String,
        /// Why.
        error: std::io::Error,
    },
    /// A file breaks the format.
    #[error("{file}:{line}: {message}")]
    Invalid {
        /// The file's name.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong there and what would be right.
        message: String,
    },
    /// The folder holds no rules.
    #[error("{folder} holds no document type; put one TOML file for each type there")]
    Nothing {
        /// The folder.
        folder: String,
    },
}

/// The classification rules of all document types.
#[derive(Clone, Debug)]
pub struct RuleSet {
    /// Their name, version and digest.
    pub policy: PolicyRef,
    pub(super) types: Vec<TypeRules>,
    pub(super) common: Vec<FieldRule>,
    pub(super) vocabulary: Vocabulary,
    pub(super) calibration: Calibration,
}

/// The rules of one type.
#[derive(Clone, Debug)]
pub(super) struct TypeRules {
    pub(super) document_type: DocumentType,
    pub(super) thresholds: Thresholds,
    pub(super) evidence: Vec<EvidenceRule>,
    pub(super) fields: Vec<FieldRule>,
}

/// The confidences at which the way of a document changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Thresholds {
    /// From here on no person need look.
    pub(super) auto: f32,
    /// From here on the type is named at all.
    pub(super) review: f32,
    /// Below, the document is set aside: nothing of it is as it should be.
    pub(super) quarantine: f32,
}

impl Thresholds {
    pub(super) fn verdict(&self, confidence: f32) -> Verdict {
        match confidence {
            sure if sure >= self.auto => Verdict::Auto,
            lost if lost < self.quarantine => Verdict::Quarantine,
            _ => Verdict::Review,
        }
    }
}

/// One piece of evidence to look for.
#[derive(Clone, Debug)]
pub(super) struct EvidenceRule {
    /// `<type>/<name>`.
    pub(super) name: String,
    pub(super) weight: f32,
    pub(super) region: Region,
    /// How many different phrases or patterns may count.
    pub(super) most: usize,
    pub(super) look_for: LookFor,
}

/// What a piece of evidence looks for.
#[derive(Clone, Debug)]
pub(super) enum LookFor {
    Phrases(Vec<Phrase>),
    Patterns(Vec<Regex>),
    /// All of the phrases within so many words.
    Near(Vec<Phrase>, usize),
    /// The number of pages.
    Pages(u32, u32),
    /// A first page so many times as high as it is wide, or more: till paper.
    Shape(f32),
    /// Words in the file's name, as shapes.
    FileName(Vec<Vec<String>>),
    /// Words in the name of the hot folder or program it came by, as shapes.
    Source(Vec<Vec<String>>),
    /// Patterns of which one is in a bar code's text.
    Barcodes(Vec<Regex>),
}

/// A phrase as numbers of vocabulary words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phrase(pub(super) Vec<u32>);

/// Where on the pages something must stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Region {
    /// Anywhere.
    #[default]
    Anywhere,
    /// In the first page's top third.
    Top,
    /// In the bottom third of any page.
    Bottom,
    /// In a heading of the first page's upper half: a short line, in large type or made of little else.
    Title,
    /// At the beginning of a line.
    LineStart,
}

/// A field to read.
#[derive(Clone, Debug)]
pub(super) struct FieldRule {
    pub(super) name: String,
    pub(super) kind: FieldKind,
    /// The labels it may stand beside or below, most telling first.
    pub(super) labels: Vec<Phrase>,
    /// Phrases that contain a label and mean something else.
    pub(super) unless: Vec<Phrase>,
    /// Phrases that say that the amount paid is a rounded one.
    pub(super) rounding: Vec<Phrase>,
    /// What it looks like, on one line; the first group is the value.
    pub(super) patterns: Vec<Regex>,
    /// Where it stands on the first page: left, top, width and height as shares of the page.
    pub(super) place: Option<[f32; 4]>,
    /// Where it is looked for when nothing else leads to it.
    pub(super) without_label: Option<Region>,
    /// Of a date of something that has happened: in how many years before the capture.
    pub(super) years_back: Option<u16>,
}

/// What a field holds; each kind has its own normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FieldKind {
    /// `2026-03-31`.
    Date,
    /// `1234.56 EUR`; of several, the largest.
    Money,
    /// A number or mark without blanks.
    Identifier,
    /// An account number (ISO 13616) with a correct check sum.
    Iban,
    /// A value-added tax number with its country and a correct check sum.
    VatId,
    /// A tax number of one country, without it.
    TaxId,
    /// A telephone number (E.164).
    Phone,
    /// An e-mail address.
    Email,
    /// A box to tick beside the label: `yes` or `no`.
    CheckBox,
    /// Words beside or below the label.
    Name,
    /// The parties of an agreement: `<name>_1`, `<name>_2`.
    Parties,
    /// The label itself: where to sign.
    Anchor,
    /// The first heading.
    Heading,
    /// The business that issued it, by its letterhead.
    Company,
    /// The address below that name.
    Address,
    /// Whom it is addressed to: the name, and the address as `<name>_address`.
    Addressee,
}

/// The words that any rule wants.
#[derive(Clone, Debug, Default)]
pub(super) struct Vocabulary {
    shapes: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Vocabulary {
    /// Number of words.
    pub(super) fn len(&self) -> usize {
        self.shapes.len()
    }

    /// The words that a read shape may stand for, each with its likeness.
    pub(super) fn like(&self, shape: &str, confidence: f32) -> Vec<(u32, f32)> {
        if let Some(&number) = self.numbers.get(shape) {
            return vec![(number, 1.0)];
        }
        let fits =
            |(number, wanted): (u32, &String)| Some((number, fuzzy::likeness(shape, confidence, wanted)?));
        (0..).zip(&self.shapes).filter_map(fits).collect()
    }

    fn phrase(&mut self, text: &str) -> Phrase {
        let number = |folded: String| {
            let shape = fuzzy::skeleton(&folded);
            let next = self.shapes.len() as u32;
            *self.numbers.entry(shape.clone()).or_insert_with(|| {
                self.shapes.push(shape);
                next
            })
        };
        Phrase(fuzzy::words(text).map(number).collect())
    }
}

impl RuleSet {
    /// The rules shipped with this release.
    pub fn shipped() -> Self {
        Self::compile(&SHIPPED).expect("the shipped rules are compiled by a test")
    }

    /// The rules of a folder: every `*.toml` in it, in order of their names. A single file is taken with the
    /// shipped ones, in place of that which describes the same type.
    ///
    /// # Errors
    ///
    /// The first file that cannot be read or breaks the format, with the line.
    pub fn load(place: &Path) -> Result<Self, RulesError> {
        if place.is_file() { Self::load_over_shipped(place) } else { Self::load_folder(place) }
    }

    fn load_over_shipped(file: &Path) -> Result<Self, RulesError> {
        let unreadable = |error| RulesError::Unreadable { file: file.display().to_string(), error };
        let text = fs::read_to_string(file).map_err(unreadable)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let own = (&*name, &*text);
        // By itself first, so that a mistake is reported in this file; a shipped file is named after its type.
        let alone = Self::compile(&[own])?;
        let replaced = |shipped: &str| {
            shipped == own.0 || alone.document_types().any(|it| shipped.strip_suffix(".toml") == Some(&it.0))
        };
        let shipped = SHIPPED.iter().copied().filter(|(shipped, _)| !replaced(shipped));
        let mut files: Vec<(&str, &str)> = shipped.chain([own]).collect();
        files.sort_unstable();
        Self::compile(&files)
    }

    fn load_folder(folder: &Path) -> Result<Self, RulesError> {
        let unreadable = |path: &Path| {
            let file = path.display().to_string();
            move |error| RulesError::Unreadable { file, error }
        };
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
            let path = entry.map_err(unreadable(folder))?.path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                let text = fs::read_to_string(&path).map_err(unreadable(&path))?;
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                files.push((name, text));
            }
        }
        files.sort();
        let files: Vec<(&str, &str)> =
            files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let rules = Self::compile(&files)?;
        if rules.types.is_empty() {
            return Err(RulesError::Nothing { folder: folder.display().to_string() });
        }
        Ok(rules)
    }

    /// The same rules with another calibration, to try it: name, version and digest stay those of the files.
    pub(super) fn with_calibration(self, calibration: Calibration) -> Self {
        Self { calibration, ..self }
    }

    /// What their confidences are fitted to.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Whether a file of these rules describes this type.
    pub fn knows(&self, document_type: &DocumentType) -> bool {
        self.document_types().any(|known| known == document_type)
    }

    /// The types these rules know, by name.
    pub fn document_types(&self) -> impl Iterator<Item = &DocumentType> {
        self.types.iter().map(|rules| &rules.document_type)
    }

    /// The shipped rules and one more file.
    #[cfg(test)]
    pub(super) fn with_shipped(name: &str, text: &str) -> Self {
        let mut files = SHIPPED.to_vec();
        files.push((name, text));
        Self::compile(&files).expect("the file is right")
    }

    /// Compiles files given as name and text.
    fn compile(files: &[(&str, &str)]) -> Result<Self, RulesError> {
        let mut compiler = Compiler::default();
        let mut version = "0".to_owned();
        let mut types: Vec<TypeRules> = Vec::new();
        let mut common = Vec::new();
        let mut calibration = Calibration::default();
        let mut bytes = Vec::new();
        for (name, text) in files {
            // Lengths keep two sets apart whose texts only break at different places.
            bytes.extend(format!("{name}\0{}\0{text}", text.len()).into_bytes());
            compiler.file = (*name, *text);
            if *name == COMMON {
                let file: CommonFile = compiler.parse()?;
                version = file.version;
                common = compiler.fields(file.field)?;
            } else if *name == CALIBRATION {
                calibration = compiler.calibration()?;
            } else {
                let rules = compiler.type_rules()?;
                if types.iter().any(|other| other.document_type == rules.document_type) {
                    let message = format!("the type `{}` is described by two files", rules.document_type);
                    return Err(compiler.complain(0, message));
                }
                types.push(rules);
            }
        }
        let policy = PolicyRef { name: "classification".into(), version, sha256: Digest::of(&bytes) };
        Ok(Self { policy, types, common, vocabulary: compiler.vocabulary, calibration })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "type = \"poem\"\nthresholds = { auto = 0.9, review = 0.5 }\n";

    fn complaint(evidence: &str) -> String {
        let text = format!("{TYPE}{evidence}");
        RuleSet::compile(&[("poem.toml", &text)]).expect_err("it is wrong").to_string()
    }

    #[test]
    fn the_shipped_rules_compile_and_know_the_thirteen_types() {
        let rules = RuleSet::compile(&SHIPPED).expect("they compile");
        assert_eq!(rules.document_types().count(), 13);
        assert_ne!(rules.policy.version, "0");
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_file_and_line() {
        let message = complaint("[[evidence]]\nname = \"rhyme\"\nweigth = 1.0\n");
        assert!(message.starts_with("poem.toml:5: unknown field `weigth`"), "{message}");
    }

    #[test]
    fn a_rule_that_could_never_speak_is_refused() {
        let entry =
            |rest: &str| complaint(&format!("[[evidence]]\nname = \"rhyme\"\nweight = 1.0\n{rest}\n"));
        assert!(entry("phrases = [\"!\"]").starts_with("poem.toml:6: a phrase needs"), "empty phrase");
        assert!(entry("source = [\"-\"]").starts_with("poem.toml:6: a name needs"), "empty name");
        assert!(entry("patterns = [\"(\"]").starts_with("poem.toml:6: not a pattern"), "broken pattern");
        assert!(entry("").contains("exactly one of"), "nothing to look for");
        assert!(entry("near = [\"a\"]").contains("within_words"), "no distance");
        assert!(entry("phrases = [\"a\"]\nbarcodes = [\"b\"]").contains("exactly one of"), "two at once");
    }

    #[test]
    fn a_field_s_pattern_and_box_are_held_against_what_they_can_be() {
        let field = |rest: &str| {
            complaint(&format!("evidence = []\n[[field]]\nname = \"verse\"\nkind = \"identifier\"\n{rest}\n"))
        };
        assert!(field("patterns = [\"(\"]").starts_with("poem.toml:7: not a pattern"), "broken pattern");
        for place in
            ["[0.1, 0.1, 0.0, 0.1]", "[0.5, 0.1, 0.6, 0.1]", "[-0.1, 0.1, 0.2, 0.1]", "[nan, 0.1, 0.2, 0.1]"]
        {
            let message = field(&format!("box = {place}"));
            assert!(message.starts_with("poem.toml:") && message.contains("shares of the page"), "{message}");
        }
        assert!(field("years_back = 60").contains("only a date"), "years of an identifier");
    }

    #[test]
    fn thresholds_that_contradict_one_another_are_refused() {
        let check = |thresholds: &str, says: &str| {
            let text = format!("type = \"poem\"\nthresholds = {{ {thresholds} }}\nevidence = []\n");
            let error = RuleSet::compile(&[("poem.toml", &text)]).expect_err("it is wrong").to_string();
            assert!(error.starts_with("poem.toml:2:") && error.contains(says), "{error}");
        };
        check("auto = 0.9, wrong_per_1000 = 10, review = 0.4", "either");
        check("review = 0.4", "either");
        check("auto = 0.3, review = 0.4", "nor `review` above");
        check("auto = 0.9, review = 0.4, quarantine = 0.5", "not above `review`");
        check("wrong_per_1000 = -1, review = 0.4", "between 0 and 1");
    }

    #[test]
    fn the_calibration_belongs_to_the_policy() {
        let files = |calibration| {
            [
                ("calibration.toml", calibration),
                ("poem.toml", "type = \"poem\"\nthresholds = { auto = 0.9, review = 0.5 }\nevidence = []\n"),
            ]
        };
        let compiled = |calibration| RuleSet::compile(&files(calibration));
        let one =
            compiled("method = \"platt\"\nscale = 0.8\nshift = 0.1\nexamples = 60\n").expect("it is right");
        assert_eq!(one.calibration().examples(), 60);
        let other = compiled("method = \"isotonic\"\npoints = [[-1.0, 0.2], [2.0, 0.9]]\nexamples = 900\n")
            .expect("it is right");
        assert_ne!(one.policy.sha256, other.policy.sha256);
        for wrong in [
            "method = \"platt\"\nscale = -0.8\nshift = 0.1\nexamples = 60\n",
            "method = \"isotonic\"\npoints = [[1.0, 0.9], [2.0, 0.2]]\nexamples = 900\n",
            "method = \"guess\"\n",
        ] {
            let error = compiled(wrong).expect_err("it is wrong").to_string();
            assert!(error.starts_with("calibration.toml:1:"), "{error}");
        }
    }

    #[test]
    fn the_digest_names_the_texts_exactly() {
        let digest = |text: &str| {
            let rules = RuleSet::compile(&[("poem.toml", text)]).expect("it compiles");
            rules.policy.sha256
        };
        let text = format!("{TYPE}evidence = []\n");
        assert_eq!(digest(&text), digest(&text));
        assert_ne!(digest(&text), digest(&format!("{text}# a remark\n")));
    }

    #[test]
    fn a_single_file_stands_in_place_of_the_shipped_one_of_its_type() {
        let folder = tempfile::tempdir().expect("a folder");
        let check = |name: &str, kind: &str, types: usize| {
            let file = folder.path().join(name);
            let text = TYPE.replace("poem", kind) + "evidence = []\n";
            fs::write(&file, text).expect("it is written");
            let rules = RuleSet::load(&file).expect("it loads");
            assert_eq!(rules.document_types().count(), types, "{name}");
            let own = rules.types.iter().find(|rules| rules.document_type.0 == kind).expect("its type");
            assert!(own.evidence.is_empty(), "{name}: the file's own rules count");
        };
        check("poem.toml", "poem", 14);
        check("invoice.toml", "invoice", 13);
        check("our own.toml", "invoice", 13);
        fs::write(folder.path().join("bad.toml"), "typ = 1\n").expect("it is written");
        let error = RuleSet::load(&folder.path().join("bad.toml")).expect_err("it is wrong").to_string();
        assert!(error.starts_with("bad.toml:1:"), "{error}");
    }

    #[test]
    fn a_folder_of_rules_is_loaded_and_an_empty_one_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(matches!(RuleSet::load(folder.path()), Err(RulesError::Nothing { .. })));
        for (name, text) in SHIPPED {
            fs::write(folder.path().join(name), text).expect("it is written");
        }
        let loaded = RuleSet::load(folder.path()).expect("they load");
        assert_eq!(loaded.policy, RuleSet::shipped().policy);
        assert!(RuleSet::load(&folder.path().join("missing")).is_err());
    }
}
