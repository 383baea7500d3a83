//! Files that belong together: scanners that write one file per page.
//!
//! Pure: names in, batches out. Pages are put in natural order (`page2` before `page10`).

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ffi::OsString;

use regex::Regex;

/// How names are read.
#[derive(Clone, Debug)]
pub struct BatchRule {
    pattern: Regex,
    /// A batch is whole when nothing of it moved for this long, in milliseconds.
    pub gap_ms: u64,
}

impl BatchRule {
    /// A rule from its configuration, whose pattern names the groups `batch` and `page`.
    pub fn new(batch: &crate::config::Batch) -> Result<Self, regex::Error> {
        Ok(Self { pattern: Regex::new(&batch.pattern)?, gap_ms: batch.gap_ms })
    }

    /// Batch and page of a path within the source; the pattern is for its last part.
    fn read(&self, path: &str) -> Option<(String, String)> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let found = self.pattern.captures(name)?;
        let batch = format!("{folder}/{}", found.name("batch")?.as_str());
        Some((batch, found.name("page")?.as_str().into()))
    }

    /// Divides names into batches in page order and the rest, which are taken one by one.
    pub fn divide(&self, names: impl IntoIterator<Item = OsString>) -> (Vec<Vec<OsString>>, Vec<OsString>) {
        let mut batches: BTreeMap<String, Vec<(String, OsString)>> = BTreeMap::new();
        let mut single = Vec::new();
        for name in names {
            match name.to_str().and_then(|text| self.read(text)) {
                Some((batch, page)) => batches.entry(batch).or_default().push((page, name)),
                None => single.push(name),
            }
        }
        let in_page_order = |mut pages: Vec<(String, OsString)>| {
            pages.sort_by(|(a, a_name), (b, b_name)| natural(a, b).then_with(|| a_name.cmp(b_name)));
            pages.into_iter().map(|(_, name)| name).collect()
        };
        (batches.into_values().map(in_page_order).collect(), single)
    }
}

/// Natural order: runs of digits compare as numbers, everything else as text.
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (a_digits, b_digits) = (leading_digits(a), leading_digits(b));
        if !a_digits.is_empty() && !b_digits.is_empty() {
            let (x, y) = (a_digits.trim_start_matches('0'), b_digits.trim_start_matches('0'));
            // Numbers of any length: the longer one is larger, equal lengths compare as text.
            let order = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (&a[a_digits.len()..], &b[b_digits.len()..]);
            continue;
        }
        match (a.chars().next(), b.chars().next()) {
            (None, None) => return Ordering::Equal,
            (Some(x), Some(y)) if x == y => (a, b) = (&a[x.len_utf8()..], &b[y.len_utf8()..]),
            (x, y) => return x.cmp(&y),
        }
    }
}

fn leading_digits(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], batches: &[&[&str]], single: &[&str]) {
        let pattern = r"^(?<batch>\w+)[-_](?<page>\d+)\.tif$".to_owned();
        let rule = BatchRule::new(&crate::config::Batch { pattern, gap_ms: 0 }).expect("a pattern");
        let (found, rest) = rule.divide(names.iter().map(OsString::from));
        assert_eq!(found, batches);
        assert_eq!(rest, single);
    }

    #[test]
    fn pages_of_a_batch_come_in_natural_order() {
        check(&["a-10.tif", "a-2.tif", "a-1.tif"], &[&["a-1.tif", "a-2.tif", "a-10.tif"]], &[]);
        check(&["s/a-2.tif", "a-2.tif", "s/a-1.tif"], &[&["a-2.tif"], &["s/a-1.tif", "s/a-2.tif"]], &[]);
        check(&["b-1.tif", "a-1.tif", "x.pdf"], &[&["a-1.tif"], &["b-1.tif"]], &["x.pdf"]);
    }

    #[test]
    fn natural_order_compares_numbers_as_numbers() {
        let mut names = ["p10", "p2", "p02b", "p1", "p", "p999999999999999999999", "q1"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["p", "p1", "p2", "p02b", "p10", "p999999999999999999999", "q1"]);
    }
}
