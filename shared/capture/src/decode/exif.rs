//! What cameras and scanners note beside a picture (CIPA DC-008, Exif), as far as it matters to a page: its resolution.
//!
//! The notes are a small TIFF file within the picture's file. Which way up the picture is, they say too; that the decoder
//! reads.

/// What the notes begin with in a JPEG.
const IDENTIFIER: &[u8] = b"Exif\0\0";
const X_RESOLUTION: u16 = 282;
const Y_RESOLUTION: u16 = 283;
const RESOLUTION_UNIT: u16 = 296;
/// Entries of a directory that are looked at.
const ENTRIES_MAX: usize = 200;
/// Where the notes are that only a picture taken has.
const EXIF_DIRECTORY: u16 = 0x8769;
const EXPOSURE_TIME: u16 = 0x829a;
/// "When the image resolution is unknown, 72 [dpi] shall be designated" (4.6.4, A).
const UNKNOWN_DPI: f64 = 72.0;

/// The resolution in dots an inch along both axes, by an `APP1` segment of a JPEG; `None` where it is none of Exif or
/// does not know. Cameras know none either, and state what their makers chose.
pub(super) fn resolution(segment: &[u8]) -> Option<(f64, f64)> {
    let notes = Notes::of(segment.strip_prefix(IDENTIFIER)?)?;
    let per_inch = match notes.value(RESOLUTION_UNIT).map_or(Some(2), |value| notes.short(value)) {
        Some(2) => 1.0,
        Some(3) => 2.54,
        _ => return None,
    };
    if notes.is_of_a_camera() {
        return None;
    }
    let axis = |tag| Some(notes.rational(notes.value(tag)?)? * per_inch);
    let (horizontal, vertical) = (axis(X_RESOLUTION)?, axis(Y_RESOLUTION)?);
    (horizontal != UNKNOWN_DPI || vertical != UNKNOWN_DPI).then_some((horizontal, vertical))
}

/// The first directory of a TIFF file in memory.
struct Notes<'f> {
    file: &'f [u8],
    is_big_endian: bool,
}

impl<'f> Notes<'f> {
    fn of(file: &'f [u8]) -> Option<Self> {
        let is_big_endian = match file.get(..4)? {
            [b'I', b'I', 42, 0] => false,
            [b'M', b'M', 0, 42] => true,
            _ => return None,
        };
        Some(Self { file, is_big_endian })
    }

    /// The four bytes of a tag's value in the first directory, or of the offset at which it is.
    fn value(&self, tag: u16) -> Option<&'f [u8]> {
        self.value_in(self.file.get(4..8)?, tag)
    }

    fn is_of_a_camera(&self) -> bool {
        let taken = self.value(EXIF_DIRECTORY).and_then(|place| self.value_in(place, EXPOSURE_TIME));
        taken.is_some()
    }

    fn value_in(&self, directory: &[u8], tag: u16) -> Option<&'f [u8]> {
        let directory = self.file.get(self.long(directory)?..)?;
        let count = usize::from(self.short(directory.get(..2)?)?).min(ENTRIES_MAX);
        let entries = directory[2..].chunks_exact(12).take(count);
        entries.filter(|entry| self.short(&entry[..2]) == Some(tag)).map(|entry| &entry[8..]).next()
    }

    fn short(&self, bytes: &[u8]) -> Option<u16> {
        let bytes = *bytes.first_chunk()?;
        Some(if self.is_big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn long(&self, bytes: &[u8]) -> Option<usize> {
        let bytes = *bytes.first_chunk()?;
        let value = if self.is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        usize::try_from(value).ok()
    }

    fn rational(&self, offset: &[u8]) -> Option<f64> {
        let value = self.file.get(self.long(offset)?..)?;
        let (above, below) = (self.long(value)?, self.long(value.get(4..)?)?);
        (below != 0).then(|| above as f64 / below as f64)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A segment with this resolution, in this unit where it is told.
    pub(in crate::decode) fn segment(
        big_endian: bool,
        (above, below): (u32, u32),
        unit: Option<u16>,
    ) -> Vec<u8> {
        let number = |value: u32, bytes: usize| match big_endian {
            true => value.to_be_bytes()[4 - bytes..].to_vec(),
            false => value.to_le_bytes()[..bytes].to_vec(),
        };
        let mut notes = if big_endian { b"MM".to_vec() } else { b"II".to_vec() };
        let count = 2 + u32::from(unit.is_some());
        let behind = 8 + 2 + 12 * count + 4;
        [number(42, 2), number(8, 4), number(count, 2)].into_iter().for_each(|bytes| notes.extend(bytes));
        for tag in [282, 283] {
            [number(tag, 2), number(5, 2), number(1, 4), number(behind, 4)]
                .concat()
                .iter()
                .for_each(|&b| notes.push(b));
        }
        if let Some(unit) = unit {
            let value = [number(unit.into(), 2), vec![0; 2]].concat();
            notes.extend([number(296, 2), number(3, 2), number(1, 4), value].concat());
        }
        notes.extend([number(0, 4), number(above, 4), number(below, 4)].concat());
        [IDENTIFIER, &notes].concat()
    }

    #[test]
    fn the_resolution_is_read_in_both_byte_orders_and_units() {
        for big_endian in [false, true] {
            let of = |value, unit| resolution(&segment(big_endian, value, unit));
            assert_eq!(of((3_000, 10), Some(2)), Some((300.0, 300.0)));
            assert_eq!(of((300, 1), None), Some((300.0, 300.0)), "the unit is inches where none is told");
            assert_eq!(of((100, 1), Some(3)), Some((254.0, 254.0)));
            assert_eq!(of((72, 1), Some(2)), None, "that is what is written where nobody knows");
            assert_eq!(of((300, 1), Some(1)), None, "no unit at all");
            assert_eq!(of((300, 0), Some(2)), None);
        }
    }

    #[test]
    fn what_a_camera_states_is_no_resolution() {
        let mut notes = segment(true, (180, 1), Some(2))[IDENTIFIER.len()..].to_vec();
        assert!(resolution(&[IDENTIFIER, &notes].concat()).is_some());
        // In the place of the unit, which is inches anyway, the way to a directory with an exposure time.
        let end = u32::try_from(notes.len()).expect("small");
        let unit = 10 + 2 * 12;
        notes[unit..unit + 2].copy_from_slice(&0x8769u16.to_be_bytes());
        notes[unit + 8..unit + 12].copy_from_slice(&end.to_be_bytes());
        notes.extend([0, 1, 0x82, 0x9a, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(resolution(&[IDENTIFIER, &notes].concat()), None);
    }

    #[test]
    fn what_is_cut_off_or_something_else_says_nothing() {
        let whole = segment(true, (300, 1), Some(2));
        assert!((0..whole.len()).all(|end| resolution(&whole[..end]).is_none()));
        assert_eq!(resolution(b"http://ns.adobe.com/xap/1.0/\0"), None);
        let mut far = whole.clone();
        far[10..14].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(resolution(&far), None);
    }
}
