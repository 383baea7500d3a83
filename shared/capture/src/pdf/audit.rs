//! Whether what was kept of an incoming PDF lets the whole claim PDF/A.
//!
//! We cannot repair another program's fonts and colours without changing how a page looks, and a claim that is not
//! true is worse than none. So each object is looked at as it is copied, and what breaks the standard is noted in a
//! sentence. What is not looked at stands in `pdfa.md`.

use std::collections::BTreeSet;

use hayro_syntax::Filter;
use hayro_syntax::content::TypedIter;
use hayro_syntax::content::ops::TypedInstruction;
use hayro_syntax::object::{Dict, MaybeRef, Name, Object, Stream};

use super::binder::{SIDE_MAX, SIDE_MIN};
use crate::decode::decoded_within_limit;
use crate::options::PdfA;

/// The most breaches that are told apart.
const BREACHES_MAX: usize = 20;
/// How deep an object is looked into.
const DEPTH_MAX: u32 = 16;
/// The kinds of fonts (ISO 32000-1, tables 110 and 117).
const FONTS: [&[u8]; 7] =
    [b"Type0", b"Type1", b"MMType1", b"Type3", b"TrueType", b"CIDFontType0", b"CIDFontType2"];
/// The flag of a font whose characters are not those of the Latin alphabet.
const SYMBOLIC: u32 = 1 << 2;

/// What was found.
#[derive(Debug)]
pub(super) struct Audit {
    part: PdfA,
    breaches: BTreeSet<String>,
}

impl Audit {
    /// An audit for this part of the standard.
    pub(super) fn new(part: PdfA) -> Self {
        Self { part, breaches: BTreeSet::new() }
    }

    /// Whether it is for PDF/A-1.
    pub(super) fn is_of_part_1(&self) -> bool {
        self.part == PdfA::A1b
    }

    /// What breaks the standard, a sentence each.
    pub(super) fn into_breaches(self) -> Vec<String> {
        self.breaches.into_iter().collect()
    }

    fn note(&mut self, breach: impl Into<String>) {
        if self.breaches.len() < BREACHES_MAX {
            self.breaches.insert(breach.into());
        }
    }

    fn note_in_part_1(&mut self, breach: &str) {
        if self.is_of_part_1() {
            self.note(breach);
        }
    }

    /// Looks at the sides of a page's sheet, in points.
    pub(super) fn sheet(&mut self, width: f64, height: f64) {
        let sides = f64::from(SIDE_MIN)..=f64::from(SIDE_MAX);
        if !(sides.contains(&width) && sides.contains(&height)) {
            self.note(format!(
                "The sheet of a page is {width:.0} x {height:.0} points large, which no page may be."
            ));
        }
    }

    /// Looks at an object. What it refers to is looked at when it is copied.
    pub(super) fn value(&mut self, value: &MaybeRef<Object<'_>>) {
        self.look(value, 0);
    }

    fn look(&mut self, value: &MaybeRef<Object<'_>>, depth: u32) {
        let MaybeRef::NotRef(value) = value else { return };
        if depth > DEPTH_MAX {
            return;
        }
        match value {
            Object::Name(name) if matches!(&**name, b"DeviceCMYK" | b"CMYK") => self.cmyk(),
            Object::Array(array) => array.raw_iter().for_each(|item| self.look(&item, depth + 1)),
            Object::Dict(dict) => self.dict(dict, depth),
            Object::Stream(stream) => self.stream(stream, depth),
            _ => {}
        }
    }

    fn dict(&mut self, dict: &Dict<'_>, depth: u32) {
        for (key, value) in dict.entries() {
            // The colours of a profile for readers that cannot use it are not copied.
            if !(&*key == b"Alternate" && dict.contains_key("N")) {
                self.look(&value, depth + 1);
            }
        }
        let kind = dict.get::<Name<'_>>("Type");
        let subtype = dict.get::<Name<'_>>("Subtype");
        match kind.as_deref() {
            Some(b"Font") => self.font(dict),
            None if subtype.is_some_and(|subtype| FONTS.contains(&&*subtype)) => {
                self.note("A font does not say that it is one.");
                self.font(dict);
            }
            _ => {}
        }
        let has = |key: &str| dict.contains_key(key);
        let name = |key: &str| dict.get::<Name<'_>>(key);
        if has("TR") || has("HTP") || name("TR2").is_some_and(|to| &*to != b"Default") {
            self.note("Its colours are changed by a transfer function.");
        }
        let see_through =
            ["ca", "CA"].iter().any(|key| dict.get::<f64>(key).is_some_and(|opacity| opacity < 1.0))
                || dict.get::<Object<'_>>("SMask").is_some_and(|mask| !matches!(mask, Object::Name(_)))
                || name("BM").is_some_and(|mode| !matches!(&*mode, b"Normal" | b"Compatible"))
                || name("S").is_some_and(|kind| &*kind == b"Transparency");
        if see_through {
            self.note_in_part_1("It uses transparency, which PDF/A-1 does not allow.");
        }
    }

    fn stream(&mut self, stream: &Stream<'_>, depth: u32) {
        let dict = stream.dict();
        self.dict(dict, depth);
        if stream.filters().contains(&Filter::JpxDecode) {
            self.note("It holds a JPEG 2000 image.");
        }
        if matches!(dict.get::<Object<'_>>("F"), Some(Object::String(_) | Object::Dict(_))) {
            self.note("It refers to data outside the file.");
        }
        let subtype = dict.get::<Name<'_>>("Subtype");
        match subtype.as_deref() {
            Some(b"PS") => self.note("It holds PostScript."),
            Some(b"Form") if dict.contains_key("PS") || dict.contains_key("Ref") => {
                self.note("It holds PostScript or a reference to another file.");
            }
            Some(b"Image") if dict.get::<u32>("BitsPerComponent") == Some(16) => {
                self.note_in_part_1("It holds an image of 16 bits a colour, which PDF/A-1 does not know.");
            }
            _ => {}
        }
    }

    /// Looks at the instructions of a form, a pattern or a glyph. Nothing is claimed of what cannot be looked at.
    pub(super) fn content(&mut self, stream: &Stream<'_>) {
        match decoded_within_limit(stream) {
            Some(content) => self.instructions(TypedIter::new(&content)),
            None => self.note("A part of its drawing instructions is damaged, or too long to be looked at."),
        }
    }

    /// Looks at instructions.
    pub(super) fn instructions(&mut self, mut instructions: TypedIter<'_>) {
        use TypedInstruction as I;
        let mut depth = 0u32;
        while let Some(instruction) = instructions.next() {
            match instruction {
                I::SaveState(_) => {
                    depth += 1;
                    // One is saved around the page's own.
                    if depth > 27 {
                        self.note("The graphics state is saved more than 28 times over.");
                    }
                }
                I::RestoreState(_) => depth = depth.saturating_sub(1),
                I::StrokeColorCmyk(_) | I::NonStrokeColorCmyk(_) => self.cmyk(),
                I::ColorSpaceStroke(space) if space.0.as_ref() == b"DeviceCMYK" => self.cmyk(),
                I::ColorSpaceNonStroke(space) if space.0.as_ref() == b"DeviceCMYK" => self.cmyk(),
                I::InlineImage(image) => self.inline_image(image.0),
                _ => {}
            }
        }
    }

    /// Looks at an image among instructions. They are copied as they are, and so nothing can be left out of it.
    fn inline_image(&mut self, image: &Stream<'_>) {
        self.look(&MaybeRef::NotRef(Object::Stream(image.clone())), 0);
        if image.filters().contains(&Filter::LzwDecode) {
            self.note("An image among its drawing instructions is coded in LZW.");
        }
        let dict = image.dict();
        if ["I", "Interpolate"].iter().any(|key| dict.get::<bool>(key) == Some(true)) {
            self.note("An image among its drawing instructions is to be shown smoother than it is.");
        }
    }

    fn cmyk(&mut self) {
        self.note("Its colours are those of an unknown printing press (DeviceCMYK).");
    }

    fn font(&mut self, font: &Dict<'_>) {
        let subtype = font.get::<Name<'_>>("Subtype");
        let subtype = subtype.as_deref().unwrap_or_default();
        if subtype == b"Type3" {
            self.glyphs(font);
        }
        if matches!(subtype, b"Type0" | b"Type3") {
            return;
        }
        let name = font.get::<Name<'_>>("BaseFont");
        let name = name.map_or_else(|| "without a name".to_owned(), |name| name.as_str().to_owned());
        let descriptor = font.get::<Dict<'_>>("FontDescriptor");
        let embedded = descriptor
            .as_ref()
            .is_some_and(|of| ["FontFile", "FontFile2", "FontFile3"].iter().any(|key| of.contains_key(key)));
        if !embedded {
            self.note(format!("The font {name} is not in the file."));
            return;
        }
        let list = if subtype.starts_with(b"CIDFont") { "CIDSet" } else { "CharSet" };
        let has_list = descriptor.as_ref().is_some_and(|of| of.contains_key(list));
        if name.contains('+') && subtype != b"TrueType" && !has_list {
            self.note_in_part_1("A font does not list its glyphs, as PDF/A-1 asks.");
        }
        if subtype != b"TrueType" {
            return;
        }
        let flags = descriptor.and_then(|of| of.get::<u32>("Flags")).unwrap_or(0);
        let encoding = font.get::<Object<'_>>("Encoding");
        match (flags & SYMBOLIC != 0, encoding) {
            (true, Some(_)) => self.note(format!("The symbolic font {name} names an encoding.")),
            (false, None) => self.note(format!("The font {name} names no encoding.")),
            (false, Some(Object::Dict(encoding))) if encoding.contains_key("Differences") => {
                self.note_in_part_1("A TrueType font changes its encoding, which PDF/A-1 does not allow.");
            }
            _ => {}
        }
    }

    /// Looks at the glyphs of a font that draws them by instructions.
    fn glyphs(&mut self, font: &Dict<'_>) {
        let Some(glyphs) = font.get::<Dict<'_>>("CharProcs") else { return };
        for (name, _) in glyphs.entries() {
            if let Some(glyph) = glyphs.get::<Stream<'_>>(&*name) {
                self.content(&glyph);
            }
        }
    }
}
