//! The files scanners write: G4 TIFF, JPEG, PNG, and PDF of scans, each with its resolution.
//!
//! The TIFF and PNG containers are written by hand: a dozen tags and three chunks, with nothing in them that
//! would change from run to run.

use std::convert::Infallible;
use std::io::Write as _;

use fax::encoder::Encoder;
use fax::{Color, VecWriter};
use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use image::GrayImage;
use image::codecs::jpeg::{JpegEncoder, PixelDensity};
use lopdf::{Document as Pdf, EncryptionState, EncryptionVersion, Object, Permissions, StringFormat};
use pdf_writer::{Content, Filter, Finish as _, Name, Rect, Ref};

use platen_testdata::scanner::Pixels;

/// Quality of JPEG coding, 1 to 100.
const JPEG_QUALITY: u8 = 62;

/// A scanned page with its resolution in dots per inch.
pub(crate) struct Scan {
    pub(crate) pixels: Pixels,
    pub(crate) dpi: u32,
}

/// A JPEG file with its density in the JFIF header.
pub(crate) fn jpeg(scan: &Scan) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
    encoder.set_pixel_density(PixelDensity::dpi(scan.dpi as u16));
    match &scan.pixels {
        Pixels::Colour(image) => encoder.encode_image(image),
        Pixels::Gray(image) => encoder.encode_image(image),
    }
    .map_err(|error| format!("cannot code a JPEG: {error}"))?;
    Ok(bytes)
}

/// A bitonal PNG (one bit a pixel) with its `pHYs` chunk.
pub(crate) fn bitonal_png(scan: &Scan) -> Result<Vec<u8>, String> {
    let image = bits_of(scan)?;
    let mut rows = Vec::new();
    for row in image.rows() {
        rows.push(0); // no filter
        let mut byte = 0u8;
        let mut used = 0;
        for pixel in row {
            byte = byte << 1 | u8::from(pixel.0[0] != 0);
            used += 1;
            if used == 8 {
                rows.push(byte);
                (byte, used) = (0, 0);
            }
        }
        if used > 0 {
            rows.push(byte << (8 - used));
        }
    }
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::best());
    let data = deflate.write_all(&rows).and_then(|()| deflate.finish()).map_err(|error| error.to_string())?;

    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = [image.width().to_be_bytes(), image.height().to_be_bytes()].concat();
    header.extend([1, 0, 0, 0, 0]); // one bit, gray, deflate, adaptive filters, not interlaced
    let per_metre = ((scan.dpi as f32 / 0.0254).round() as u32).to_be_bytes();
    let density = [&per_metre[..], &per_metre[..], &[1]].concat();
    for (name, body) in [(b"IHDR", &header), (b"pHYs", &density), (b"IDAT", &data), (b"IEND", &Vec::new())] {
        let mut crc = Crc::new();
        crc.update(name);
        crc.update(body);
        bytes.extend((body.len() as u32).to_be_bytes());
        bytes.extend(name);
        bytes.extend(body);
        bytes.extend(crc.sum().to_be_bytes());
    }
    Ok(bytes)
}

/// A little-endian TIFF 6.0 file with one G4 strip a page. Each directory precedes its strip, as scanners that
/// write while they scan do.
pub(crate) fn g4_tiff(scans: &[Scan]) -> Result<Vec<u8>, String> {
    const ENTRIES: u32 = 12;
    let mut bytes = b"II*\0".to_vec();
    bytes.extend(8u32.to_le_bytes());
    for (number, scan) in scans.iter().enumerate() {
        let image = bits_of(scan)?;
        let strip = g4(image);
        let directory = bytes.len() as u32;
        let resolution = directory + 2 + ENTRIES * 12 + 4;
        let data = resolution + 8;
        let end = (data + strip.len() as u32).next_multiple_of(2);
        let next = if number + 1 < scans.len() { end } else { 0 };
        bytes.extend((ENTRIES as u16).to_le_bytes());
        let entries: [(u16, u16, u32); ENTRIES as usize] = [
            (254, 4, 2),                  // NewSubfileType: a page of several
            (256, 4, image.width()),      // ImageWidth
            (257, 4, image.height()),     // ImageLength
            (258, 3, 1),                  // BitsPerSample
            (259, 3, 4),                  // Compression: CCITT T.6
            (262, 3, 0),                  // PhotometricInterpretation: white is zero
            (273, 4, data),               // StripOffsets
            (278, 4, image.height()),     // RowsPerStrip
            (279, 4, strip.len() as u32), // StripByteCounts
            (282, 5, resolution),         // XResolution
            (283, 5, resolution),         // YResolution
            (296, 3, 2),                  // ResolutionUnit: inch
        ];
        for (tag, kind, value) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(1u32.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(next.to_le_bytes());
        bytes.extend(scan.dpi.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(&strip);
        bytes.resize(end as usize, 0);
    }
    Ok(bytes)
}

/// CCITT group 4 (ITU-T T.6), ended by EOFB.
fn g4(image: &GrayImage) -> Vec<u8> {
    let coded = || -> Result<Vec<u8>, Infallible> {
        let mut encoder = Encoder::new(VecWriter::new());
        for row in image.rows() {
            let colors = row.map(|pixel| if pixel.0[0] == 0 { Color::Black } else { Color::White });
            encoder.encode_line(colors, image.width())?;
        }
        Ok(encoder.finish()?.finish())
    };
    match coded() {
        Ok(bytes) => bytes,
        Err(never) => match never {},
    }
}

/// A PDF whose every page is one JPEG scan, as multifunction printers write.
pub(crate) fn pdf(scans: &[Scan]) -> Result<Vec<u8>, String> {
    let mut pdf = pdf_writer::Pdf::new();
    let (catalog, tree) = (Ref::new(1), Ref::new(2));
    let page = |number: usize, part: i32| Ref::new(3 + 3 * number as i32 + part);
    pdf.catalog(catalog).pages(tree);
    pdf.pages(tree).kids((0..scans.len()).map(|number| page(number, 0))).count(scans.len() as i32);
    for (number, scan) in scans.iter().enumerate() {
        let (width, height, color) = match &scan.pixels {
            Pixels::Colour(image) => (image.width(), image.height(), true),
            Pixels::Gray(image) => (image.width(), image.height(), false),
        };
        let points = |pixels: u32| pixels as f32 * 72.0 / scan.dpi as f32;
        let mut leaf = pdf.page(page(number, 0));
        leaf.media_box(Rect::new(0.0, 0.0, points(width), points(height))).parent(tree);
        leaf.contents(page(number, 1));
        leaf.resources().x_objects().pair(Name(b"Scan"), page(number, 2));
        leaf.finish();
        let mut content = Content::new();
        content.transform([points(width), 0.0, 0.0, points(height), 0.0, 0.0]).x_object(Name(b"Scan"));
        pdf.stream(page(number, 1), &content.finish());
        let data = jpeg(scan)?;
        let mut image = pdf.image_xobject(page(number, 2), &data);
        image.width(width as i32).height(height as i32).bits_per_component(8).filter(Filter::DctDecode);
        if color {
            image.color_space().device_rgb();
        } else {
            image.color_space().device_gray();
        }
    }
    Ok(pdf.finish())
}

/// The same PDF, readable only with the password. RC4 with 128 bits, because AES would draw fresh random
/// bytes on each run; nothing secret is kept here.
pub(crate) fn locked_pdf(scans: &[Scan], password: &str) -> Result<Vec<u8>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot lock a PDF: {error}");
    let mut pdf = Pdf::load_mem(&pdf(scans)?).map_err(|error| failed(&error))?;
    let id = Object::String(b"platen-testdata!".to_vec(), StringFormat::Literal);
    pdf.trailer.set("ID", Object::Array(vec![id.clone(), id]));
    let version = EncryptionVersion::V2 {
        document: &pdf,
        owner_password: "the owner's",
        user_password: password,
        key_length: 128,
        permissions: Permissions::all(),
    };
    let state = EncryptionState::try_from(version).map_err(|error| failed(&error))?;
    pdf.encrypt(&state).map_err(|error| failed(&error))?;
    still_the_padding(&mut pdf).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    pdf.save_to(&mut bytes).map_err(|error| failed(&error))?;
    Ok(bytes)
}

/// Sets the arbitrary half of the password check (ISO 32000-1, 7.6.3.4, algorithm 5) to zero: the writer fills
/// it with random bytes.
fn still_the_padding(pdf: &mut Pdf) -> lopdf::Result<()> {
    let id = pdf.trailer.get(b"Encrypt")?.as_reference()?;
    if let Object::String(check, _) = pdf.get_object_mut(id)?.as_dict_mut()?.get_mut(b"U")? {
        check.iter_mut().skip(16).for_each(|byte| *byte = 0);
    }
    Ok(())
}

fn bits_of(scan: &Scan) -> Result<&GrayImage, String> {
    match &scan.pixels {
        Pixels::Gray(image) => Ok(image),
        Pixels::Colour(_) => Err("a bitonal file needs a bitonal scan".into()),
    }
}
