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

/// What a page is made of that draws an image as large as itself, with these entries.
fn makeup_on_image(entries: &str, instructions: &str) -> Makeup {
    let image = "/Type/XObject/Subtype/Image/Width 640/Height 832/BitsPerComponent 1/ColorSpace/DeviceGray";
    let objects = [
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        "<</Type/Pages/Kids[3 0 R]/Count 1>>".to_owned(),
        format!(
            "<</Type/Page/Parent 2 0 R/Contents 4 0 R{LETTER}/Resources<</Font<</F1 5 0 R>>\
             /XObject<</Scan 6 0 R>>/ExtGState<</Clear<</ca 0>>>>>>>>"
        ),
        stream("", instructions),
        HELVETICA.to_owned(),
        stream(&format!("{image}{entries}"), &"~".repeat(640 / 8 * 832)),
        gray('0', ""),
    ];
    makeup(pdf(&objects, "").path())
}

#[test]
fn a_page_of_text_on_a_picture_of_letter_paper_is_no_scan_and_a_scan_with_stamps_or_hidden_words_is_one() {
    let image = "q 612 0 0 792 0 0 cm /Scan Do Q";
    let text = written(&[LINES, LINES].concat());
    let check = |instructions: &str, expected: Makeup| {
        assert_eq!(makeup_on_image("", instructions), expected, "{instructions}");
    };
    check(&format!("{image} {text}"), Makeup::Drawn);
    check(&format!("{text} {image}"), Makeup::Scan);
    check(&format!("{image} {}", text.replacen("BT", "BT 3 Tr", 1)), Makeup::Scan);
    check(&format!("{image} /Clear gs {text}"), Makeup::Scan);
    check(&format!("{image} {}", written(&LINES[..1])), Makeup::Scan);
    let stamped = [
        "01/03/2026 10:22 From: Miller and Sons 555 0100 To: Jones P. 003/017",
        "Received 4 March 2026, Law Office of R. Green",
        "Case 1:26-cv-01234 Document 123-4 Filed 03/01/26 Page 12 of 45",
        "DEF-0001234",
    ];
    check(&format!("{image} {}", written(&stamped)), Makeup::Scan);
    // Of what is seen through, nothing below is hidden; nor is what lies beside.
    assert_eq!(makeup_on_image("/SMask 7 0 R", &format!("{text} {image}")), Makeup::Drawn);
    check(&format!("{image} {text} q 0 0 612 60 re W n {image} Q"), Makeup::Drawn);
}
