//! ALTO 4.4 (Library of Congress): pages, blocks, lines, words, with words that a line end divides put together again.

use std::io::{self, Write};

use platen_model::joining::{divided, is_blank_between};
use platen_model::{PageRecord, PageText, Rect, Word};

use super::{around, escaped};

pub(super) fn write(text: &PageText, file_name: &str, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(
        out,
        r#"<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://www.loc.gov/standards/alto/ns-v4# http://www.loc.gov/standards/alto/v4/alto-4-4.xsd" SCHEMAVERSION="4.4">"#
    )?;
    writeln!(out, " <Description>\n  <MeasurementUnit>pixel</MeasurementUnit>")?;
    writeln!(
        out,
        "  <sourceImageInformation><fileName>{}</fileName></sourceImageInformation>",
        escaped(file_name)
    )?;
    writeln!(
        out,
        r#"  <Processing ID="processing_1"><processingSoftware><softwareName>platen</softwareName><softwareVersion>{}</softwareVersion></processingSoftware></Processing>"#,
        env!("CARGO_PKG_VERSION")
    )?;
    writeln!(out, " </Description>\n <Layout>")?;
    for (number, page) in (1..).zip(&text.pages) {
        write_page(number, page, out)?;
    }
    writeln!(out, " </Layout>\n</alto>")
}

fn write_page(number: u32, page: &PageRecord, out: &mut impl Write) -> io::Result<()> {
    let whole = Rect { x: 0, y: 0, w: page.width_px, h: page.height_px };
    let (width, height) = (page.width_px, page.height_px);
    writeln!(
        out,
        r#"  <Page ID="page_{number}" PHYSICAL_IMG_NR="{number}" WIDTH="{width}" HEIGHT="{height}" PC="{:.3}">"#,
        page.mean_confidence.clamp(0.0, 1.0)
    )?;
    writeln!(out, "   <PrintSpace {}>", place(whole))?;
    // What was begun by the last word of the line before.
    let mut begun: Option<String> = None;
    let (mut at, mut line_number) = (0, 0);
    for (block, words) in (1..).zip(page.words.chunk_by(|one, next| one.block == next.block)) {
        writeln!(out, r#"    <TextBlock ID="block_{number}_{block}" {}>"#, place(around(words)))?;
        for line in words.chunk_by(|one, next| one.line == next.line) {
            line_number += 1;
            writeln!(out, r#"     <TextLine ID="line_{number}_{line_number}" {}>"#, place(around(line)))?;
            for (index, word) in line.iter().enumerate() {
                let part = divided(&page.words, at);
                let whole = part.map(|part| format!("{part}{}", page.words[at + 1].text));
                let (content, substitute) = match (&begun, part, &whole) {
                    (Some(whole), ..) => (word.text.as_str(), Some(("HypPart2", whole.clone()))),
                    (None, Some(part), Some(whole)) => (part, Some(("HypPart1", whole.clone()))),
                    _ => (word.text.as_str(), None),
                };
                write_word(number, at + 1, word, content, substitute, out)?;
                // A word that goes over three lines is put together with its next part only.
                begun = if begun.is_some() { None } else { whole };
                if begun.is_some() {
                    writeln!(out, r#"      <HYP CONTENT="-"/>"#)?;
                }
                at += 1;
                if line.get(index + 1).is_some_and(|next| is_blank_between(word, next)) {
                    writeln!(out, "      <SP/>")?;
                }
            }
            writeln!(out, "     </TextLine>")?;
        }
        writeln!(out, "    </TextBlock>")?;
    }
    writeln!(out, "   </PrintSpace>\n  </Page>")
}

fn write_word(
    page: u32,
    number: usize,
    word: &Word,
    content: &str,
    substitute: Option<(&str, String)>,
    out: &mut impl Write,
) -> io::Result<()> {
    write!(
        out,
        r#"      <String ID="word_{page}_{number}" {} WC="{:.3}" CONTENT="{}""#,
        place(word.rect),
        word.confidence.clamp(0.0, 1.0),
        escaped(content)
    )?;
    if let Some((kind, whole)) = substitute {
        write!(out, r#" SUBS_TYPE="{kind}" SUBS_CONTENT="{}""#, escaped(&whole))?;
    }
    writeln!(out, "/>")
}

fn place(rect: Rect) -> String {
    format!(r#"HPOS="{}" VPOS="{}" WIDTH="{}" HEIGHT="{}""#, rect.x, rect.y, rect.w, rect.h)
}
