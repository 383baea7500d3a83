//! What a PDF says of itself: title, language, standard, colour, identity.
//!
//! The document information and the XMP packet say the same in the same words, as PDF/A demands. No date is
//! written: the same pages must give the same bytes, and the evidence beside the PDF knows when it was made.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::OutputIntentSubtype;
use pdf_writer::writers::Catalog;
use pdf_writer::{Chunk, Filter, Ref, TextStr};
use xmp_writer::{LangId, XmpWriter};

use platen_model::Digest;

use crate::options::PdfA;

/// The program that wrote the PDF, as `/Producer` and `/Creator` name it.
pub(super) const PRODUCER: &str = concat!("Platen ", env!("CARGO_PKG_VERSION"));

/// zlib-compresses bytes for a `FlateDecode` stream.
pub(super) fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing to memory does not fail")
}

/// A title without control characters, which XML cannot carry and viewers should not show.
pub(super) fn clean_title(title: &str) -> String {
    let mut clean: String = title.chars().filter(|c| !c.is_control() && !is_noncharacter(*c)).collect();
    // PDF/A-1 and -2 hold strings to 32,767 bytes; a title needs far less.
    if let Some((end, _)) = clean.char_indices().nth(500) {
        clean.truncate(end);
    }
    clean
}

fn is_noncharacter(character: char) -> bool {
    matches!(u32::from(character), 0xFDD0..=0xFDEF) || u32::from(character) & 0xFFFE == 0xFFFE
}

/// What a searchable copy of a digitally signed document says of itself.
pub(super) fn copy_note(sources: &[Digest]) -> String {
    let digests: Vec<String> = sources.iter().map(|digest| format!("sha256 {digest}")).collect();
    format!(
        "Unsigned copy of a digitally signed document. Only the signed original is the document: {}.",
        digests.join(", ")
    )
}

/// Writes the profile that [`write_intent`] refers to.
pub(super) fn write_profile(pdf: &mut Chunk, profile: Ref) {
    pdf.icc_profile(profile, &deflate(&srgb_profile())).n(3).filter(Filter::FlateDecode);
}

/// Says in the catalog that device colours are those of this profile.
pub(super) fn write_intent(catalog: &mut Catalog<'_>, profile: Ref) {
    let mut intents = catalog.output_intents();
    let mut intent = intents.push();
    intent.subtype(OutputIntentSubtype::PDFA).dest_output_profile(profile);
    intent.output_condition_identifier(TextStr("sRGB IEC61966-2.1")).info(TextStr("sRGB IEC61966-2.1"));
}

/// The XMP packet (ISO 16684-1), with the PDF/A identification where a standard is claimed.
pub(super) fn xmp(title: &str, subject: Option<&str>, pdfa: PdfA) -> String {
    let mut xmp = XmpWriter::new();
    if let Some(subject) = subject {
        xmp.description([(None::<LangId<'_>>, subject)]);
    }
    if !title.is_empty() {
        xmp.title([(None::<LangId<'_>>, title)]);
    }
    xmp.format("application/pdf");
    xmp.producer(PRODUCER);
    xmp.creator_tool(PRODUCER);
    let part = match pdfa {
        PdfA::A2b => Some(2),
        PdfA::A1b => Some(1),
        PdfA::Off => None,
    };
    if let Some(part) = part {
        xmp.pdfa_part(part);
        xmp.pdfa_conformance("B");
    }
    xmp.finish(None)
}

/// The BCP 47 tag of the first of some Tesseract languages joined by `+`; `None` where it names no language.
pub(super) fn language_tag(languages: &str) -> Option<&str> {
    let code = languages.split('+').find(|code| !matches!(*code, "" | "osd" | "equ"))?;
    if let Some(script) = code.strip_prefix("chi_") {
        return Some(if script.starts_with("tra") { "zh-Hant" } else { "zh-Hans" });
    }
    let code = code.split('_').next().unwrap_or(code);
    if let Some((_, short)) = SHORT_TAGS.iter().find(|(long, _)| *long == code) {
        return Some(short);
    }
    let plausible = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_lowercase());
    plausible.then_some(code)
}

/// The languages whose BCP 47 tag has two letters, by Tesseract's three (ISO 639-2/T).
const SHORT_TAGS: &[(&str, &str)] = &[
    ("afr", "af"),
    ("ara", "ar"),
    ("bel", "be"),
    ("bul", "bg"),
    ("cat", "ca"),
    ("ces", "cs"),
    ("cym", "cy"),
    ("dan", "da"),
    ("deu", "de"),
    ("ell", "el"),
    ("eng", "en"),
    ("est", "et"),
    ("eus", "eu"),
    ("fas", "fa"),
    ("fin", "fi"),
    ("fra", "fr"),
    ("gle", "ga"),
    ("glg", "gl"),
    ("heb", "he"),
    ("hin", "hi"),
    ("hrv", "hr"),
    ("hun", "hu"),
    ("ind", "id"),
    ("isl", "is"),
    ("ita", "it"),
    ("jpn", "ja"),
    ("kor", "ko"),
    ("lat", "la"),
    ("lav", "lv"),
    ("lit", "lt"),
    ("mlt", "mt"),
    ("nld", "nl"),
    ("nor", "no"),
    ("pol", "pl"),
    ("por", "pt"),
    ("ron", "ro"),
    ("rus", "ru"),
    ("slk", "sk"),
    ("slv", "sl"),
    ("spa", "es"),
    ("sqi", "sq"),
    ("srp", "sr"),
    ("swe", "sv"),
    ("tha", "th"),
    ("tur", "tr"),
    ("ukr", "uk"),
    ("urd", "ur"),
    ("vie", "vi"),
    ("yid", "yi"),
];

/// An ICC version 2 display profile of sRGB (IEC 61966-2-1), made from the standard's numbers.
pub(super) fn srgb_profile() -> Vec<u8> {
    // XYZ values are relative to the profile connection space's white, D50 (ICC.1:2001-04, annex A).
    let xyz = |values: [f64; 3]| {
        let mut tag = b"XYZ \0\0\0\0".to_vec();
        values.iter().for_each(|value| tag.extend(fixed(*value)));
        tag
    };
    let text = |kind: &[u8; 4], words: &str| [kind.as_slice(), &[0; 4], words.as_bytes(), &[0]].concat();
    let name = "sRGB IEC61966-2.1";
    let mut description = b"desc\0\0\0\0".to_vec();
    description.extend((name.len() as u32 + 1).to_be_bytes());
    description.extend(name.as_bytes());
    // The end of the name, no Unicode name (8 bytes) and no Macintosh name (70 bytes).
    description.extend([0; 1 + 8 + 70]);
    let curve = {
        let mut tag = b"curv\0\0\0\0".to_vec();
        tag.extend(1024u32.to_be_bytes());
        for step in 0..1024 {
            let value = f64::from(step) / 1023.0;
            let light = if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) };
            tag.extend(((light * 65_535.0).round() as u16).to_be_bytes());
        }
        tag
    };
    let blocks = [
        description,
        text(b"text", "No copyright, use freely"),
        xyz([0.9642, 1.0, 0.8249]),
        xyz([0.436_07, 0.222_49, 0.013_92]),
        xyz([0.385_15, 0.716_87, 0.097_08]),
        xyz([0.143_07, 0.060_61, 0.714_10]),
        curve,
    ];
    let tags: [(&[u8; 4], usize); 9] = [
        (b"desc", 0),
        (b"cprt", 1),
        (b"wtpt", 2),
        (b"rXYZ", 3),
        (b"gXYZ", 4),
        (b"bXYZ", 5),
        (b"rTRC", 6),
        (b"gTRC", 6),
        (b"bTRC", 6),
    ];

    let mut body = Vec::new();
    let body_start = 128 + 4 + tags.len() * 12;
    let places = blocks.map(|block| {
        let place = (body_start + body.len(), block.len());
        body.extend(block);
        body.resize(body.len().next_multiple_of(4), 0);
        place
    });
    let mut profile = Vec::with_capacity(body_start + body.len());
    profile.extend(((body_start + body.len()) as u32).to_be_bytes());
    profile.extend([0; 4]); // no preferred colour engine
    profile.extend([2, 0x10, 0, 0]); // version 2.1
    profile.extend(b"mntrRGB XYZ ");
    for number in [2000u16, 1, 1, 0, 0, 0] {
        profile.extend(number.to_be_bytes()); // a fixed date, for the same bytes each time
    }
    profile.extend(b"acsp");
    profile.extend([0; 28]); // platform, flags, maker, model, attributes, perceptual intent
    [0.9642, 1.0, 0.8249].iter().for_each(|value| profile.extend(fixed(*value)));
    profile.resize(128, 0);
    profile.extend((tags.len() as u32).to_be_bytes());
    for (tag, block) in tags {
        let (offset, length) = places[block];
        profile.extend(tag);
        profile.extend((offset as u32).to_be_bytes());
        profile.extend((length as u32).to_be_bytes());
    }
    profile.extend(body);
    profile
}

/// A number as ICC writes it: signed, 16 bits before the point and 16 after.
fn fixed(value: f64) -> [u8; 4] {
    ((value * 65_536.0).round() as i32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_states_its_own_length_and_white() {
        let profile = srgb_profile();
        assert_eq!(profile[..4], (profile.len() as u32).to_be_bytes());
        assert_eq!(&profile[36..40], b"acsp");
        assert_eq!(profile[68..80], [0, 0, 0xF6, 0xD6, 0, 1, 0, 0, 0, 0, 0xD3, 0x2D]);
    }

    #[test]
    fn tesseract_languages_become_bcp_47_tags() {
        let tags = ["eng+deu", "osd+fra", "chi_sim", "chi_tra_vert", "deu_frak", "grc", "", "../x"];
        let expected =
            [Some("en"), Some("fr"), Some("zh-Hans"), Some("zh-Hant"), Some("de"), Some("grc"), None, None];
        assert_eq!(tags.map(language_tag), expected);
    }

    #[test]
    fn a_title_of_markup_and_control_characters_leaves_the_packet_well_formed() {
        let title = clean_title("a\u{0}<b>&\u{FFFE}\nc");
        assert_eq!(title, "a<b>&c");
        assert!(xmp(&title, None, PdfA::A2b).contains("a&lt;b&gt;&amp;c"));
    }
}
