//! What separates, as it is configured.

use platen_model::{Barcode, PageRecord};
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::CodeValue;
use super::sheet::{ANY_SHEET, SheetValues};

/// How a capture's pages are divided into documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Separation {
    /// The patch codes that begin a document.
    pub patch: Vec<Patch>,
    /// Whether the cover sheets that `platen-agent sheet` prints begin a document.
    pub sheets: bool,
    /// What becomes of sheets with a patch code, and of cover sheets.
    pub page: Fate,
    /// Whether a blank page begins a document. It is dropped.
    pub blank: bool,
    /// So many pages, as they were scanned, make a document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u32>,
    /// The number of separators that each batch has. A batch with another number goes to a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<u32>,
    /// The most pages of a document. A longer one goes to a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest: Option<u32>,
    /// Codes that mean something here.
    #[serde(rename = "code", skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<CodeRule>,
}

impl Default for Separation {
    fn default() -> Self {
        Self {
            patch: vec![Patch::T, Patch::P2, Patch::P3],
            sheets: true,
            page: Fate::Drop,
            blank: false,
            every: None,
            expected: None,
            longest: None,
            codes: Vec::new(),
        }
    }
}

impl Separation {
    /// Nothing separates: a capture is one document.
    pub fn off() -> Self {
        Self { patch: Vec::new(), sheets: false, ..Self::default() }
    }

    /// Says what is wrong with it, if anything.
    ///
    /// # Errors
    ///
    /// A sentence that names the key.
    pub fn check(&self) -> Result<(), String> {
        for rule in &self.codes {
            let text = Regex::new(&rule.text).map_err(|error| format!("separation.code.text: {error}"))?;
            if let Some(kind) = rule.kinds.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
                return Err(format!("separation.code.kinds: {kind:?} is none of {}", KINDS.join(", ")));
            }
            if rule.page == Fate::Within && text.capture_names().flatten().next().is_none() {
                return Err(format!(
                    "separation.code.text: {:?} names no group like (?<number>…), and so has no effect within a \
                     document",
                    rule.text
                ));
            }
        }
        if self.every == Some(0) {
            return Err("separation.every must be at least 1".into());
        }
        Ok(())
    }
}

/// The kinds of codes, as they are named in page records.
const KINDS: [&str; 5] = ["patch", "code-39", "code-128", "qr", "data-matrix"];

/// A patch code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Patch {
    /// Patch 1.
    #[serde(rename = "1")]
    P1,
    /// Patch 2.
    #[serde(rename = "2")]
    P2,
    /// Patch 3.
    #[serde(rename = "3")]
    P3,
    /// Patch 4.
    #[serde(rename = "4")]
    P4,
    /// Patch 6.
    #[serde(rename = "6")]
    P6,
    /// Patch T.
    T,
}

impl Patch {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::P1 => "1",
            Self::P2 => "2",
            Self::P3 => "3",
            Self::P4 => "4",
            Self::P6 => "6",
            Self::T => "T",
        }
    }

    /// Which of its four bars are wide, read from the edge of the sheet inward.
    pub fn wide_bars(self) -> [bool; 4] {
        match self {
            Self::P1 => [true, true, false, false],
            Self::P2 => [true, false, false, true],
            Self::P3 => [true, false, true, false],
            Self::P4 => [false, true, true, false],
            Self::P6 => [false, false, true, true],
            Self::T => [false, true, false, true],
        }
    }

    /// All of them.
    pub const ALL: [Self; 6] = [Self::P1, Self::P2, Self::P3, Self::P4, Self::P6, Self::T];
}

/// What becomes of the page that bears a code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is a separator sheet: it begins a document and is no page of it.
    #[default]
    Drop,
    /// It begins a document and is its first page.
    Keep,
    /// It begins nothing: the values are those of the document it stands in.
    Within,
}

/// A code that means something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeRule {
    /// A regular expression over the code's text. What its named groups match become values of the document; `type`
    /// and `department` say the document's type and department.
    pub text: String,
    /// The kinds of code it holds for; all where absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// What becomes of the page.
    #[serde(default)]
    pub page: Fate,
}

/// A page that begins a document.
pub(super) struct Opening {
    pub(super) fate: Fate,
    pub(super) values: Vec<(String, CodeValue)>,
    pub(super) doubt: Option<String>,
}

/// The rules with their expressions compiled.
pub(super) struct Rules<'s> {
    separation: &'s Separation,
    codes: Vec<(Regex, &'s CodeRule)>,
}

impl<'s> Rules<'s> {
    pub(super) fn of(separation: &'s Separation) -> Self {
        // An expression that does not compile was refused with the configuration.
        let compiled = |rule: &'s CodeRule| Some((Regex::new(&rule.text).ok()?, rule));
        Self { separation, codes: separation.codes.iter().filter_map(compiled).collect() }
    }

    /// What a page begins, if anything.
    pub(super) fn opening(&self, at: usize, page: &PageRecord) -> Option<Opening> {
        let mut opening: Option<Opening> = None;
        let (mut has_values, mut promises_values) = (false, false);
        for code in &page.barcodes {
            let (fate, values) = if let Some((values, fate)) = self.by_rule(at, code, false) {
                (fate, values)
            } else if self.separation.sheets && code.text == ANY_SHEET {
                promises_values = true;
                (self.separation.page, Vec::new())
            } else if self.separation.sheets
                && let Some(sheet) = SheetValues::read(&code.text)
            {
                has_values = true;
                let said = sheet.iter().map(|(name, value)| (name.to_owned(), said(at, code, value)));
                (self.separation.page, said.collect())
            } else if self.is_patch(code) {
                (self.separation.page, Vec::new())
            } else {
                continue;
            };
            let so_far = opening.get_or_insert(Opening { fate, values: Vec::new(), doubt: None });
            // What a rule keeps is kept, whatever else stands on the page.
            if fate == Fate::Keep {
                so_far.fate = Fate::Keep;
            }
            so_far.values.extend(values);
        }
        if let Some(opening) = &mut opening
            && promises_values
            && !has_values
        {
            let doubt = "A cover sheet stood before it whose values could not be read.";
            opening.doubt = Some(doubt.into());
        }
        opening
    }

    /// What the codes of a page say of the document they stand in.
    pub(super) fn values_within(&self, at: usize, page: &PageRecord) -> Vec<(String, CodeValue)> {
        let said = page.barcodes.iter().filter_map(|code| self.by_rule(at, code, true));
        said.flat_map(|(values, _)| values).collect()
    }

    /// The values and the fate by the first rule that fits, among those for pages within documents or the others.
    fn by_rule(&self, at: usize, code: &Barcode, within: bool) -> Option<(Vec<(String, CodeValue)>, Fate)> {
        self.codes.iter().filter(|(_, rule)| (rule.page == Fate::Within) == within).find_map(
            |(text, rule)| {
                let fits = rule.kinds.is_empty() || rule.kinds.contains(&code.symbology);
                let found = fits.then(|| text.captures(&code.text)).flatten()?;
                let named = text.capture_names().flatten();
                let values = named.filter_map(|name| {
                    let value = found.name(name)?.as_str().trim();
                    (!value.is_empty()).then(|| (name.to_owned(), self::said(at, code, value)))
                });
                Some((values.collect(), rule.page))
            },
        )
    }

    /// Whether this is a patch code that separates: the bars themselves, or their name in another code, as printed
    /// on sheets for programs that read no patch codes.
    fn is_patch(&self, code: &Barcode) -> bool {
        let name = match code.symbology.as_str() {
            "patch" => code.text.as_str(),
            _ => code.text.strip_prefix("PATCH").unwrap_or_default(),
        };
        self.separation.patch.iter().any(|patch| patch.name() == name)
    }
}

fn said(at: usize, code: &Barcode, value: &str) -> CodeValue {
    CodeValue { value: value.to_owned(), code: code.text.clone(), page: at, rect: code.rect }
}
