//! Writes the searchable PDF, one page at a time.
//!
//! What it holds between pages is where things stand: a page goes to the file as soon as it is finished ([`Output`]), and
//! its picture is never decoded. It uses neither object streams nor transparency nor dates, so the same body serves PDF/A-1b,
//! PDF/A-2b and plain PDF. It must never change a picture: fidelity is decided before it gets here.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write};

use pdf_writer::writers::{Catalog, DocumentInfo};
use pdf_writer::{Content, Filter, Finish as _, Name, Rect, Ref, TextStr};
use platen_model::{Failure, FailureClass, PageRecord, SourcePage, Stage};
use sha2::{Digest as _, Sha256};

use hayro_syntax::page::{Page as IncomingPage, Rotation};

use super::audit::Audit;
use super::glyphless::Codes;
use super::guide::{self, Guide, Standing};
use super::keep::{self, Copied, Copier, Jump};
use super::metadata;
use super::output::{Output, Trailer};
use super::text_layer::{self, FONT, Scale};
use crate::decode::{self, Document};
use crate::inspection::{ImageCodec, PageImage};
use crate::options::PdfA;
use crate::worker::protocol::BindInfo;

/// The longest side of a page in points (ISO 32000-1, annex C): 200 inches.
pub(super) const SIDE_MAX: f32 = 14_400.0;
/// The shortest side of a page in points (ISO 19005-2, 6.1.13).
pub(super) const SIDE_MIN: f32 = 3.0;
/// Resolutions a scan may have; others are taken for [`DPI_ASSUMED`].
const DPI_SANE: std::ops::RangeInclusive<u32> = 36..=4_800;
/// The resolution of a page that states none that can be.
const DPI_ASSUMED: u32 = 300;

/// The name of the picture in a page's resources.
const IMAGE: Name<'static> = Name(b"Im1");
/// The name of the strokes that lie over it.
const STROKES: Name<'static> = Name(b"Im2");

/// What a picture is on its page.
#[derive(Clone, Copy)]
enum Part {
    /// It is shown.
    Picture,
    /// It says where something else is shown.
    Stencil,
    /// It is shown where a stencil says.
    Masked(Ref),
}

/// A PDF being written.
pub struct Binder {
    info: BindInfo,
    pdf: Output,
    next: Ref,
    tree: Ref,
    font: Ref,
    pages: Vec<Ref>,
    codes: Codes,
    identity: Sha256,
    /// What was copied of the inputs whose pages are kept, by their position among the inputs.
    copied: HashMap<u32, Copied>,
    /// What leads from page to page of these inputs.
    guides: BTreeMap<u32, Guide>,
    /// Where the pages of the inputs stand, by input and page.
    standing: HashMap<(u32, u32), Standing>,
    /// The annotations of kept pages with links to pages.
    annotations: Vec<Annotations>,
    audit: Audit,
}

/// The annotations of a kept page, written when all pages are known.
struct Annotations {
    target: Ref,
    source: u32,
    links: Vec<Ref>,
    jumps: Vec<Jump>,
}

/// A finished PDF.
#[derive(Debug)]
pub struct Bound {
    /// Its length in bytes.
    pub bytes: u64,
    /// The standard that it claims.
    pub pdfa: PdfA,
    /// Why it does not claim the one that was asked for, a sentence each.
    pub breaches: Vec<String>,
}

impl fmt::Debug for Binder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binder").field("info", &self.info).field("pages", &self.pages.len()).finish()
    }
}

impl Binder {
    /// Begins a PDF, which goes to `target` as it is written.
    pub fn begin(info: BindInfo, target: impl Write + Send + 'static) -> Self {
        let pdf = Output::begin(target, info.pdfa == PdfA::A1b);
        let mut identity = Sha256::new();
        for source in &info.sources {
            identity.update(source.to_string());
        }
        let (tree, font) = (Ref::new(1), Ref::new(2));
        let audit = Audit::new(info.pdfa);
        Self {
            info,
            pdf,
            next: Ref::new(3),
            tree,
            font,
            pages: Vec::new(),
            codes: Codes::default(),
            identity,
            copied: HashMap::new(),
            guides: BTreeMap::new(),
            standing: HashMap::new(),
            annotations: Vec::new(),
            audit,
        }
    }

    /// Adds a page: its coded picture, read from `source`, and its words.
    ///
    /// # Errors
    ///
    /// [`FailureClass::Internal`] where the picture cannot be read or is not what `image` says, or the class of what is
    /// wrong with the disk; the PDF begun so far must then be given up.
    pub fn add_page(
        &mut self,
        image: &PageImage,
        record: &PageRecord,
        mut source: File,
    ) -> Result<(), Failure> {
        let mut samples = Vec::with_capacity(image.bytes as usize);
        source
            .rewind()
            .and_then(|()| source.read_to_end(&mut samples))
            .map_err(|error| failed(format!("cannot read a page's picture: {error}")))?;
        check(image, &samples)?;
        self.identity.update(Sha256::digest(&samples));

        let (page, contents) = (self.next.bump(), self.next.bump());
        let mut content = Content::new();
        let dpi = if DPI_SANE.contains(&record.dpi) { record.dpi } else { DPI_ASSUMED };
        let pixels = [record.width_px, record.height_px].map(|side| side.max(1) as f32);
        let points = (72.0 / dpi as f32).min(SIDE_MAX / pixels[0].max(pixels[1]));
        let [width, height] = pixels.map(|side| (side * points).clamp(SIDE_MIN, SIDE_MAX));
        content.save_state().transform([width, 0.0, 0.0, height, 0.0, 0.0]);
        let pictures = self.write_pictures(&mut content, image, &samples);
        content.restore_state();
        drop(samples);

        let before = content.as_bytes().len();
        let scale = Scale { points, height_px: pixels[1] };
        text_layer::write(&mut content, &record.words, scale, &mut self.codes);
        let has_text = content.as_bytes().len() > before;
        let content = content.finish();
        self.identity.update(Sha256::digest(record.text()));
        self.pdf.object(contents).stream(contents, &metadata::deflate(&content)).filter(Filter::FlateDecode);

        let mut writer = self.pdf.object(page).page(page);
        writer.parent(self.tree).media_box(Rect::new(0.0, 0.0, width, height)).contents(contents);
        let mut resources = writer.resources();
        resources.x_objects().pairs(pictures);
        if has_text {
            resources.fonts().pair(FONT, self.font);
        }
        resources.finish();
        writer.finish();
        if let Some(SourcePage { source, page: number }) = record.source {
            self.standing.insert((source, number), Standing { page, kept: false });
        }
        self.pages.push(page);
        self.pdf.settle()
    }

    /// Adds page `number` (from 0) of an incoming PDF as it is, turned upright; `source` is the PDF's position among
    /// the inputs. The words are laid over it where they were recognised and the page has none of its own.
    ///
    /// # Errors
    ///
    /// [`FailureClass::Internal`] where the page is not there, or the class of what is wrong with the disk; the PDF begun
    /// so far must then be given up.
    pub fn keep_page(
        &mut self,
        source: u32,
        document: &mut Document,
        number: u32,
        record: &PageRecord,
    ) -> Result<(), Failure> {
        let pdf = document.pdf().ok_or_else(|| failed("only a page of a PDF can be kept".into()))?;
        let guide = match self.guides.entry(source) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(Guide::of(pdf)),
        };
        let page = pdf
            .whole_page(number)
            .map_err(|fault| failed(format!("page {} is not there to be kept: {fault}", number + 1)))?;
        self.identity.update(source.to_be_bytes());
        self.identity.update(number.to_be_bytes());
        self.identity.update(record.text());

        self.audit.sheet(page.media_box().width(), page.media_box().height());
        let target = self.next.bump();
        let copied = self.copied.entry(source).or_default();
        let mut copier = Copier { pdf: &mut self.pdf, next: &mut self.next, copied, audit: &mut self.audit };
        let mut body = copier.body(page, guide);
        let turn = Turn::of(page, record.rotation_deg);
        let words = decode::lacking_words(page, record);
        if !words.is_empty() {
            let mut content = Content::new();
            let scale = Scale {
                points: turn.width / record.width_px.max(1) as f32,
                height_px: record.height_px as f32,
            };
            text_layer::write(&mut content, &words, scale, &mut self.codes);
            let content = content.finish();
            if !content.is_empty() {
                let form = copier.next.bump();
                let name = keep::free_name(page, "PlatenText");
                let data = metadata::deflate(&content);
                let mut writer = copier.pdf.object(form).form_xobject(form, &data);
                writer.filter(Filter::FlateDecode);
                writer.bbox(Rect::new(0.0, 0.0, turn.width, turn.height)).matrix(turn.matrix);
                writer.resources().fonts().pair(FONT, self.font);
                writer.finish();
                body.content.extend(format!("q /{name} Do Q\n").bytes());
                body.forms.push((name.into_bytes(), form));
            }
        }
        let (resources, contents) = (copier.next.bump(), copier.next.bump());
        copier.resources(resources, page, &body.forms);
        let group = copier.group(page);
        self.pdf
            .object(contents)
            .stream(contents, &metadata::deflate(&body.content))
            .filter(Filter::FlateDecode);

        let mut writer = self.pdf.object(target).page(target);
        let boxes = |of: hayro_syntax::object::Rect| {
            Rect::new(of.x0 as f32, of.y0 as f32, of.x1 as f32, of.y1 as f32)
        };
        writer.parent(self.tree).media_box(boxes(page.media_box())).contents(contents);
        writer.crop_box(boxes(page.intersected_crop_box()));
        writer.rotate(turn.degrees);
        writer.pair(Name(b"Resources"), resources);
        if let Some(unit) = page.raw().get::<f32>("UserUnit").filter(|unit| *unit > 0.0) {
            writer.pair(Name(b"UserUnit"), unit);
        }
        if let Some(group) = group {
            writer.pair(Name(b"Group"), group);
        }
        let annotations = (!body.links.is_empty() || !body.jumps.is_empty()).then(|| self.next.bump());
        if let Some(annotations) = annotations {
            writer.pair(Name(b"Annots"), annotations);
        }
        writer.finish();
        self.annotations.extend(annotations.map(|annotations| Annotations {
            target: annotations,
            source,
            links: body.links,
            jumps: body.jumps,
        }));
        self.standing.insert((source, number), Standing { page: target, kept: true });
        self.pages.push(target);
        self.pdf.settle()
    }

    /// Draws the page's image and what lies over it into the unit square, and answers the pictures by their names.
    fn write_pictures(
        &mut self,
        content: &mut Content,
        image: &PageImage,
        bytes: &[u8],
    ) -> Vec<(Name<'static>, Ref)> {
        let (below, over) = bytes.split_at(image.bytes as usize);
        let picture = self.write_picture(image, below, Part::Picture);
        content.x_object(IMAGE);
        let mut pictures = vec![(IMAGE, picture)];
        if let Some(strokes) = &image.strokes {
            let (mask, colours) = over.split_at(strokes.mask.bytes as usize);
            let mask = self.write_picture(&strokes.mask, mask, Part::Stencil);
            let shown = match (&strokes.colours, strokes.colour) {
                (Some(image), _) => self.write_picture(image, colours, Part::Masked(mask)),
                (None, colour) => {
                    let [red, green, blue] =
                        colour.unwrap_or_default().map(|sample| f32::from(sample) / 255.0);
                    if red == green && green == blue {
                        content.set_fill_gray(red);
                    } else {
                        content.set_fill_rgb(red, green, blue);
                    }
                    mask
                }
            };
            content.x_object(STROKES);
            pictures.push((STROKES, shown));
        }
        pictures
    }

    fn write_picture(&mut self, image: &PageImage, bytes: &[u8], part: Part) -> Ref {
        let picture = self.next.bump();
        let (shared, own) = bytes.split_at(image.shared_bytes as usize);
        let globals = (!shared.is_empty()).then(|| {
            let globals = self.next.bump();
            self.pdf.object(globals).stream(globals, shared);
            globals
        });
        let (width, height) = (side(image.width), side(image.height));
        let mut object = self.pdf.object(picture).image_xobject(picture, own);
        match image.codec {
            ImageCodec::Jpeg => {
                object.filter(Filter::DctDecode);
            }
            ImageCodec::CcittG4 => {
                object.filter(Filter::CcittFaxDecode);
                // `BlackIs1` stays false: black runs decode to 0, which is black in DeviceGray.
                object.decode_parms().k(-1).columns(width).rows(height).black_is_1(false);
            }
            ImageCodec::Jbig2 => {
                object.filter(Filter::Jbig2Decode);
                if let Some(globals) = globals {
                    object.decode_parms().jbig2_globals(globals);
                }
            }
            ImageCodec::Flate => {
                object.filter(Filter::FlateDecode);
            }
        }
        object.width(width).height(height).bits_per_component(i32::from(image.bits));
        match (part, image.components) {
            // Black dots are what is painted, or let through.
            (Part::Stencil, _) => {
                object.image_mask(true);
            }
            (_, 1) => object.color_space().device_gray(),
            _ => object.color_space().device_rgb(),
        }
        if let Part::Masked(mask) = part {
            object.pair(Name(b"Mask"), mask);
        }
        picture
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// [`FailureClass::NoPages`] where no page was added, [`FailureClass::TooLarge`] where it is over 10 GB, or the class of
    /// what is wrong with the disk.
    pub fn finish(mut self) -> Result<Bound, Failure> {
        if self.pages.is_empty() {
            return Err(Failure::new(FailureClass::NoPages, Stage::Bind, "a PDF needs at least one page"));
        }
        let count = i32::try_from(self.pages.len()).map_err(|_| failed("too many pages".into()))?;
        self.pdf.object(self.tree).pages(self.tree).kids(self.pages.iter().copied()).count(count);
        if !self.codes.is_empty() {
            let next = &mut self.next;
            self.codes.write(&mut self.pdf, self.font, || next.bump());
        }
        let breaches = match self.info.pdfa {
            PdfA::Off => Vec::new(),
            PdfA::A2b | PdfA::A1b => {
                std::mem::replace(&mut self.audit, Audit::new(PdfA::Off)).into_breaches()
            }
        };
        let pdfa = if breaches.is_empty() { self.info.pdfa } else { PdfA::Off };
        self.write_annotations();
        let outline = {
            let guides = self.guides.iter().map(|(source, guide)| (*source, guide));
            let standing = |source, page| self.standing.get(&(source, page)).copied();
            guide::write_outline(&mut self.pdf, &mut self.next, guides, standing)
        };
        let (root, info) = self.write_metadata(pdfa, outline);

        // Made of the pages, so it is the same each time.
        let mut id = [0; 16];
        id.copy_from_slice(&self.identity.finalize()[..16]);
        let bytes = self.pdf.finish(&Trailer { root, info, id })?;
        Ok(Bound { bytes, pdfa, breaches })
    }

    /// The links of kept pages, but those to pages that stand in another document.
    fn write_annotations(&mut self) {
        for Annotations { target, source, mut links, jumps } in std::mem::take(&mut self.annotations) {
            for jump in jumps {
                if let Some(standing) = self.standing.get(&(source, jump.to.page)) {
                    let link = self.next.bump();
                    jump.write(&mut self.pdf, link, *standing);
                    links.push(link);
                }
            }
            self.pdf.object(target).indirect(target).array().items(links);
        }
    }

    /// Answers the catalog and the document information.
    fn write_metadata(&mut self, pdfa: PdfA, outline: Option<Ref>) -> (Ref, Ref) {
        let title = metadata::clean_title(&self.info.title);
        let subject = self.info.copy_of_signed.then(|| metadata::copy_note(&self.info.sources));
        let info = self.next.bump();
        let mut document = self.pdf.object(info).indirect(info).start::<DocumentInfo<'_>>();
        if !title.is_empty() {
            document.title(TextStr(&title));
        }
        if let Some(subject) = &subject {
            document.subject(TextStr(subject));
        }
        document.creator(TextStr(metadata::PRODUCER)).producer(TextStr(metadata::PRODUCER));
        document.finish();

        let packet = self.next.bump();
        self.pdf.object(packet).metadata(packet, metadata::xmp(&title, subject.as_deref(), pdfa).as_bytes());
        let profile = self.next.bump();
        metadata::write_profile(self.pdf.object(profile), profile);

        let root = self.next.bump();
        let mut catalog = self.pdf.object(root).indirect(root).start::<Catalog<'_>>();
        catalog.pages(self.tree).metadata(packet);
        if let Some(outline) = outline {
            catalog.outlines(outline);
        }
        if let Some(tag) = metadata::language_tag(&self.info.languages) {
            catalog.lang(TextStr(tag));
        }
        if !title.is_empty() {
            catalog.viewer_preferences().display_doc_title(true);
        }
        metadata::write_intent(&mut catalog, profile);
        (root, info)
    }
}

/// How a kept page is shown.
struct Turn {
    /// Its clockwise turn in degrees, its own and ours.
    degrees: i32,
    /// Its size as it is shown, in points.
    width: f32,
    height: f32,
    /// From the page as it is shown, origin bottom left, to its own points.
    matrix: [f32; 6],
}

impl Turn {
    fn of(page: &IncomingPage<'_>, more_deg: u32) -> Self {
        let own = match page.rotation() {
            Rotation::None => 0,
            Rotation::Horizontal => 90,
            Rotation::Flipped => 180,
            Rotation::FlippedHorizontal => 270,
        };
        let frame = page.intersected_crop_box();
        let (left, low) = (frame.x0 as f32, frame.y0 as f32);
        let (wide, high) = (frame.width() as f32, frame.height() as f32);
        let degrees = (own + more_deg % 360) % 360;
        let (width, height, matrix) = match degrees {
            90 => (high, wide, [0.0, 1.0, -1.0, 0.0, left + wide, low]),
            180 => (wide, high, [-1.0, 0.0, 0.0, -1.0, left + wide, low + high]),
            270 => (high, wide, [0.0, -1.0, 1.0, 0.0, left, low + high]),
            _ => (wide, high, [1.0, 0.0, 0.0, 1.0, left, low]),
        };
        Self { degrees: degrees.cast_signed(), width, height, matrix }
    }
}

/// Refuses a picture that would make an invalid PDF.
fn check(image: &PageImage, samples: &[u8]) -> Result<(), Failure> {
    let over = image.strokes.iter().flat_map(|strokes| strokes.colours.iter().chain([&strokes.mask]));
    let nested = over.clone().any(|image| image.strokes.is_some());
    if samples.len() as u64 != image.all_bytes() || samples.is_empty() {
        return Err(failed(format!(
            "a page's picture has {} bytes and not {}",
            samples.len(),
            image.all_bytes()
        )));
    }
    let is_stencil = |mask: &PageImage| mask.bits == 1 && mask.components == 1;
    if nested
        || !image.strokes.as_ref().is_none_or(|strokes| is_stencil(&strokes.mask))
        || !over.chain([image]).all(can_stand)
    {
        return Err(failed(format!("a page's picture cannot stand in a PDF: {image:?}")));
    }
    Ok(())
}

fn can_stand(image: &PageImage) -> bool {
    let depth_fits = match image.codec {
        ImageCodec::Jpeg => image.bits == 8,
        ImageCodec::CcittG4 | ImageCodec::Jbig2 => image.bits == 1 && image.components == 1,
        ImageCodec::Flate => image.bits == 8 || (image.bits == 1 && image.components == 1),
    };
    let sides = 1..=i32::MAX.cast_unsigned();
    depth_fits
        && matches!(image.components, 1 | 3)
        && sides.contains(&image.width)
        && sides.contains(&image.height)
        && image.shared_bytes <= image.bytes
        && (image.shared_bytes == 0 || image.codec == ImageCodec::Jbig2)
}

fn side(pixels: u32) -> i32 {
    i32::try_from(pixels).expect("checked when the page was added")
}

fn failed(message: String) -> Failure {
    Failure::new(FailureClass::Internal, Stage::Bind, message)
}
