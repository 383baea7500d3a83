//! The outline and the links within an incoming PDF, where its pages are kept.

use std::fs::File;
use std::io::Write as _;

use hayro_syntax::Pdf;
use hayro_syntax::object::{Array, Dict, MaybeRef, Name, ObjRef, Object};
use platen_capture::decode::Document;
use platen_capture::inspection::{ImageCodec, PageImage};
use platen_capture::pdf::Binder;
use platen_capture::worker::protocol::BindInfo;
use platen_capture::{Limits, PdfA};
use platen_model::{Digest, PageRecord, SourcePage};
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::common::{clean, run};
use crate::incoming::pdf;

/// Four pages. The first has links to the others, by page, by both kinds of names, by action, and to nowhere; the
/// outline has two chapters, of which the first has no place of its own, with a circle in the second.
fn book() -> NamedTempFile {
    let link = |to: &str| format!("<</Type/Annot/Subtype/Link/Rect[9 9 99 29]/Border[0 0 0]{to}>>");
    let links = [
        link("/Dest[4 0 R/XYZ 72 700 null]"),
        link("/Dest(end)"),
        link("/Dest/old"),
        link("/A<</S/GoTo/D[5 0 R/FitH 500]>>"),
        link("/Dest(nowhere)"),
        link("/A<</S/URI/URI(https://example.org/)>>"),
        link("/A<</S/Launch/F(program)>>"),
    ];
    let objects = [
        "<</Type/Catalog/Pages 2 0 R/Dests<</old[4 0 R/Fit]>>/Names<</Dests 7 0 R>>/Outlines 9 0 R>>"
            .to_owned(),
        "<</Type/Pages/Kids[3 0 R 4 0 R 5 0 R 6 0 R]/Count 4/MediaBox[0 0 612 792]>>".to_owned(),
        format!("<</Type/Page/Parent 2 0 R/Annots[{}]>>", links.concat()),
        "<</Type/Page/Parent 2 0 R>>".to_owned(),
        "<</Type/Page/Parent 2 0 R>>".to_owned(),
        "<</Type/Page/Parent 2 0 R>>".to_owned(),
        "<</Kids[8 0 R 7 0 R]>>".to_owned(),
        "<</Names[(end)<</D[6 0 R/XYZ null null null]>>]>>".to_owned(),
        "<</Type/Outlines/First 10 0 R/Last 13 0 R/Count 2>>".to_owned(),
        "<</Title(One)/Parent 9 0 R/First 11 0 R/Last 12 0 R/Count -2/Next 13 0 R>>".to_owned(),
        "<</Title(One, first)/Parent 10 0 R/Dest[4 0 R/Fit]/Next 12 0 R>>".to_owned(),
        "<</Title<FEFF00DC>/Parent 10 0 R/Prev 11 0 R/Dest[5 0 R/FitR 1 2 3 4]>>".to_owned(),
        "<</Title(Two)/Parent 9 0 R/Prev 10 0 R/Dest(end)/First 13 0 R/Last 13 0 R/Next 10 0 R>>".to_owned(),
    ];
    pdf(&objects, "")
}

/// A PDF of these pages of the book; one that is a picture is given as such.
fn bound(pages: &[(u32, bool)]) -> NamedTempFile {
    let source = File::open(book().path()).expect("open");
    let mut book = Document::open(source, &Limits::default()).expect("a PDF");
    let info = BindInfo {
        title: "book".into(),
        pdfa: PdfA::A2b,
        languages: "eng".into(),
        copy_of_signed: false,
        sources: vec![Digest::of(b"book")],
    };
    let bound = NamedTempFile::new().expect("a file");
    let mut binder = Binder::begin(info, bound.reopen().expect("open"));
    for &(page, is_kept) in pages {
        let record = PageRecord {
            width_px: 8,
            height_px: 8,
            dpi: 72,
            source: Some(SourcePage { source: 0, page }),
            ..PageRecord::default()
        };
        if is_kept {
            binder.keep_page(0, &mut book, page, &record).expect("a page");
            continue;
        }
        let mut jpeg = std::io::Cursor::new(Vec::new());
        image::GrayImage::new(8, 8).write_to(&mut jpeg, image::ImageFormat::Jpeg).expect("a JPEG");
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(jpeg.get_ref()).expect("write");
        let image = PageImage::plain(ImageCodec::Jpeg, (8, 8), 1, 8, jpeg.get_ref().len() as u64);
        binder.add_page(&image, &record, file).expect("a page");
    }
    binder.finish().expect("a PDF");
    clean(bound.path());
    bound
}

/// Where the links of the first page lead: the page, from 0, and how it is shown.
fn links(file: &NamedTempFile) -> Vec<(usize, String)> {
    let pdf = Pdf::new(std::fs::read(file.path()).expect("read")).expect("a PDF");
    let pages: Vec<ObjRef> =
        pdf.pages().iter().filter_map(|page| page.raw().obj_id()).map(ObjRef::from).collect();
    let annotations = pdf.pages()[0].raw().get::<Array<'_>>("Annots");
    let destinations =
        annotations.iter().flat_map(Array::iter::<Dict<'_>>).filter_map(|link| link.get::<Array<'_>>("Dest"));
    let lead = |place: Array<'_>| {
        let mut items = place.raw_iter();
        let Some(MaybeRef::Ref(page)) = items.next() else { panic!("no page") };
        let page = pages.iter().position(|one| *one == page).expect("a page of this PDF");
        let shown: Vec<String> = items
            .map(|item| match item {
                MaybeRef::NotRef(Object::Name(name)) => Name::as_str(&name).to_owned(),
                MaybeRef::NotRef(Object::Number(number)) => number.as_f64().to_string(),
                _ => "-".to_owned(),
            })
            .collect();
        (page, shown.join(" "))
    };
    destinations.map(lead).collect()
}

/// The outline as qpdf reads it: titles with the page each leads to, from 1, what is below in brackets.
fn outline(file: &NamedTempFile) -> String {
    fn show(entries: &Value) -> String {
        let one = |entry: &Value| {
            let below = show(&entry["kids"]);
            let below = if below.is_empty() { below } else { format!(" [{below}]") };
            format!("{} {}{below}", entry["title"].as_str().unwrap_or_default(), entry["destpageposfrom1"])
        };
        entries.as_array().into_iter().flatten().map(one).collect::<Vec<_>>().join(", ")
    }
    let said = run("qpdf", &["--json".as_ref(), "--json-key=outlines".as_ref(), file.path().as_os_str()]);
    show(&serde_json::from_str::<Value>(&said).expect("JSON")["outlines"])
}

#[test]
fn links_and_outline_lead_to_the_pages_they_led_to() {
    let all = bound(&[(0, true), (1, true), (2, true), (3, true)]);
    let places = [(1, "XYZ 72 700 -"), (3, "XYZ - - -"), (1, "Fit"), (2, "FitH 500")];
    assert_eq!(links(&all), places.map(|(page, shown)| (page, shown.to_owned())));
    assert_eq!(outline(&all), "One 2 [One, first 2, Ü 3], Two 4");
    let text = String::from_utf8_lossy(&std::fs::read(all.path()).expect("read")).into_owned();
    assert!(text.contains("https://example.org/") && !text.contains("Launch"));
}

#[test]
fn what_would_lead_to_a_page_of_another_document_is_left_out() {
    let some = bound(&[(0, true), (2, true)]);
    assert_eq!(links(&some), [(1, "FitH 500".to_owned())]);
    assert_eq!(outline(&some), "One 2 [Ü 2]");
    let none = bound(&[(0, true)]);
    assert_eq!((links(&none).len(), outline(&none)), (0, String::new()));
}

#[test]
fn a_page_that_became_a_picture_is_led_to_as_a_whole() {
    let mixed = bound(&[(0, true), (1, false), (2, true), (3, false)]);
    let places = [(1, "Fit"), (3, "Fit"), (1, "Fit"), (2, "FitH 500")];
    assert_eq!(links(&mixed), places.map(|(page, shown)| (page, shown.to_owned())));
    assert_eq!(outline(&mixed), "One 2 [One, first 2, Ü 3], Two 4");
}
