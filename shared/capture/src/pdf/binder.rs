//! Writes the searchable PDF, one page at a time.
//!
//! What it holds between pages is the finished part of the file: a page's picture is copied once and never
//! decoded. It uses neither object streams nor transparency nor dates, so the same body serves PDF/A-1b,
//! PDF/A-2b and plain PDF. It must never change a picture: fidelity is decided before it gets here.

use std::fmt;
use std::fs::File;
use std::io::{Read as _, Seek as _};

use pdf_writer::{Content, Filter, Finish as _, Name, Pdf, Rect, Ref, TextStr, types::OutputIntentSubtype};
use platen_model::{Failure, FailureClass, PageRecord, Stage};
use sha2::{Digest as _, Sha256};

use super::glyphless::Codes;
use super::metadata;
use super::text_layer::{self, FONT, Scale};
use crate::inspection::{ImageCodec, PageImage};
use crate::options::PdfA;
use crate::worker::protocol::BindInfo;

/// The longest side of a page in points (ISO 32000-1, annex C): 200 inches.
const SIDE_MAX: f32 = 14_400.0;
/// The shortest side of a page in points (ISO 19005-2, 6.1.13).
const SIDE_MIN: f32 = 3.0;
/// Resolutions a scan may have; others are taken for [`DPI_ASSUMED`].
const DPI_SANE: std::ops::RangeInclusive<u32> = 36..=4_800;
/// The resolution of a page that states none that can be.
const DPI_ASSUMED: u32 = 300;

/// The name of the picture in a page's resources.
const IMAGE: Name<'_> = Name(b"Im1");

/// A PDF being written.
pub struct Binder {
    info: BindInfo,
    pdf: Pdf,
    next: Ref,
    tree: Ref,
    font: Ref,
    pages: Vec<Ref>,
    codes: Codes,
    identity: Sha256,
}

impl fmt::Debug for Binder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binder").field("info", &self.info).field("pages", &self.pages.len()).finish()
    }
}

impl Binder {
    /// Begins a PDF.
    pub fn begin(info: BindInfo) -> Self {
        let mut pdf = Pdf::new();
        if info.pdfa == PdfA::A1b {
            pdf.set_version(1, 4);
        }
        let mut identity = Sha256::new();
        for source in &info.sources {
            identity.update(source.to_string());
        }
        let (tree, font) = (Ref::new(1), Ref::new(2));
        Self {
            info,
            pdf,
            next: Ref::new(3),
            tree,
            font,
            pages: Vec::new(),
            codes: Codes::default(),
            identity,
        }
    }

    /// Adds a page: its coded picture, read from `source`, and its words.
    ///
    /// # Errors
    ///
    /// [`FailureClass::Internal`] where the picture cannot be read or is not what `image` says; the PDF begun so
    /// far must then be given up.
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

        let (page, picture, contents) = (self.next.bump(), self.next.bump(), self.next.bump());
        self.write_picture(picture, image, &samples);
        drop(samples);

        let dpi = if DPI_SANE.contains(&record.dpi) { record.dpi } else { DPI_ASSUMED };
        let pixels = [image.width as f32, image.height as f32];
        let points = (72.0 / dpi as f32).min(SIDE_MAX / pixels[0].max(pixels[1]));
        let [width, height] = pixels.map(|side| (side * points).clamp(SIDE_MIN, SIDE_MAX));

        let mut content = Content::new();
        content.save_state().transform([width, 0.0, 0.0, height, 0.0, 0.0]).x_object(IMAGE).restore_state();
        let before = content.as_bytes().len();
        let scale = Scale { points, height_px: pixels[1] };
        text_layer::write(&mut content, &record.words, scale, &mut self.codes);
        let has_text = content.as_bytes().len() > before;
        let content = content.finish();
        self.identity.update(Sha256::digest(record.text()));
        self.pdf.stream(contents, &metadata::deflate(&content)).filter(Filter::FlateDecode);

        let mut writer = self.pdf.page(page);
        writer.parent(self.tree).media_box(Rect::new(0.0, 0.0, width, height)).contents(contents);
        let mut resources = writer.resources();
        resources.x_objects().pair(IMAGE, picture);
        if has_text {
            resources.fonts().pair(FONT, self.font);
        }
        resources.finish();
        writer.finish();
        self.pages.push(page);
        Ok(())
    }

    fn write_picture(&mut self, picture: Ref, image: &PageImage, samples: &[u8]) {
        let (width, height) = (side(image.width), side(image.height));
        let mut object = self.pdf.image_xobject(picture, samples);
        match image.codec {
            ImageCodec::Jpeg => {
                object.filter(Filter::DctDecode);
            }
            ImageCodec::CcittG4 => {
                object.filter(Filter::CcittFaxDecode);
                // `BlackIs1` stays false: black runs decode to 0, which is black in DeviceGray.
                object.decode_parms().k(-1).columns(width).rows(height).black_is_1(false);
            }
            ImageCodec::Flate => {
                object.filter(Filter::FlateDecode);
            }
        }
        object.width(width).height(height).bits_per_component(i32::from(image.bits));
        match image.components {
            1 => object.color_space().device_gray(),
            _ => object.color_space().device_rgb(),
        }
    }

    /// Ends it and answers its bytes.
    ///
    /// # Errors
    ///
    /// [`FailureClass::NoPages`] where no page was added.
    pub fn finish(mut self) -> Result<Vec<u8>, Failure> {
        if self.pages.is_empty() {
            return Err(Failure::new(FailureClass::NoPages, Stage::Bind, "a PDF needs at least one page"));
        }
        let count = i32::try_from(self.pages.len()).map_err(|_| failed("too many pages".into()))?;
        self.pdf.pages(self.tree).kids(self.pages.iter().copied()).count(count);
        if !self.codes.is_empty() {
            let next = &mut self.next;
            self.codes.write(&mut self.pdf, self.font, || next.bump());
        }
        self.write_metadata();

        // Both halves are equal in a file that was never changed. Made of the pages, so it is the same each time.
        let id = self.identity.finalize()[..16].to_vec();
        self.pdf.set_file_id((id.clone(), id));
        Ok(self.pdf.finish())
    }

    fn write_metadata(&mut self) {
        let title = metadata::clean_title(&self.info.title);
        let info = self.next.bump();
        let mut document = self.pdf.document_info(info);
        if !title.is_empty() {
            document.title(TextStr(&title));
        }
        document.creator(TextStr(metadata::PRODUCER)).producer(TextStr(metadata::PRODUCER));
        document.finish();

        let packet = self.next.bump();
        self.pdf.metadata(packet, metadata::xmp(&title, self.info.pdfa).as_bytes());
        let profile = self.next.bump();
        self.pdf
            .icc_profile(profile, &metadata::deflate(&metadata::srgb_profile()))
            .n(3)
            .filter(Filter::FlateDecode);

        let catalog = self.next.bump();
        let mut catalog = self.pdf.catalog(catalog);
        catalog.pages(self.tree).metadata(packet);
        if let Some(tag) = metadata::language_tag(&self.info.languages) {
            catalog.lang(TextStr(tag));
        }
        if !title.is_empty() {
            catalog.viewer_preferences().display_doc_title(true);
        }
        let mut intents = catalog.output_intents();
        let mut intent = intents.push();
        intent.subtype(OutputIntentSubtype::PDFA).dest_output_profile(profile);
        intent.output_condition_identifier(TextStr("sRGB IEC61966-2.1")).info(TextStr("sRGB IEC61966-2.1"));
    }
}

/// Refuses a picture that would make an invalid PDF.
fn check(image: &PageImage, samples: &[u8]) -> Result<(), Failure> {
    let depth_fits = match image.codec {
        ImageCodec::Jpeg => image.bits == 8,
        ImageCodec::CcittG4 => image.bits == 1 && image.components == 1,
        ImageCodec::Flate => image.bits == 8 || (image.bits == 1 && image.components == 1),
    };
    let sides = 1..=i32::MAX.cast_unsigned();
    if samples.len() as u64 != image.bytes || samples.is_empty() {
        return Err(failed(format!("a page's picture has {} bytes and not {}", samples.len(), image.bytes)));
    }
    if !depth_fits
        || !matches!(image.components, 1 | 3)
        || !sides.contains(&image.width)
        || !sides.contains(&image.height)
    {
        return Err(failed(format!("a page's picture cannot stand in a PDF: {image:?}")));
    }
    Ok(())
}

fn side(pixels: u32) -> i32 {
    i32::try_from(pixels).expect("checked when the page was added")
}

fn failed(message: String) -> Failure {
    Failure::new(FailureClass::Internal, Stage::Bind, message)
}
