//! The TIFF pages that Rust's decoder cannot read: CCITT group 3, reversed bit order, palettes, old JPEG.
//!
//! Leptonica (and libtiff below it) comes with Tesseract. It decodes from memory, inside the worker's
//! sandbox, and only pages whose size was checked against the limits before.

#![expect(unsafe_code, reason = "Leptonica has a C interface")]

use std::ptr::NonNull;
use std::sync::Once;

use image::{GrayImage, RgbImage};
use leptess::capi;

/// Leptonica's level at which it prints nothing.
const SEVERITY_NONE: i32 = 6;

/// A decoded page, upright by its own orientation tag.
#[derive(Debug)]
pub enum Decoded {
    /// One bit a pixel: 0 is black, 255 white.
    Bitonal(GrayImage),
    /// Gray.
    Gray(GrayImage),
    /// Colour.
    Rgb(RgbImage),
}

/// Decodes page `page` (from 0) of a TIFF file; `None` where Leptonica cannot.
pub fn decode_tiff_page(file: &[u8], page: u32) -> Option<Decoded> {
    static QUIET: Once = Once::new();
    // SAFETY: it sets a number; done once, before any other call of ours.
    QUIET.call_once(|| unsafe {
        capi::setMsgSeverity(SEVERITY_NONE);
    });
    let page = i32::try_from(page).ok()?;
    // SAFETY: the slice outlives the call, which reads no more than its length.
    let pix = Pix::owned(unsafe { capi::pixReadMemTiff(file.as_ptr(), file.len(), page) })?;
    pix.decoded()
}

/// A Leptonica picture that we own.
struct Pix(NonNull<capi::Pix>);

impl Pix {
    fn owned(pix: *mut capi::Pix) -> Option<Self> {
        NonNull::new(pix).map(Self)
    }

    fn decoded(&self) -> Option<Decoded> {
        let (width, height, depth) = self.dimensions()?;
        // SAFETY: the picture is live; these make new pictures of the same size, or answer null.
        unsafe {
            match (depth, capi::pixGetColormap(self.0.as_ptr()).is_null()) {
                (1, true) => Some(Decoded::Bitonal(self.bits(width, height)?)),
                (32, _) => Some(Decoded::Rgb(self.colours(width, height)?)),
                (_, true) => {
                    let gray = Self::owned(capi::pixConvertTo8(self.0.as_ptr(), 0))?;
                    Some(Decoded::Gray(gray.bytes(width, height)?))
                }
                (_, false) => {
                    let colour = Self::owned(capi::pixConvertTo32(self.0.as_ptr()))?;
                    Some(Decoded::Rgb(colour.colours(width, height)?))
                }
            }
        }
    }

    fn dimensions(&self) -> Option<(u32, u32, u32)> {
        let (mut width, mut height, mut depth) = (0, 0, 0);
        // SAFETY: the picture is live, the pointers are to locals.
        let status = unsafe { capi::pixGetDimensions(self.0.as_ptr(), &mut width, &mut height, &mut depth) };
        let fits = |value: i32| u32::try_from(value).ok().filter(|value| *value > 0);
        (status == 0).then_some((fits(width)?, fits(height)?, fits(depth)?))
    }

    /// The rows: 32-bit words, the leftmost pixel in the most significant bits.
    fn rows(&self, height: u32) -> Option<std::slice::ChunksExact<'_, u32>> {
        // SAFETY: the picture is live; its data are `words_per_line * height` words which live as long as it.
        unsafe {
            let words_per_line = usize::try_from(capi::pixGetWpl(self.0.as_ptr())).ok()?;
            let data = capi::pixGetData(self.0.as_ptr());
            if data.is_null() || words_per_line == 0 {
                return None;
            }
            let words = std::slice::from_raw_parts(data, words_per_line * height as usize);
            Some(words.chunks_exact(words_per_line))
        }
    }

    /// One bit a pixel; Leptonica's 1 is black.
    fn bits(&self, width: u32, height: u32) -> Option<GrayImage> {
        let mut samples = Vec::with_capacity(width as usize * height as usize);
        for row in self.rows(height)? {
            let pixels =
                (0..width as usize).map(|x| if row[x / 32] >> (31 - x % 32) & 1 == 1 { 0 } else { 255 });
            samples.extend(pixels);
        }
        GrayImage::from_raw(width, height, samples)
    }

    /// Eight bits a pixel.
    fn bytes(&self, width: u32, height: u32) -> Option<GrayImage> {
        let mut samples = Vec::with_capacity(width as usize * height as usize);
        for row in self.rows(height)? {
            samples.extend(row.iter().flat_map(|word| word.to_be_bytes()).take(width as usize));
        }
        GrayImage::from_raw(width, height, samples)
    }

    /// Red, green, blue and an unused byte a pixel.
    fn colours(&self, width: u32, height: u32) -> Option<RgbImage> {
        let mut samples = Vec::with_capacity(width as usize * height as usize * 3);
        for row in self.rows(height)? {
            for word in row.iter().take(width as usize) {
                let [red, green, blue, _] = word.to_be_bytes();
                samples.extend([red, green, blue]);
            }
        }
        RgbImage::from_raw(width, height, samples)
    }
}

impl Drop for Pix {
    fn drop(&mut self) {
        let mut pix = self.0.as_ptr();
        // SAFETY: we own one reference, and give it up here.
        unsafe { capi::pixDestroy(&mut pix) }
    }
}
