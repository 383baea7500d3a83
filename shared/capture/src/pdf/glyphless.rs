//! The font of the invisible text layer: no ink, one advance width, any Unicode character.
//!
//! A composite font (`Type0`, `Identity-H`) over a TrueType program of two empty glyphs: `.notdef`, which
//! PDF/A forbids to show, and one that stands for every character. Each character of the document gets its own
//! code in the order of first use; `/ToUnicode` says which it is, also beyond the Basic Multilingual Plane.

use std::collections::HashMap;

use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Filter, Finish as _, Name, Rect, Ref, Str};

use super::metadata::deflate;
use super::output::Output;

/// Advance width of every glyph, in thousandths of the font size. The font program's em has 1000 units too.
pub(super) const ADVANCE: u16 = 500;
/// Height over the baseline that viewers select, in thousandths of the font size.
pub(super) const ASCENT: i16 = 800;
/// Depth under the baseline that viewers select, in thousandths of the font size.
pub(super) const DESCENT: i16 = -200;

const FONT_NAME: Name<'_> = Name(b"Glyphless");
const CMAP_NAME: Name<'_> = Name(b"Glyphless-UTF16");
const COLLECTION: SystemInfo<'_> =
    SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };

/// The characters used so far, each with its code.
#[derive(Debug, Default)]
pub(super) struct Codes {
    codes: HashMap<char, u16>,
    characters: Vec<char>,
}

impl Codes {
    /// The code of a character. A document of more than 65,534 different characters shows the rest as U+FFFD.
    pub(super) fn code(&mut self, character: char) -> u16 {
        if let Some(&code) = self.codes.get(&character) {
            return code;
        }
        // The last code is kept for U+FFFD; code 0 is `.notdef`.
        match u16::try_from(self.characters.len() + 1) {
            Ok(code) if code < u16::MAX => {
                self.characters.push(character);
                self.codes.insert(character, code);
                code
            }
            _ => u16::MAX,
        }
    }

    /// No character was used: no font is needed.
    pub(super) fn is_empty(&self) -> bool {
        self.characters.is_empty()
    }

    /// Writes the font with its program and maps under `font`, taking further references from `next`.
    pub(super) fn write(&self, pdf: &mut Output, font: Ref, mut next: impl FnMut() -> Ref) {
        let (cid_font, descriptor, program, to_unicode, to_glyph) = (next(), next(), next(), next(), next());

        let mut type0 = pdf.object(font).type0_font(font);
        type0.base_font(FONT_NAME).encoding_predefined(Name(b"Identity-H"));
        type0.descendant_font(cid_font).to_unicode(to_unicode);
        type0.finish();

        let mut cid = pdf.object(cid_font).cid_font(cid_font);
        cid.subtype(CidFontType::Type2).base_font(FONT_NAME).system_info(COLLECTION);
        cid.font_descriptor(descriptor).default_width(f32::from(ADVANCE)).cid_to_gid_map_stream(to_glyph);
        cid.finish();

        let mut described = pdf.object(descriptor).font_descriptor(descriptor);
        described.name(FONT_NAME).flags(FontFlags::FIXED_PITCH | FontFlags::SYMBOLIC);
        described.bbox(Rect::new(0.0, f32::from(DESCENT), f32::from(ADVANCE), f32::from(ASCENT)));
        described.italic_angle(0.0).ascent(f32::from(ASCENT)).descent(f32::from(DESCENT));
        described.cap_height(f32::from(ASCENT)).stem_v(80.0).font_file2(program);
        described.finish();

        let bytes = program_bytes();
        let packed = deflate(&bytes);
        let mut stream = pdf.object(program).stream(program, &packed);
        stream.filter(Filter::FlateDecode);
        stream.pair(Name(b"Length1"), i32::try_from(bytes.len()).expect("the font has a few hundred bytes"));
        stream.finish();

        let mut unicode = UnicodeCmap::new(CMAP_NAME, COLLECTION);
        for (code, &character) in (1u16..).zip(&self.characters) {
            unicode.pair(code, character);
        }
        unicode.pair(u16::MAX, char::REPLACEMENT_CHARACTER);
        let packed = deflate(&unicode.finish());
        let mut cmap = pdf.object(to_unicode).cmap(to_unicode, &packed);
        cmap.name(CMAP_NAME).system_info(COLLECTION);
        cmap.filter(Filter::FlateDecode);
        cmap.finish();

        // Code 0 keeps glyph 0; every other code shows glyph 1.
        let mut glyphs = [0u8, 1].repeat(usize::from(u16::MAX) + 1);
        glyphs[1] = 0;
        pdf.object(to_glyph).stream(to_glyph, &deflate(&glyphs)).filter(Filter::FlateDecode);
    }
}

/// A TrueType program of two empty glyphs with the tables that ISO 32000-1, 9.9 asks for.
fn program_bytes() -> Vec<u8> {
    let words = |values: &[u16]| values.iter().flat_map(|value| value.to_be_bytes()).collect::<Vec<u8>>();
    let (ascent, descent) = (ASCENT.cast_unsigned(), DESCENT.cast_unsigned());
    // Version 1.0, revision 1.0, checksum adjustment (set below), magic number, flags, units in an em, two
    // dates of 8 bytes, the box of all glyphs, style, smallest size, direction, short offsets, glyph format.
    let head = words(&[
        1, 0, 1, 0, 0, 0, 0x5F0F, 0x3CF5, 3, 1000, 0, 0, 0, 0, 0, 0, 0, 0, 0, descent, ADVANCE, ascent, 0, 8,
        2, 0, 0,
    ]);
    // Version 1.0, ascent, descent, line gap, widest advance, …, number of entries in `hmtx`.
    let hhea = words(&[1, 0, ascent, descent, 0, ADVANCE, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
    // Version 1.0, two glyphs, and no points, contours, instructions or storage; two zones.
    let maxp = words(&[1, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
    let tables: [(&[u8; 4], Vec<u8>); 6] = [
        (b"glyf", vec![0; 4]),
        (b"head", head),
        (b"hhea", hhea),
        (b"hmtx", words(&[ADVANCE, 0, ADVANCE, 0])),
        (b"loca", words(&[0, 0, 0])),
        (b"maxp", maxp),
    ];

    // Six tables: the largest power of two is 4, so search range 64, selector 2, shift 32.
    let mut font = words(&[1, 0, 6, 64, 2, 32]);
    let mut body = Vec::new();
    let body_start = font.len() + tables.len() * 16;
    let mut head_at = 0;
    for (tag, table) in &tables {
        let offset = body_start + body.len();
        if *tag == b"head" {
            head_at = offset;
        }
        font.extend(*tag);
        for value in [checksum(table), offset as u32, table.len() as u32] {
            font.extend(value.to_be_bytes());
        }
        body.extend(table);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    font.extend(body);
    let adjustment = 0xB1B0_AFBAu32.wrapping_sub(checksum(&font));
    font[head_at + 8..head_at + 12].copy_from_slice(&adjustment.to_be_bytes());
    font
}

/// The sum of a table's 32-bit big-endian words, the last filled up with zeros (OpenType, "Calculating checksums").
fn checksum(bytes: &[u8]) -> u32 {
    bytes.chunks(4).fold(0, |sum: u32, chunk| {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        sum.wrapping_add(u32::from_be_bytes(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_program_sums_to_the_magic_number_of_the_standard() {
        assert_eq!(checksum(&program_bytes()), 0xB1B0_AFBA);
    }

    #[test]
    fn each_character_keeps_its_code_and_none_is_notdef() {
        let mut codes = Codes::default();
        let given: Vec<u16> = "aä𝄞a".chars().map(|character| codes.code(character)).collect();
        assert_eq!(given, [1, 2, 3, 1]);
    }

    #[test]
    fn more_characters_than_codes_become_the_replacement_character() {
        let mut codes = Codes::default();
        let last = ('\u{20}'..='\u{1FFFF}').map(|character| codes.code(character)).last();
        assert_eq!(last, Some(u16::MAX));
        assert!(codes.characters.len() < usize::from(u16::MAX));
    }
}
