//! Whether two states of a PDF are the same: a digest over objects, wherever in the file they stand.
//!
//! Objects are taken in as they are first referred to and called by the order in which that happens, so that a graph
//! with circles ends, and one that was only renumbered is the same.

use std::collections::{BTreeMap, VecDeque};

use lopdf::{Dictionary, Document, Object, ObjectId};
use sha2::{Digest as _, Sha256};

/// What was found, to be compared.
pub(super) type Sameness = [u8; 32];

/// What makes a page look as it does. Annotations are not among it: signatures are some.
const SHOWN: [&[u8]; 7] =
    [b"Contents", b"Resources", b"MediaBox", b"CropBox", b"Rotate", b"UserUnit", b"Group"];
/// What may be added to a document after its last signature: the means to check it, and what the file says of itself.
const ADDED_LATER: [&[u8]; 4] = [b"DSS", b"Extensions", b"Metadata", b"Version"];
/// How far up the page tree inherited values are looked for.
const PARENTS_MAX: usize = 64;

/// What the pages show, but for annotations.
pub(super) fn of_pages(document: &Document) -> Sameness {
    let mut digest = Digest::of(document);
    for page in document.get_pages().values() {
        digest.hasher.update(b"page");
        for key in SHOWN {
            match inherited(document, *page, key) {
                Some(value) => digest.take(value, &[]),
                None => digest.hasher.update(b"-"),
            }
        }
    }
    digest.finish()
}

/// Everything the document is, but for what may be added after its last signature.
pub(super) fn of_all(document: &Document) -> Sameness {
    let mut digest = Digest::of(document);
    if let Ok(catalog) = document.catalog() {
        digest.dictionary(catalog, &ADDED_LATER);
    }
    digest.finish()
}

fn inherited<'d>(document: &'d Document, page: ObjectId, key: &[u8]) -> Option<&'d Object> {
    let mut node = document.get_dictionary(page).ok()?;
    for _ in 0..PARENTS_MAX {
        if let Ok(value) = node.get(key) {
            return Some(value);
        }
        node = document.get_dict_in_dict(node, b"Parent").ok()?;
    }
    None
}

struct Digest<'d> {
    document: &'d Document,
    hasher: Sha256,
    /// Objects by the order in which they were first referred to.
    known: BTreeMap<ObjectId, u64>,
    waiting: VecDeque<ObjectId>,
}

impl<'d> Digest<'d> {
    fn of(document: &'d Document) -> Self {
        Self { document, hasher: Sha256::new(), known: BTreeMap::new(), waiting: VecDeque::new() }
    }

    fn finish(mut self) -> Sameness {
        while let Some(id) = self.waiting.pop_front() {
            match self.document.objects.get(&id) {
                Some(object) => self.take(object, &[]),
                None => self.hasher.update(b"nothing"),
            }
        }
        self.hasher.finalize().into()
    }

    /// Takes in an object, without what it refers to. The reader bounds how deep objects lie in one another.
    fn take(&mut self, object: &Object, but: &[&[u8]]) {
        match object {
            Object::Null => self.hasher.update(b"null"),
            Object::Boolean(value) => self.hasher.update([b'b', u8::from(*value)]),
            Object::Integer(value) => self.part(b'i', &value.to_be_bytes()),
            Object::Real(value) => self.part(b'r', &value.to_be_bytes()),
            Object::Name(name) => self.part(b'n', name),
            Object::String(text, _) => self.part(b's', text),
            Object::Array(items) => {
                self.part(b'a', &items.len().to_be_bytes());
                items.iter().for_each(|item| self.take(item, &[]));
            }
            Object::Dictionary(dictionary) => self.dictionary(dictionary, but),
            Object::Stream(stream) => {
                // The length is that of the content; where it stands says nothing.
                self.dictionary(&stream.dict, &[b"Length"]);
                self.part(b'c', &stream.content);
            }
            Object::Reference(id) => {
                let next = self.known.len() as u64;
                let order = *self.known.entry(*id).or_insert(next);
                if order == next {
                    self.waiting.push_back(*id);
                }
                self.part(b'o', &order.to_be_bytes());
            }
        }
    }

    fn dictionary(&mut self, dictionary: &Dictionary, but: &[&[u8]]) {
        let mut entries: Vec<(&Vec<u8>, &Object)> =
            dictionary.iter().filter(|(key, _)| !but.contains(&key.as_slice())).collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        self.part(b'd', &entries.len().to_be_bytes());
        for (key, value) in entries {
            self.part(b'k', key);
            self.take(value, &[]);
        }
    }

    fn part(&mut self, kind: u8, bytes: &[u8]) {
        self.hasher.update([kind]);
        self.hasher.update((bytes.len() as u64).to_be_bytes());
        self.hasher.update(bytes);
    }
}
