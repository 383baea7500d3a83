//! The certificate of completion: who signed what, when and from where, as pages for people.
//!
//! It is made from facts the caller states, and parses nothing. Like a sheet it is drawn as shapes, so it needs no font,
//! and the same facts give the same bytes. It is PDF/A-1b, as what it certifies is meant to last.

use pdf_writer::{Content, Filter, Finish as _, Pdf, Rect, Ref, TextStr};
use sha2::{Digest as _, Sha256};

use super::lettering::{Lettering, UNITS};
use super::metadata::{self, deflate};
use crate::options::PdfA;

/// A4, in points.
const PAGE: (f32, f32) = (595.28, 841.89);
/// Room at the edges, in points.
const MARGIN: f32 = 56.0;
/// From one line to the next, in points.
const LEADING: f32 = 15.0;
/// Where values begin, in points from the left edge.
const VALUES: f32 = 190.0;
/// The size of letters, in points.
const SIZE: f32 = 10.0;
/// The most characters of a line of a value.
const CHARACTERS: usize = 62;

/// A part of a certificate: a heading, and facts under it as label and value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The heading.
    pub heading: String,
    /// The facts.
    pub facts: Vec<(String, String)>,
}

/// A certificate with this title and these sections.
pub fn certificate(title: &str, sections: &[Section]) -> Vec<u8> {
    let mut pages = Vec::new();
    let mut paper = Paper::new();
    paper.line(title, MARGIN, 20.0);
    paper.down(2.0);
    for section in sections {
        // A heading stands on the page of its first fact.
        if paper.left() < 3.0 * LEADING {
            pages.push(std::mem::replace(&mut paper, Paper::new()).content);
        }
        paper.down(0.5);
        paper.line(&section.heading, MARGIN, 13.0);
        paper.rule();
        paper.down(0.4);
        for (label, value) in &section.facts {
            for (index, part) in broken(value).iter().enumerate() {
                if paper.left() < LEADING {
                    pages.push(std::mem::replace(&mut paper, Paper::new()).content);
                }
                if index == 0 {
                    paper.words(label, MARGIN, SIZE, 0.35);
                }
                paper.words(part, VALUES, SIZE, 0.0);
                paper.down(1.0);
            }
        }
    }
    pages.push(paper.content);
    written(pages, title)
}

/// A value in lines, at blanks where it has them.
fn broken(value: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in value.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        while !word.is_empty() {
            let line = lines.last_mut().expect("there is one");
            let room = CHARACTERS.saturating_sub(line.chars().count() + usize::from(!line.is_empty()));
            if word.len() <= room || (line.is_empty() && room > 0) {
                if !line.is_empty() {
                    line.push(' ');
                }
                let rest = word.split_off(word.len().min(room));
                line.extend(word);
                word = rest;
            }
            if !word.is_empty() {
                lines.push(String::new());
            }
        }
    }
    lines
}

struct Paper {
    content: Content,
    baseline: f32,
}

impl Paper {
    fn new() -> Self {
        let mut content = Content::new();
        content.set_fill_gray(0.0);
        Self { content, baseline: PAGE.1 - MARGIN - 14.0 }
    }

    fn left(&self) -> f32 {
        self.baseline - MARGIN
    }

    fn down(&mut self, lines: f32) {
        self.baseline -= lines * LEADING;
    }

    /// A line of its own, smaller where it would not fit.
    fn line(&mut self, text: &str, left: f32, size: f32) {
        self.words(text, left, size, 0.0);
        self.down(1.0);
    }

    fn words(&mut self, text: &str, left: f32, size: f32, gray: f32) {
        let lettering = Lettering::of(text);
        let natural = lettering.width as f32 / UNITS as f32;
        let size = size.min((PAGE.0 - MARGIN - left) / natural.max(0.01));
        let scale = size / UNITS as f32;
        self.content.save_state().set_fill_gray(gray).transform([
            scale,
            0.0,
            0.0,
            scale,
            left,
            self.baseline,
        ]);
        lettering.write(&mut self.content);
        self.content.restore_state();
    }

    fn rule(&mut self) {
        self.content.set_stroke_gray(0.6).set_line_width(0.5);
        let at = self.baseline + 9.0;
        self.content.move_to(MARGIN, at).line_to(PAGE.0 - MARGIN, at).stroke();
    }
}

fn written(pages: Vec<Content>, title: &str) -> Vec<u8> {
    let [catalog, tree, info, packet, profile] = [1, 2, 3, 4, 5].map(Ref::new);
    let count = i32::try_from(pages.len()).unwrap_or(i32::MAX);
    let page_of = |index: i32| Ref::new(6 + 2 * index);
    let mut pdf = Pdf::new();
    pdf.set_version(1, 4);
    let mut identity = Sha256::new();
    let mut root = pdf.catalog(catalog);
    root.pages(tree).metadata(packet);
    metadata::write_intent(&mut root, profile);
    root.finish();
    metadata::write_profile(&mut pdf, profile);
    pdf.metadata(packet, metadata::xmp(title, None, PdfA::A1b).as_bytes());
    pdf.pages(tree).kids((0..count).map(page_of)).count(count);
    for (index, content) in (0..).zip(pages) {
        let (page, contents) = (page_of(index), Ref::new(7 + 2 * index));
        let content = content.finish();
        identity.update(content.as_slice());
        let mut writer = pdf.page(page);
        writer.parent(tree).media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1)).contents(contents);
        writer.resources().finish();
        writer.finish();
        pdf.stream(contents, &deflate(&content)).filter(Filter::FlateDecode);
    }
    let mut document = pdf.document_info(info);
    document.title(TextStr(title)).creator(TextStr(metadata::PRODUCER)).producer(TextStr(metadata::PRODUCER));
    document.finish();
    let id = identity.finalize()[..16].to_vec();
    pdf.set_file_id((id.clone(), id));
    pdf.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_broken_and_lose_nothing() {
        let digest = "0123456789abcdef".repeat(8);
        let value = format!("one two {digest} three");
        let lines = broken(&value);
        assert!(lines.iter().all(|line| line.chars().count() <= CHARACTERS), "{lines:?}");
        let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        assert_eq!(letters(&lines.concat()), letters(&value));
    }

    #[test]
    fn a_certificate_has_as_many_pages_as_it_needs_and_is_the_same_each_time() {
        let fact = |number: usize| (format!("Fact {number}"), "value".to_owned());
        let section = Section { heading: "Signers".into(), facts: (0..120).map(fact).collect() };
        let made = certificate("Certificate", std::slice::from_ref(&section));
        assert_eq!(made, certificate("Certificate", &[section]));
        let read = lopdf::Document::load_mem(&made).expect("a PDF");
        assert_eq!(read.get_pages().len(), 3);
    }
}
