//! hOCR 1.2: a page of XHTML for all pages, each element with its box in `title`.

use std::io::{self, Write};

use platen_model::joining::{is_blank_between, is_right_to_left};
use platen_model::{PageRecord, PageText, Rect, Word};

use super::{around, escaped};

pub(super) fn write(text: &PageText, file_name: &str, out: &mut impl Write) -> io::Result<()> {
    let name = escaped(file_name);
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(
        out,
        r#"<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">"#
    )?;
    writeln!(out, r#"<html xmlns="http://www.w3.org/1999/xhtml">"#)?;
    writeln!(out, " <head>\n  <title>{name}</title>")?;
    writeln!(out, r#"  <meta http-equiv="Content-Type" content="text/html;charset=utf-8"/>"#)?;
    writeln!(out, r#"  <meta name="ocr-system" content="platen {}"/>"#, env!("CARGO_PKG_VERSION"))?;
    let capabilities = "ocr_page ocr_carea ocr_par ocr_line ocrx_word ocrp_wconf";
    writeln!(out, r#"  <meta name="ocr-capabilities" content="{capabilities}"/>"#)?;
    writeln!(out, r#"  <meta name="ocr-number-of-pages" content="{}"/>"#, text.pages.len())?;
    writeln!(out, " </head>\n <body>")?;
    for (number, page) in (1..).zip(&text.pages) {
        write_page(number, page, &name, out)?;
    }
    writeln!(out, " </body>\n</html>")
}

fn write_page(number: u32, page: &PageRecord, name: &str, out: &mut impl Write) -> io::Result<()> {
    let whole = bbox(Rect { x: 0, y: 0, w: page.width_px, h: page.height_px });
    let (index, dpi) = (number - 1, page.dpi);
    writeln!(
        out,
        r#"  <div class="ocr_page" id="page_{number}" title="image &quot;{name}&quot;; {whole}; ppageno {index}; scan_res {dpi} {dpi}">"#
    )?;
    let (mut line_number, mut word_number) = (0, 0);
    for (block, words) in (1..).zip(page.words.chunk_by(|one, next| one.block == next.block)) {
        let area = bbox(around(words));
        writeln!(out, r#"   <div class="ocr_carea" id="block_{number}_{block}" title="{area}">"#)?;
        writeln!(out, r#"    <p class="ocr_par" id="par_{number}_{block}" title="{area}">"#)?;
        for line in words.chunk_by(|one, next| one.line == next.line) {
            line_number += 1;
            let direction = match line.iter().any(|word| word.text.chars().any(is_right_to_left)) {
                true => r#" dir="rtl""#,
                false => "",
            };
            let place = bbox(around(line));
            write!(
                out,
                r#"     <span class="ocr_line" id="line_{number}_{line_number}"{direction} title="{place}">"#
            )?;
            for (at, word) in line.iter().enumerate() {
                word_number += 1;
                write_word(number, word_number, word, out)?;
                if line.get(at + 1).is_some_and(|next| is_blank_between(word, next)) {
                    write!(out, " ")?;
                }
            }
            writeln!(out, "</span>")?;
        }
        writeln!(out, "    </p>\n   </div>")?;
    }
    writeln!(out, "  </div>")
}

fn write_word(page: u32, number: u32, word: &Word, out: &mut impl Write) -> io::Result<()> {
    let (place, sure) = (bbox(word.rect), (word.confidence * 100.0).round().clamp(0.0, 100.0));
    let text = escaped(&word.text);
    write!(
        out,
        r#"<span class="ocrx_word" id="word_{page}_{number}" title="{place}; x_wconf {sure}">{text}</span>"#
    )
}

fn bbox(rect: Rect) -> String {
    format!("bbox {} {} {} {}", rect.x, rect.y, rect.x + rect.w, rect.y + rect.h)
}
