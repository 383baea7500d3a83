//! A decoded page, before anything is done to it.

use std::borrow::Cow;
use std::ops::Range;

use fast_image_resize::images::{Image as ResizedImage, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::metadata::Orientation;
use image::{GrayImage, RgbImage};

use crate::raster::by_quarters;

/// The samples of a page.
#[derive(Clone, Debug)]
pub enum Samples {
    /// Black and white: every sample is 0 or 255.
    Bitonal(GrayImage),
    /// Gray, 0 is black.
    Gray(GrayImage),
    /// Colour, sRGB.
    Rgb(RgbImage),
}

/// A page as the scanner coded it, in a form that could stand in a PDF as it is.
#[derive(Clone, Debug)]
pub enum Original {
    /// A JPEG file.
    Jpeg {
        /// The file.
        bytes: Vec<u8>,
        /// Its colour components, 1 or 3.
        components: u8,
    },
    /// CCITT group 4 (ITU-T T.6) with its end-of-block code; coded black is black.
    CcittG4(Vec<u8>),
    /// JBIG2 (ITU-T T.88) as a PDF holds it; coded black is black.
    Jbig2 {
        /// Segments that other pictures may share.
        shared: Vec<u8>,
        /// The picture's own.
        own: Vec<u8>,
    },
}

/// How finely colour is sampled, against lightness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chroma {
    /// As finely.
    #[default]
    Full,
    /// Half as finely along both axes, as cameras and most scanners code JPEG (4:2:0).
    Halved,
}

/// A decoded page.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Its samples.
    pub samples: Samples,
    /// Its resolution as the file states it; `None` where it says nothing or nothing credible.
    pub dpi: Option<u32>,
    /// How finely the file samples colour: what it does not hold need not be kept.
    pub chroma: Chroma,
    /// What these samples were decoded from, as long as they are unchanged.
    pub original: Option<Original>,
    /// What a person should know of how it was decoded, a sentence each.
    pub remarks: Vec<String>,
    /// Whether something that belongs to the page could not be decoded, and is missing.
    pub is_incomplete: bool,
}

/// Resolutions outside this range are taken for a wrong tag: 72 and 96 mean "unknown" far more often than
/// they mean 72 and 96, but 72 is still a possible scan; below it nothing legible was ever scanned.
const CREDIBLE_DPI: std::ops::RangeInclusive<f64> = 70.0..=2_400.0;

/// Axes further apart are taken for a wrong tag. The coarsest fax is 204 x 98; what a tag can stretch a page by
/// is bounded with it.
const RATIO_MAX: f64 = 4.2;

/// What a page says whose data are damaged, as far as they were decoded all the same.
const DAMAGED: &str =
    "The data of this page's picture are damaged: a part of it is missing or not what was scanned.";

/// Pixels no longer than this beside their width count as square: fax calls 204 x 196 so.
const SQUARE_MAX: f64 = 1.05;

/// How much longer than wide sheets of paper are: ISO A and B, letter, legal.
const PAPERS: [f64; 3] = [std::f64::consts::SQRT_2, 11.0 / 8.5, 14.0 / 8.5];

/// Whether these are the dots an inch of a fax along a line and across the lines, or those of one that lies on its side.
fn is_of_fax(horizontal: f64, vertical: f64) -> bool {
    let of_lines = |dpi: f64| (198.0..=210.0).contains(&dpi) || (396.0..=410.0).contains(&dpi);
    let of_rows = |dpi: f64| {
        (96.0..=102.0).contains(&dpi) || (192.0..=204.0).contains(&dpi) || (384.0..=408.0).contains(&dpi)
    };
    (of_lines(horizontal) && of_rows(vertical)) || (of_rows(horizontal) && of_lines(vertical))
}

impl Picture {
    /// A picture of unknown resolution.
    pub fn new(samples: Samples) -> Self {
        Self::plain(samples.simplified())
    }

    /// A picture of these very samples, of which nothing else is known.
    pub(super) fn plain(samples: Samples) -> Self {
        let remarks = Vec::new();
        Self { samples, dpi: None, chroma: Chroma::Full, original: None, remarks, is_incomplete: false }
    }

    /// A picture in black and white, every sample 0 or 255, of unknown resolution.
    pub(super) fn bitonal(image: GrayImage) -> Self {
        Self::plain(Samples::Bitonal(image))
    }

    /// Width and height in pixels.
    pub fn dimensions(&self) -> (u32, u32) {
        match &self.samples {
            Samples::Bitonal(image) | Samples::Gray(image) => image.dimensions(),
            Samples::Rgb(image) => image.dimensions(),
        }
    }

    /// The same picture, of which a part could not be decoded as it was coded. A person is told.
    #[must_use]
    pub(super) fn damaged(mut self) -> Self {
        if !self.remarks.iter().any(|remark| remark == DAMAGED) {
            self.remarks.push(DAMAGED.to_owned());
        }
        self.is_incomplete = true;
        self.original = None;
        self
    }

    /// Sets the resolution from what the file says of its two axes, and makes pixels square: a fax line is
    /// twice as high as its dots are wide.
    #[must_use]
    pub fn with_resolution(mut self, horizontal: f64, vertical: f64) -> Self {
        let credible = |dpi: f64| CREDIBLE_DPI.contains(&dpi);
        let ratio = horizontal.max(vertical) / horizontal.min(vertical);
        if !credible(horizontal) || !credible(vertical) || ratio > RATIO_MAX {
            return self;
        }
        let (width, height) = self.dimensions();
        let dpi = horizontal.max(vertical);
        self.dpi = Some(dpi.round() as u32);
        let stretch = |length: u32, axis: f64| (f64::from(length) * dpi / axis).round() as u32;
        let (wide, high) = (stretch(width, horizontal), stretch(height, vertical));
        if ratio > SQUARE_MAX {
            self.samples = self.samples.stretched(wide, high);
            self.original = None;
        }
        self
    }

    /// Sets the resolution from what tags say of the two axes. A tag that would stretch the page is believed where that
    /// makes it more like a sheet of paper, or where it is what fax machines write: others are slips.
    #[must_use]
    pub(super) fn with_stated_resolution(self, horizontal: f64, vertical: f64) -> Self {
        let (width, height) = self.dimensions();
        let (wide, high) = (f64::from(width), f64::from(height));
        let stretched = (wide / horizontal).max(high / vertical) / (wide / horizontal).min(high / vertical);
        let is_stretched = horizontal.max(vertical) / horizontal.min(vertical) > SQUARE_MAX;
        let unlike = |proportion: f64| {
            PAPERS.into_iter().map(|paper| (proportion / paper).ln().abs()).fold(f64::MAX, f64::min)
        };
        let is_paper = unlike(stretched) < unlike(wide.max(high) / wide.min(high));
        if is_stretched && !is_paper && !is_of_fax(horizontal, vertical) {
            return self;
        }
        self.with_resolution(horizontal, vertical)
    }

    /// Turns the picture as its EXIF or TIFF orientation says.
    #[must_use]
    pub fn oriented(mut self, orientation: Orientation) -> Self {
        if orientation == Orientation::NoTransforms {
            return self;
        }
        self.original = None;
        let quarters_deg = match orientation {
            Orientation::Rotate90 => Some(90),
            Orientation::Rotate180 => Some(180),
            Orientation::Rotate270 => Some(270),
            _ => None,
        };
        self.samples = match (quarters_deg, self.samples) {
            (Some(clockwise_deg), samples) => by_quarters(samples, clockwise_deg),
            (None, Samples::Bitonal(image)) => {
                Samples::Bitonal(applied(image::DynamicImage::ImageLuma8(image), orientation).into_luma8())
            }
            (None, Samples::Gray(image)) => {
                Samples::Gray(applied(image::DynamicImage::ImageLuma8(image), orientation).into_luma8())
            }
            (None, Samples::Rgb(image)) => {
                Samples::Rgb(applied(image::DynamicImage::ImageRgb8(image), orientation).into_rgb8())
            }
        };
        self
    }
}

fn applied(mut image: image::DynamicImage, orientation: Orientation) -> image::DynamicImage {
    image.apply_orientation(orientation);
    image
}

impl Samples {
    /// The gray samples, as the eye weighs colours (ITU-R BT.601).
    pub fn to_gray(&self) -> GrayImage {
        match self {
            Self::Bitonal(image) | Self::Gray(image) => image.clone(),
            Self::Rgb(image) => {
                let (pixels, _) = image.as_raw().as_chunks::<3>();
                GrayImage::from_raw(image.width(), image.height(), pixels.iter().map(luminance).collect())
                    .expect("one sample for each pixel was made")
            }
        }
    }

    /// The gray samples of some rows, as [`to_gray`](Self::to_gray) makes them of all.
    pub(crate) fn gray_rows(&self, rows: Range<usize>) -> Cow<'_, [u8]> {
        match self {
            Self::Bitonal(image) | Self::Gray(image) => {
                let row = image.width() as usize;
                Cow::Borrowed(&image.as_raw()[rows.start * row..rows.end * row])
            }
            Self::Rgb(image) => {
                let row = image.width() as usize * 3;
                let (pixels, _) = image.as_raw()[rows.start * row..rows.end * row].as_chunks::<3>();
                Cow::Owned(pixels.iter().map(luminance).collect())
            }
        }
    }

    /// The same samples under the simplest name: colour without colour is gray, gray of two tones is bitonal.
    fn simplified(self) -> Self {
        match self {
            Self::Rgb(image)
                if image
                    .as_raw()
                    .chunks_exact(3)
                    .all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]) =>
            {
                let samples = image.as_raw().chunks_exact(3).map(|pixel| pixel[0]).collect();
                let gray = GrayImage::from_raw(image.width(), image.height(), samples)
                    .expect("one sample for each pixel was made");
                Self::Gray(gray).simplified()
            }
            Self::Gray(image) if image.as_raw().iter().all(|sample| matches!(sample, 0 | 255)) => {
                Self::Bitonal(image)
            }
            other => other,
        }
    }

    /// The picture in another size.
    pub(super) fn stretched(self, width: u32, height: u32) -> Self {
        let resized = |samples: &[u8], size: (u32, u32), pixels: PixelType| {
            let source =
                ImageRef::new(size.0, size.1, samples, pixels).expect("a picture has all its samples");
            let mut target = ResizedImage::new(width, height, pixels);
            let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
            Resizer::new().resize(&source, &mut target, &options).expect("both are of the same kind");
            target.into_vec()
        };
        let whole = "the resized picture has all its samples";
        match self {
            // Dots that are left out would be strokes with gaps: fewer of them are shades of gray.
            Self::Bitonal(image) if width < image.width() || height < image.height() => {
                Self::Gray(image).stretched(width, height)
            }
            // Rows are repeated, so that black stays black.
            Self::Bitonal(image) => Self::Bitonal(repeated(&image, width, height)),
            Self::Gray(image) => {
                let samples = resized(image.as_raw(), image.dimensions(), PixelType::U8);
                Self::Gray(GrayImage::from_raw(width, height, samples).expect(whole))
            }
            Self::Rgb(image) => {
                let samples = resized(image.as_raw(), image.dimensions(), PixelType::U8x3);
                Self::Rgb(RgbImage::from_raw(width, height, samples).expect(whole))
            }
        }
    }
}

/// A larger picture of the same dots.
fn repeated(image: &GrayImage, width: u32, height: u32) -> GrayImage {
    let nearest = |at: u32, side: u32, of: u32| {
        (((f64::from(at) + 0.5) * f64::from(of) / f64::from(side)) as u32).min(of - 1) as usize
    };
    let columns: Vec<usize> = (0..width).map(|x| nearest(x, width, image.width())).collect();
    let row = image.width() as usize;
    let mut samples = Vec::with_capacity(width as usize * height as usize);
    for y in 0..height {
        let from = &image.as_raw()[nearest(y, height, image.height()) * row..][..row];
        if width == image.width() {
            samples.extend_from_slice(from);
        } else {
            samples.extend(columns.iter().map(|&x| from[x]));
        }
    }
    GrayImage::from_raw(width, height, samples).expect("every row was filled")
}

/// How light a colour is: 0.299 red, 0.587 green and 0.114 blue.
fn luminance(&[red, green, blue]: &[u8; 3]) -> u8 {
    let parts =
        LIGHT[0][usize::from(red)] + LIGHT[1][usize::from(green)] + LIGHT[2][usize::from(blue)] + 32_768;
    (parts >> 16) as u8
}

/// What each level of red, green and blue adds to lightness, in 65,536ths: looking it up takes two thirds of the time of
/// multiplying.
static LIGHT: [[u32; 256]; 3] = [light(19_595), light(38_470), light(7_471)];

const fn light(part: u32) -> [u32; 256] {
    let mut light = [0; 256];
    let mut level = 0;
    while level < light.len() {
        light[level] = level as u32 * part;
        level += 1;
    }
    light
}
