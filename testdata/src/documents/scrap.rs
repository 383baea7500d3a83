//! What else lies in a feeder: a blank page, and a note that nobody could file.

use super::Document;
use crate::paper::{Face, Fonts, Sheet, Style};

/// Nothing.
pub(crate) fn blank_page(fonts: &Fonts) -> Document<'_> {
    Document::new("unknown", vec![Sheet::a4(fonts)], &[])
}

/// A faint note that speaks of everything and is nothing in particular.
pub(crate) fn faint_note(fonts: &Fonts) -> Document<'_> {
    let type_ = Style::new(Face::Mono, 10.0);
    let mut sheet = Sheet::new(fonts, 148.0, 105.0, 12.0);
    for line in [
        "re the 2nd lot from Carrow -",
        "order came, note says 9 boxes, we count 8",
        "invoice for nine?? ask K. whether contract",
        "price still holds (he said 40 something)",
        "hold payment, call them thurs.",
        "also: keys for the yard",
    ] {
        sheet.line(type_, line);
        sheet.y += 1.0;
    }
    Document::new("unknown", vec![sheet], &[])
}
