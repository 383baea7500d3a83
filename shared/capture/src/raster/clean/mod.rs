//! The copy of a page that is read: what the scanner or the light added is taken off again.
//!
//! Each step is taken only where a cheap measure says that the page needs it; a clean page is read as it is,
//! sample for sample. Nothing done here shows in the page's image: a mistake can cost words, never the page.

mod dashes;
pub(super) mod light;
mod speckle;

use std::borrow::Cow;

use image::GrayImage;

use super::ink::Ink;
use light::Paper;

/// The upright, straight page as it is best read. `ink` are the marks found on it before it was turned by
/// `rotation_deg` and straightened.
pub(super) fn for_reading<'a>(page: &'a GrayImage, ink: &Ink, rotation_deg: u32) -> Cow<'a, GrayImage> {
    let mut copy = Cow::Borrowed(page);
    let paper = Paper::of(page);
    if !paper.is_even() {
        copy = Cow::Owned(paper.evened(page));
    } else if speckle::is_on(page) {
        copy = Cow::Owned(speckle::removed(page));
    }
    // Rows of dashes are not rows on a page that lay on its side: there it takes a second look to tell.
    if rotation_deg % 180 == 90 || dashes::are_on(ink) {
        let ink = Ink::of(&copy);
        if dashes::are_on(&ink) {
            dashes::erase(copy.to_mut(), &ink);
        }
    }
    copy
}

#[cfg(test)]
mod tests;
