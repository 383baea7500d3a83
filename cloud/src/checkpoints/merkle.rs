//! The Merkle tree hash of RFC 6962 (2.1), computed leaf by leaf in memory that grows with the logarithm; and the audit
//! path of one leaf (RFC 9162, 2.1.3), with which whoever knows the root sees that the leaf is in the tree.

use platen_model::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

/// A tree under construction.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Roots of complete subtrees with their numbers of leaves, larger ones first.
    peaks: Vec<(u64, [u8; 32])>,
    leaves: u64,
    followed: Option<Followed>,
}

/// A leaf whose path is kept.
#[derive(Clone, Debug)]
struct Followed {
    index: u64,
    /// The place of the peak it is under.
    peak: usize,
    /// The other halves on the way from it to the peak.
    path: Vec<[u8; 32]>,
}

/// The way from a leaf to the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditPath {
    /// The leaf's place in the tree, from 0.
    pub leaf_index: u64,
    /// The number of the tree's leaves.
    pub tree_size: u64,
    /// The other halves on the way, from the leaf up.
    pub audit_path: Vec<Digest>,
}

impl AuditPath {
    /// The root that the path leads to from a leaf (RFC 9162, 2.1.3.2); `None` where it leads to none.
    pub fn root_of(&self, leaf: &[u8]) -> Option<Digest> {
        let (mut here, mut last) = (self.leaf_index, self.tree_size.checked_sub(1)?);
        let mut root = hash(&[&[0], leaf]);
        if here > last {
            return None;
        }
        for other in &self.audit_path {
            if last == 0 {
                return None;
            }
            if here & 1 == 1 || here == last {
                root = hash(&[&[1], other.as_bytes(), &root]);
                while here & 1 == 0 && here != 0 {
                    (here, last) = (here >> 1, last >> 1);
                }
            } else {
                root = hash(&[&[1], &root, other.as_bytes()]);
            }
            (here, last) = (here >> 1, last >> 1);
        }
        (last == 0).then(|| Digest::from_bytes(root))
    }
}

impl Tree {
    /// Adds the next leaf.
    pub fn push(&mut self, leaf: &[u8]) {
        let mut peak = (1, hash(&[&[0], leaf]));
        while let Some((size, left)) = self.peaks.pop_if(|(size, _)| *size == peak.0) {
            if let Some(followed) = &mut self.followed {
                let place = self.peaks.len();
                if followed.peak == place {
                    followed.path.push(peak.1);
                } else if followed.peak == place + 1 {
                    followed.path.push(left);
                    followed.peak = place;
                }
            }
            peak = (size * 2, hash(&[&[1], &left, &peak.1]));
        }
        self.peaks.push(peak);
        self.leaves += 1;
    }

    /// Adds the next leaf, and keeps its path from here on.
    pub fn push_followed(&mut self, leaf: &[u8]) {
        self.followed = Some(Followed { index: self.leaves, peak: self.peaks.len(), path: Vec::new() });
        self.push(leaf);
    }

    /// The path of the leaf that was followed, among the leaves so far.
    pub fn path(&self) -> Option<AuditPath> {
        let Followed { index, peak, path } = self.followed.as_ref()?;
        let mut path = path.clone();
        let (left, right) = self.peaks.split_at(*peak);
        // Peaks are joined from the right: all behind its own are one half, then come those before it, one after another.
        path.extend(right.get(1..).and_then(joined));
        path.extend(left.iter().rev().map(|(_, root)| *root));
        let audit_path = path.into_iter().map(Digest::from_bytes).collect();
        Some(AuditPath { leaf_index: *index, tree_size: self.leaves, audit_path })
    }

    /// The number of leaves.
    pub fn leaves(&self) -> u64 {
        self.leaves
    }

    /// The root over all leaves so far.
    pub fn root(&self) -> Digest {
        joined(&self.peaks).map_or_else(|| Digest::of(b""), Digest::from_bytes)
    }
}

/// The root over some peaks; `None` where there are none.
fn joined(peaks: &[(u64, [u8; 32])]) -> Option<[u8; 32]> {
    peaks.iter().rev().map(|(_, root)| *root).reduce(|right, left| hash(&[&[1], &left, &right]))
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
    fn the_path_of_every_leaf_leads_to_the_root_and_that_of_no_other_leaf_does() {
        for size in 1..70u8 {
            for followed in 0..size {
                let mut tree = Tree::default();
                for leaf in 0..size {
                    if leaf == followed { tree.push_followed(&[leaf; 3]) } else { tree.push(&[leaf; 3]) }
                }
                let path = tree.path().expect("a leaf was followed");
                assert_eq!(path.root_of(&[followed; 3]), Some(tree.root()), "{followed} of {size}");
                assert_ne!(path.root_of(&[followed + 1; 3]), Some(tree.root()), "{followed} of {size}");
                for place in 0..size {
                    let elsewhere = AuditPath { leaf_index: place.into(), ..path.clone() };
                    let leads = elsewhere.root_of(&[followed; 3]) == Some(tree.root());
                    assert_eq!(leads, place == followed, "{followed} of {size}, said to be {place}");
                }
                let mut longer = path.clone();
                longer.audit_path.push(tree.root());
                assert_eq!(longer.root_of(&[followed; 3]), None);
                if size > 1 {
                    let mut shorter = path.clone();
                    shorter.audit_path.pop();
                    assert_ne!(shorter.root_of(&[followed; 3]), Some(tree.root()));
                }
            }
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
