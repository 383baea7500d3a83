//! The markers of a JPEG file (ITU-T T.81, annex B), as far as they matter around the decoder.
//!
//! The decoder gives samples. This walk over the headers finds what it does not tell: the resolution, whether
//! the file ends where it should, and whether a PDF may carry it as it is.

use std::io::Cursor;

use platen_model::FailureClass;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

use super::ending::{self, Ending};
use super::{Chroma, Fault, exif};

const START_OF_IMAGE: u8 = 0xd8;
const START_OF_SCAN: u8 = 0xda;
const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP14: u8 = 0xee;
/// Frame headers: every `C0`..=`CF` but tables (`C4`, `CC`) and the reserved `C8`.
const BASELINE: u8 = 0xc0;
const EXTENDED: u8 = 0xc1;

/// What the headers say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Headers {
    /// Dots an inch along both axes, from JFIF or else from Exif.
    pub(super) resolution: Option<(f64, f64)>,
    /// Colour components of the frame.
    pub(super) components: u8,
    /// How finely colour is sampled.
    pub(super) chroma: Chroma,
    /// Sequential Huffman coding with 8-bit samples: what every PDF reader decodes.
    pub(super) sequential: bool,
    /// Colours coded otherwise than the number of components suggests.
    pub(super) unusual_colours: bool,
    /// Adobe's segment is there.
    pub(super) adobe: bool,
}

impl Headers {
    /// Whether samples are amounts of ink. With Adobe's segment they are what the inks leave of the light.
    pub(super) fn are_inks(&self) -> bool {
        self.components == 4 && !self.adobe
    }

    /// Whether `DCTDecode` shows these bytes as their decoder here did.
    pub(super) fn fits_a_pdf(&self) -> bool {
        self.sequential && matches!(self.components, 1 | 3) && !self.unusual_colours
    }
}

/// Reads the headers, up to the first scan.
pub(super) fn headers(file: &[u8]) -> Result<Headers, Fault> {
    let truncated = || Fault::new(FailureClass::Truncated, "the JPEG ends within its headers");
    let mut headers = Headers::default();
    let mut rest = file.strip_prefix(&[0xff, START_OF_IMAGE]).ok_or_else(truncated)?;
    loop {
        // Any number of fill bytes may come before a marker (B.1.1.2).
        let marker_at = rest.iter().position(|&byte| byte != 0xff).ok_or_else(truncated)?;
        if marker_at == 0 {
            return Err(Fault::corrupt("no JPEG marker where one must be"));
        }
        let marker = rest[marker_at];
        let body = &rest[marker_at + 1..];
        if marker == START_OF_SCAN {
            return Ok(headers);
        }
        let length = match body {
            [high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
            _ => return Err(truncated()),
        };
        let segment = body.get(2..length.max(2)).ok_or_else(truncated)?;
        headers.notice(marker, segment);
        rest = &body[length.max(2)..];
    }
}

impl Headers {
    fn notice(&mut self, marker: u8, segment: &[u8]) {
        match (marker, segment) {
            (APP0, [b'J', b'F', b'I', b'F', 0, _, _, unit, x1, x2, y1, y2, ..]) => {
                let per_inch = match unit {
                    1 => 1.0,
                    2 => 2.54,
                    _ => return,
                };
                let axis = |high, low| f64::from(u16::from_be_bytes([high, low])) * per_inch;
                self.resolution = Some((axis(*x1, *x2), axis(*y1, *y2)));
            }
            (APP1, notes) => self.resolution = self.resolution.or_else(|| exif::resolution(notes)),
            // Adobe's segment: transform 1 is YCbCr, as three components are without it.
            (APP14, [b'A', b'd', b'o', b'b', b'e', .., transform]) if segment.len() == 12 => {
                self.adobe = true;
                self.unusual_colours = *transform != 1;
            }
            (0xc0..=0xcf, [precision, _, _, _, _, components, ..])
                if !matches!(marker, 0xc4 | 0xc8 | 0xcc) =>
            {
                self.components = *components;
                // The first component's sampling factors, the others' being 1 in all that is usual.
                self.chroma = if segment.get(7) == Some(&0x22) { Chroma::Halved } else { Chroma::Full };
                self.sequential = matches!(marker, BASELINE | EXTENDED) && *precision == 8;
            }
            _ => {}
        }
    }
}

/// The inks of a picture for which [`Headers::are_inks`] holds: cyan, magenta, yellow and black of each pixel. The decoder
/// around this one takes them for light.
pub(super) fn inks(file: &[u8]) -> Result<Vec<u8>, Fault> {
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
        .jpeg_set_out_colorspace(ColorSpace::CMYK);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode().map_err(|error| Fault::corrupt(format!("cannot decode the picture: {error:?}")))
}

/// Whether the end-of-image marker is there: that of the picture, not of a thumbnail in its metadata. Some devices pad the
/// file after it, some append their own data.
pub(super) fn has_end(file: &[u8]) -> bool {
    matches!(ending::jpeg(&mut Cursor::new(file)), Ok(Ending::Properly { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_thumbnail_is_not_the_end_of_its_picture() {
        let coded = |side: u32| {
            let mut bytes = Cursor::new(Vec::new());
            let picture = image::GrayImage::from_fn(side, side, |x, y| image::Luma([(x * y % 251) as u8]));
            picture.write_to(&mut bytes, image::ImageFormat::Jpeg).expect("memory takes it");
            bytes.into_inner()
        };
        let (picture, thumbnail) = (coded(300), coded(16));
        let length = u16::try_from(thumbnail.len() + 2).expect("a small one").to_be_bytes();
        let whole = [&picture[..2], &[0xff, 0xe1], &length, &thumbnail, &picture[2..]].concat();
        assert!(has_end(&whole) && has_end(&[&whole[..], b"padding"].concat()));
        for cut in [whole.len() / 2, whole.len() - 2] {
            assert!(!has_end(&whole[..cut]), "{cut} of {} bytes", whole.len());
        }
    }
}
