//! Printed forms, known again by their layout; fields that a person showed once.
//!
//! Two copies of one form share their printed words and where these stand to one another; what was filled in differs.
//! A [`Fingerprint`] is therefore made of pairs of neighbouring words with the direction and distance between them: it
//! does not change where the page is shifted, scanned at another resolution or cut differently, and a misread word
//! takes only its own pairs with it. Texts alike in another layout are another form.
//!
//! A [`Template`] keeps where the words of one copy stood, as hashes and not as words, and the boxes that a person drew on
//! it. On another copy of
//! the form each box is moved the way the printed words around it moved, and what stands in it is read. Nothing here
//! guesses: a page on which too few printed words are found again gives no value.

mod template;

use std::collections::BTreeSet;

use platen_model::{Digest, PageText};
use serde::{Deserialize, Serialize};

use super::reading::{self, Reading};

pub use template::{TaughtField, Template, ValueKind};

/// Most pairs that are kept: those with the smallest hashes, so that two documents keep the same ones.
const PAIRS_KEPT: usize = 256;
/// Fewest pairs by which a form can be known: less is a note, and notes look alike.
const PAIRS_FEWEST: usize = 12;
/// Pages that are looked at: a form is known by its first.
const PAGES: usize = 1;
/// Steps across a page's width in which distances are counted. Coarse, since scanners stretch pages a little.
const STEPS_ACROSS: f32 = 14.0;
/// The same down a page.
const STEPS_DOWN: f32 = 20.0;
/// The likeness from which two documents are copies of one form. Copies that are filled in differently reach 0.35 to
/// 0.8, letters of one sender stay under 0.2.
const SAME_FORM: f32 = 0.3;

/// Whether fields can be taught on a page, by its number from 0: of a long document only the first and the last pages are
/// read.
pub fn can_be_taught(page: usize, page_count: usize) -> bool {
    reading::is_read(page, page_count)
}

/// What a printed form looks like: a sketch of its pairs of neighbouring words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(BTreeSet<u32>);

impl Fingerprint {
    /// Takes the fingerprint of a document's first page.
    pub fn of(text: &PageText) -> Self {
        let reading = Reading::new(text);
        let mut pairs = BTreeSet::new();
        for page in 0..text.pages.len().min(PAGES) {
            pairs.extend(pairs_of(&reading, page));
        }
        Self(pairs.into_iter().take(PAIRS_KEPT).collect())
    }

    /// What sets the hashes of one copy's words apart from those of another's.
    fn salt(&self) -> String {
        let pairs: String = self.0.iter().map(|pair| format!("{pair:08x}")).collect();
        format!("{:08x}", hash(&pairs))
    }

    /// Whether it holds enough to know a form by.
    pub fn tells(&self) -> bool {
        self.0.len() >= PAIRS_FEWEST
    }

    /// The share of pairs that two documents have in common, 0 to 1, estimated from their smallest hashes.
    pub fn likeness(&self, other: &Self) -> f32 {
        let union: Vec<u32> = self.0.union(&other.0).copied().take(PAIRS_KEPT).collect();
        let both = union.iter().filter(|pair| self.0.contains(pair) && other.0.contains(pair)).count();
        if union.is_empty() { 0.0 } else { both as f32 / union.len() as f32 }
    }

    /// Whether two documents are copies of one printed form.
    pub fn is_same_form(&self, other: &Self) -> bool {
        self.tells() && other.tells() && self.likeness(other) >= SAME_FORM
    }
}

/// A page's pairs of neighbours, as hashes: each printed word with the next one on its line, and the first word of each
/// line with that of the next.
fn pairs_of(reading: &Reading<'_>, page: usize) -> Vec<u32> {
    let (width, height) = reading.page_size(page);
    let (width, height) = (width.max(1) as f32, height.max(1) as f32);
    let steps = |from: u32, to: u32, whole: f32, steps: f32| {
        ((to as f32 - from as f32) / whole * steps).round() as i32
    };
    let mut pairs = Vec::new();
    let mut above: Option<usize> = None;
    let mut before: Option<usize> = None;
    for (place, token) in reading.tokens.iter().enumerate() {
        let word = token.word;
        let read = reading.words[word];
        if read.page != page || !is_printed(&read.word.text, &token.shape) {
            continue;
        }
        let rect = read.word.rect;
        let continues = before
            .is_some_and(|last| reading.line_number(reading.tokens[last].word) == reading.line_number(word));
        let partner = if continues { before } else { above };
        if let Some(partner) = partner {
            let other = reading.words[reading.tokens[partner].word].word.rect;
            let across = steps(other.x, rect.x, width, STEPS_ACROSS);
            let down = steps(other.y, rect.y, height, STEPS_DOWN);
            pairs.push(hash(&format!("{} {} {across} {down}", reading.tokens[partner].shape, token.shape)));
        }
        if !continues {
            above = Some(place);
        }
        before = Some(place);
    }
    pairs
}

/// Whether a word may be part of the printed form: values are mostly numbers, and short words stand everywhere.
fn is_printed(text: &str, shape: &str) -> bool {
    shape.chars().count() >= 3 && !text.contains(|c: char| c.is_ascii_digit())
}

fn hash(text: &str) -> u32 {
    let digest = Digest::of(text.as_bytes());
    u32::from_be_bytes(digest.as_bytes()[..4].try_into().expect("a digest has 32 bytes"))
}

#[cfg(test)]
mod tests;
