//! Fields of a form that are filled in and do not look so.
//!
//! What stands in a field and how that looks are two entries. Programs that fill in forms may write the first alone and
//! leave the other to the viewer; whoever shows what is drawn, shows such a field empty.

use hayro_syntax::Pdf;
use hayro_syntax::content::TypedIter;
use hayro_syntax::content::ops::TypedInstruction;
use hayro_syntax::object::{Dict, Name, Object, Stream, String as PdfString};

use super::pdf_annotations as annotations;

/// The most pages whose fields are looked at.
const PAGES_MAX: usize = 1_000;
/// How far up a field may inherit from.
const DEPTH_MAX: u32 = 32;

/// How many fields are filled in, and do not show with what.
pub(super) fn unseen(pdf: &Pdf, form: &Dict<'_>) -> u32 {
    // Viewers then draw all fields anew.
    let looks_are_old = form.get::<bool>("NeedAppearances").unwrap_or(false);
    let is_unseen = |widget: &Dict<'_>| {
        is_field_with_place(widget) && is_filled_in(widget) && !shows_it(widget, looks_are_old)
    };
    let pages = pdf.pages().iter().take(PAGES_MAX);
    let count: usize = pages.map(|page| annotations::unhidden(page).filter(is_unseen).count()).sum();
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn is_field_with_place(widget: &Dict<'_>) -> bool {
    let is_field = widget.get::<Name<'_>>("Subtype").is_some_and(|kind| &*kind == b"Widget");
    let area = widget.get::<[f64; 4]>("Rect");
    is_field && area.is_some_and(|[x0, y0, x1, y1]| ((x1 - x0) * (y1 - y0)).abs() > f64::EPSILON)
}

/// Whether a field has a text, a choice or a tick. A signature is none of them: it is often not to be seen.
fn is_filled_in(widget: &Dict<'_>) -> bool {
    let is_off = |state: &Name<'_>| &**state == b"Off";
    match inherited(widget, "V") {
        Some(Object::String(text)) => {
            let blank = |byte: &u8| matches!(byte, 0 | 0xfe | 0xff) || byte.is_ascii_whitespace();
            !PdfString::as_bytes(&text).iter().all(blank)
        }
        // One of several buttons of a field is on, and the others say that they are not.
        Some(Object::Name(state)) => {
            !is_off(&state) && !widget.get::<Name<'_>>("AS").as_ref().is_some_and(is_off)
        }
        Some(Object::Array(choices)) => choices.raw_iter().next().is_some(),
        Some(Object::Stream(_) | Object::Number(_)) => true,
        _ => false,
    }
}

/// Whether a field has a look, and one with letters where an old look is drawn anew.
fn shows_it(widget: &Dict<'_>, looks_are_old: bool) -> bool {
    let look = widget.get::<Dict<'_>>("AP").and_then(|looks| looks.get::<Object<'_>>("N"));
    match look {
        None | Some(Object::Null(_)) => false,
        Some(Object::Stream(look)) => !looks_are_old || has_letters(&look),
        // A box to tick has a look for each of its states.
        Some(_) => true,
    }
}

fn has_letters(look: &Stream<'_>) -> bool {
    use TypedInstruction as I;
    let Ok(content) = look.decoded_data() else { return true };
    let mut instructions = TypedIter::new(&content);
    while let Some(instruction) = instructions.next() {
        if matches!(
            instruction,
            I::ShowText(_)
                | I::ShowTexts(_)
                | I::NextLineAndShowText(_)
                | I::ShowTextWithParameters(_)
                | I::XObject(_)
        ) {
            return true;
        }
    }
    false
}

/// An entry of a field, or of the one that it is part of.
fn inherited<'a>(field: &Dict<'a>, name: &str) -> Option<Object<'a>> {
    let mut field = field.clone();
    for _ in 0..DEPTH_MAX {
        if let Some(value) = field.get::<Object<'a>>(name) {
            return Some(value);
        }
        field = field.get::<Dict<'a>>("Parent")?;
    }
    None
}
