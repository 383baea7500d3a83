//! Room for a signature in a finished PDF.
//!
//! [`prepare_seal`] appends an incremental update: a signature field with a visible appearance on a page, and
//! an empty signature whose `/ByteRange` leaves out just the room for it. Whoever holds the key signs the rest
//! and writes the signature into the room. The bytes given come back unchanged as the beginning of the result
//! (INV-8), so signatures already in the PDF stay valid. A PDF whose structure had to be repaired to read it
//! is refused: what readers then see is their own guess, and nothing a signature should vouch for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _};

use lopdf::{Dictionary, Document, Object, ObjectId, Stream, StringFormat};
use pdf_writer::Content;
use pdf_writer::types::{LineCapStyle, LineJoinStyle};
use platen_model::{Failure, FailureClass, Stage};
use serde::{Deserialize, Serialize};

use super::lettering::{Lettering, UNITS};
use super::revision::Revision;
use crate::worker::protocol::{Entry, SealInfo};

/// The most room for a signature, in bytes.
const ROOM_MAX: u32 = 1 << 20;
/// The most lines a visible signature has.
const LINES_MAX: usize = 40;
/// The most characters of a line.
const LINE_CHARACTERS_MAX: usize = 320;
/// The most points of a drawn signature.
pub const POINTS_MAX: usize = 5_000;
/// The most entries beside a signature.
const ENTRIES_MAX: usize = 100;
/// The share of a visible signature's height that a drawing takes.
const DRAWN_SHARE: f32 = 0.6;
/// How far up the page tree inherited values are looked for.
const PARENTS_MAX: usize = 64;
/// Annotation flags: printed, and not to be moved or deleted (ISO 32000-1, table 165).
const PRINT_AND_LOCKED: i64 = 4 | 128;
/// `SignaturesExist` and `AppendOnly` (ISO 32000-1, table 219).
const SIGNED_AND_APPEND_ONLY: i64 = 3;

/// A rectangle on a page as a person sees it, whatever its size or rotation: fractions of the page's width and
/// height, 0 to 1, from the bottom left corner.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Left edge.
    pub left: f32,
    /// Bottom edge.
    pub bottom: f32,
    /// Right edge, over `left`.
    pub right: f32,
    /// Top edge, over `bottom`.
    pub top: f32,
}

impl Place {
    /// From left, bottom, right and top in thousandths of the page.
    pub const fn thousandths([left, bottom, right, top]: [u16; 4]) -> Self {
        Self {
            left: left as f32 / 1000.0,
            bottom: bottom as f32 / 1000.0,
            right: right as f32 / 1000.0,
            top: top as f32 / 1000.0,
        }
    }

    fn is_on_page(&self) -> bool {
        let on = 0.0..=1.0;
        [self.left, self.bottom, self.right, self.top].iter().all(|edge| on.contains(edge))
            && self.left < self.right
            && self.bottom < self.top
    }
}

/// Where the signature goes in a prepared PDF.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealRoom {
    /// The `/ByteRange`: offset and length of the bytes before and after the signature. What lies between is
    /// `<`, two zeros for each byte of room, and `>`.
    pub byte_range: [u64; 4],
}

/// The PDF with an incremental update that holds an empty signature, and where to write it.
///
/// # Errors
///
/// [`FailureClass::Locked`] where the PDF is encrypted, [`FailureClass::Corrupt`] where its structure is broken,
/// [`FailureClass::NoPages`] where the page does not exist, [`FailureClass::Unsupported`] where a certification
/// in it forbids changes, [`FailureClass::TooLarge`] where more room or lines are asked for than there may be.
pub fn prepare_seal(source: &File, seal: &SealInfo) -> Result<(Vec<u8>, SealRoom), Failure> {
    check(seal)?;
    let original = read(source)?;
    let document = open(&original)?;
    let pages = document.get_pages();
    let page = *pages.values().nth(seal.page as usize).ok_or_else(|| {
        let message =
            format!("page {} does not exist; the PDF has {}", u64::from(seal.page) + 1, pages.len());
        failed(FailureClass::NoPages, message).on_page(seal.page)
    })?;

    let mut revision = Revision::new(original, &document);
    let (signature, field, appearance) = (revision.new_id(), revision.new_id(), revision.new_id());
    let spot = Spot::on(&document, page, seal.place)?;
    revision.write(appearance, &Object::Stream(spot.appearance(&seal.lines, &seal.strokes)))?;
    revision.write(field, &Object::Dictionary(spot.field(field, page, signature, appearance)))?;
    // A page that gets several of them is written once, with all.
    let mut annotations: BTreeMap<ObjectId, Vec<ObjectId>> = BTreeMap::from([(page, vec![field])]);
    for entry in &seal.entries {
        let Some(page) = pages.values().nth(entry.page as usize).copied() else { continue };
        let (annotation, appearance) = (revision.new_id(), revision.new_id());
        let spot = Spot::on(&document, page, entry.place)?;
        revision.write(appearance, &Object::Stream(spot.entry(entry.text.as_deref())))?;
        let text = entry.text.as_deref().unwrap_or("X");
        revision.write(annotation, &Object::Dictionary(spot.stamp(page, appearance, text)))?;
        annotations.entry(page).or_default().push(annotation);
    }
    for (page, added) in annotations {
        add_to_page(&mut revision, &document, page, &added)?;
    }
    add_to_form(&mut revision, &document, field)?;
    let (body, gaps) = signature_body(seal);
    let body_at = revision.write_raw(signature, &body);

    let mut bytes = revision.finish()?;
    let open = body_at + gaps.contents;
    let close = open + seal.room_bytes as usize * 2 + 2;
    let byte_range = [0, open as u64, close as u64, (bytes.len() - close) as u64];
    let digits = format!("{:010} {:010} {:010}", byte_range[1], byte_range[2], byte_range[3]);
    let at = body_at + gaps.byte_range;
    bytes[at..at + digits.len()].copy_from_slice(digits.as_bytes());
    Ok((bytes, SealRoom { byte_range }))
}

fn check(seal: &SealInfo) -> Result<(), Failure> {
    if !seal.place.is_on_page() {
        return Err(failed(FailureClass::Internal, format!("{:?} is no place on a page", seal.place)));
    }
    if !(1..=ROOM_MAX).contains(&seal.room_bytes) {
        let message = format!("room for {} bytes is outside the limit of 1 to {ROOM_MAX}", seal.room_bytes);
        return Err(failed(FailureClass::TooLarge, message));
    }
    let points: usize = seal.strokes.iter().map(Vec::len).sum();
    if points > POINTS_MAX || seal.entries.len() > ENTRIES_MAX {
        let message = format!("a signature has at most {POINTS_MAX} points and {ENTRIES_MAX} entries");
        return Err(failed(FailureClass::TooLarge, message));
    }
    let is_odd = |entry: &Entry| {
        !entry.place.is_on_page()
            || entry.text.as_ref().is_some_and(|text| text.chars().count() > LINE_CHARACTERS_MAX)
    };
    if seal.entries.iter().any(is_odd) {
        return Err(failed(FailureClass::Internal, "an entry is no line of text on a page".into()));
    }
    if seal.lines.len() > LINES_MAX
        || seal.lines.iter().any(|line| line.chars().count() > LINE_CHARACTERS_MAX)
    {
        let message =
            format!("a visible signature has at most {LINES_MAX} lines of {LINE_CHARACTERS_MAX} characters");
        return Err(failed(FailureClass::TooLarge, message));
    }
    Ok(())
}

pub(super) fn read(mut source: &File) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    source
        .rewind()
        .and_then(|()| source.read_to_end(&mut bytes))
        .map_err(|error| failed(FailureClass::Internal, format!("cannot read the PDF: {error}")))?;
    Ok(bytes)
}

/// Reads the PDF, and refuses what must not be signed.
pub(super) fn open(bytes: &[u8]) -> Result<Document, Failure> {
    let document = Document::load_mem(bytes).map_err(|error| {
        failed(FailureClass::Corrupt, format!("this is no PDF that can be read: {error}"))
    })?;
    if document.is_encrypted() || document.was_encrypted() {
        return Err(failed(FailureClass::Locked, "the PDF is encrypted; sign a copy that is not".into()));
    }
    if document.xref_recovery.is_some() || !bytes.starts_with(b"%PDF-") {
        let message = "the PDF's structure is broken; only a repaired copy can be signed";
        return Err(failed(FailureClass::Corrupt, message.into()));
    }
    if forbids_changes(&document) {
        let message = "the PDF is certified by its author, who forbids any change";
        return Err(failed(FailureClass::Unsupported, message.into()));
    }
    Ok(document)
}

/// A certification with permission level 1 (ISO 32000-1, 12.8.2.2): any update would break it.
fn forbids_changes(document: &Document) -> bool {
    let certification = document
        .catalog()
        .ok()
        .and_then(|catalog| document.get_dict_in_dict(catalog, b"Perms").ok())
        .and_then(|permissions| document.get_dict_in_dict(permissions, b"DocMDP").ok());
    let references = certification.and_then(|signature| {
        document.dereference(signature.get(b"Reference").ok()?).ok()?.1.as_array().ok()
    });
    references.into_iter().flatten().any(|reference| {
        let parameters = document
            .dereference(reference)
            .ok()
            .and_then(|(_, object)| object.as_dict().ok())
            .and_then(|reference| document.get_dict_in_dict(reference, b"TransformParams").ok());
        parameters.and_then(|it| it.get(b"P").and_then(Object::as_i64).ok()) == Some(1)
    })
}

/// Where the signature stands, in the page's own coordinates.
struct Spot {
    rect: [f32; 4],
    rotation: i64,
    /// Width and height as a person sees them, in points.
    size: [f32; 2],
}

impl Spot {
    fn on(document: &Document, page: ObjectId, place: Place) -> Result<Self, Failure> {
        let rotation = inherited(document, page, b"Rotate").and_then(|turn| turn.as_i64().ok()).unwrap_or(0);
        let rotation = rotation.rem_euclid(360) / 90 * 90;
        let area = inherited(document, page, b"CropBox")
            .or_else(|| inherited(document, page, b"MediaBox"))
            .and_then(|area| corners(document, area))
            .ok_or_else(|| failed(FailureClass::Corrupt, "the page has no size".into()))?;
        let [left, bottom, right, top] = area;
        let (width, height) = (right - left, top - bottom);
        // From a point as it is seen to the page's own coordinates; a page is turned clockwise.
        let point = |across: f32, up: f32| match rotation {
            90 => [right - up * width, bottom + across * height],
            180 => [right - across * width, top - up * height],
            270 => [left + up * width, top - across * height],
            _ => [left + across * width, bottom + up * height],
        };
        let (one, two) = (point(place.left, place.bottom), point(place.right, place.top));
        let rect = [one[0].min(two[0]), one[1].min(two[1]), one[0].max(two[0]), one[1].max(two[1])];
        let (wide, high) = (rect[2] - rect[0], rect[3] - rect[1]);
        let size = if matches!(rotation, 90 | 270) { [high, wide] } else { [wide, high] };
        Ok(Self { rect, rotation, size })
    }

    /// The signature field and its widget in one dictionary.
    fn field(&self, id: ObjectId, page: ObjectId, signature: ObjectId, appearance: ObjectId) -> Dictionary {
        let mut field = Dictionary::new();
        field.set("Type", "Annot");
        field.set("Subtype", "Widget");
        field.set("FT", "Sig");
        // The object's number is new to this PDF, so the name is too.
        field.set("T", Object::string_literal(format!("Seal{}", id.0)));
        field.set("F", PRINT_AND_LOCKED);
        field.set("P", page);
        field.set("Rect", self.rect.iter().map(|edge| Object::Real(*edge)).collect::<Vec<_>>());
        field.set("V", signature);
        let mut appearances = Dictionary::new();
        appearances.set("N", appearance);
        field.set("AP", appearances);
        if self.rotation != 0 {
            let mut characteristics = Dictionary::new();
            characteristics.set("R", self.rotation);
            field.set("MK", characteristics);
        }
        field
    }

    /// A light box with the lines in it, as large as they fit.
    fn appearance(&self, lines: &[String], strokes: &[Vec<[u16; 2]>]) -> Stream {
        let [width, height] = self.size;
        // What was drawn takes the upper part, the text the rest.
        let drawn = if strokes.is_empty() { 0.0 } else { height * DRAWN_SHARE };
        let shapes: Vec<Lettering> = lines.iter().map(|line| Lettering::of(line)).collect();
        let widest = shapes.iter().map(|shape| shape.width).fold(1.0, f64::max) as f32;
        let margin = (0.08 * height).min(6.0);
        let line_height = (height - drawn - 2.0 * margin) / shapes.len().max(1) as f32;
        let size = (0.78 * line_height).min((width - 2.0 * margin) * UNITS as f32 / widest).clamp(0.1, 11.0);

        let mut content = Content::new();
        content.set_fill_gray(0.97).set_stroke_gray(0.55).set_line_width(0.5);
        content.rect(0.25, 0.25, width - 0.5, height - 0.5).fill_nonzero_and_stroke();
        content.set_fill_gray(0.0);
        for (index, shape) in shapes.iter().enumerate() {
            let baseline = height - drawn - margin - line_height * (index as f32 + 0.75);
            let scale = size / UNITS as f32;
            content.save_state().transform([scale, 0.0, 0.0, scale, margin, baseline]);
            shape.write(&mut content);
            content.restore_state();
        }
        draw(&mut content, strokes, [margin, height - margin], [width - 2.0 * margin, drawn - margin]);
        self.form(content)
    }

    /// A text as large as its place, or a tick.
    fn entry(&self, text: Option<&str>) -> Stream {
        let [width, height] = self.size;
        let mut content = Content::new();
        let Some(text) = text else {
            content.set_stroke_gray(0.0).set_line_width((height / 8.0).clamp(0.5, 2.0));
            content.move_to(0.15 * width, 0.5 * height).line_to(0.4 * width, 0.2 * height);
            content.line_to(0.85 * width, 0.85 * height).stroke();
            return self.form(content);
        };
        let shape = Lettering::of(text);
        let size = (0.75 * height).min(width * UNITS as f32 / (shape.width.max(1.0) as f32)).clamp(0.1, 12.0);
        let scale = size / UNITS as f32;
        content.set_fill_gray(0.0);
        content.save_state().transform([scale, 0.0, 0.0, scale, 0.0, 0.25 * height]);
        shape.write(&mut content);
        content.restore_state();
        self.form(content)
    }

    /// An annotation that shows what was filled in (ISO 32000-1, 12.5.6.12).
    fn stamp(&self, page: ObjectId, appearance: ObjectId, text: &str) -> Dictionary {
        let mut stamp = Dictionary::new();
        stamp.set("Type", "Annot");
        stamp.set("Subtype", "Stamp");
        stamp.set("F", PRINT_AND_LOCKED);
        stamp.set("P", page);
        stamp.set("Rect", self.rect.iter().map(|edge| Object::Real(*edge)).collect::<Vec<_>>());
        let units: Vec<u8> =
            std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
        stamp.set("Contents", Object::String(units, StringFormat::Hexadecimal));
        let mut appearances = Dictionary::new();
        appearances.set("N", appearance);
        stamp.set("AP", appearances);
        stamp
    }

    /// What is drawn, as the form of an appearance: turned as the page is.
    fn form(&self, content: Content) -> Stream {
        let [width, height] = self.size;
        let matrix: [i64; 6] = match self.rotation {
            90 => [0, 1, -1, 0, 0, 0],
            180 => [-1, 0, 0, -1, 0, 0],
            270 => [0, -1, 1, 0, 0, 0],
            _ => [1, 0, 0, 1, 0, 0],
        };
        let mut dictionary = Dictionary::new();
        dictionary.set("Type", "XObject");
        dictionary.set("Subtype", "Form");
        dictionary.set("BBox", [0.0, 0.0, width, height].map(Object::Real).to_vec());
        dictionary.set("Matrix", matrix.map(Object::from).to_vec());
        dictionary.set("Resources", Dictionary::new());
        dictionary.set("Filter", "FlateDecode");
        Stream::new(dictionary, super::metadata::deflate(&content.finish()))
    }
}

/// Draws lines of points into a box: its top left corner, its width and height.
fn draw(content: &mut Content, strokes: &[Vec<[u16; 2]>], [left, top]: [f32; 2], [width, height]: [f32; 2]) {
    content.set_stroke_gray(0.0).set_line_width((height / 30.0).clamp(0.4, 1.4));
    content.set_line_cap(LineCapStyle::RoundCap).set_line_join(LineJoinStyle::RoundJoin);
    for stroke in strokes {
        let point = |[across, down]: [u16; 2]| {
            (left + f32::from(across) / 1000.0 * width, top - f32::from(down) / 1000.0 * height)
        };
        let mut points = stroke.iter().map(|place| point(*place));
        let Some((x, y)) = points.next() else { continue };
        content.move_to(x, y);
        // A dot is a line of no length: its round ends show.
        content.line_to(x, y);
        for (x, y) in points {
            content.line_to(x, y);
        }
        content.stroke();
    }
}

/// A page's value that may stand in one of its parents.
fn inherited<'d>(document: &'d Document, page: ObjectId, key: &[u8]) -> Option<&'d Object> {
    let mut node = document.get_dictionary(page).ok()?;
    for _ in 0..PARENTS_MAX {
        if let Ok(value) = node.get(key) {
            return document.dereference(value).ok().map(|(_, value)| value);
        }
        node = document.get_dict_in_dict(node, b"Parent").ok()?;
    }
    None
}

/// A rectangle's left, bottom, right and top; `None` where it has no area.
fn corners(document: &Document, area: &Object) -> Option<[f32; 4]> {
    let numbers: Vec<f32> = area
        .as_array()
        .ok()?
        .iter()
        .filter_map(|number| document.dereference(number).ok()?.1.as_float().ok())
        .collect();
    let [a, b, c, d] = numbers[..] else { return None };
    let corners = [a.min(c), b.min(d), a.max(c), b.max(d)];
    (corners[0] < corners[2] && corners[1] < corners[3]).then_some(corners)
}

/// Puts fields and stamps among the page's annotations: into their own object where they have one.
fn add_to_page(
    revision: &mut Revision<'_>,
    document: &Document,
    page: ObjectId,
    annotations: &[ObjectId],
) -> Result<(), Failure> {
    let mut dictionary = document.get_dictionary(page).map_err(broken)?.clone();
    match extended(document, &dictionary, b"Annots", annotations)? {
        (Some(id), list) => revision.write(id, &list),
        (None, list) => {
            dictionary.set("Annots", list);
            revision.write(page, &Object::Dictionary(dictionary))
        }
    }
}

/// Puts the field into the document's form, which is made where there is none.
fn add_to_form(revision: &mut Revision<'_>, document: &Document, field: ObjectId) -> Result<(), Failure> {
    let root = document.trailer.get(b"Root").and_then(Object::as_reference).map_err(broken)?;
    let mut catalog = document.get_dictionary(root).map_err(broken)?.clone();
    let (form_id, mut form) = match catalog.get(b"AcroForm") {
        Ok(form) => {
            let (id, form) = document.dereference(form).map_err(broken)?;
            (id, form.as_dict().map_err(broken)?.clone())
        }
        Err(_) => (None, Dictionary::new()),
    };
    form.set("SigFlags", SIGNED_AND_APPEND_ONLY);
    match extended(document, &form, b"Fields", &[field])? {
        (Some(id), list) => revision.write(id, &list)?,
        (None, list) => form.set("Fields", list),
    }
    match form_id {
        Some(id) => revision.write(id, &Object::Dictionary(form)),
        None => {
            catalog.set("AcroForm", form);
            revision.write(root, &Object::Dictionary(catalog))
        }
    }
}

/// The list under `key` with these added, and the object it stands in if it has its own.
fn extended(
    document: &Document,
    dictionary: &Dictionary,
    key: &[u8],
    added: &[ObjectId],
) -> Result<(Option<ObjectId>, Object), Failure> {
    let (id, mut list) = match dictionary.get(key) {
        Ok(list) => {
            let (id, list) = document.dereference(list).map_err(broken)?;
            (
                id,
                if matches!(list, Object::Null) {
                    Vec::new()
                } else {
                    list.as_array().map_err(broken)?.clone()
                },
            )
        }
        Err(_) => (None, Vec::new()),
    };
    list.extend(added.iter().map(|id| Object::Reference(*id)));
    Ok((id, Object::Array(list)))
}

/// Where in the signature's bytes what is not known yet is written.
struct Gaps {
    byte_range: usize,
    contents: usize,
}

/// The signature dictionary with zeros for byte range and contents.
fn signature_body(seal: &SealInfo) -> (Vec<u8>, Gaps) {
    let mut body =
        String::from("<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/ByteRange[0 ");
    let byte_range = body.len();
    body.push_str("0000000000 0000000000 0000000000]/Contents");
    let contents = body.len();
    body.push('<');
    body.push_str(&"00".repeat(seal.room_bytes as usize));
    body.push('>');
    body.push_str(&format!("/M(D:{})", seal.at.strftime("%Y%m%d%H%M%SZ")));
    for (key, text) in [("Name", &seal.name), ("Reason", &seal.reason)] {
        body.push_str(&format!("/{key}<{}>", text_string(text)));
    }
    body.push_str(">>");
    (body.into_bytes(), Gaps { byte_range, contents })
}

/// A text string in UTF-16 as hexadecimal digits (ISO 32000-1, 7.9.2.2).
fn text_string(text: &str) -> String {
    let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
    units.map(|unit| format!("{unit:04X}")).collect()
}

fn broken(error: lopdf::Error) -> Failure {
    failed(FailureClass::Corrupt, format!("the PDF's structure is broken: {error}"))
}

/// A failure of this stage.
pub(super) fn failed(class: FailureClass, message: String) -> Failure {
    Failure::new(class, Stage::Seal, message)
}
