//! Cleaning: what the scanner or the light added to a page is taken off again.
//!
//! Uneven light, specks, show-through, the scanner's borders and punch holes. Each step is taken only where a cheap
//! measure says that the page needs it; a clean page stays as it is, sample for sample. As a rule only the copy that is
//! read is cleaned, so that a mistake can cost words, never the page; whoever chooses [`Clean::Shown`] has the page's
//! own image cleaned in the same way.
//!
//! [`Clean::Shown`]: crate::options::Clean::Shown

mod dashes;
pub(super) mod holes;
pub(super) mod light;
mod rim;
mod speckle;
pub(super) mod tint;
mod veil;

use std::borrow::Cow;

use image::GrayImage;

use super::ink::{Ink, Mark};
use crate::decode::{Picture, Samples};
use light::Paper;
use rim::Rim;
use veil::Veil;

/// How a page lies in its picture: what was done to it since the marks on it were found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lay {
    /// The turn that made it upright.
    pub(super) rotation_deg: u32,
    /// The clockwise skew that was taken out after that.
    pub(super) skew_deg: f32,
    /// Its width and height before the skew was taken out.
    pub(super) size: (u32, u32),
}

impl Lay {
    /// A page as it was scanned.
    #[cfg(test)]
    fn as_scanned(page: &GrayImage) -> Self {
        Self { rotation_deg: 0, skew_deg: 0.0, size: page.dimensions() }
    }

    /// Whether the marks are still where they were found.
    fn is_as_found(&self, page: &GrayImage) -> bool {
        self.rotation_deg == 0 && self.skew_deg == 0.0 && self.size == page.dimensions()
    }
}

/// What a page is cleaned for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Use {
    Read,
    Shown,
}

/// What is to be cleaned of a page, in this order.
#[derive(Debug)]
struct Dirt {
    paper: Paper,
    veil: Option<Veil>,
    rim: Option<Rim>,
    /// Holes, in pixels of the page reduced by this.
    holes: (Vec<Mark>, u32),
}

impl Dirt {
    /// What is to be cleaned of a page; `None` where it is clean. `ink` are the marks found on it before it came to lie
    /// as it does.
    fn on(page: &GrayImage, paper: Paper, ink: &Ink, lay: Lay, use_of_page: Use) -> Option<Self> {
        // In uneven light, what is dark along the rim is the table that a photo shows, of which something is always left.
        let is_dirt = |rim: &Rim| use_of_page == Use::Shown || (rim.is_whole && paper.is_even());
        let rim = Rim::of(page, paper.white, lay).filter(is_dirt);
        let is_gray = page.iter().step_by(97).any(|&sample| !matches!(sample, 0 | 255));
        let veil = is_gray.then(|| Veil::of(page, &paper, ink.reduction)).flatten();
        // A border swallows holes that touch it, and hides others in the shadow that a threshold sees around it.
        let without_rim = rim.as_ref().map(|rim| {
            let mut page = page.clone();
            let size = (page.width() as usize, page.height() as usize);
            rim.paint_over::<1>(&mut page, size);
            Cow::Owned(Ink::of(&page))
        });
        let marks = without_rim.or_else(|| {
            holes::are_likely(ink).then(|| match lay.is_as_found(page) {
                true => Cow::Borrowed(ink),
                false => Cow::Owned(Ink::of(page)),
            })
        });
        let holes = marks.map_or((Vec::new(), 1), |ink| (holes::find(&ink), ink.reduction));
        let is_clean = paper.is_even() && veil.is_none() && rim.is_none() && holes.0.is_empty();
        (!is_clean).then_some(Self { paper, veil, rim, holes })
    }

    fn clean<const N: usize>(&self, samples: &mut [u8], (width, height): (u32, u32)) {
        let size = (width as usize, height as usize);
        if let Some(veil) = &self.veil {
            veil.lift::<N>(samples, size, &self.paper);
        }
        if !self.paper.is_even() {
            self.paper.even::<N>(samples, size);
        }
        if let Some(rim) = &self.rim {
            rim.paint_over::<N>(samples, size);
        }
        let (holes, reduction) = &self.holes;
        holes.iter().for_each(|hole| holes::paint_over::<N>(samples, size, hole, *reduction));
    }
}

/// The upright, straight page as it is best read. `ink` are the marks found on it before it came to lie as it does.
pub(super) fn for_reading<'a>(page: &'a GrayImage, ink: &Ink, lay: Lay) -> Cow<'a, GrayImage> {
    let mut copy = Cow::Borrowed(page);
    let paper = Paper::of(page);
    if speckle::may_be_on(&paper) && speckle::is_on(page) {
        copy = Cow::Owned(speckle::removed(page));
    }
    if let Some(dirt) = Dirt::on(&copy, paper, ink, lay, Use::Read) {
        dirt.clean::<1>(copy.to_mut(), page.dimensions());
    }
    // Rows of dashes are not rows on a page that lay on its side: there it takes a second look to tell.
    if lay.rotation_deg % 180 == 90 || dashes::are_on(ink) {
        let ink = Ink::of(&copy);
        if dashes::are_on(&ink) {
            dashes::erase(copy.to_mut(), &ink);
        }
    }
    copy
}

/// Cleans the picture that is shown. Rows of dashes stay: only to the recogniser they are dirt.
pub(super) fn shown(picture: &mut Picture, ink: &Ink, lay: Lay) {
    if let Samples::Bitonal(image) | Samples::Gray(image) = &mut picture.samples
        && speckle::may_be_on(&Paper::of(image))
        && speckle::is_on(image)
    {
        *image = speckle::removed(image);
        picture.original = None;
    }
    let gray = picture.samples.to_gray();
    let Some(dirt) = Dirt::on(&gray, Paper::of(&gray), ink, lay, Use::Shown) else { return };
    drop(gray);
    picture.original = None;
    let size = picture.dimensions();
    match &mut picture.samples {
        Samples::Bitonal(image) | Samples::Gray(image) => dirt.clean::<1>(image, size),
        Samples::Rgb(image) => dirt.clean::<3>(image, size),
    }
}

#[cfg(test)]
mod tests;
