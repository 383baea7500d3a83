//! Pages to documents.
//!
//! A pure decision over finished pages. For now one capture is one document, less its blank pages, which are
//! set aside: they stay in the original, which is always kept, and are counted in the record. A capture
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

/// Divides a capture's pages into documents. Every page is in exactly one group.
pub fn separate(pages: &[PageRecord]) -> Vec<Group> {
    let (blank, kept): (Vec<usize>, Vec<usize>) = (0..pages.len()).partition(|&index| pages[index].blank);
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
        assert_eq!(separate(&pages), [Group { pages: kept.to_vec(), blank: aside.to_vec() }]);
    }

    #[test]
    fn blank_pages_are_set_aside_unless_nothing_else_is_there() {
        check(&[false, true, false], &[0, 2], &[1]);
        check(&[true, true], &[0, 1], &[]);
        check(&[false], &[0], &[]);
    }
}
