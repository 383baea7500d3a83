//! Pages to documents.
//!
//! A pure decision over finished pages. For now one capture is one document, less its blank pages, which are
//! set aside: they stay in the original, which is always kept, and are listed in its page text. A capture
//! whose every page is blank keeps them all, so that a person sees what was scanned.

use platen_model::PageRecord;

/// The pages of one document, as positions in the capture's page list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The pages it keeps, in order.
    pub pages: Vec<usize>,
    /// The blank pages set aside.
    pub blank: Vec<usize>,
}

/// Divides a capture's pages into documents. Every page is in exactly one group. Blank pages stay in their document
/// where `keep_blank_pages` says so.
pub fn separate(pages: &[PageRecord], keep_blank_pages: bool) -> Vec<Group> {
    let is_set_aside = |&index: &usize| pages[index].blank && !keep_blank_pages;
    let (blank, kept): (Vec<usize>, Vec<usize>) = (0..pages.len()).partition(is_set_aside);
    let group = if kept.is_empty() {
        Group { pages: blank, blank: Vec::new() }
    } else {
        Group { pages: kept, blank }
    };
    vec![group]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(blank: &[bool], kept: &[usize], aside: &[usize]) {
        let pages: Vec<PageRecord> =
            blank.iter().map(|&blank| PageRecord { blank, ..PageRecord::default() }).collect();
        assert_eq!(separate(&pages, false), [Group { pages: kept.to_vec(), blank: aside.to_vec() }]);
    }

    #[test]
    fn blank_pages_are_set_aside_unless_nothing_else_is_there() {
        check(&[false, true, false], &[0, 2], &[1]);
        check(&[true, true], &[0, 1], &[]);
        check(&[false], &[0], &[]);
    }

    #[test]
    fn blank_pages_stay_where_they_are_asked_to() {
        let pages: Vec<PageRecord> =
            [false, true].map(|blank| PageRecord { blank, ..PageRecord::default() }).to_vec();
        assert_eq!(separate(&pages, true), [Group { pages: vec![0, 1], blank: vec![] }]);
    }
}
