//! The pages that the tree of a PDF names, also those that cannot be read.
//!
//! What reads PDFs here passes over a page whose object is damaged as if it had never been: the pages behind it would
//! move up, and nobody would know that one is missing. So the tree is walked once more, in the same order, and each of
//! its leaves keeps its number.

use std::collections::HashMap;

use hayro_syntax::Pdf;
use hayro_syntax::object::array::ArrayIter;
use hayro_syntax::object::{Array, Dict, MaybeRef, Name, ObjRef, Object};

/// The most leaves that are counted, and the most nodes that are visited; limits on pages are lower.
const VISITS_MAX: usize = 1 << 18;
/// How deep the tree may be.
const DEPTH_MAX: usize = 256;

/// A leaf of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    /// It is this page of those that were read.
    Page(usize),
    /// It cannot be read, for this reason.
    Missing(String),
}

/// The leaves in order. Where there is no tree to speak of, the pages that were found without it.
pub(super) fn leaves(pdf: &Pdf) -> Vec<Leaf> {
    let read = pdf.pages().len();
    let found = Walk::of(pdf).filter(|walk| walk.next == read).map(|walk| walk.leaves);
    found.unwrap_or_else(|| (0..read).map(Leaf::Page).collect())
}

struct Walk {
    leaves: Vec<Leaf>,
    /// The position among the pages that were read of the next one that is met.
    next: usize,
    /// The pages that were met by reference: the same may stand in several places.
    met: HashMap<ObjRef, usize>,
}

impl Walk {
    fn of(pdf: &Pdf) -> Option<Self> {
        let root = pdf.xref().get::<Dict<'_>>(pdf.xref().root_id())?;
        let tree = root.get::<Dict<'_>>("Pages")?;
        let mut walk = Self { leaves: Vec::new(), next: 0, met: HashMap::new() };
        let mut open = vec![(tree.obj_id().map(ObjRef::from), tree.get::<Array<'_>>("Kids")?.raw_iter())];
        let mut visits = 0;
        while let Some((_, kids)) = open.last_mut() {
            let Some(kid) = kids.next() else {
                open.pop();
                continue;
            };
            visits += 1;
            if visits > VISITS_MAX {
                // A tree whose branches share what is below them grows without end. What it has so far is over any
                // limit, unless it has no leaves.
                return Some(walk).filter(|walk| walk.leaves.len() * 2 > VISITS_MAX);
            }
            let (id, node) = match kid {
                MaybeRef::Ref(id) => (Some(id), pdf.xref().get::<Dict<'_>>(id.into())),
                MaybeRef::NotRef(Object::Dict(node)) => (None, Some(node)),
                MaybeRef::NotRef(_) => continue,
            };
            let is_circle = id.is_some() && open.iter().any(|(on, _)| *on == id);
            if let Some(kids) = walk.visit(id, node)
                && !is_circle
                && open.len() < DEPTH_MAX
            {
                open.push((id, kids));
            }
        }
        Some(walk)
    }

    /// Takes a page, or says that it is missing; answers the kids of what is none.
    fn visit<'p>(&mut self, id: Option<ObjRef>, node: Option<Dict<'p>>) -> Option<ArrayIter<'p>> {
        let Some(node) = node else {
            return self.miss("its object is not in the file, or is damaged".to_owned());
        };
        let kind = node.get::<Name<'_>>("Type");
        if kind.as_deref() == Some(b"Pages") {
            let kids = node.get::<Array<'p>>("Kids");
            return match (kids, node.get::<u32>("Count")) {
                (Some(kids), _) => Some(kids.raw_iter()),
                (None, Some(count)) if count > 1 => self
                    .miss(format!("a part of the file that holds {count} pages does not say where they are")),
                (None, _) => self.miss("a part of the file does not say where its pages are".to_owned()),
            };
        }
        let page = id.and_then(|id| self.met.get(&id).copied()).unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        });
        self.met.extend(id.map(|id| (id, page)));
        if kind.is_some_and(|kind| &*kind != b"Page") && !node.contains_key("Contents") {
            return self.miss("what stands in its place is no page".to_owned());
        }
        self.leaves.push(Leaf::Page(page));
        None
    }

    fn miss<'p>(&mut self, why: String) -> Option<ArrayIter<'p>> {
        self.leaves.push(Leaf::Missing(why));
        None
    }
}
