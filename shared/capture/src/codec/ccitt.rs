//! Black and white pictures in CCITT group 4 (ITU-T T.6), without loss.

use std::convert::Infallible;

use fax::encoder::Encoder;
use fax::{Color, VecWriter};
use image::GrayImage;

/// Codes a picture; samples below 128 are black.
pub(crate) fn encoded(image: &GrayImage) -> Vec<u8> {
    let width = image.width();
    let mut encoder = Encoder::new(VecWriter::new());
    for row in image.as_raw().chunks_exact(width as usize) {
        let pixels = row.iter().map(|&sample| if sample < 128 { Color::Black } else { Color::White });
        let written: Result<(), Infallible> = encoder.encode_line(pixels, width);
        match written {
            Ok(()) => {}
        }
    }
    match encoder.finish() {
        Ok(writer) => writer.finish(),
    }
}
