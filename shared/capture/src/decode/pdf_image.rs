//! The samples of an image in a PDF, in the image's own pixels.
//!
//! Only what scanners write is taken on: gray, RGB, inks, palettes and stencils, without masks that hide anything.
//! Anything else is left to the renderer, which knows all of PDF but redraws every pixel. Colour profiles are not applied.

use hayro_syntax::Filter;
use hayro_syntax::object::stream::{ImageColorSpace, ImageDecodeParams};
use hayro_syntax::object::{Array, Dict, Name, Object, Stream, String as PdfString};

use super::inflate::{self, End};
use super::jpeg::Inks;
use super::pdf_content::Placement;
use super::picture::{Original, Picture, Samples};
use super::{colours, fax, jpeg, jpeg2000, still, within_pixel_limit};
use crate::options::Limits;
use hayro_ccitt::EncodingMode;
use hayro_jbig2::{DecodeSettings, Globals, Page as Jbig2Page};

/// What the samples of an image mean.
enum Colours {
    Gray,
    Rgb,
    /// Amounts of cyan, magenta, yellow and black.
    Inks,
    /// Red, green and blue for each value.
    Palette(Vec<[u8; 3]>),
    /// As the coding itself says.
    Coded,
}

/// Why there is no picture of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undone {
    /// It takes the renderer.
    Unusual,
    /// Its data decode to nothing.
    Nothing,
}

/// Decodes an image. One whose data are damaged is shown as far as it can be, and says so.
pub(super) fn picture(image: &Placement<'_>, limits: &Limits) -> Result<Picture, Undone> {
    let stream = image.stream.as_ref().ok_or(Undone::Unusual)?;
    let dictionary = stream.dict();
    if dictionary.contains_key("Mask") || !is_opaque(image, dictionary, limits) {
        return Err(Undone::Unusual);
    }
    let filters = stream.filters();
    let colours = colours_of(image, stream, &filters).ok_or(Undone::Unusual)?;
    let inverted = inverted(dictionary, &colours).ok_or(Undone::Unusual)?;
    match filters.as_slice() {
        [Filter::DctDecode] => from_jpeg(image, stream, &colours, inverted, limits),
        [Filter::CcittFaxDecode] if matches!(colours, Colours::Gray) => from_ccitt(image, stream, inverted),
        [Filter::Jbig2Decode] if matches!(colours, Colours::Gray) => {
            let mut picture = from_samples(image, stream, &colours, inverted)?;
            picture.original = jbig2_original(image, stream).filter(|_| !inverted);
            Ok(picture)
        }
        _ => from_samples(image, stream, &colours, inverted),
    }
}

/// Whether all of an image is seen: it has no soft mask, or one that hides nothing, as programs write that give every
/// picture one.
fn is_opaque(image: &Placement<'_>, dictionary: &Dict<'_>, limits: &Limits) -> bool {
    let mask = match dictionary.get::<Object<'_>>("SMask") {
        Some(Object::Stream(mask)) => mask,
        Some(_) => return false,
        None => return !dictionary.contains_key("SMask"),
    };
    let entries = mask.dict();
    let number = |name: &str| entries.get::<u32>(name).unwrap_or(0);
    let (width, height) = (number("Width"), number("Height"));
    // A mask of a mask is against the rules, and might lead back here.
    let is_plain = !entries.contains_key("SMask") && !mask.filters().contains(&Filter::JpxDecode);
    if !is_plain || within_pixel_limit(width.into(), height.into(), limits).is_err() {
        return false;
    }
    let bits = number("BitsPerComponent");
    let stream = Some(mask);
    let mask = Placement { width, height, full: None, bits, ink: None, clip: None, stream, ..*image };
    picture(&mask, limits).is_ok_and(|mask| match mask.samples {
        Samples::Bitonal(opacity) | Samples::Gray(opacity) => {
            !mask.is_incomplete && opacity.iter().all(|opacity| *opacity == 255)
        }
        Samples::Rgb(_) => false,
    })
}

/// JBIG2 data, where they keep every rule of their coding: what a strict decoder takes, every reader shows alike.
fn jbig2_original(image: &Placement<'_>, stream: &Stream<'_>) -> Option<Original> {
    let own = stream.raw_data();
    let parameters = parameters_of(stream.dict());
    let shared = parameters.and_then(|parameters| parameters.get::<Stream<'_>>("JBIG2Globals"));
    let shared = match shared {
        Some(shared) => shared.decoded_data().ok()?.into_owned(),
        None => Vec::new(),
    };
    let settings = DecodeSettings { strict: true };
    let globals = (!shared.is_empty()).then(|| Globals::new(&shared, &settings)).transpose().ok()?;
    let page = Jbig2Page::new_embedded(&own, globals.as_ref(), &settings).ok()?;
    let fits = (page.width(), page.height()) == (image.width, image.height);
    (fits && page.decode(&mut Nowhere).is_ok()).then(|| Original::Jbig2 { shared, own: own.to_vec() })
}

/// Takes pixels and forgets them.
struct Nowhere;

impl hayro_jbig2::Decoder for Nowhere {
    fn push_pixel(&mut self, _: bool) {}
    fn push_pixel_chunk(&mut self, _: bool, _: u32) {}
    fn next_line(&mut self) {}
}

fn colours_of(image: &Placement<'_>, stream: &Stream<'_>, filters: &[Filter]) -> Option<Colours> {
    if image.ink.is_some() {
        return Some(Colours::Gray);
    }
    match stream.dict().get::<Object<'_>>("ColorSpace") {
        Some(space) => colours_named(space),
        None if filters == [Filter::JpxDecode] => Some(Colours::Coded),
        None => None,
    }
}

fn colours_named(space: Object<'_>) -> Option<Colours> {
    match space {
        Object::Name(name) => match &*name {
            b"DeviceGray" | b"CalGray" | b"G" => Some(Colours::Gray),
            b"DeviceRGB" | b"CalRGB" | b"RGB" => Some(Colours::Rgb),
            b"DeviceCMYK" | b"CMYK" => Some(Colours::Inks),
            _ => None,
        },
        Object::Array(array) => {
            let mut entries = array.flex_iter();
            match &*entries.next::<Name<'_>>()? {
                b"CalGray" => Some(Colours::Gray),
                b"CalRGB" => Some(Colours::Rgb),
                b"ICCBased" => match entries.next::<Stream<'_>>()?.dict().get::<u8>("N")? {
                    1 => Some(Colours::Gray),
                    3 => Some(Colours::Rgb),
                    4 => Some(Colours::Inks),
                    _ => None,
                },
                b"Indexed" | b"I" => palette(&array),
                _ => None,
            }
        }
        _ => None,
    }
}

/// `[/Indexed base highest table]` (ISO 32000-1, 8.6.6.3).
fn palette(array: &Array<'_>) -> Option<Colours> {
    let mut entries = array.iter::<Object<'_>>();
    let (_, base, _, table) = (entries.next()?, entries.next()?, entries.next()?, entries.next()?);
    let table = match table {
        Object::String(text) => PdfString::as_bytes(&text).to_vec(),
        Object::Stream(stream) => stream.decoded_data().ok()?.into_owned(),
        _ => return None,
    };
    Some(Colours::Palette(match colours_named(base)? {
        Colours::Gray => table.into_iter().map(|gray| [gray; 3]).collect(),
        Colours::Rgb => table.as_chunks::<3>().0.to_vec(),
        Colours::Inks => table.as_chunks::<4>().0.iter().map(|inks| colours::light_of(*inks)).collect(),
        Colours::Palette(_) | Colours::Coded => return None,
    }))
}

/// Whether `Decode` turns all samples round; `None` where it does anything else.
fn inverted(dictionary: &Dict<'_>, colours: &Colours) -> Option<bool> {
    let Some(decode) = dictionary.get::<Array<'_>>("Decode") else { return Some(false) };
    let decode: Vec<f64> = decode.iter::<f64>().collect();
    match (colours, decode.as_slice()) {
        (Colours::Gray, [0.0, 1.0]) | (Colours::Rgb, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]) => Some(false),
        (Colours::Inks, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]) => Some(false),
        (Colours::Gray, [1.0, 0.0]) | (Colours::Inks, [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0]) => Some(true),
        _ => None,
    }
}

fn from_jpeg(
    image: &Placement<'_>,
    stream: &Stream<'_>,
    colours: &Colours,
    inverted: bool,
    limits: &Limits,
) -> Result<Picture, Undone> {
    let components = match colours {
        Colours::Gray => 1,
        Colours::Rgb => 3,
        Colours::Inks => 4,
        Colours::Palette(_) | Colours::Coded => return Err(Undone::Unusual),
    };
    let bytes = stream.raw_data();
    let headers = jpeg::headers(&bytes).map_err(|_| Undone::Unusual)?;
    let told = stream.dict().get::<Dict<'_>>("DecodeParms");
    let told = told.is_some_and(|parameters| parameters.contains_key("ColorTransform"));
    // Four components are inks as Adobe marks them, in one of two ways, or unmarked.
    let has_inks = matches!(colours, Colours::Inks);
    let as_expected =
        if has_inks { !headers.adobe || headers.unusual_colours } else { !headers.unusual_colours };
    if told || (inverted && !has_inks) || headers.components != components || !as_expected {
        return Err(Undone::Unusual);
    }
    // What Adobe's mark says of inks is said by `Decode` in a PDF (ISO 32000-1, 7.4.8 and 8.9.5.2).
    let inks = if inverted { Inks::Left } else { Inks::Laid };
    let picture = still::jpeg_as_stored(&bytes, inks, limits).map_err(|_| Undone::Unusual)?;
    if picture.dimensions() == (image.width, image.height) { Ok(picture) } else { Err(Undone::Unusual) }
}

/// CCITT data, which are kept where they are group 4 in the form that we write ourselves.
fn from_ccitt(image: &Placement<'_>, stream: &Stream<'_>, inverted: bool) -> Result<Picture, Undone> {
    let dictionary = stream.dict();
    let parameters = parameters_of(dictionary).ok_or(Undone::Unusual)?;
    let flag = |name: &str| parameters.get::<bool>(name).unwrap_or(false);
    if parameters.get::<u32>("Columns").unwrap_or(1_728) != image.width {
        return Err(Undone::Unusual);
    }
    let coding = fax::Coding {
        mode: match parameters.get::<i32>("K").unwrap_or(0) {
            ..0 => EncodingMode::Group4,
            0 => EncodingMode::Group3_1D,
            1.. => EncodingMode::Group3_2D,
        },
        width: image.width,
        rows_are_bytes: flag("EncodedByteAlign"),
        inverted: inverted != flag("BlackIs1"),
    };
    let bytes = stream.raw_data();
    let mut page = fax::Page::new(coding, image.height);
    let is_whole = page.add(&bytes, image.height).is_ok();
    if page.is_empty() {
        return Err(Undone::Nothing);
    }
    let (samples, flawless) = page.finish();
    let mut picture = Picture::bitonal(samples);
    if !is_whole {
        return Ok(picture.damaged());
    }
    let ours = matches!(coding.mode, EncodingMode::Group4) && !coding.rows_are_bytes && !coding.inverted;
    if ours && flawless && fax::ends_with_end_of_block(&bytes) {
        picture.original = Some(Original::CcittG4(bytes.into_owned()));
    }
    Ok(picture)
}

fn from_samples(
    image: &Placement<'_>,
    stream: &Stream<'_>,
    colours: &Colours,
    inverted: bool,
) -> Result<Picture, Undone> {
    let is_indexed = matches!(colours, Colours::Palette(_));
    let parameters = ImageDecodeParams {
        is_indexed,
        bpc: u8::try_from(image.bits).ok().filter(|bits| *bits > 0),
        num_components: match colours {
            Colours::Gray | Colours::Palette(_) => Some(1),
            Colours::Rgb => Some(3),
            Colours::Inks => Some(4),
            Colours::Coded => None,
        },
        target_dimension: image.full.map(|full| jpeg2000::asked(full, (image.width, image.height))),
        width: image.full.map_or(image.width, |(width, _)| width),
        height: image.full.map_or(image.height, |(_, height)| height),
    };
    let decoded = stream.decoded_image(&parameters).map_err(|_| Undone::Nothing)?;
    if decoded.data.is_empty() {
        return Err(Undone::Nothing);
    }
    let mut bits = image.bits;
    let mut channels = match colours {
        Colours::Gray | Colours::Palette(_) | Colours::Coded => 1,
        Colours::Rgb => 3,
        Colours::Inks => 4,
    };
    if let Some(of) = &decoded.image_data {
        if of.alpha.is_some() || (of.width, of.height) != (image.width, image.height) {
            return Err(Undone::Unusual);
        }
        bits = u32::from(of.bits_per_component);
        channels = match (colours, of.color_space) {
            (Colours::Gray | Colours::Coded, Some(ImageColorSpace::Gray)) => 1,
            (Colours::Rgb | Colours::Coded, Some(ImageColorSpace::Rgb)) => 3,
            (Colours::Inks, Some(ImageColorSpace::Cmyk)) => 4,
            (Colours::Palette(_), _) => 1,
            _ => return Err(Undone::Unusual),
        };
    }
    let size = (image.width, image.height);
    let bitonal = bits == 1 || image.bits == 1;
    let row = (image.width as usize * channels * bits as usize).div_ceil(8);
    let mut bytes = decoded.data;
    let missing = (row * image.height as usize).saturating_sub(bytes.len());
    if missing > 0 {
        // A viewer would stretch what is there over the place of all.
        let paper = if inverted == (channels == 4) { 0xff } else { 0 };
        bytes.to_mut().resize(row * image.height as usize, paper);
    }
    let mut data = match bits {
        8 => bytes.into_owned(),
        1 if !is_indexed => colours::unpacked(&bytes, image.width, image.height),
        1 | 2 | 4 => colours::spread(&bytes, bits, image.width as usize * channels, !is_indexed),
        16 => bytes.as_chunks::<2>().0.iter().map(|&[high, _]| high).collect(),
        _ => return Err(Undone::Unusual),
    };
    if inverted {
        data.iter_mut().for_each(|sample| *sample = !*sample);
    }
    let samples = match colours {
        Colours::Palette(table) => {
            let pixels = data.iter().flat_map(|&value| {
                table.get(usize::from(value)).or(table.last()).copied().unwrap_or_default()
            });
            colours::samples(size, pixels.collect(), 3, false)
        }
        _ => colours::samples(size, data, channels, false),
    }
    .ok_or(Undone::Unusual)?;
    let mut picture = match samples {
        Samples::Gray(gray) if bitonal => Picture::bitonal(gray),
        samples => Picture::new(samples),
    };
    picture.remarks.extend(image.full.and_then(|full| jpeg2000::remark(full, size)));
    // A row that is not quite full nobody misses.
    if missing >= row || (decoded.image_data.is_none() && is_damaged(image)) {
        return Ok(picture.damaged());
    }
    Ok(picture)
}

/// Whether the data of an image in Deflate coding break a rule of it or end too early. What reads PDFs here makes of such
/// data what it can, and says nothing.
pub(super) fn is_damaged(image: &Placement<'_>) -> bool {
    let Some(stream) = image.stream.as_ref() else { return false };
    let filters = stream.filters();
    if filters.first() != Some(&Filter::FlateDecode) {
        return false;
    }
    let samples = (u64::from(image.width) * components(stream) * u64::from(image.bits)).div_ceil(8);
    let row = samples + u64::from(names_predictions(stream.dict()));
    let all = row * u64::from(image.height);
    // Behind its rows nothing is shown any more, but there is the check sum.
    match inflate::end_of(&stream.raw_data(), all + inflate::BEHIND_BYTES) {
        (End::Broken, _) => true,
        // Who leaves out the sum or the code of the end has still written every row.
        (_, count) => filters.len() == 1 && samples > 0 && count.saturating_add(row) <= all,
    }
}

/// Whether each row begins with a byte that says how it is predicted (ISO 32000-1, 7.4.4.4).
fn names_predictions(dictionary: &Dict<'_>) -> bool {
    let parameters = parameters_of(dictionary);
    parameters
        .and_then(|parameters| parameters.get::<u8>("Predictor"))
        .is_some_and(|predictor| predictor >= 10)
}

/// The parameters of a stream's first filter.
fn parameters_of<'a>(dictionary: &Dict<'a>) -> Option<Dict<'a>> {
    dictionary.get::<Dict<'_>>("DecodeParms").or_else(|| {
        let all = dictionary.get::<Array<'_>>("DecodeParms")?;
        all.iter::<Dict<'_>>().next()
    })
}

/// How many components the samples of an image have, and no more than that: one where it cannot be told.
fn components(stream: &Stream<'_>) -> u64 {
    match stream.dict().get::<Object<'_>>("ColorSpace") {
        Some(Object::Name(name)) => match &*name {
            b"DeviceRGB" | b"RGB" => 3,
            b"DeviceCMYK" | b"CMYK" => 4,
            _ => 1,
        },
        Some(Object::Array(array)) => {
            let mut entries = array.flex_iter();
            match entries.next::<Name<'_>>().as_deref() {
                Some(b"CalRGB" | b"Lab") => 3,
                Some(b"ICCBased") => {
                    let profile = entries.next::<Stream<'_>>();
                    profile.and_then(|profile| profile.dict().get::<u8>("N")).unwrap_or(1).into()
                }
                _ => 1,
            }
        }
        _ => 1,
    }
}
