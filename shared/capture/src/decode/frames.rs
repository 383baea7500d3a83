//! How many pictures a file holds that is taken for one: animations, and what cameras with two lenses write.
//!
//! Only the first is a page. Telephones write a second, smaller picture into a JPEG (how bright the first may be shown, or a
//! preview of it), and that is none of its own.

use super::jpeg;
use crate::Kind;

/// What begins the list of pictures in a JPEG (CIPA DC-007, in an `APP2` segment).
const LIST_OF_PICTURES: &[u8] = b"MPF\0";
/// The most pictures that are counted.
const COUNTED_MAX: u32 = 10_000;

/// How many pictures there are, at least one.
pub(super) fn count(file: &[u8], kind: Kind) -> u32 {
    let found = match kind {
        Kind::Gif => gif(file),
        Kind::Png => png(file),
        Kind::Webp => webp(file),
        Kind::Jpeg => jpegs(file),
        Kind::Tiff | Kind::Bmp | Kind::Jpeg2000 | Kind::Pdf => None,
    };
    found.unwrap_or(1).clamp(1, COUNTED_MAX)
}

/// Walks the blocks of a GIF and counts its images.
fn gif(file: &[u8]) -> Option<u32> {
    let table = |packed: u8| if packed & 0x80 == 0 { 0 } else { 3 << ((packed & 7) + 1) };
    let (mut at, mut images) = (13 + table(*file.get(10)?), 0);
    while images < COUNTED_MAX {
        at += match file.get(at) {
            Some(b'!') => 2,
            Some(b',') => {
                let Some(packed) = file.get(at + 9) else { break };
                images += 1;
                11 + table(*packed)
            }
            _ => break,
        };
        // Sub-blocks with their length, up to an empty one.
        while let Some(length @ 1..) = file.get(at) {
            at += 1 + usize::from(*length);
        }
        at += 1;
    }
    Some(images)
}

/// What an animated PNG says of its frames before the first (PNG, third edition, 11.3.6.1). The picture that others show is
/// one more, unless it is the first frame.
fn png(file: &[u8]) -> Option<u32> {
    let mut rest = file.get(8..)?;
    let (mut frames, mut begins_with_picture) = (0, false);
    loop {
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        match (rest.get(4..8)?, rest.get(8..)?.get(..length)?) {
            (b"acTL", [a, b, c, d, ..]) => frames = u32::from_be_bytes([*a, *b, *c, *d]),
            (b"fcTL", _) => begins_with_picture = true,
            (b"IDAT", _) if frames == 0 || begins_with_picture => return Some(frames),
            (b"IDAT", _) => return Some(frames.saturating_add(1)),
            _ => {}
        }
        rest = rest.get(12 + length..)?;
    }
}

/// Counts the frames of an animated WebP.
fn webp(file: &[u8]) -> Option<u32> {
    let (mut at, mut frames) = (12usize, 0);
    while let Some([a, b, c, d, sizes @ ..]) = file.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        frames += u32::from([*a, *b, *c, *d] == *b"ANMF");
        let length = u32::from_le_bytes(*sizes) as usize;
        at = at.checked_add(8)?.checked_add(length)?.checked_add(length % 2)?;
    }
    Some(frames)
}

/// Counts the pictures behind one another that a JPEG lists, as far as they are as large as the first.
fn jpegs(file: &[u8]) -> Option<u32> {
    let first = jpeg::headers(file).ok()?;
    if !first.lists_pictures {
        return None;
    }
    let (mut rest, mut pictures) = (file, 1);
    while pictures < COUNTED_MAX {
        rest = rest.get(jpeg::end(rest)?..)?;
        let Some(begin) = rest.windows(3).position(|bytes| bytes == [0xff, 0xd8, 0xff]) else { break };
        rest = &rest[begin..];
        pictures += u32::from(jpeg::headers(rest).is_ok_and(|other| other.size == first.size));
    }
    Some(pictures)
}

/// Whether a segment lists the pictures of its file.
pub(super) fn is_list(segment: &[u8]) -> bool {
    segment.starts_with(LIST_OF_PICTURES)
}
