//! PDF pages as pictures, through `hayro`.
//!
//! A page that is one scanned image, or several side by side, gives them in their own pixels (and, where it is a
//! single plain JPEG or group 4 image, its very bytes); any other page is rendered at [`RENDER_DPI`]. `/Rotate` and crop box are obeyed. No script,
//! link or attachment is looked at.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hayro::hayro_interpret::{InterpreterSettings, InterpreterWarning};
use hayro::kurbo::Affine;
use hayro::vello_cpu::{Pixmap, RasterizerSettings, RenderContext, Resources, TargetInit};
use hayro::{RenderCache, RenderSettings, render_into};
use hayro_syntax::object::{Array, Dict, Stream};
use hayro_syntax::page::{Page, Rotation};
use hayro_syntax::{DecryptionError, Filter, LoadPdfError, Pdf};
use image::{GrayImage, RgbImage};
use platen_model::{FailureClass, Word};

use super::pdf_content::{Placement, placements};
use super::pdf_layout::{self, Grid};
use super::pdf_text;
use super::picture::{Picture, Samples};
use super::{Fault, Makeup, pdf_features, within_page_limit, within_pixel_limit};
use crate::Kind;
use crate::inspection::Inspection;
use crate::options::Limits;
use crate::passwords::Passwords;

/// The resolution of pages that are not one image.
const RENDER_DPI: f64 = 300.0;
/// The resolution at which they are shown where their images are finer.
const RENDER_DPI_MAX: f64 = 600.0;
/// The lowest at which they are shown where they are nothing but images.
const IMAGE_DPI_MIN: f64 = 150.0;
/// The most bytes of a page's drawing instructions, uncompressed. Real pages have some megabytes at worst.
const CONTENT_BYTES_MAX: u64 = 256 << 20;
/// How far from the end the trailer may stand. Some programs append a little behind it.
const TRAILER_BYTES: usize = 8_192;
const POINTS_PER_INCH: f64 = 72.0;
/// The sides that a page may have, in points (ISO 19005-2, 6.1.13).
const SIDE: std::ops::RangeInclusive<f64> = 3.0..=14_400.0;

/// An open file.
pub(super) struct Open {
    bytes: Arc<Vec<u8>>,
    pdf: Pdf,
    /// Whether it took a password.
    unlocked: bool,
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

impl Open {
    /// Reads the table of objects and the tree of pages.
    pub(super) fn new(file: Vec<u8>, passwords: &Passwords) -> Result<Self, Fault> {
        let bytes = Arc::new(file);
        let (pdf, unlocked) = open(&bytes, passwords)?;
        Ok(Self { bytes, pdf, unlocked })
    }

    /// The PDF.
    pub(super) fn pdf(&self) -> &Pdf {
        &self.pdf
    }

    /// Counts the pages; says whether it is encrypted or signed.
    pub(super) fn inspect(&self, limits: &Limits) -> Result<Inspection, Fault> {
        Ok(Inspection { unlocked: self.unlocked, ..inspect(&self.bytes, &self.pdf, limits)? })
    }

    /// What page `number` (from 0) is made of.
    pub(super) fn makeup(&self, number: u32) -> Result<Makeup, Fault> {
        let page = numbered(&self.pdf, number)?;
        within_content_limit(page)?;
        if pdf_features::hides_layers(&self.pdf) {
            return Ok(Makeup::Bound("the document has layers that are hidden"));
        }
        let frame = page.intersected_crop_box();
        if !(SIDE.contains(&frame.width()) && SIDE.contains(&frame.height())) {
            return Ok(Makeup::Bound("its size is one that no page can have"));
        }
        let grid = pdf_layout::page_grid(page, &placements(page));
        Ok(if grid.is_some() { Makeup::Scan } else { Makeup::Drawn })
    }

    /// Decodes page `number` (from 0).
    pub(super) fn page(&self, number: u32, limits: &Limits) -> Result<Picture, Fault> {
        page(&self.pdf, number, limits)
    }

    /// The words that page `number` (from 0) brings with it, as they stand on a picture of it of this size.
    pub(super) fn words(&self, number: u32, size: (u32, u32)) -> Option<Vec<Word>> {
        pdf_text::words(self.pdf.pages().get(number as usize)?, size)
    }
}

fn inspect(file: &[u8], pdf: &Pdf, limits: &Limits) -> Result<Inspection, Fault> {
    let (found, declared) = (pdf.pages().len() as u64, declared_pages(pdf));
    if declared > u64::from(limits.pages) {
        within_page_limit(declared, limits)?;
    }
    if declared > found {
        let message = format!(
            "the file says that it has {declared} pages, but {found} can be read; a page may be damaged, or of \
             an impossible size"
        );
        return Err(Fault::corrupt(message));
    }
    let pages = within_page_limit(found, limits)?;
    Ok(Inspection {
        // A signature's dictionary is never inside a compressed stream: its byte range counts raw bytes.
        digitally_signed: holds_name(file, b"/ByteRange"),
        encrypted: holds_name(file, b"/Encrypt"),
        repaired: pdf_features::is_broken(file),
        features: pdf_features::features(pdf),
        ..Inspection::plain(Kind::Pdf, pages)
    })
}

fn page(pdf: &Pdf, number: u32, limits: &Limits) -> Result<Picture, Fault> {
    let page = numbered(pdf, number)?;
    within_content_limit(page)?;
    let content = placements(page);
    for image in &content.images {
        within_pixel_limit(image.width.into(), image.height.into(), limits)?;
    }
    let Some(grid) = pdf_layout::page_grid(page, &content) else {
        let finest = pdf_layout::finest_dpi(page, &content);
        let dpi = finest.clamp(RENDER_DPI, dpi_within(page, limits).clamp(RENDER_DPI, RENDER_DPI_MAX));
        let scale = dpi / POINTS_PER_INCH;
        return render(page, Grid { x: scale, y: scale }, limits);
    };
    if let Some(picture) = pdf_layout::laid_out(page, &content, grid, limits)? {
        return Ok(picture);
    }
    let images_only = !content.other_ink && !page.raw().contains_key("Annots");
    let least = if images_only { IMAGE_DPI_MIN } else { RENDER_DPI };
    let scale = grid.dpi().clamp(least, RENDER_DPI_MAX) / POINTS_PER_INCH;
    let mut picture = render(page, Grid { x: scale, y: scale }, limits)?;
    let black = |image: &Placement<'_>| image.bits == 1 && image.ink.is_none_or(|ink| ink == [0; 3]);
    if images_only && content.images.iter().all(black) {
        picture.samples = two_tones(&picture.samples);
    }
    Ok(picture)
}

fn numbered(pdf: &Pdf, number: u32) -> Result<&Page<'_>, Fault> {
    pdf.pages().get(number as usize).ok_or_else(|| {
        Fault::corrupt(format!("page {} is not there; the file has {}", number + 1, pdf.pages().len()))
    })
}

/// Opens the file, with the first of the passwords that fits where it asks for one. Says whether it took one.
fn open(file: &Arc<Vec<u8>>, passwords: &Passwords) -> Result<(Pdf, bool), Fault> {
    const ASKS: LoadPdfError = LoadPdfError::Decryption(DecryptionError::PasswordProtected);
    let attempt = |password: &str| Pdf::new_with_password(Arc::clone(file), password);
    let mut opened = attempt("");
    let mut unlocked = false;
    for password in passwords.iter() {
        if opened.as_ref().err() != Some(&ASKS) {
            break;
        }
        opened = attempt(password);
        unlocked = opened.is_ok();
    }
    let pdf = opened.map_err(|error| match error {
        ASKS if passwords.is_empty() => Fault::new(FailureClass::Locked, "the PDF asks for a password"),
        ASKS => {
            let message =
                format!("the PDF asks for a password, and none of the {} supplied opens it", passwords.len());
            Fault::new(FailureClass::Locked, message)
        }
        LoadPdfError::Decryption(DecryptionError::UnsupportedAlgorithm) => {
            Fault::new(FailureClass::Unsupported, "the PDF is encrypted in a way that we do not read")
        }
        LoadPdfError::Decryption(_) => Fault::corrupt("the PDF's encryption is damaged"),
        LoadPdfError::Invalid if !has_trailer(file) => cut_off(),
        LoadPdfError::Invalid => Fault::corrupt("the PDF's structure cannot be read"),
    })?;
    if !has_trailer(file) {
        // It can be opened by guessing, but what was cut off may have been pages.
        return Err(cut_off());
    }
    Ok((pdf, unlocked))
}

fn cut_off() -> Fault {
    Fault::new(FailureClass::Truncated, "the PDF has no trailer: its end is missing")
}

fn has_trailer(file: &[u8]) -> bool {
    let end = file.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let tail = &file[end.saturating_sub(TRAILER_BYTES)..end];
    tail.windows(9).any(|bytes| bytes == b"startxref") || tail.windows(5).any(|bytes| bytes == b"%%EOF")
}

/// Whether `name` stands in the file as a whole PDF name.
fn holds_name(file: &[u8], name: &[u8]) -> bool {
    file.windows(name.len() + 1)
        .any(|bytes| bytes.starts_with(name) && !bytes[name.len()].is_ascii_alphanumeric())
}

fn declared_pages(pdf: &Pdf) -> u64 {
    let root = pdf.xref().get::<Dict<'_>>(pdf.xref().root_id());
    let pages = root.and_then(|root| root.get::<Dict<'_>>("Pages"));
    pages.and_then(|pages| pages.get::<i64>("Count")).and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
}

/// Inflates the page's instructions once into nothing, and gives up where they pass their limit or are none.
fn within_content_limit(page: &Page<'_>) -> Result<(), Fault> {
    let dictionary = page.raw();
    let streams: Vec<Stream<'_>> = match dictionary.get::<Stream<'_>>("Contents") {
        Some(stream) => vec![stream],
        None => dictionary.get::<Array<'_>>("Contents").map(|all| all.iter().collect()).unwrap_or_default(),
    };
    let mut room = CONTENT_BYTES_MAX;
    for stream in streams {
        let data = stream.raw_data();
        let mut reader: Box<dyn Read + '_> = Box::new(data.as_ref());
        for filter in stream.filters() {
            if matches!(
                filter,
                Filter::Jbig2Decode | Filter::DctDecode | Filter::JpxDecode | Filter::CcittFaxDecode
            ) {
                // Only images are coded so (ISO 32000-1, table 6): what the page shows cannot be known.
                return Err(Fault::corrupt("a page's drawing instructions are coded as an image"));
            }
            if filter == Filter::FlateDecode {
                reader = Box::new(flate2::read::ZlibDecoder::new(reader));
            }
        }
        let (read, ended) = drained(reader.take(room));
        room = room.saturating_sub(read);
        if room == 0 && !ended {
            let message =
                format!("a page's drawing instructions are over the limit of {CONTENT_BYTES_MAX} bytes");
            return Err(Fault::new(FailureClass::TooLarge, message));
        }
    }
    Ok(())
}

/// Reads to the end, the limit or the first error: the bytes read, and whether it ended by an error.
fn drained(mut reader: impl Read) -> (u64, bool) {
    let mut buffer = vec![0u8; 64 << 10];
    let mut total = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return (total, false),
            Ok(count) => total += count as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return (total, true),
        }
    }
}

/// The finest resolution at which a page keeps to the limit: a large drawing is better shown coarser than not at all.
fn dpi_within(page: &Page<'_>, limits: &Limits) -> f64 {
    let (width, height) = page.render_dimensions();
    let area = (f64::from(width) * f64::from(height)).max(1.0);
    (limits.page_pixels as f64 / area).sqrt() * POINTS_PER_INCH * 0.99
}

fn render(page: &Page<'_>, grid: Grid, limits: &Limits) -> Result<Picture, Fault> {
    let turned = matches!(page.rotation(), Rotation::Horizontal | Rotation::FlippedHorizontal);
    let (x, y) = if turned { (grid.y, grid.x) } else { (grid.x, grid.y) };
    let (width, height) = page.render_dimensions();
    let wide = (f64::from(width) * x).round().max(1.0);
    let high = (f64::from(height) * y).round().max(1.0);
    within_pixel_limit(wide as u64, high as u64, limits)?;
    let (Ok(columns), Ok(rows)) = (u16::try_from(wide as u64), u16::try_from(high as u64)) else {
        let message = format!("a page of {wide} x {high} pixels is longer than {} along one side", u16::MAX);
        return Err(Fault::new(FailureClass::TooLarge, message));
    };

    let broken_image = Arc::new(AtomicBool::new(false));
    let notice = Arc::clone(&broken_image);
    let settings = InterpreterSettings {
        warning_sink: Arc::new(move |warning| {
            if matches!(warning, InterpreterWarning::ImageDecodeFailure) {
                notice.store(true, Ordering::Relaxed);
            }
        }),
        ..InterpreterSettings::default()
    };
    let mut context = RenderContext::new(columns, rows);
    let transform = Affine::scale_non_uniform(x, y) * Affine::new(page.initial_transform(true).as_coeffs());
    render_into(page, &RenderCache::new(), &settings, &RenderSettings::default(), &mut context, transform);
    context.flush();
    let mut pixels = Pixmap::new(columns, rows);
    let paper = hayro::vello_cpu::color::palette::css::WHITE;
    let raster =
        RasterizerSettings { target_init: TargetInit::Clear(paper), ..RasterizerSettings::default() };
    context.render_with(&mut pixels, &mut Resources::default(), raster);
    if broken_image.load(Ordering::Relaxed) {
        return Err(Fault::corrupt("an image on the page cannot be decoded"));
    }

    let samples: Vec<u8> =
        pixels.data_as_u8_slice().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
    let image = RgbImage::from_raw(columns.into(), rows.into(), samples)
        .ok_or_else(|| Fault::corrupt("the page was rendered in another size"))?;
    let mut picture = Picture::new(Samples::Rgb(image));
    picture.dpi = Some((x.max(y) * POINTS_PER_INCH).round() as u32);
    Ok(picture)
}

/// Black and white again, where rendering softened the edges of a black and white image.
fn two_tones(samples: &Samples) -> Samples {
    let mut gray: GrayImage = samples.to_gray();
    for sample in gray.iter_mut() {
        *sample = if *sample < 128 { 0 } else { 255 };
    }
    Samples::Bitonal(gray)
}
