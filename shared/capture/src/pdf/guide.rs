//! What leads from page to page of an incoming PDF: its outline, and the links within it.
//!
//! Where they lead is found out while the source is open, and written once it is known which of its pages stand in the
//! PDF we write. A link to a page that stands in another document is left out, and so is an entry of the outline that
//! would lead nowhere. What an entry is called is carried byte for byte.
//!
//! The danger is in trees that are none: no object is visited twice, and everything that is counted has a limit.

use std::collections::{HashMap, HashSet};

use hayro_syntax::object::{Array, Dict, MaybeRef, Name, ObjRef, Object, String as PdfString};
use hayro_syntax::xref::XRef;
use pdf_writer::{Finish as _, Null, Obj, Ref, Str};

use super::output::Output;
use crate::decode::OpenPdf;

/// The most entries of an outline.
const ENTRIES_MAX: usize = 10_000;
/// How deep they may nest.
const DEPTH_MAX: usize = 32;
/// The most places with a name, and the most nodes of the tree that names them.
const NAMES_MAX: usize = 50_000;
/// The ways to show a page, with the numbers that each takes (ISO 32000-1, table 151).
const VIEWS: [(&[u8], usize); 8] = [
    (b"XYZ", 3),
    (b"Fit", 0),
    (b"FitH", 1),
    (b"FitV", 1),
    (b"FitR", 4),
    (b"FitB", 0),
    (b"FitBH", 1),
    (b"FitBV", 1),
];

/// A place in a source.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    /// The page, from 0.
    pub(super) page: u32,
    view: &'static [u8],
    /// In the page's own space; `None` where the reader keeps what it has.
    numbers: Vec<Option<f32>>,
}

/// Where a page of a source stands in the PDF being written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) page: Ref,
    /// As it was; otherwise it is a picture, with a space of its own.
    pub(super) kept: bool,
}

/// An entry of an outline.
struct Entry {
    depth: usize,
    title: Vec<u8>,
    place: Option<Place>,
}

/// The places of one source.
pub(super) struct Guide {
    pages: HashMap<ObjRef, u32>,
    named: HashMap<Vec<u8>, Place>,
    entries: Vec<Entry>,
}

impl Guide {
    pub(super) fn of(pdf: &OpenPdf) -> Self {
        let mut pages = HashMap::new();
        for (number, page) in pdf.pages() {
            if let Some(id) = page.raw().obj_id() {
                pages.entry(ObjRef::from(id)).or_insert(number);
            }
        }
        let mut guide = Self { pages, named: HashMap::new(), entries: Vec::new() };
        if let Ok(objects) = pdf.objects()
            && let Some(root) = objects.get::<Dict<'_>>(objects.root_id())
        {
            guide.read_names(&root);
            guide.read_outline(objects, &root);
        }
        guide
    }

    /// Where a link leads, if it is to a page of the same file.
    pub(super) fn of_link(&self, annotation: &Dict<'_>) -> Option<Place> {
        let is_link = annotation.get::<Name<'_>>("Subtype").is_some_and(|kind| &*kind == b"Link");
        if is_link { self.led_to_by(annotation) } else { None }
    }

    /// The destination of a link or an entry, or of its action.
    fn led_to_by(&self, dict: &Dict<'_>) -> Option<Place> {
        let direct = dict.get::<Object<'_>>("Dest");
        let object = direct.or_else(|| {
            let action = dict.get::<Dict<'_>>("A")?;
            let goes = action.get::<Name<'_>>("S").is_some_and(|kind| &*kind == b"GoTo");
            if goes { action.get::<Object<'_>>("D") } else { None }
        })?;
        match &object {
            Object::Name(name) => self.named.get(&**name).cloned(),
            Object::String(name) => self.named.get(PdfString::as_bytes(name)).cloned(),
            other => self.place(other),
        }
    }

    fn place(&self, object: &Object<'_>) -> Option<Place> {
        let array = match object {
            Object::Array(array) => array.clone(),
            Object::Dict(dict) => dict.get::<Array<'_>>("D")?,
            _ => return None,
        };
        let mut items = array.raw_iter();
        let page = match items.next()? {
            MaybeRef::Ref(page) => *self.pages.get(&page)?,
            MaybeRef::NotRef(_) => return None,
        };
        let Some(MaybeRef::NotRef(Object::Name(view))) = items.next() else { return None };
        let (view, count) = VIEWS.into_iter().find(|(name, _)| *name == &*view)?;
        let number = |item: Option<MaybeRef<Object<'_>>>| match item {
            Some(MaybeRef::NotRef(Object::Number(number))) => Some(number.as_f32()).filter(|n| n.is_finite()),
            _ => None,
        };
        let numbers: Vec<Option<f32>> = (0..count).map(|_| number(items.next())).collect();
        // Only these may be left to the reader.
        let is_whole = view == b"XYZ" || numbers.iter().all(Option::is_some);
        let (view, numbers) = if is_whole { (view, numbers) } else { (b"Fit".as_slice(), Vec::new()) };
        Some(Place { page, view, numbers })
    }

    fn read_names(&mut self, root: &Dict<'_>) {
        let mut named = HashMap::new();
        if let Some(old) = root.get::<Dict<'_>>("Dests") {
            for (name, _) in old.entries().take(NAMES_MAX) {
                if let Some(place) = old.get::<Object<'_>>(&*name).and_then(|object| self.place(&object)) {
                    named.insert(name.to_vec(), place);
                }
            }
        }
        let tree = root.get::<Dict<'_>>("Names").and_then(|names| names.get::<Dict<'_>>("Dests"));
        let mut nodes: Vec<Dict<'_>> = tree.into_iter().collect();
        let mut seen = 0;
        while let Some(node) = nodes.pop() {
            seen += 1;
            let mut pairs =
                node.get::<Array<'_>>("Names").into_iter().flat_map(|array| array.iter::<Object<'_>>());
            while let (Some(name), Some(object)) = (pairs.next(), pairs.next()) {
                if let Object::String(name) = name
                    && named.len() < NAMES_MAX
                    && let Some(place) = self.place(&object)
                {
                    named.insert(PdfString::as_bytes(&name).to_vec(), place);
                }
            }
            let kids = node.get::<Array<'_>>("Kids");
            let room = NAMES_MAX.saturating_sub(seen + nodes.len());
            nodes.extend(kids.iter().flat_map(Array::iter::<Dict<'_>>).take(room));
        }
        self.named = named;
    }

    fn read_outline(&mut self, objects: &XRef, root: &Dict<'_>) {
        let first = root.get::<Dict<'_>>("Outlines").and_then(|outline| outline.get_ref("First"));
        let mut open: Vec<(ObjRef, usize)> = first.into_iter().map(|first| (first, 0)).collect();
        let mut seen = HashSet::new();
        while let Some((at, depth)) = open.pop() {
            if !seen.insert(at) || seen.len() > ENTRIES_MAX {
                continue;
            }
            let Some(item) = objects.get::<Dict<'_>>(at.into()) else { continue };
            let title = item.get::<PdfString<'_>>("Title");
            let title = title.map_or_else(Vec::new, |title| PdfString::as_bytes(&title).to_vec());
            self.entries.push(Entry { depth, title, place: self.led_to_by(&item) });
            open.extend(item.get_ref("Next").map(|next| (next, depth)));
            if depth < DEPTH_MAX {
                open.extend(item.get_ref("First").map(|first| (first, depth + 1)));
            }
        }
    }

    /// The entries that lead somewhere: to their own place, or where that is not in the PDF to the first place of what
    /// stands below them.
    fn leading<'g>(&'g self, standing: &impl Fn(u32) -> Option<Standing>) -> Vec<Leading<'g>> {
        let own = |entry: &'g Entry| {
            let place = entry.place.as_ref()?;
            Some((standing(place.page)?, place))
        };
        // From the last on, so that what is below an entry is known before it.
        let mut found: Vec<Leading<'g>> = Vec::new();
        let mut below: Vec<(usize, (Standing, &Place))> = Vec::new();
        for entry in self.entries.iter().rev() {
            let mut first_below = None;
            while let Some((_, target)) = below.pop_if(|(depth, _)| *depth > entry.depth) {
                first_below.get_or_insert(target);
            }
            if let Some(target) = own(entry).or(first_below) {
                below.push((entry.depth, target));
                found.push(Leading { depth: entry.depth, title: &entry.title, target });
            }
        }
        found.reverse();
        found
    }
}

/// An entry of the outline being written.
struct Leading<'g> {
    depth: usize,
    title: &'g [u8],
    target: (Standing, &'g Place),
}

/// Writes a destination.
pub(super) fn write_place(target: Obj<'_>, standing: Standing, place: &Place) {
    let mut array = target.array();
    array.item(standing.page);
    if !standing.kept {
        array.item(pdf_writer::Name(b"Fit"));
        return;
    }
    array.item(pdf_writer::Name(place.view));
    for number in &place.numbers {
        match number {
            Some(number) => array.item(*number),
            None => array.item(Null),
        };
    }
}

/// Writes the outlines of the sources, one after the other, as one; answers where it is, if there is any.
pub(super) fn write_outline<'g>(
    pdf: &mut Output,
    next: &mut Ref,
    guides: impl Iterator<Item = (u32, &'g Guide)>,
    standing: impl Fn(u32, u32) -> Option<Standing>,
) -> Option<Ref> {
    let entries: Vec<Leading<'g>> =
        guides.flat_map(|(source, guide)| guide.leading(&|page| standing(source, page))).collect();
    if entries.is_empty() {
        return None;
    }
    let outline = next.bump();
    let refs: Vec<Ref> = entries.iter().map(|_| next.bump()).collect();
    // For each entry, and last for the outline itself, the entries right below it.
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); entries.len() + 1];
    let mut open: Vec<usize> = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        while open.pop_if(|above| entries[*above].depth >= entry.depth).is_some() {}
        let parent = open.last().copied().unwrap_or(entries.len());
        below[parent].push(at);
        open.push(at);
    }
    let count = |at: usize| i32::try_from(below[at].len()).unwrap_or(i32::MAX);
    for (parent, children) in below.iter().enumerate() {
        for (position, &at) in children.iter().enumerate() {
            let Leading { title, target: (standing, place), .. } = &entries[at];
            let mut item = pdf.object(refs[at]).outline_item(refs[at]);
            item.pair(pdf_writer::Name(b"Title"), Str(title));
            item.parent(refs.get(parent).copied().unwrap_or(outline));
            if let Some(before) = position.checked_sub(1) {
                item.prev(refs[children[before]]);
            }
            if let Some(behind) = children.get(position + 1) {
                item.next(refs[*behind]);
            }
            if let (Some(first), Some(last)) = (below[at].first(), below[at].last()) {
                // Closed at first: a long outline would hide its own chapters.
                item.first(refs[*first]).last(refs[*last]).count(-count(at));
            }
            write_place(item.insert(pdf_writer::Name(b"Dest")), *standing, place);
            item.finish();
        }
    }
    let top = &below[entries.len()];
    let mut whole = pdf.object(outline).outline(outline);
    whole.first(refs[top[0]]).last(refs[top[top.len() - 1]]).count(count(entries.len()));
    whole.finish();
    Some(outline)
}
