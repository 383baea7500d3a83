//! A form of which a person showed where its fields stand.

use std::collections::{BTreeMap, HashMap};

use platen_model::{Field, PageText, Rect};
use serde::{Deserialize, Serialize};

use super::{Fingerprint, can_be_taught, hash, is_printed};
use crate::classify::Origin;
use crate::classify::boxes;
use crate::classify::fields::{self, Habits, Wanted, Zone};
use crate::classify::reading::Reading;
use crate::classify::rules::FieldKind;

/// Printed words that say how the page around a field moved.
const GUIDES: usize = 9;
/// Fewest of them that must be found again.
const GUIDES_FEWEST: usize = 3;
/// How far a page may be shifted, as a share of its size.
const SHIFT_MAX: f32 = 0.08;
/// How far from the common movement a guide may lie, as a share of the page's height; farther, it is another word alike.
const GUIDE_SPREAD: f32 = 0.015;
/// Most words of one page that a template keeps.
const MARKS_MAX: usize = 1_500;
/// Certainty of a value that stands where a person showed it.
const SHOWN: f32 = 0.95;
/// Most fields of one template.
pub(super) const FIELDS_MAX: usize = 64;

/// What a taught field holds; each has its normal form, as the fields of rules have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueKind {
    /// `2026-03-31`.
    Date,
    /// `1234.56 EUR`.
    Money,
    /// A number or mark without blanks.
    Identifier,
    /// An account number with a correct check sum.
    Iban,
    /// A value-added tax number.
    VatId,
    /// A tax number of one country.
    TaxId,
    /// A telephone number, as `+442079460958`.
    Phone,
    /// An e-mail address.
    Email,
    /// A box to tick: `yes` or `no`.
    CheckBox,
    /// All words in the box.
    #[default]
    Text,
}

/// A field that a person showed: its box on the copy that the template was made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaughtField {
    /// What it holds.
    pub kind: ValueKind,
    /// The page, from 0.
    pub page: u32,
    /// The box in pixels of that copy's page.
    pub rect: Rect,
}

/// One copy of a form: how to know it again, and where its fields stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Template {
    /// How the form is known again.
    pub fingerprint: Fingerprint,
    /// The fields by name.
    pub fields: BTreeMap<String, TaughtField>,
    pages: Vec<Sheet>,
}

/// Where the words of one page stood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sheet {
    width_px: u32,
    height_px: u32,
    /// The printed words, each as its hash, and its centre across and down as shares of the page's size. No word is kept:
    /// what somebody filled in looks like print, and is nobody's business on the copies that come after.
    marks: Vec<(u32, f32, f32)>,
}

impl Template {
    /// Takes a copy of a form; no field is known of it yet.
    pub fn of(text: &PageText) -> Self {
        let reading = Reading::new(text);
        let fingerprint = Fingerprint::of(text);
        let salt = fingerprint.salt();
        let sheets = text.pages.iter().enumerate().map(|(page, record)| Sheet {
            width_px: record.width_px,
            height_px: record.height_px,
            marks: marks_of(&reading, page, &salt),
        });
        let pages = sheets.collect();
        Self { fingerprint, fields: BTreeMap::new(), pages }
    }

    /// Whether a document is a copy of this form.
    pub fn fits(&self, text: &PageText) -> bool {
        self.fingerprint.is_same_form(&Fingerprint::of(text))
    }

    /// Teaches a field, in place of one of the same name.
    ///
    /// # Errors
    ///
    /// A sentence for the person: the page does not exist or is not read, the box is empty or lies outside of it, or there are too many
    /// fields.
    pub fn teach(&mut self, name: &str, field: TaughtField) -> Result<(), String> {
        let Some(sheet) = self.pages.get(field.page as usize) else {
            return Err(format!("the document has no page {}", u64::from(field.page) + 1));
        };
        if !can_be_taught(field.page as usize, self.pages.len()) {
            let page = u64::from(field.page) + 1;
            return Err(format!("page {page} lies in the middle of a long document, where nothing is read"));
        }
        let Rect { x, y, w, h } = field.rect;
        let inside =
            |from: u32, size: u32, whole: u32| from.checked_add(size).is_some_and(|end| end <= whole);
        if w == 0 || h == 0 || !inside(x, w, sheet.width_px) || !inside(y, h, sheet.height_px) {
            return Err(format!("the box of {name:?} is empty or lies outside of its page"));
        }
        if self.fields.len() >= FIELDS_MAX && !self.fields.contains_key(name) {
            return Err(format!("a form has at most {FIELDS_MAX} taught fields"));
        }
        self.fields.insert(name.to_owned(), field);
        Ok(())
    }

    /// Reads the taught fields from another copy of the form, whatever [`Template::fits`] says of it. A field whose
    /// surroundings are not found again, or whose box holds no value of its kind, is absent.
    pub fn read(&self, text: &PageText) -> BTreeMap<String, Field> {
        let reading = Reading::new(text);
        let habits = Habits::of(&reading, &Origin::default());
        let mut copies: HashMap<u32, Vec<(u32, f32, f32)>> = HashMap::new();
        let salt = self.fingerprint.salt();
        let mut read = BTreeMap::new();
        for (name, taught) in &self.fields {
            let Some(sheet) = self.pages.get(taught.page as usize) else { continue };
            let copy =
                copies.entry(taught.page).or_insert_with(|| marks_of(&reading, taught.page as usize, &salt));
            let field =
                sheet.moved(taught.rect, copy).and_then(|moved| value(&reading, taught, moved, &habits));
            read.extend(field.map(|field| (name.clone(), field)));
        }
        read
    }
}

/// A box as shares of its page.
#[derive(Clone, Copy, Debug)]
struct Share {
    left: f32,
    top: f32,
    right: f32,
    bottom: f32,
}

impl Sheet {
    /// Where a box of this copy lies on another one: moved as the printed words nearest to it.
    fn moved(&self, rect: Rect, copy: &[(u32, f32, f32)]) -> Option<Share> {
        let (width, height) = (self.width_px.max(1) as f32, self.height_px.max(1) as f32);
        let share = Share {
            left: rect.x as f32 / width,
            top: rect.y as f32 / height,
            right: (rect.x + rect.w) as f32 / width,
            bottom: (rect.y + rect.h) as f32 / height,
        };
        let (x, y) = ((share.left + share.right) / 2.0, (share.top + share.bottom) / 2.0);
        let aspect = height / width;
        let mut guides: Vec<(f32, (f32, f32))> = self
            .marks
            .iter()
            // What stands in the box is the value: on the other copy it is another.
            .filter(|(_, at, down)| !share.holds(*at, *down))
            .filter_map(|(shape, at, down)| {
                let again = copy
                    .iter()
                    .filter(|(other, ..)| other == shape)
                    .map(|(_, other_at, other_down)| (other_at - at, other_down - down))
                    .filter(|(dx, dy)| dx.abs() <= SHIFT_MAX && dy.abs() <= SHIFT_MAX)
                    .min_by(|one, other| one.0.hypot(one.1).total_cmp(&other.0.hypot(other.1)))?;
                Some(((at - x).hypot((down - y) * aspect), again))
            })
            .collect();
        guides.sort_by(|one, other| one.0.total_cmp(&other.0));
        guides.truncate(GUIDES);
        let median = |axis: fn(&(f32, f32)) -> f32| {
            let mut values: Vec<f32> = guides.iter().map(|(_, moved)| axis(moved)).collect();
            values.sort_by(f32::total_cmp);
            values.get(values.len() / 2).copied()
        };
        let (dx, dy) = (median(|moved| moved.0)?, median(|moved| moved.1)?);
        let agree =
            guides.iter().filter(|(_, moved)| (moved.0 - dx).hypot(moved.1 - dy) <= GUIDE_SPREAD).count();
        (agree >= GUIDES_FEWEST && agree * 2 > guides.len()).then_some(Share {
            left: share.left + dx,
            top: share.top + dy,
            right: share.right + dx,
            bottom: share.bottom + dy,
        })
    }
}

impl Share {
    /// With room for a box to tick, which is small, to lie a little elsewhere.
    fn with_room(self) -> Self {
        let (across, down) = ((self.right - self.left) / 2.0, (self.bottom - self.top) / 2.0);
        Self {
            left: self.left - across,
            top: self.top - down,
            right: self.right + across,
            bottom: self.bottom + down,
        }
    }

    fn holds(&self, x: f32, y: f32) -> bool {
        (self.left..=self.right).contains(&x) && (self.top..=self.bottom).contains(&y)
    }
}

/// The words of a page that may be printed, as hashes that differ from form to form, with their places.
fn marks_of(reading: &Reading<'_>, page: usize, salt: &str) -> Vec<(u32, f32, f32)> {
    let printed = reading.tokens.iter().filter(|token| {
        let read = reading.words[token.word];
        read.page == page && is_printed(&read.word.text, &token.shape)
    });
    printed
        .take(MARKS_MAX)
        .map(|token| {
            let (x, y) = center(reading, token.word);
            (hash(&format!("{salt} {}", token.shape)), x, y)
        })
        .collect()
}

/// The middle of a word, as shares of its page.
fn center(reading: &Reading<'_>, word: usize) -> (f32, f32) {
    let read = reading.words[word];
    middle(reading, read.page, read.word.rect)
}

/// The middle of a box on a page, as shares of the page.
fn middle(reading: &Reading<'_>, page: usize, rect: Rect) -> (f32, f32) {
    let (width, height) = reading.page_size(page);
    let middle = |from: u32, size: u32, whole: u32| (from as f32 + size as f32 / 2.0) / whole.max(1) as f32;
    (middle(rect.x, rect.w, width), middle(rect.y, rect.h, height))
}

/// The value in a box.
fn value(reading: &Reading<'_>, taught: &TaughtField, share: Share, habits: &Habits) -> Option<Field> {
    let page = taught.page as usize;
    if taught.kind == ValueKind::CheckBox {
        let share = share.with_room();
        return boxes::inside(reading, page, |rect| {
            let (x, y) = middle(reading, page, rect);
            share.holds(x, y)
        });
    }
    let inside = |word: &usize| {
        let (x, y) = center(reading, *word);
        share.holds(x, y)
    };
    let words: Vec<usize> = fields::page_words(reading, page).filter(inside).collect();
    let zone = Zone { words, trust: SHOWN };
    let kind = match taught.kind {
        ValueKind::Date => FieldKind::Date,
        ValueKind::Money => FieldKind::Money,
        ValueKind::Identifier => FieldKind::Identifier,
        ValueKind::Iban => FieldKind::Iban,
        ValueKind::VatId => FieldKind::VatId,
        ValueKind::TaxId => FieldKind::TaxId,
        ValueKind::Phone => FieldKind::Phone,
        ValueKind::Email => FieldKind::Email,
        ValueKind::CheckBox => FieldKind::CheckBox,
        ValueKind::Text => return fields::whole(reading, zone),
    };
    fields::value(reading, Wanted::any(kind), &zone, habits).map(|(_, field)| field)
}
