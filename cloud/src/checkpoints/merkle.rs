//! The Merkle tree hash of RFC 6962 (2.1), computed leaf by leaf in memory that grows with the logarithm.

use platen_model::Digest;
use sha2::{Digest as _, Sha256};

/// A tree under construction.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Roots of complete subtrees with their numbers of leaves, larger ones first.
    peaks: Vec<(u64, [u8; 32])>,
    leaves: u64,
}

impl Tree {
    /// Adds the next leaf.
    pub fn push(&mut self, leaf: &[u8]) {
        let mut peak = (1, hash(&[&[0], leaf]));
        while let Some((size, left)) = self.peaks.pop_if(|(size, _)| *size == peak.0) {
            peak = (size * 2, hash(&[&[1], &left, &peak.1]));
        }
        self.peaks.push(peak);
        self.leaves += 1;
    }

    /// The number of leaves.
    pub fn leaves(&self) -> u64 {
        self.leaves
    }

    /// The root over all leaves so far.
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev().map(|(_, root)| *root);
        let Some(mut root) = peaks.next() else { return Digest::of(b"") };
        for left in peaks {
            root = hash(&[&[1], &left, &root]);
        }
        Digest::from_bytes(root)
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, word by word.
    fn root_of(leaves: &[Vec<u8>]) -> [u8; 32] {
        match leaves {
            [] => hash(&[b""]),
            [leaf] => hash(&[&[0], leaf]),
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                hash(&[&[1], &root_of(&leaves[..split]), &root_of(&leaves[split..])])
            }
        }
    }

    #[test]
    fn the_root_is_that_of_the_definition_for_every_number_of_leaves() {
        let (mut tree, mut leaves) = (Tree::default(), Vec::new());
        for number in 0..70u8 {
            assert_eq!(tree.root(), Digest::from_bytes(root_of(&leaves)), "{number} leaves");
            leaves.push(vec![number; 3]);
            tree.push(&[number; 3]);
        }
    }

    #[test]
    fn the_root_is_the_one_others_compute() {
        // The test vectors of the Certificate Transparency project.
        let leaves: [&[u8]; 3] = [b"", b"\x00", b"\x10"];
        let mut tree = Tree::default();
        for leaf in leaves {
            tree.push(leaf);
        }
        let root = "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77";
        assert_eq!(tree.root().to_string(), root);
    }
}
