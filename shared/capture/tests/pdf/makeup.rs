//! What a page of an incoming PDF is made of: that decides whether it is kept, or made upright, straight and read.

use std::path::Path;

use platen_capture::Limits;
use platen_capture::decode::{Document, Makeup};

use crate::incoming::{HELVETICA, LETTER, LINES, page, written};

fn open(pdf: &Path) -> Document {
    Document::open(std::fs::File::open(pdf).expect("open"), &Limits::default()).expect("it opens")
}

fn makeup(pdf: &Path) -> Makeup {
    open(pdf).makeup(0).expect("it is a page").expect("of a PDF")
}

#[test]
fn a_layer_that_is_always_shown_binds_no_page() {
    let check = |states: &str, usage: &str| {
        let catalog = format!("/OCProperties<</OCGs[6 0 R]/D<</ON[6 0 R]/AS{states}>>>>");
        let layer = format!("<</Type/OCG/Name(Watermark)/Usage<<{usage}>>>>");
        let source = page(&catalog, LETTER, &written(&LINES), &[HELVETICA.to_owned(), layer]);
        matches!(makeup(source.path()), Makeup::Drawn)
    };
    let on = "/View<</ViewState/ON>>/Print<</PrintState/ON>>/PageElement<</Subtype/FG>>";
    let states = "[<</Event/View/Category[/View]/OCGs[6 0 R]>><</Event/Print/Category[/Print]/OCGs[6 0 R]>>]";
    assert!(check("[]", on) && check(states, on), "such is a watermark");
    assert!(!check(states, "/View<</ViewState/OFF>>"), "it is not on the screen");
    assert!(!check(states, "/Print<</PrintState/OFF>>"), "it is not printed");
    assert!(!check(states, "/Zoom<</min 2>>"), "it comes into sight when one looks closely");
    assert!(check("[]", "/View<</ViewState/OFF>>"), "nothing says when it is hidden");
}
