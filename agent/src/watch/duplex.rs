//! Fronts and backs from a feeder that scans one side: two files, one after the other, are one stack of paper. Pure.
//!
//! Halves are paired by scanner: by the folder they lie in, and the group `scanner` of the pattern. A half whose other
//! side does not come is not paired with something else later: it goes to a person, alone.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use regex::Regex;

use super::listing::Sight;

/// How halves are told apart.
#[derive(Clone, Debug)]
pub struct DuplexRule {
    pattern: Option<Regex>,
    /// How long after the fronts the backs may come, in milliseconds.
    pub within_ms: u64,
    /// Whether the backs come last page first.
    pub backs_reversed: bool,
}

/// A whole file that may be a half, and since when it has been seen.
#[derive(Clone, Copy, Debug)]
pub struct Half<'s> {
    /// The file.
    pub sight: &'s Sight,
    /// How long it has stood still, in milliseconds.
    pub still_ms: u64,
}

/// What is to be done with the halves there are.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Paired {
    /// Fronts with their backs.
    pub pairs: Vec<[OsString; 2]>,
    /// Fronts whose backs did not come in time.
    pub alone: Vec<OsString>,
    /// Fronts whose backs may still come, with the time left for them, in milliseconds.
    pub waiting: Vec<(OsString, u64)>,
    /// Halves that came after one that is not whole yet: whose other side they are is not known.
    pub held: Vec<OsString>,
}

impl DuplexRule {
    /// A rule from its configuration.
    pub fn new(duplex: &crate::config::Duplex) -> Result<Self, regex::Error> {
        let pattern = duplex.pattern.as_deref().map(Regex::new).transpose()?;
        Ok(Self { pattern, within_ms: duplex.within_ms, backs_reversed: duplex.backs_reversed })
    }

    /// Pairs whole files by the order in which they were finished. `unfinished` are files that may yet be the other half of
    /// one of these: what was finished before the last byte of one is paired without it, what came later waits until it
    /// is known which half it is.
    pub fn pair<'s>(&self, halves: &[Half<'s>], unfinished: impl Iterator<Item = &'s Sight>) -> Paired {
        let mut by_scanner: BTreeMap<Vec<u8>, Vec<Half<'s>>> = BTreeMap::new();
        for half in halves {
            by_scanner.entry(self.scanner(&half.sight.name)).or_default().push(*half);
        }
        let mut unfinished_since: BTreeMap<Vec<u8>, i128> = BTreeMap::new();
        for sight in unfinished {
            let since = unfinished_since.entry(self.scanner(&sight.name)).or_insert(i128::MAX);
            *since = sight.identity.changed_ns.min(*since);
        }
        let mut paired = Paired::default();
        for (scanner, mut halves) in by_scanner {
            // By the file's own time: it tells the order even where both were there at start.
            halves.sort_by(|a, b| {
                let key = |half: &Half<'s>| (half.sight.identity.changed_ns, half.sight.name.clone());
                key(a).cmp(&key(b))
            });
            let barrier = unfinished_since.get(&scanner).copied();
            let before = barrier.unwrap_or(i128::MAX);
            let sure = halves.partition_point(|half| half.sight.identity.changed_ns < before);
            paired.held.extend(halves[sure..].iter().map(|half| half.sight.name.clone()));
            let mut rest = halves[..sure].iter().peekable();
            while let Some(front) = rest.next() {
                let name = front.sight.name.clone();
                let gap_ms = |changed_ns: i128| {
                    u64::try_from((changed_ns - front.sight.identity.changed_ns) / 1_000_000).unwrap_or(0)
                };
                match rest.next_if(|back| gap_ms(back.sight.identity.changed_ns) <= self.within_ms) {
                    Some(back) => paired.pairs.push([name, back.sight.name.clone()]),
                    None if rest.peek().is_some() => paired.alone.push(name),
                    None => match self.within_ms.saturating_sub(front.still_ms) {
                        0 if barrier.is_none_or(|changed_ns| gap_ms(changed_ns) > self.within_ms) => {
                            paired.alone.push(name);
                        }
                        left => paired.waiting.push((name, left.max(1))),
                    },
                }
            }
        }
        paired
    }

    fn scanner(&self, name: &OsStr) -> Vec<u8> {
        let bytes = name.as_bytes();
        let (folder, base) = match bytes.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (&bytes[..slash], &bytes[slash + 1..]),
            None => (&bytes[..0], bytes),
        };
        let base = String::from_utf8_lossy(base);
        let found = self.pattern.as_ref().and_then(|pattern| pattern.captures(&base)?.name("scanner"));
        let scanner = found.map_or(&[][..], |scanner| scanner.as_str().as_bytes());
        [folder, b"/", scanner].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Halves as (name, second it was finished at), judged at second `now`.
    fn check(
        halves: &[(&str, u64)],
        unfinished: &[(&str, u64)],
        now: u64,
        expected: (&[[&str; 2]], &[&str], &[&str]),
    ) -> Vec<String> {
        let rule = DuplexRule::new(&crate::config::Duplex {
            pattern: Some("^(?<scanner>[a-z]+)[0-9]".into()),
            within_ms: 60_000,
            backs_reversed: true,
        });
        let rule = rule.expect("a pattern");
        let sight = |(name, second): &(&str, u64)| Sight::made_up(name, 9, second * 1_000_000_000);
        let sights: Vec<(Sight, u64)> = halves.iter().map(|half| (sight(half), half.1)).collect();
        let halves: Vec<Half<'_>> =
            sights.iter().map(|(sight, second)| Half { sight, still_ms: (now - second) * 1_000 }).collect();
        let unfinished: Vec<Sight> = unfinished.iter().map(sight).collect();
        let paired = rule.pair(&halves, unfinished.iter());
        let text = |name: &OsString| name.to_string_lossy().into_owned();
        let pairs: Vec<[String; 2]> =
            paired.pairs.iter().map(|pair| [text(&pair[0]), text(&pair[1])]).collect();
        let alone: Vec<String> = paired.alone.iter().map(text).collect();
        let waiting: Vec<String> = paired.waiting.iter().map(|(name, _)| text(name)).collect();
        assert_eq!(pairs, expected.0);
        assert_eq!(
            (alone, waiting),
            (
                expected.1.iter().map(ToString::to_string).collect(),
                expected.2.iter().map(ToString::to_string).collect(),
            )
        );
        paired.held.iter().map(text).collect()
    }

    #[test]
    fn two_files_of_one_scanner_are_a_stack() {
        check(&[("a1.pdf", 0), ("a2.pdf", 50)], &[], 60, (&[["a1.pdf", "a2.pdf"]], &[], &[]));
        check(&[("a2.pdf", 0), ("a1.pdf", 50)], &[], 60, (&[["a2.pdf", "a1.pdf"]], &[], &[]));
        check(&[("a1.pdf", 0)], &[], 59, (&[], &[], &["a1.pdf"]));
    }

    #[test]
    fn scanners_and_folders_are_told_apart() {
        check(
            &[("a1.pdf", 0), ("b1.pdf", 1), ("x/a1.pdf", 2)],
            &[],
            9,
            (&[], &[], &["a1.pdf", "b1.pdf", "x/a1.pdf"]),
        );
        check(
            &[("a1.pdf", 0), ("b1.pdf", 1), ("a2.pdf", 2)],
            &[],
            9,
            (&[["a1.pdf", "a2.pdf"]], &[], &["b1.pdf"]),
        );
    }

    #[test]
    fn a_half_whose_other_side_does_not_come_goes_alone_and_is_paired_with_nothing_later() {
        check(&[("a1.pdf", 0)], &[], 61, (&[], &["a1.pdf"], &[]));
        check(&[("a1.pdf", 0)], &[("a2.pdf", 30)], 61, (&[], &[], &["a1.pdf"]));
        check(&[("a1.pdf", 0)], &[("a2.pdf", 61)], 61, (&[], &["a1.pdf"], &[]));
        check(&[("a1.pdf", 0)], &[("b2.pdf", 30)], 61, (&[], &["a1.pdf"], &[]));
        check(&[("a1.pdf", 0), ("a2.pdf", 70)], &[], 71, (&[], &["a1.pdf"], &["a2.pdf"]));
        let three = &[("a1.pdf", 0), ("a2.pdf", 70), ("a3.pdf", 80)];
        check(three, &[], 81, (&[["a2.pdf", "a3.pdf"]], &["a1.pdf"], &[]));
    }
    #[test]
    fn what_comes_after_an_unfinished_half_is_not_paired_over_it() {
        let three = &[("a1.pdf", 0), ("a3.pdf", 20), ("a4.pdf", 30)];
        let held = check(three, &[("a2.pdf", 10)], 31, (&[], &[], &["a1.pdf"]));
        assert_eq!(held, ["a3.pdf", "a4.pdf"], "a2 is the back of a1 or the front of a3");
        let held = check(three, &[("a5.pdf", 31)], 31, (&[["a1.pdf", "a3.pdf"]], &[], &["a4.pdf"]));
        assert!(held.is_empty(), "what is written now comes after them all");
        let held = check(three, &[("b2.pdf", 10)], 31, (&[["a1.pdf", "a3.pdf"]], &[], &["a4.pdf"]));
        assert!(held.is_empty(), "another scanner's");
    }
}
