//! What a page of an incoming PDF is made of: that decides whether it is kept, or made upright, straight and read.

use std::path::Path;

use platen_capture::Limits;
use platen_capture::decode::{Document, Makeup};

use crate::incoming::{HELVETICA, LETTER, LINES, page, pdf, stream, written};

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

/// A gray image of an inch, all of this lightness, with these entries.
fn gray(lightness: char, entries: &str) -> String {
    let image = "/Type/XObject/Subtype/Image/Width 72/Height 72/BitsPerComponent 8/ColorSpace/DeviceGray";
    stream(&format!("{image}{entries}"), &lightness.to_string().repeat(72 * 72))
}

#[test]
fn an_image_in_a_hidden_layer_is_not_shown_over_the_scan() {
    let lightness = |state: &str, entries: &str, draw: &str| {
        let objects = [
            format!("<</Type/Catalog/Pages 2 0 R/OCProperties<</OCGs[7 0 R]/D<<{state}>>>>>>"),
            "<</Type/Pages/Kids[3 0 R]/Count 1>>".to_owned(),
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]/Contents 4 0 R\
             /Resources<</XObject<</Scan 5 0 R/Stamp 6 0 R>>/Properties<</Layer 7 0 R>>>>>>"
                .to_owned(),
            stream("", &format!("q 72 0 0 72 0 0 cm /Scan Do {draw} Q")),
            gray('~', ""),
            gray('0', entries),
            "<</Type/OCG/Name(Stamp)>>".to_owned(),
        ];
        let picture = open(pdf(&objects, "").path()).page(0, &Limits::default()).expect("it decodes");
        let gray = picture.samples.to_gray();
        gray.get_pixel(gray.width() / 2, gray.height() / 2)[0]
    };
    for (entries, draw) in [("/OC 7 0 R", "/Stamp Do"), ("", "/OC /Layer BDC /Stamp Do EMC")] {
        let (shown, hidden) = (lightness("", entries, draw), lightness("/OFF[7 0 R]", entries, draw));
        assert!(shown.abs_diff(b'0') < 3 && hidden.abs_diff(b'~') < 3, "{draw}: {shown} and {hidden}");
    }
}
