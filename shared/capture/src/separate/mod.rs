//! Pages to documents.
//!
//! A pure decision over finished pages and the codes found on them. A **sheet** is a page that begins a document: it
//! bears a patch code, a cover sheet's code (`platen-agent sheet` prints them), or a code that a rule names. A rule says
//! whether the sheet is dropped or stays as the first page, and what its code says becomes values of the document. A
//! blank page may begin one too, and so may every n-th page.
//!
//! What always holds, whatever the pages and the rules:
//!
//! - every page is in exactly one group, in order, either kept or set aside; nothing is lost, for the original is kept
//! - no group is empty: two sheets in a row, a sheet with a blank back, or one at the end make no document
//! - where there would be no document at all because every page is blank, all pages are one: a person sees what was
//!   scanned. A capture of sheets alone is refused ([`NothingButSheets`]), and waits for a person
//!
//! The danger is a separator that nobody found: two people's papers become one document. So a site may say how
//! many separators a batch has, and how long a document may be. Doubted documents go to a person.

mod decide;
mod guard;
mod rules;
mod sheet;

use std::collections::BTreeMap;

use platen_model::{Aside, PageRecord, Rect, SourcePage};

pub use decide::decide;
pub use rules::{CodeRule, Fate, Patch, Separation};
pub use sheet::{ANY_SHEET, SheetError, SheetValues};

use rules::{Opening, Rules};

/// The pages of one document, as positions in the capture's page list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The pages it keeps, in order.
    pub pages: Vec<usize>,
    /// The pages set aside, in order, and why.
    pub aside: Vec<(usize, Aside)>,
    /// What the codes of its sheet and its pages say, by name.
    pub values: BTreeMap<String, CodeValue>,
    /// Why a person should look whether it was parted well, as sentences.
    pub doubts: Vec<String>,
}

impl Group {
    /// The blank pages set aside.
    pub fn blank_pages(&self) -> usize {
        self.aside.iter().filter(|(_, why)| *why == Aside::Blank).count()
    }

    /// Whether a sheet stood before it, or behind it at the end of its batch.
    pub fn has_sheets(&self) -> bool {
        self.aside.iter().any(|(_, why)| *why == Aside::Sheet)
    }

    /// Where its pages came from, by where each page of the capture did.
    pub fn origins(&self, origins: &[SourcePage]) -> Vec<SourcePage> {
        self.pages.iter().map(|&page| origins[page]).collect()
    }
}

/// A value that a code carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeValue {
    /// The value.
    pub value: String,
    /// The whole text of its code.
    pub code: String,
    /// The page that bears it, as a position in the capture's page list.
    pub page: usize,
    /// Where on that page.
    pub rect: Rect,
}

/// The capture holds separator sheets and blank pages, and nothing to separate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is nothing but separator sheets, so there is no document")]
pub struct NothingButSheets;

/// Divides a capture's pages into documents. Blank pages stay in their document where `keep_blank_pages` says so.
///
/// # Errors
///
/// Where there is no page but separator sheets and blank ones.
pub fn separate(
    pages: &[PageRecord],
    keep_blank_pages: bool,
    separation: &Separation,
) -> Result<Vec<Group>, NothingButSheets> {
    let rules = Rules::of(separation);
    let mut parting = Parting { keep_blank_pages, every: separation.every, ..Parting::default() };
    for (at, page) in pages.iter().enumerate() {
        let opening = rules.opening(at, page);
        match opening {
            Some(opening) => parting.sheet(at, opening),
            None if page.blank && parting.is_back_of_sheet(at) => {
                parting.open.aside.push((at, Aside::SheetBack));
            }
            None if page.blank && separation.blank => parting.blank_sheet(at),
            None => parting.page(at, page.blank),
        }
        parting.open.values.extend(rules.values_within(at, page));
    }
    let Parting { separators, has_sheets, .. } = parting;
    let mut groups = parting.finish();
    if groups.is_empty() {
        if has_sheets {
            return Err(NothingButSheets);
        }
        groups.push(Group { pages: (0..pages.len()).collect(), ..Group::default() });
    }
    guard::doubt(&mut groups, separators, separation);
    Ok(groups)
}

/// The groups on their way.
#[derive(Default)]
struct Parting {
    keep_blank_pages: bool,
    every: Option<u32>,
    done: Vec<Group>,
    open: Group,
    /// The open group has a page that is not blank.
    has_content: bool,
    /// Pages of the open group as they were scanned, less its sheets.
    scanned: u32,
    /// The last page that was a dropped sheet.
    last_sheet: Option<usize>,
    /// Separators found; several in a row are one.
    separators: u32,
    /// No page but blank ones came since the last separator.
    is_behind_separator: bool,
    has_sheets: bool,
}

impl Parting {
    fn sheet(&mut self, at: usize, opening: Opening) {
        self.separator();
        self.has_sheets = true;
        self.open.values.extend(opening.values);
        if opening.fate == Fate::Keep {
            self.open.pages.push(at);
            self.has_content = true;
            self.is_behind_separator = false;
            self.scanned += 1;
        } else {
            self.open.aside.push((at, Aside::Sheet));
            self.last_sheet = Some(at);
        }
        self.open.doubts.extend(opening.doubt);
    }

    fn blank_sheet(&mut self, at: usize) {
        self.separator();
        self.open.aside.push((at, Aside::Sheet));
    }

    fn separator(&mut self) {
        self.separators += u32::from(!self.is_behind_separator);
        self.is_behind_separator = true;
        self.close();
    }

    fn is_back_of_sheet(&self, at: usize) -> bool {
        self.last_sheet.is_some_and(|sheet| sheet + 1 == at)
    }

    fn page(&mut self, at: usize, blank: bool) {
        if self.every.is_some_and(|every| self.scanned >= every.max(1)) {
            self.close();
        }
        self.scanned += 1;
        if blank && !self.keep_blank_pages {
            self.open.aside.push((at, Aside::Blank));
        } else {
            self.open.pages.push(at);
        }
        self.has_content |= !blank;
        self.is_behind_separator &= blank;
    }

    /// Ends the open group, unless there is nothing in it that makes a document.
    fn close(&mut self) {
        self.scanned = 0;
        if self.has_content {
            self.has_content = false;
            self.done.push(std::mem::take(&mut self.open));
        }
    }

    fn finish(mut self) -> Vec<Group> {
        self.close();
        // What is left has no content: it lay behind the last document.
        if let Some(last) = self.done.last_mut() {
            let Group { pages, aside, .. } = self.open;
            last.aside.extend(pages.into_iter().map(|page| (page, Aside::Blank)));
            last.aside.extend(aside);
            last.aside.sort_unstable_by_key(|(page, _)| *page);
        }
        for group in &mut self.done {
            group.aside.sort_unstable_by_key(|(page, _)| *page);
        }
        self.done
    }
}

#[cfg(test)]
mod tests;
