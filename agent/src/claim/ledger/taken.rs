//! Which capture has which bytes. Of more captures than may be known the oldest are let go.

use std::collections::{BTreeMap, HashMap};

use platen_model::{CaptureId, Digest};

#[derive(Debug)]
pub(super) struct Taken {
    most: usize,
    of: HashMap<Digest, CaptureId>,
    /// Ids begin with the time of their claim.
    by_age: BTreeMap<CaptureId, Digest>,
}

impl Taken {
    pub(super) fn at_most(most: usize) -> Self {
        Self { most, of: HashMap::new(), by_age: BTreeMap::new() }
    }

    pub(super) fn get(&self, key: Digest) -> Option<CaptureId> {
        self.of.get(&key).copied()
    }

    /// These bytes are this capture's.
    pub(super) fn insert(&mut self, key: Digest, capture: CaptureId) {
        self.forget(capture);
        if let Some(other) = self.of.insert(key, capture) {
            self.by_age.remove(&other);
        }
        self.by_age.insert(capture, key);
        while self.of.len() > self.most {
            // Never the one that comes in, which is the oldest under a clock that was set back.
            let Some(oldest) = self.by_age.keys().copied().find(|one| *one != capture) else { return };
            self.forget(oldest);
        }
    }

    /// Lets a capture go. Answers its bytes, where they were known.
    pub(super) fn forget(&mut self, capture: CaptureId) -> Option<Digest> {
        let key = self.by_age.remove(&capture)?;
        self.of.remove(&key);
        Some(key)
    }

    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    /// All of them, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Digest, CaptureId)> {
        self.by_age.iter().map(|(capture, key)| (*key, *capture))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_more_than_may_be_known_the_oldest_are_let_go() {
        let ids: Vec<CaptureId> = (0..4).map(|_| CaptureId::new()).collect();
        let key = |number: usize| Digest::of(&[number as u8]);
        let mut taken = Taken::at_most(2);
        (1..4).for_each(|number| taken.insert(key(number), ids[number]));
        let known =
            |taken: &Taken| (0..4).filter(|number| taken.get(key(*number)).is_some()).collect::<Vec<_>>();
        assert_eq!(known(&taken), [2, 3]);
        taken.insert(key(0), ids[0]);
        assert_eq!(known(&taken), [0, 3], "one that comes in is known, whatever the clock says");
        assert_eq!(taken.forget(ids[3]), Some(key(3)));
        assert_eq!((known(&taken), taken.len()), (vec![0], 1));
        taken.insert(key(0), ids[1]);
        assert_eq!((taken.get(key(0)), taken.len()), (Some(ids[1]), 1));
        assert_eq!(taken.iter().collect::<Vec<_>>(), [(key(0), ids[1])]);
    }
}
