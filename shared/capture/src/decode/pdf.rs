//! PDF pages as pictures, through `hayro`.
//!
//! A page that is one scanned image, or several side by side, gives them in their own pixels (and, where it is a
//! single plain JPEG or group 4 image, its very bytes); any other page is rendered at [`RENDER_DPI`]. `/Rotate` and crop
//! box are obeyed. No script, link or attachment is looked at.
//!
//! A page that cannot be read costs no other: it keeps its number, and says why. One of whose images cannot be decoded
//! is shown without it where it has text of its own, and is missing where the images are the page.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hayro::hayro_interpret::{InterpreterSettings, InterpreterWarning};
use hayro::kurbo::Affine;
use hayro::vello_cpu::{Pixmap, RasterizerSettings, RenderContext, Resources, TargetInit};
use hayro::{RenderCache, RenderSettings, render_into};
use hayro_syntax::object::stream::ImageDecodeParams;
use hayro_syntax::object::{Dict, MaybeRef, ObjRef, Object, Stream};
use hayro_syntax::page::Page;
use hayro_syntax::xref::XRef;
use hayro_syntax::{DecryptionError, Filter, LoadPdfError, Pdf};
use image::{GrayImage, RgbImage};
use platen_model::{FailureClass, Rect, Word};

use super::pdf_content::{Content, Placement, placements};
use super::pdf_image::{self, Undone};
use super::pdf_layout;
use super::pdf_pages::{self, Leaf};
use super::pdf_source::Source;
use super::pdf_text;
use super::picture::{Picture, Samples};
use super::{
    Fault, Makeup, ending, guarded, pdf_annotations as annotations, pdf_features, within_page_limit,
    within_pixel_limit,
};
use crate::Kind;
use crate::inspection::{Feature, Inspection};
use crate::options::Limits;
use crate::passwords::Passwords;

/// The resolution of pages that are not one image.
const RENDER_DPI: f64 = 300.0;
/// The resolution at which they are shown where their images are finer.
const RENDER_DPI_MAX: f64 = 600.0;
/// The most pixels of a page that is shown finer than [`RENDER_DPI`]: the renderer holds an image in twice its bytes and
/// the page beside it, unless it draws it coarser than it is. An A3 page at 300 dpi has as many.
const FINE_PIXELS_MAX: f64 = 17_500_000.0;
/// Larger pages are drawn in bands of so many pixels, for the renderer has more bytes for a pixel than the picture.
const BAND_PIXELS: usize = 20_000_000;
/// The lowest resolution of a page that would pass a limit in any higher. Print can still be read in it.
const COARSE_DPI_MIN: f64 = 100.0;
/// The longest side of a drawn page in pixels: the renderer counts them in 16 bits, with some to spare for its tiles.
const DRAWN_SIDE_MAX: u16 = 60_000;
/// The lowest at which they are shown where they are nothing but images.
const IMAGE_DPI_MIN: f64 = 150.0;
/// The most bytes of a page's drawing instructions, uncompressed. Real pages have some megabytes at worst.
const CONTENT_BYTES_MAX: u64 = 256 << 20;
/// How far from the end the trailer may stand, whatever is behind it.
const TRAILER_BYTES: usize = 8_192;
const POINTS_PER_INCH: f64 = 72.0;
/// Why something is missing that the instructions name.
const NOT_IN_THE_FILE: &str = "an image or drawing that its instructions show is not in the file";
/// To say which image of a page is damaged, so many are tried at most.
const IMAGES_NAMED_MAX: usize = 64;
/// What a page may say of its units: Acrobat takes no larger ones.
const USER_UNIT: std::ops::RangeInclusive<f64> = 0.001..=75_000.0;
/// The sides that a page may have, in points (ISO 19005-2, 6.1.13).
const SIDE: std::ops::RangeInclusive<f64> = 3.0..=14_400.0;

/// An open file.
pub(crate) struct Open {
    source: Source,
    passwords: Passwords,
    /// Its bytes, as far as they are there; none after they could not be read again.
    opened: Option<Opened>,
    /// The pages that its tree names.
    leaves: Vec<Leaf>,
    /// How many pages were found in its tree without its pictures.
    tree_pages: usize,
    /// Whether it took a password.
    unlocked: bool,
    hides_layers: bool,
}

struct Opened {
    bytes: Arc<Vec<u8>>,
    pdf: Pdf,
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("bytes", &self.source.length()).finish_non_exhaustive()
    }
}

impl Open {
    /// Reads the table of objects and the tree of pages.
    pub(super) fn new(file: File, passwords: &Passwords) -> Result<Self, Fault> {
        let (source, bytes) = Source::read(file)?;
        let bytes = Arc::new(bytes);
        let (pdf, unlocked) = open(&bytes, passwords)?;
        let (leaves, tree_pages) = (pdf_pages::leaves(&pdf), pdf.pages().len());
        let hides_layers = pdf_features::hides_layers(&pdf);
        let opened = Some(Opened { bytes, pdf });
        let passwords = passwords.clone();
        Ok(Self { source, passwords, opened, leaves, tree_pages, unlocked, hides_layers })
    }

    fn opened(&self) -> Result<&Opened, Fault> {
        self.opened.as_ref().ok_or_else(|| Fault::corrupt("the PDF could not be read a second time"))
    }

    /// Counts the pages; says whether it is encrypted or signed.
    pub(super) fn inspect(&self, limits: &Limits) -> Result<Inspection, Fault> {
        let Opened { bytes, pdf } = self.opened()?;
        let (found, declared) = (self.leaves.len() as u64, declared_pages(pdf));
        let pages = within_page_limit(found, limits)?;
        let mut features = pdf_features::features(pdf);
        if declared > found {
            features.push(Feature::FewerPages { declared, found: pages });
        }
        Ok(Inspection {
            // A signature's dictionary is never inside a compressed stream: its byte range counts raw bytes.
            digitally_signed: holds_name(bytes, b"/ByteRange"),
            encrypted: holds_name(bytes, b"/Encrypt"),
            unlocked: self.unlocked,
            repaired: pdf_features::is_broken(bytes),
            features,
            ..Inspection::plain(Kind::Pdf, pages)
        })
    }

    /// How many pages its tree names.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.leaves.len()).unwrap_or(u32::MAX)
    }

    /// Page `number` (from 0), without its pictures.
    fn numbered(&self, number: u32) -> Result<&Page<'_>, Fault> {
        match self.leaves.get(number as usize) {
            Some(Leaf::Page(at)) => Ok(&self.opened()?.pdf.pages()[*at]),
            Some(Leaf::Missing(why)) => Err(Fault::corrupt(why.clone())),
            None => Err(Fault::corrupt(format!(
                "page {} is not there; the file has {}",
                u64::from(number) + 1,
                self.leaves.len()
            ))),
        }
    }

    /// Page `number` (from 0), with its pictures.
    pub(crate) fn whole_page(&mut self, number: u32) -> Result<&Page<'_>, Fault> {
        let holes = self.source.holes_of(self.numbered(number)?, &self.opened()?.bytes);
        if self.source.lacks(&holes) {
            // Nothing may be looking at the bytes while they change.
            let bytes = self.opened.take().and_then(|Opened { bytes, pdf }| {
                drop(pdf);
                Arc::into_inner(bytes)
            });
            let bytes = Arc::new(self.source.filled(bytes, &holes)?);
            let (pdf, _) = open(&bytes, &self.passwords)?;
            if pdf.pages().len() != self.tree_pages {
                return Err(Fault::corrupt("the PDF's pages cannot be told from its pictures"));
            }
            self.opened = Some(Opened { bytes, pdf });
        }
        self.numbered(number)
    }

    /// The pages that can be read, with their numbers; none has its pictures.
    pub(crate) fn pages(&self) -> impl Iterator<Item = (u32, &Page<'_>)> {
        let pdf = self.opened.as_ref().map(|opened| &opened.pdf);
        (0..).zip(&self.leaves).filter_map(move |(number, leaf)| match leaf {
            Leaf::Page(at) => Some((number, &pdf?.pages()[*at])),
            Leaf::Missing(_) => None,
        })
    }

    /// The objects of the file.
    pub(crate) fn objects(&self) -> Result<&XRef, Fault> {
        Ok(self.opened()?.pdf.xref())
    }

    /// What page `number` (from 0) is made of.
    pub(super) fn makeup(&self, number: u32) -> Result<Makeup, Fault> {
        let page = self.numbered(number)?;
        within_content_limit(page)?;
        if self.hides_layers {
            return Ok(Makeup::Bound("the document has layers that are hidden"));
        }
        let frame = page.intersected_crop_box();
        if !(SIDE.contains(&frame.width()) && SIDE.contains(&frame.height())) {
            return Ok(Makeup::Bound("its size is one that no page can have"));
        }
        let content = placements(page);
        let is_of_images = pdf_layout::page_grid(page, &content).is_some()
            || pdf_layout::is_of_leaning_images(page, &content);
        // What the decoder does not understand of its text is left to recognition.
        let is_written = || guarded(|| Ok(pdf_text::is_written(page))).unwrap_or(false);
        Ok(if is_of_images && !is_written() { Makeup::Scan } else { Makeup::Drawn })
    }

    /// Decodes page `number` (from 0).
    pub(super) fn page(&mut self, number: u32, limits: &Limits) -> Result<Picture, Fault> {
        let hides_layers = self.hides_layers;
        decoded(self.whole_page(number)?, hides_layers, limits)
    }

    /// Where page `number` (from 0) draws letters, on a picture of it of this size.
    pub(super) fn letters(&self, number: u32, size: (u32, u32)) -> Vec<Rect> {
        self.numbered(number).map(|page| pdf_text::letters(page, size)).unwrap_or_default()
    }

    /// The words that page `number` (from 0) brings with it, as they stand on a picture of it of this size.
    pub(super) fn words(&self, number: u32, size: (u32, u32)) -> Option<Vec<Word>> {
        pdf_text::words(self.numbered(number).ok()?, size)
    }
}

fn decoded(page: &Page<'_>, hides_layers: bool, limits: &Limits) -> Result<Picture, Fault> {
    within_content_limit(page)?;
    let mut picture = shown(page, hides_layers, limits)?;
    if instructions(page)?.is_incomplete {
        picture.remarks.push("A part of this page's drawing instructions is not in the file.".to_owned());
        picture.is_incomplete = true;
    }
    Ok(picture)
}

fn shown(page: &Page<'_>, hides_layers: bool, limits: &Limits) -> Result<Picture, Fault> {
    let mut content = placements(page);
    if content.is_missing && content.images.is_empty() && !content.other_ink {
        return Err(Fault::corrupt(NOT_IN_THE_FILE));
    }
    // Which of its images are hidden, the renderer knows.
    content.other_ink |= hides_layers;
    let picture = of_content(page, &content, limits)?;
    Ok(if content.is_missing { lacking(picture, NOT_IN_THE_FILE) } else { picture })
}

fn of_content(page: &Page<'_>, content: &Content<'_>, limits: &Limits) -> Result<Picture, Fault> {
    for image in &content.images {
        let (width, height) = image.full.unwrap_or((image.width, image.height));
        within_pixel_limit(width.into(), height.into(), limits)?;
    }
    let Some(grid) = pdf_layout::page_grid(page, content) else {
        let finest = pdf_layout::finest_dpi(page, content) / user_unit(page);
        let (picture, is_whole) = render(page, finest.max(RENDER_DPI), limits)?;
        let is_whole = is_whole && !any_is_nothing(content);
        let picture = if is_whole { picture } else { with_missing_image(picture, content) };
        return Ok(saying_damage(picture, content));
    };
    let is_nothing = match pdf_layout::laid_out(page, content, grid, limits)? {
        Ok(mut picture) => {
            let true_dpi = |dpi: u32| (f64::from(dpi) / user_unit(page)).round() as u32;
            picture.dpi = picture.dpi.map(true_dpi).filter(|dpi| *dpi > 0);
            return Ok(picture);
        }
        Err(undone) => undone == Undone::Nothing || any_is_nothing(content),
    };
    let images_only = !content.other_ink && !annotations::any_is_seen(page);
    let least = if images_only { IMAGE_DPI_MIN } else { RENDER_DPI };
    let (mut picture, is_whole) = render(page, (grid.dpi() / user_unit(page)).max(least), limits)?;
    if !is_whole || is_nothing {
        // Its images are the page, unless it is a page of text on one.
        return match pdf_text::words(page, picture.dimensions()) {
            Some(_) => Ok(with_missing_image(picture, content)),
            None => Err(Fault::corrupt(missing_image(content))),
        };
    }
    let black = |image: &Placement<'_>| image.bits == 1 && image.ink.is_none_or(|ink| ink == [0; 3]);
    if images_only && content.images.iter().all(black) {
        picture.samples = two_tones(&picture.samples);
    }
    Ok(saying_damage(picture, content))
}

/// The picture of a page that was rendered, saying so where it shows an image whose data are damaged.
fn saying_damage(picture: Picture, content: &Content<'_>) -> Picture {
    let is_damaged = !picture.is_incomplete && content.images.iter().any(pdf_image::is_damaged);
    if is_damaged { picture.damaged() } else { picture }
}

/// Whether an image in Deflate coding is none: the renderer passes over such an image without a word. Its first bytes tell.
fn any_is_nothing(content: &Content<'_>) -> bool {
    let streams = content.images.iter().filter_map(|image| image.stream.as_ref());
    streams.filter(|stream| stream.filters().first() == Some(&Filter::FlateDecode)).any(|stream| {
        let begins = |data: &[u8]| {
            let read = flate2::read::ZlibDecoder::new(data).read(&mut [0; 16]);
            read.is_ok_and(|count| count > 0)
        };
        !begins(&stream.raw_data())
            && stream.decoded_image(&ImageDecodeParams::default()).map_or(true, |image| image.data.is_empty())
    })
}

/// The picture of a page of which an image could not be decoded, saying so.
fn with_missing_image(picture: Picture, content: &Content<'_>) -> Picture {
    lacking(picture, &missing_image(content))
}

/// The picture of a page on which something is missing, for this reason.
fn lacking(mut picture: Picture, why: &str) -> Picture {
    picture.remarks.push(format!("Something is missing on this page, for {why}."));
    picture.is_incomplete = true;
    picture
}

/// Which image on a page cannot be decoded, where that can be told.
fn missing_image(content: &Content<'_>) -> String {
    let named = content.images.iter().filter_map(|image| Some((image, image.stream.as_ref()?)));
    let broken = named.take(IMAGES_NAMED_MAX).find(|(image, stream)| {
        let parameters = ImageDecodeParams {
            bpc: u8::try_from(image.bits).ok().filter(|bits| *bits > 0),
            width: image.width,
            height: image.height,
            target_dimension: image
                .full
                .map(|full| super::jpeg2000::asked(full, (image.width, image.height))),
            ..ImageDecodeParams::default()
        };
        stream.decoded_image(&parameters).map_or(true, |decoded| decoded.data.is_empty())
    });
    match broken {
        Some((image, stream)) => format!(
            "its image of {} x {} pixels (object {} of the file) cannot be decoded",
            image.width,
            image.height,
            ObjRef::from(stream.obj_id()).obj_number
        ),
        None => "an image on it cannot be decoded".to_owned(),
    }
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
    tail.windows(9).any(|bytes| bytes == b"startxref")
        || tail.windows(5).any(|bytes| bytes == b"%%EOF")
        || ending::end_before_junk(&file[..end]).is_some()
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

/// Inflates the page's instructions once into nothing, and gives up where they pass their limit, are none, or are not
/// there: a page without them would look like an empty one.
fn within_content_limit(page: &Page<'_>) -> Result<(), Fault> {
    let mut room = CONTENT_BYTES_MAX;
    for stream in instructions(page)?.streams {
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
        if ended && stream.decoded_data().is_err() {
            return Err(Fault::corrupt("its drawing instructions cannot be decoded"));
        }
    }
    Ok(())
}

/// The decoded data of a stream that is no image, where they are within the limit of a page's instructions. `None` where
/// they are not, or cannot be had; how long they are is found out without holding them.
pub(crate) fn decoded_within_limit<'s>(stream: &Stream<'s>) -> Option<Cow<'s, [u8]>> {
    let filters = stream.filters();
    let data = stream.raw_data();
    let most = filters.iter().fold(data.len() as u64, |most, filter| most.saturating_mul(growth(*filter)));
    if most > CONTENT_BYTES_MAX {
        if !filters.iter().all(|filter| *filter == Filter::FlateDecode) {
            return None;
        }
        let whole: Box<dyn Read + '_> = Box::new(data.as_ref());
        let reader = filters.iter().fold(whole, |reader, _| Box::new(flate2::read::ZlibDecoder::new(reader)));
        let (read, ended) = drained(reader.take(CONTENT_BYTES_MAX + 1));
        if ended || read > CONTENT_BYTES_MAX {
            return None;
        }
    }
    stream.decoded_data().ok()
}

/// By how much data may grow at most when this is undone.
fn growth(filter: Filter) -> u64 {
    match filter {
        // A bit for 258 bytes, in the best of cases two.
        Filter::FlateDecode => 1_032,
        // Twelve bits for as many bytes as there are codes.
        Filter::LzwDecode => 2_731,
        Filter::RunLengthDecode => 64,
        _ => 1,
    }
}

/// A page's instructions.
struct Instructions<'p> {
    streams: Vec<Stream<'p>>,
    /// Whether a part of them is not there, or damaged.
    is_incomplete: bool,
}

fn instructions<'p>(page: &Page<'p>) -> Result<Instructions<'p>, Fault> {
    let dictionary = page.raw();
    let whole = |streams| Instructions { streams, is_incomplete: false };
    let object = match dictionary.get::<Object<'p>>("Contents") {
        None if dictionary.contains_key("Contents") => return Err(no_instructions()),
        None | Some(Object::Null(_)) => return Ok(whole(Vec::new())),
        Some(object) => object,
    };
    match object {
        Object::Stream(stream) => Ok(whole(vec![stream])),
        Object::Array(parts) => {
            let part = |part: MaybeRef<Object<'p>>| match part {
                MaybeRef::Ref(to) => match page.xref().get::<Object<'p>>(to.into()) {
                    Some(Object::Stream(stream)) => Some(Some(stream)),
                    Some(Object::Null(_)) => None,
                    _ => Some(None),
                },
                MaybeRef::NotRef(_) => None,
            };
            let all: Vec<Option<Stream<'p>>> = parts.raw_iter().filter_map(part).collect();
            let is_incomplete = all.iter().any(Option::is_none);
            let streams: Vec<Stream<'p>> = all.into_iter().flatten().collect();
            // Whoever shows the page shows what is left; where nothing is, it would look empty.
            if is_incomplete && streams.is_empty() {
                return Err(no_instructions());
            }
            Ok(Instructions { streams, is_incomplete })
        }
        _ => Err(no_instructions()),
    }
}

fn no_instructions() -> Fault {
    Fault::corrupt("the object with its drawing instructions is not there, or is damaged")
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

/// The resolution at which a page is drawn that is to be drawn at this one, and what there is to say of it. A drawing with
/// fine images, or a very large one, is better shown coarser than not at all, though not coarser than is read well.
fn drawn_dpi(page: &Page<'_>, wanted: f64, limits: &Limits) -> (f64, Option<String>) {
    let (width, height) = inches(page);
    let with = |pixels: f64| (pixels / (width * height)).sqrt();
    let by_pixels = with(limits.page_pixels as f64) * 0.99;
    let by_side = f64::from(DRAWN_SIDE_MAX) / width.max(height);
    let fits = by_pixels.min(by_side);
    // What is on a page that is larger than its numbers say is larger too.
    let least = fits.clamp(COARSE_DPI_MIN / user_unit(page).max(1.0), RENDER_DPI);
    let most = with(FINE_PIXELS_MAX).min(fits).clamp(least, RENDER_DPI_MAX);
    let wanted = wanted.min(RENDER_DPI_MAX);
    let remark = (wanted > most * 1.01).then(|| {
        if most >= RENDER_DPI {
            return format!(
                "This page was drawn with {most:.0} dots an inch, and its images have {wanted:.0}: a page of more \
                 than {FINE_PIXELS_MAX} pixels is drawn coarser. The original has all of them."
            );
        }
        let limit = match by_pixels < by_side {
            true => format!("{} pixels (capture.limits.page_pixels)", limits.page_pixels),
            false => format!("{DRAWN_SIDE_MAX} pixels along one side"),
        };
        format!(
            "This page was drawn with {most:.0} dots an inch and not with {wanted:.0}: it is so large that it would \
             have more than {limit}. The original has all of it."
        )
    });
    (wanted.min(most), remark)
}

/// The size of a page as it is shown, in inches.
fn inches(page: &Page<'_>) -> (f64, f64) {
    let (width, height) = page.render_dimensions();
    let unit = user_unit(page);
    let inches = |units: f32| (f64::from(units) * unit / POINTS_PER_INCH).max(1.0 / POINTS_PER_INCH);
    (inches(width), inches(height))
}

/// How many points a unit of the page is (ISO 32000-1, table 30). What reads PDFs here takes it for one.
fn user_unit(page: &Page<'_>) -> f64 {
    page.raw().get::<f64>("UserUnit").filter(|unit| USER_UNIT.contains(unit)).unwrap_or(1.0)
}

/// The page as the renderer draws it, at this resolution or a coarser one, and whether all its images could be decoded.
fn render(page: &Page<'_>, wanted_dpi: f64, limits: &Limits) -> Result<(Picture, bool), Fault> {
    let (dpi, remark) = drawn_dpi(page, wanted_dpi, limits);
    let scale = dpi / POINTS_PER_INCH * user_unit(page);
    let (width, height) = page.render_dimensions();
    let wide = (f64::from(width) * scale).round().max(1.0);
    let high = (f64::from(height) * scale).round().max(1.0);
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
    let transform = Affine::scale(scale) * Affine::new(page.initial_transform(true).as_coeffs());
    let paper = hayro::vello_cpu::color::palette::css::WHITE;
    let band = u16::try_from(BAND_PIXELS / usize::from(columns)).unwrap_or(u16::MAX).clamp(1, rows);
    let mut samples: Vec<u8> = Vec::with_capacity(usize::from(columns) * usize::from(rows) * 3);
    for top in (0..rows).step_by(band.into()) {
        let mut context = RenderContext::new(columns, band.min(rows - top));
        let transform = Affine::translate((0.0, -f64::from(top))) * transform;
        render_into(
            page,
            &RenderCache::new(),
            &settings,
            &RenderSettings::default(),
            &mut context,
            transform,
        );
        context.flush();
        let mut pixels = Pixmap::new(columns, band.min(rows - top));
        let raster =
            RasterizerSettings { target_init: TargetInit::Clear(paper), ..RasterizerSettings::default() };
        context.render_with(&mut pixels, &mut Resources::default(), raster);
        samples.extend(pixels.data_as_u8_slice().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]));
    }
    let image = RgbImage::from_raw(columns.into(), rows.into(), samples)
        .ok_or_else(|| Fault::corrupt("the page was rendered in another size"))?;
    let mut picture = Picture::new(Samples::Rgb(image));
    picture.dpi = Some(dpi.round() as u32);
    picture.remarks.extend(remark);
    Ok((picture, !broken_image.load(Ordering::Relaxed)))
}

/// Black and white again, where rendering softened the edges of a black and white image.
fn two_tones(samples: &Samples) -> Samples {
    let mut gray: GrayImage = samples.to_gray();
    for sample in gray.iter_mut() {
        *sample = if *sample < 128 { 0 } else { 255 };
    }
    Samples::Bitonal(gray)
}
