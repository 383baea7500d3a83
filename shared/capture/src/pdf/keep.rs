//! Pages of an incoming PDF, kept as they came.
//!
//! A page made by a program is text and shapes: a picture of it could only be worse. So its instructions go into
//! the PDF we write byte for byte, with the fonts, images and whatever else they name. What leads elsewhere (actions,
//! forms, scripts, attached files, the structure tree) stays in the original: an annotation becomes what it looks
//! like, a link to an address or to a page stays a link ([`super::guide`]). Text that was recognised is laid over the page where it has none.
//!
//! The danger is in what a page can drag along. References to pages are not followed, so the copy ends; data are
//! copied as they are coded, so it grows by what the source holds; and each object is copied once for all pages.

use std::collections::{HashMap, VecDeque};

use hayro_syntax::Filter as Coding;
use hayro_syntax::content::TypedIter;
use hayro_syntax::content::ops::TypedInstruction;
use hayro_syntax::object::{Array, Dict, MaybeRef, Name, ObjRef, Object, Stream, String as PdfString};
use hayro_syntax::page::Page;
use hayro_syntax::xref::XRef;
use pdf_writer::{Filter, Null, Obj, Rect, Ref, Str};

use super::audit::Audit;
use super::guide::{self, Guide, Place, Standing};
use super::metadata::deflate;
use super::output::Output;
use crate::decode::{leads_away, pdf_annotations as annotations};

/// Entries of typed dictionaries and of streams that say nothing about how a page looks. PDF/A forbids some of them, and
/// others would lead to the rest of the document.
const LEFT_OUT: [&[u8]; 10] = [
    b"Metadata",
    b"PieceInfo",
    b"LastModified",
    b"StructParent",
    b"StructParents",
    b"OPI",
    b"Alternates",
    b"AF",
    b"OC",
    b"Interpolate",
];
/// How deep arrays and dictionaries may nest.
const DEPTH_MAX: u32 = 64;
/// The most characters of an address.
const ADDRESS_MAX: usize = 2_000;

/// The objects of one source that were copied, and where to.
#[derive(Default)]
pub(super) struct Copied(HashMap<ObjRef, Ref>);

/// Copies objects into the PDF being written.
pub(super) struct Copier<'c> {
    pub(super) pdf: &'c mut Output,
    pub(super) next: &'c mut Ref,
    pub(super) copied: &'c mut Copied,
    pub(super) audit: &'c mut Audit,
}

/// What a page of the PDF is written with, beside its boxes.
pub(super) struct Body {
    /// The instructions that show the page and leave the graphics state as it was.
    pub(super) content: Vec<u8>,
    /// Names of forms that the instructions name, beside the page's own.
    pub(super) forms: Vec<(Vec<u8>, Ref)>,
    /// Links to addresses.
    pub(super) links: Vec<Ref>,
    /// Links to pages of the same file.
    pub(super) jumps: Vec<Jump>,
}

/// A link to a page, which is written once it is known whether that page stands in the PDF.
pub(super) struct Jump {
    pub(super) to: Place,
    area: [f32; 4],
    border: Option<f32>,
}

impl Jump {
    /// Writes it as an annotation that leads to where its page stands.
    pub(super) fn write(&self, pdf: &mut Output, target: Ref, standing: Standing) {
        let mut link = begin_link(pdf, target, self.area, self.border);
        guide::write_place(link.insert(pdf_writer::Name(b"Dest")), standing, &self.to);
    }
}

/// References that were met and not yet copied.
struct Pending<'p> {
    next: &'p mut Ref,
    copied: &'p mut Copied,
    queue: VecDeque<(ObjRef, Ref)>,
    /// Whether the lists of a subset's glyphs are copied: PDF/A-1 asks for them.
    lists_glyphs: bool,
}

impl Pending<'_> {
    fn reference(&mut self, to: ObjRef) -> Ref {
        if let Some(known) = self.copied.0.get(&to) {
            return *known;
        }
        let new = self.next.bump();
        self.copied.0.insert(to, new);
        self.queue.push_back((to, new));
        new
    }
}

impl Copier<'_> {
    /// The page's instructions, its annotations as what they look like, and its links.
    pub(super) fn body(&mut self, page: &Page<'_>, guide: &Guide) -> Body {
        let own = page.page_stream().unwrap_or_default();
        self.audit.instructions(page.typed_operations());
        let (before, after) = balance(page.typed_operations());
        let mut content = b"q\n".repeat(before);
        content.extend(own);
        content.push(b'\n');
        content.extend(b"Q\n".repeat(after));

        let mut body = Body { content, forms: Vec::new(), links: Vec::new(), jumps: Vec::new() };
        let mut queue = VecDeque::new();
        for annotation in annotations::unhidden(page) {
            if let Some(area) = annotation.get::<[f32; 4]>("Rect") {
                if let Some(address) = address(&annotation) {
                    body.links.push(self.link(&address, area, border(&annotation)));
                } else if let Some(to) = guide.of_link(&annotation) {
                    body.jumps.push(Jump { to, area, border: border(&annotation) });
                }
            }
            if let Some((matrix, form)) = annotations::appearance(&annotation) {
                let name = free_name(page, &format!("PlatenNote{}", body.forms.len()));
                let numbers: Vec<String> = matrix.iter().map(|number| format!("{number:.5}")).collect();
                body.content.extend(format!("q {} cm /{name} Do Q\n", numbers.join(" ")).bytes());
                let id = ObjRef::from(form.obj_id());
                let target = match self.copied.0.get(&id) {
                    Some(known) => *known,
                    None => {
                        let new = self.next.bump();
                        self.copied.0.insert(id, new);
                        queue.push_back((id, new));
                        new
                    }
                };
                body.forms.push((name.into_bytes(), target));
            }
        }
        self.copy_all(queue, page.xref(), true);
        body
    }

    /// Writes what the page's instructions name into `target`, which becomes its resources.
    pub(super) fn resources(&mut self, target: Ref, page: &Page<'_>, forms: &[(Vec<u8>, Ref)]) {
        let of = page.resources();
        let mut pending = Pending {
            next: self.next,
            copied: self.copied,
            queue: VecDeque::new(),
            lists_glyphs: self.audit.is_of_part_1(),
        };
        let mut dict = self.pdf.object(target).indirect(target).dict();
        let groups: [(&[u8], &Dict<'_>); 7] = [
            (b"ExtGState", &of.ext_g_states),
            (b"ColorSpace", &of.color_spaces),
            (b"Pattern", &of.patterns),
            (b"Shading", &of.shadings),
            (b"XObject", &of.x_objects),
            (b"Font", &of.fonts),
            (b"Properties", &of.properties),
        ];
        for (name, entries) in groups {
            let more = if name == b"XObject" { forms } else { &[] };
            if entries.is_empty() && more.is_empty() {
                continue;
            }
            let mut group = dict.insert(pdf_writer::Name(name)).dict();
            for (key, value) in entries.entries() {
                self.audit.value(&value);
                write(group.insert(pdf_writer::Name(&key)), &value, &mut pending, 0);
            }
            for (key, to) in more {
                group.pair(pdf_writer::Name(key), *to);
            }
        }
        drop(dict);
        let queue = pending.queue;
        self.copy_all(queue, page.xref(), false);
    }

    /// Writes the page's transparency group, where it has one, and answers where it is.
    pub(super) fn group(&mut self, page: &Page<'_>) -> Option<Ref> {
        let group = page.raw().get::<Dict<'_>>("Group")?;
        let target = self.next.bump();
        let mut pending = Pending {
            next: self.next,
            copied: self.copied,
            queue: VecDeque::new(),
            lists_glyphs: self.audit.is_of_part_1(),
        };
        let value = MaybeRef::NotRef(Object::Dict(group));
        self.audit.value(&value);
        write(self.pdf.object(target).indirect(target), &value, &mut pending, 0);
        let queue = pending.queue;
        self.copy_all(queue, page.xref(), false);
        Some(target)
    }

    fn link(&mut self, address: &[u8], area: [f32; 4], border: Option<f32>) -> Ref {
        let target = self.next.bump();
        let mut link = begin_link(self.pdf, target, area, border);
        link.action().action_type(pdf_writer::types::ActionType::Uri).uri(Str(address));
        target
    }

    /// Copies what is referred to, and what that refers to, until nothing is missing.
    fn copy_all(&mut self, queue: VecDeque<(ObjRef, Ref)>, xref: &XRef, are_forms: bool) {
        let mut forms_left = if are_forms { queue.len() } else { 0 };
        let lists_glyphs = self.audit.is_of_part_1();
        let mut pending = Pending { next: self.next, copied: self.copied, queue, lists_glyphs };
        while let Some((from, to)) = pending.queue.pop_front() {
            let is_form = forms_left > 0;
            forms_left = forms_left.saturating_sub(1);
            match xref.get::<Object<'_>>(from.into()) {
                Some(Object::Stream(stream)) => {
                    copy_stream(self.pdf, to, &stream, is_form, &mut pending, self.audit);
                }
                Some(Object::Dict(dict)) if leads_away(&dict) => {
                    self.pdf.object(to).indirect(to).primitive(Null)
                }
                Some(object) => {
                    let value = MaybeRef::NotRef(object);
                    self.audit.value(&value);
                    write(self.pdf.object(to).indirect(to), &value, &mut pending, 0);
                }
                None => self.pdf.object(to).indirect(to).primitive(Null),
            }
        }
    }
}

fn begin_link(
    pdf: &mut Output,
    target: Ref,
    [x0, y0, x1, y1]: [f32; 4],
    border: Option<f32>,
) -> pdf_writer::writers::Annotation<'_> {
    let mut link = pdf.object(target).annotation(target);
    link.subtype(pdf_writer::types::AnnotationType::Link);
    link.rect(Rect::new(x0.min(x1), y0.min(y1), x0.max(x1), y0.max(y1)));
    link.flags(pdf_writer::types::AnnotationFlags::PRINT);
    if let Some(width) = border {
        link.border(0.0, 0.0, width, None);
    }
    link
}

/// The width of a link's frame. Without a word about it a link has one of a point (ISO 32000-1, table 164).
fn border(annotation: &Dict<'_>) -> Option<f32> {
    let border = annotation.get::<Array<'_>>("Border").and_then(|border| border.iter::<f32>().nth(2));
    annotation.get::<Dict<'_>>("BS").and_then(|style| style.get::<f32>("W")).or(border)
}

/// A name that none of the page's own forms and images has.
pub(super) fn free_name(page: &Page<'_>, wanted: &str) -> String {
    let mut name = wanted.to_owned();
    while page.resources().x_objects.contains_key(&name) {
        name.push('_');
    }
    name
}

fn write(target: Obj<'_>, value: &MaybeRef<Object<'_>>, pending: &mut Pending<'_>, depth: u32) {
    let value = match value {
        MaybeRef::Ref(to) => return target.primitive(pending.reference(*to)),
        MaybeRef::NotRef(value) => value,
    };
    match value {
        Object::Null(_) => target.primitive(Null),
        Object::Boolean(truth) => target.primitive(*truth),
        Object::Number(number) => {
            let exact = number.as_f64();
            if exact.fract() == 0.0 && exact.abs() <= f64::from(i32::MAX) {
                target.primitive(exact as i32);
            } else {
                target.primitive(number.as_f32());
            }
        }
        Object::String(text) => target.primitive(Str(PdfString::as_bytes(text))),
        Object::Name(name) => target.primitive(pdf_writer::Name(name)),
        Object::Array(_) | Object::Dict(_) if depth >= DEPTH_MAX => target.primitive(Null),
        Object::Array(array) => {
            let mut items = target.array();
            for item in array.raw_iter() {
                write(items.push(), &item, pending, depth + 1);
            }
        }
        Object::Dict(dict) => {
            let mut entries = target.dict();
            write_entries(&mut entries, dict, &[], pending, depth + 1);
            if is_embedded_true_type_without_map(dict) {
                entries.pair(pdf_writer::Name(b"CIDToGIDMap"), pdf_writer::Name(b"Identity"));
            }
        }
        // A stream is always an object of its own; a file that says otherwise is broken.
        Object::Stream(_) => target.primitive(Null),
    }
}

fn write_entries(
    target: &mut pdf_writer::Dict<'_>,
    dict: &Dict<'_>,
    but: &[&[u8]],
    pending: &mut Pending<'_>,
    depth: u32,
) {
    // A dictionary without a type may be a list of names that a page chose itself.
    let is_typed = dict.contains_key("Type") || dict.contains_key("Subtype");
    let is_descriptor = dict.get::<Name<'_>>("Type").is_some_and(|kind| &*kind == b"FontDescriptor");
    for (key, value) in dict.entries() {
        let left_out = but.contains(&&*key)
            || (is_typed && LEFT_OUT.contains(&&*key))
            // What lists the glyphs of a subset is often wrong, and never needed (ISO 19005-2, 6.2.11.4.2).
            || (!pending.lists_glyphs && is_descriptor && matches!(&*key, b"CIDSet" | b"CharSet"));
        if !left_out {
            write(target.insert(pdf_writer::Name(&key)), &value, pending, depth);
        }
    }
}

/// A CID font whose map of glyphs is left to its default, which PDF/A wants said.
fn is_embedded_true_type_without_map(dict: &Dict<'_>) -> bool {
    let is_cid_font = dict.get::<Name<'_>>("Subtype").is_some_and(|kind| &*kind == b"CIDFontType2");
    is_cid_font && !dict.contains_key("CIDToGIDMap")
}

fn copy_stream(
    pdf: &mut Output,
    to: Ref,
    stream: &Stream<'_>,
    is_form: bool,
    pending: &mut Pending<'_>,
    audit: &mut Audit,
) {
    audit.value(&MaybeRef::NotRef(Object::Stream(stream.clone())));
    let dict = stream.dict();
    let subtype = dict.get::<Name<'_>>("Subtype");
    let is_form = is_form || subtype.as_deref() == Some(b"Form");
    // Patterns draw as forms do.
    let is_pattern = dict.get::<u32>("PatternType") == Some(1);
    if is_form || is_pattern {
        audit.content(stream);
    }
    let mut but: Vec<&[u8]> = vec![b"Length", b"F", b"FFilter", b"FDecodeParms", b"DL"];
    but.extend(LEFT_OUT);
    if dict.contains_key("N") && dict.contains_key("Alternate") {
        // The colours of a profile that a reader cannot use; every reader can.
        but.push(b"Alternate");
    }
    let filters = stream.filters();
    let recode = filters.iter().any(|filter| matches!(filter, Coding::LzwDecode | Coding::Crypt));
    let data = if recode {
        but.extend([b"Filter".as_slice(), b"DecodeParms"]);
        // Without its samples an image or a font is missing, as it is where the source was shown.
        deflate(&stream.decoded_data().unwrap_or_default())
    } else {
        stream.raw_data().into_owned()
    };
    let mut target = pdf.object(to).stream(to, &data);
    if recode {
        target.filter(Filter::FlateDecode);
    }
    write_entries(&mut target, dict, &but, pending, 0);
    if is_form && subtype.is_none() {
        target.pair(pdf_writer::Name(b"Subtype"), pdf_writer::Name(b"Form"));
    }
}

/// How often the graphics state must be saved before these instructions and restored after them, so that they
/// neither restore what was saved before them nor leave behind what they saved.
fn balance(mut instructions: TypedIter<'_>) -> (usize, usize) {
    let (mut depth, mut lowest) = (0i64, 0i64);
    while let Some(instruction) = instructions.next() {
        match instruction {
            TypedInstruction::SaveState(_) => depth += 1,
            TypedInstruction::RestoreState(_) => depth -= 1,
            _ => {}
        }
        lowest = lowest.min(depth);
    }
    let before = usize::try_from(1 - lowest).unwrap_or(1);
    (before, usize::try_from(1 - lowest + depth).unwrap_or(0))
}

/// The address that a link leads to.
fn address(annotation: &Dict<'_>) -> Option<Vec<u8>> {
    let is_link = annotation.get::<Name<'_>>("Subtype").is_some_and(|kind| &*kind == b"Link");
    let action = annotation.get::<Dict<'_>>("A").filter(|_| is_link)?;
    let address = action.get::<PdfString<'_>>("URI")?;
    let address = PdfString::as_bytes(&address);
    // Addresses of other kinds run programs or read files.
    let leads_to_the_web = [b"http://".as_slice(), b"https://", b"mailto:"]
        .iter()
        .any(|scheme| address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    (leads_to_the_web && address.is_ascii() && address.len() <= ADDRESS_MAX).then(|| address.to_vec())
}
