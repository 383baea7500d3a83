//! The arithmetic of the tables. It measures nothing.

use std::collections::BTreeMap;

/// The middle value, or the mean of the two in the middle; `None` of none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// The mean; `None` of none.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The largest; `None` of none.
pub fn largest(values: &[f64]) -> Option<f64> {
    values.iter().copied().max_by(f64::total_cmp)
}

/// What `ours` sums to as a part of what `theirs` sums to, over the keys that both have: a page that one side could
/// not read says nothing about either.
pub fn ratio<K: Ord>(ours: &BTreeMap<K, f64>, theirs: &BTreeMap<K, f64>) -> Option<f64> {
    let both = || ours.iter().filter_map(|(key, ours)| Some((ours, theirs.get(key)?)));
    let (ours, theirs): (f64, f64) = both().fold((0.0, 0.0), |sums, pair| (sums.0 + pair.0, sums.1 + pair.1));
    (theirs > 0.0).then(|| ours / theirs)
}

/// How pages are told apart where accuracy is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Straight, clean pages of books.
    Book,
    /// Receipts that lay on a scanner.
    Receipt,
    /// Skewed, noisy, faxed or photographed pages.
    Hard,
    /// Letters, forms, historic print and other pages.
    Other,
}

impl Group {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 4] = [Self::Book, Self::Receipt, Self::Hard, Self::Other];

    /// The group of a kind, as the corpus names kinds.
    pub fn of_kind(kind: &str) -> Self {
        let is = |word: &str| kind.contains(word);
        if is("photo") || is("degraded") || is("noisy") || is("simulated") {
            Self::Hard
        } else if is("receipt") {
            Self::Receipt
        } else if is("book") {
            Self::Book
        } else {
            Self::Other
        }
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Book => "straight clean book pages",
            Self::Receipt => "receipts",
            Self::Hard => "skewed, noisy, photographed",
            Self::Other => "letters, historic print, other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_of_what_was_measured_in_any_order() {
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_ratio_leaves_out_the_pages_that_one_side_could_not_read() {
        let ours = BTreeMap::from([("a", 1.0), ("b", 2.0), ("only ours", 100.0)]);
        let theirs = BTreeMap::from([("a", 2.0), ("b", 4.0), ("only theirs", 100.0)]);
        assert_eq!(ratio(&ours, &theirs), Some(0.5));
        assert_eq!(ratio(&ours, &BTreeMap::new()), None);
    }

    #[test]
    fn a_ratio_weighs_pages_by_what_they_cost() {
        let ours = BTreeMap::from([("light", 1.0), ("heavy", 10.0)]);
        let theirs = BTreeMap::from([("light", 1.0), ("heavy", 21.0)]);
        assert_eq!(ratio(&ours, &theirs), Some(0.5));
    }

    #[test]
    fn a_photographed_receipt_is_a_photograph_and_a_faxed_book_page_is_not_clean() {
        let groups = [
            ("scan-book-bilevel", Group::Book),
            ("scan-receipt", Group::Receipt),
            ("photo-receipt", Group::Hard),
            ("photo-book-curved", Group::Hard),
            ("scan-degraded", Group::Hard),
            ("simulated-scan", Group::Hard),
            ("scan-office", Group::Other),
        ];
        for (kind, group) in groups {
            assert_eq!(Group::of_kind(kind), group, "{kind}");
        }
    }
}
