//! Incoming PDFs: what stays as it is, what is laid over it, and what is said of it. `qpdf` and poppler judge.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;

use platen_capture::decode::Document;
use platen_capture::inspection::Feature;
use platen_capture::ocr::Engines;
use platen_capture::pdf::{Binder, Bound, render};
use platen_capture::worker::protocol::{Answer, BindInfo, Reply, Request};
use platen_capture::worker::workbench::Workbench;
use platen_capture::{Effort, Inspection, Limits, Options, Passwords, PdfA, raster};
use platen_model::{Digest, FailureClass, Lack, PageRecord, Rect, TextSource, Word};
use tempfile::NamedTempFile;

use crate::common::{clean, info, run};

/// A PDF of these objects from number 1 on, the first being the catalog; `trailer` stands in its trailer.
pub(crate) fn pdf(objects: &[String], trailer: &str) -> NamedTempFile {
    let mut bytes = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (number, object) in (1..).zip(objects) {
        table.push_str(&format!("{:010} 00000 n \n", bytes.len()));
        bytes.extend(format!("{number} 0 obj\n{object}\nendobj\n").bytes());
    }
    let start = bytes.len();
    let size = objects.len() + 1;
    bytes.extend(
        format!("{table}trailer\n<</Size {size}/Root 1 0 R{trailer}>>\nstartxref\n{start}\n%%EOF\n").bytes(),
    );
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(&bytes).expect("write");
    file
}

/// An object that is a stream of these entries and data.
pub(crate) fn stream(entries: &str, data: &str) -> String {
    format!("<<{entries}/Length {}>>\nstream\n{data}\nendstream", data.len())
}

/// A PDF of one page with these entries and instructions; objects from number 5 on are as given. Object 5 is in its
/// resources as font `F1`.
pub(crate) fn page(catalog: &str, entries: &str, instructions: &str, more: &[String]) -> NamedTempFile {
    let mut objects = vec![
        format!("<</Type/Catalog/Pages 2 0 R{catalog}>>"),
        "<</Type/Pages/Kids[3 0 R]/Count 1>>".to_owned(),
        format!("<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>{entries}>>"),
        stream("", instructions),
    ];
    objects.extend(more.iter().cloned());
    pdf(&objects, "")
}

pub(crate) const HELVETICA: &str = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>";
pub(crate) const LETTER: &str = "/MediaBox[0 0 612 792]";
pub(crate) const LINES: [&str; 4] = [
    "The tenant pays the rent on the first day of each month.",
    "The landlord keeps the roof and the walls in good order.",
    "Both sign two copies of this paper and keep one of them.",
    "What is not written here is not part of the agreement.",
];

/// Instructions that show these lines in a font.
pub(crate) fn written(lines: &[&str]) -> String {
    let shown: String = lines.iter().map(|line| format!("({line}) Tj T*\n")).collect();
    format!("BT /F1 14 Tf 1 0 0 1 72 700 Tm 24 TL\n{shown}ET")
}

/// A page of text made by a program.
pub(crate) fn letter() -> NamedTempFile {
    page("", LETTER, &written(&LINES), &[HELVETICA.to_owned()])
}

pub(crate) struct Normalized {
    pub(crate) records: Vec<PageRecord>,
    pdfa: PdfA,
    breaches: Vec<String>,
    bytes: Vec<u8>,
    pub(crate) file: NamedTempFile,
}

pub(crate) fn inspection(file: &Path, passwords: &Passwords) -> Result<Inspection, platen_model::Failure> {
    let limits = Limits::default();
    let file = File::open(file).expect("open");
    Document::open_locked(file, &limits, passwords)?.inspect(&limits)
}

/// What a worker makes of a PDF, with nothing in it that `qpdf` complains of.
pub(crate) fn normalized(source: &Path, pdfa: PdfA, passwords: &Passwords) -> Normalized {
    let made = made_of(source, pdfa, passwords);
    clean(made.file.path());
    made
}

/// What a worker makes of a PDF: each page finished, and kept or shown as its record says.
pub(crate) fn made_of(source: &Path, pdfa: PdfA, passwords: &Passwords) -> Normalized {
    let inspection = inspection(source, passwords).expect("it opens");
    let options = Options { pdfa, ..Options::default() };
    let limits = options.limits.clone();
    let mut bench = Workbench::default();
    let mut ask = |request: Request, files: Vec<File>| -> Answer {
        bench.answer(request, files.into_iter().map(OwnedFd::from).collect())
    };
    let open = || File::open(source).expect("open");
    let mut pages = Vec::new();
    for page in 0..inspection.pages {
        let image = NamedTempFile::new().expect("a file");
        let request = Request::Page {
            page,
            options: options.clone(),
            effort: Effort::Whole,
            passwords: passwords.clone(),
        };
        match ask(request, vec![open(), image.reopen().expect("open")]).expect("the page is finished") {
            Reply::Page { record, image: measures } => pages.push((*record, measures, image)),
            other => panic!("{other:?}"),
        }
    }
    let info = BindInfo {
        title: "incoming.pdf".into(),
        pdfa,
        languages: "eng".into(),
        copy_of_signed: inspection.digitally_signed,
        sources: vec![Digest::of(b"incoming")],
    };
    let file = NamedTempFile::new().expect("a file");
    ask(Request::BindBegin { info }, vec![file.reopen().expect("open")]).expect("begun");
    let mut records = Vec::new();
    for (page, (record, image, file)) in (0..).zip(pages) {
        let boxed = Box::new(record.clone());
        let kept = record.incoming.as_ref().expect("it is a page of a PDF").kept;
        let request = if kept {
            let (limits, passwords) = (limits.clone(), passwords.clone());
            Request::BindKept { source: 0, page, record: boxed, limits, passwords }
        } else {
            Request::BindPage { image, record: boxed }
        };
        let of = if kept { open() } else { file.reopen().expect("open") };
        ask(request, vec![of]).expect("added");
        records.push(record);
    }
    let reply = ask(Request::BindFinish, vec![]).expect("finished");
    let Reply::Bound { pdfa, breaches, .. } = reply else { panic!("{reply:?}") };
    let bytes = std::fs::read(file.path()).expect("read");
    Normalized { records, pdfa, breaches, bytes, file }
}

pub(crate) fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

pub(crate) fn text_of(pdf: &Path) -> String {
    run("pdftotext", &["-raw".as_ref(), pdf.as_os_str(), "-".as_ref()])
}

/// Both PDFs look the same to our renderer and to poppler: no sample of their small pictures differs by much.
#[track_caller]
fn check_same_look(one: &Path, other: &Path) {
    let ours = |pdf: &Path| {
        let (png, _) = render(&File::open(pdf).expect("open"), 0, 400).expect("render");
        image::load_from_memory(&png).expect("a PNG").to_luma8()
    };
    let popplers = |pdf: &Path| {
        let folder = tempfile::tempdir().expect("a folder");
        let stem = folder.path().join("page");
        let options = ["-png", "-singlefile", "-scale-to-x", "400", "-scale-to-y", "-1"];
        let mut arguments: Vec<&std::ffi::OsStr> = options.iter().map(AsRef::as_ref).collect();
        arguments.extend([pdf.as_os_str(), stem.as_os_str()]);
        run("pdftoppm", &arguments);
        image::open(stem.with_extension("png")).expect("a PNG").to_luma8()
    };
    for (who, show) in [("hayro", &ours as &dyn Fn(&Path) -> image::GrayImage), ("poppler", &popplers)] {
        let (one, other) = (show(one), show(other));
        assert_eq!(one.dimensions(), other.dimensions(), "{who}");
        let apart = one.iter().zip(other.iter()).filter(|(a, b)| a.abs_diff(**b) > 24).count();
        assert!(apart * 1_000 <= one.len(), "{who}: {apart} samples of {} differ", one.len());
    }
}

#[test]
fn a_page_made_by_a_program_keeps_its_instructions_and_gets_no_second_text() {
    let source = letter();
    let made = normalized(source.path(), PdfA::A2b, &Passwords::default());
    let incoming = made.records[0].incoming.as_ref().expect("a page of a PDF");
    assert!(incoming.kept && made.records[0].text_source == TextSource::Embedded, "{}", incoming.reason);
    let plain = run("qpdf", &["--qdf".as_ref(), made.file.path().as_os_str(), "-".as_ref()]);
    assert!(plain.contains(&written(&LINES)), "the instructions are not there as they came");
    assert_eq!(words(&text_of(made.file.path())), words(&LINES.join(" ")));
    check_same_look(source.path(), made.file.path());
}

#[test]
fn what_keeps_the_pdf_from_its_claim_is_said_and_the_claim_is_not_made() {
    let made = normalized(letter().path(), PdfA::A2b, &Passwords::default());
    assert_eq!(made.pdfa, PdfA::Off);
    assert_eq!(made.breaches, ["The font Helvetica is not in the file."]);
    assert!(!String::from_utf8_lossy(&made.bytes).contains("pdfaid"));

    let cmyk = page("", LETTER, "0 1 1 0 k 72 72 300 300 re f", &[HELVETICA.to_owned()]);
    let made = normalized(cmyk.path(), PdfA::A2b, &Passwords::default());
    assert!(made.breaches.iter().any(|breach| breach.contains("DeviceCMYK")), "{:?}", made.breaches);

    // Shapes in gray break nothing.
    let objects = [
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        "<</Type/Pages/Kids[3 0 R]/Count 1>>".to_owned(),
        format!("<</Type/Page/Parent 2 0 R/Contents 4 0 R{LETTER}>>"),
        stream("", "0.5 g 72 72 300 300 re f"),
    ];
    let made = normalized(pdf(&objects, "").path(), PdfA::A2b, &Passwords::default());
    assert_eq!((made.pdfa, made.breaches.len()), (PdfA::A2b, 0));
}

/// The outlines of the letters alone: a page that shows text and has none.
fn outlined(entries: &str) -> NamedTempFile {
    let source = page("", LETTER, &written(&LINES), &[HELVETICA.to_owned()]);
    let folder = tempfile::tempdir().expect("a folder");
    let svg = folder.path().join("page.svg");
    run("pdftocairo", &["-svg".as_ref(), source.path().as_os_str(), svg.as_os_str()]);
    let svg = std::fs::read_to_string(svg).expect("an SVG");
    page("", entries, &drawn(&svg), &[HELVETICA.to_owned()])
}

/// The glyphs of an SVG by `pdftocairo` as PDF paths.
fn drawn(svg: &str) -> String {
    let attribute = |element: &str, name: &str| -> Option<String> {
        let from = element.find(&format!(" {name}=\""))? + name.len() + 3;
        element[from..].split('"').next().map(str::to_owned)
    };
    let mut glyphs = std::collections::BTreeMap::new();
    let mut last = None;
    let mut instructions = String::from("0 g\n");
    for element in svg.split('<') {
        // Versions of cairo call them differently.
        if (element.starts_with("g ") || element.starts_with("symbol ")) && element.contains("id=\"glyph") {
            last = attribute(element, "id");
        } else if element.starts_with("path")
            && let (Some(id), Some(path)) = (last.take(), attribute(element, "d"))
        {
            glyphs.insert(id, path);
        } else if element.starts_with("use")
            && let (Some(id), Some(x), Some(y)) =
                (attribute(element, "xlink:href"), attribute(element, "x"), attribute(element, "y"))
            && let Some(path) = glyphs.get(id.trim_start_matches('#'))
        {
            let y: f64 = 792.0 - y.parse::<f64>().expect("a number");
            instructions.push_str(&format!("q 1 0 0 -1 {x} {y} cm\n"));
            instructions.push_str(&path_operators(path));
            instructions.push_str("f Q\n");
        }
    }
    instructions
}

/// An SVG path of absolute moves, lines and curves as PDF operators.
fn path_operators(path: &str) -> String {
    let mut out = String::new();
    let (mut kind, mut numbers) = ("", Vec::new());
    for token in path.split_whitespace() {
        match token {
            "M" | "L" | "C" => kind = token,
            "Z" => out.push_str("h\n"),
            number => numbers.push(number),
        }
        let (needed, operator) = match kind {
            "M" => (2, "m"),
            "L" => (2, "l"),
            _ => (6, "c"),
        };
        if numbers.len() == needed {
            out.push_str(&format!("{} {operator}\n", numbers.join(" ")));
            numbers.clear();
        }
    }
    out
}

#[test]
fn a_page_without_text_of_its_own_is_kept_and_what_was_read_is_laid_over_it() {
    for entries in [
        "/MediaBox[0 0 612 792]",
        "/MediaBox[0 0 612 792]/Rotate 180",
        "/MediaBox[0 0 612 792]/Rotate 90",
        "/MediaBox[0 0 612 792]/CropBox[40 300 600 780]",
    ] {
        let source = outlined(entries);
        let made = normalized(source.path(), PdfA::A2b, &Passwords::default());
        let incoming = made.records[0].incoming.as_ref().expect("a page of a PDF");
        assert!(incoming.kept && made.records[0].text_source == TextSource::Recognised, "{entries}");
        assert_eq!(words(&text_of(made.file.path())), words(&LINES.join(" ")), "{entries}");
        // Each word stands where it is seen, whichever way the page is turned.
        let boxes = run("pdftotext", &["-bbox".as_ref(), made.file.path().as_os_str(), "-".as_ref()]);
        let (png, _) = render(&File::open(made.file.path()).expect("open"), 0, 1_000).expect("render");
        let shown = image::load_from_memory(&png).expect("a PNG").to_luma8();
        let value = |text: &str, key: &str| -> f32 {
            let from = text.find(&format!("{key}=\"")).expect("a key") + key.len() + 2;
            text[from..].split('"').next().expect("a value").parse().expect("a number")
        };
        let page = boxes.lines().find(|line| line.contains("<page ")).expect("a page");
        let scale = 1_000.0 / value(page, "width");
        for line in boxes.lines().filter(|line| line.contains("<word ")) {
            let [x0, x1, y0, y1] =
                ["xMin", "xMax", "yMin", "yMax"].map(|key| (value(line, key) * scale) as u32);
            let ink = (x0..x1)
                .any(|x| (y0..y1).any(|y| shown.get_pixel_checked(x, y).is_some_and(|dot| dot[0] < 128)));
            assert!(ink, "{entries}: {line}");
        }
    }
}

#[test]
fn annotations_become_what_they_look_like_and_links_stay_links() {
    let stamp = stream("/Type/XObject/Subtype/Form/BBox[0 0 100 50]", "1 0 0 rg 0 0 100 50 re f");
    let annotations = "/Annots[6 0 R 8 0 R 9 0 R 10 0 R]";
    let source = page(
        "/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>",
        &format!("{LETTER}{annotations}"),
        &written(&LINES),
        &[
            HELVETICA.to_owned(),
            "<</Type/Annot/Subtype/Stamp/Rect[300 100 500 200]/AP<</N 7 0 R>>/F 4>>".to_owned(),
            stamp,
            "<</Type/Annot/Subtype/Link/Rect[72 690 200 712]/A<</S/URI/URI(https://example.org/a)>>>>"
                .to_owned(),
            "<</Type/Annot/Subtype/Link/Rect[72 600 200 612]/A<</S/URI/URI(file:///etc/passwd)>>>>"
                .to_owned(),
            "<</Type/Annot/Subtype/Stamp/Rect[0 0 612 792]/AP<</N 7 0 R>>/F 2>>".to_owned(),
        ],
    );
    let made = normalized(source.path(), PdfA::Off, &Passwords::default());
    check_same_look(source.path(), made.file.path());
    let plain = run("qpdf", &["--qdf".as_ref(), made.file.path().as_os_str(), "-".as_ref()]);
    assert!(plain.contains("https://example.org/a"));
    for gone in ["JavaScript", "/etc/passwd", "/Stamp"] {
        assert!(!plain.contains(gone), "{gone}");
    }
    let inspection = inspection(source.path(), &Passwords::default()).expect("it opens");
    assert_eq!(inspection.features, [Feature::Scripts]);
}

#[test]
fn a_scan_is_made_a_picture_and_its_own_hidden_text_is_not_doubled() {
    let scan = crate::common::bind(
        &[crate::common::page_of(vec![crate::common::word("hidden", [600, 200, 300, 40], 0, 0)])],
        PdfA::A2b,
        platen_capture::inspection::ImageCodec::Jpeg,
    );
    let made = normalized(scan.path(), PdfA::A2b, &Passwords::default());
    let incoming = made.records[0].incoming.as_ref().expect("a page of a PDF");
    assert!(!incoming.kept, "{}", incoming.reason);
    assert!(!text_of(made.file.path()).contains("hidden"));
    assert_eq!(made.pdfa, PdfA::A2b);
}

fn passwords(lines: &str) -> Passwords {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(lines.as_bytes()).expect("write");
    Passwords::from_file(file.path()).expect("it can be read")
}

/// The letter, encrypted by `qpdf`.
fn encrypted(user: &str, owner: &str, bits: &str) -> NamedTempFile {
    let target = NamedTempFile::new().expect("a file");
    let source = letter();
    let mut arguments: Vec<&std::ffi::OsStr> = ["--encrypt", user, owner, bits].map(AsRef::as_ref).to_vec();
    if bits == "128" {
        arguments.extend(["--use-aes=y", "--"].map(std::ffi::OsStr::new));
    } else {
        arguments.push("--".as_ref());
    }
    arguments.extend([source.path().as_os_str(), target.path().as_os_str()]);
    run("qpdf", &arguments);
    target
}

#[test]
fn a_locked_pdf_opens_with_one_of_the_passwords_and_says_what_it_lacks_without() {
    for bits in ["128", "256"] {
        let locked = encrypted("s3cret", "owner", bits);
        let refused = |passwords: &Passwords| inspection(locked.path(), passwords).expect_err("it is locked");
        assert_eq!(refused(&Passwords::default()).class, FailureClass::Locked);
        let failure = refused(&passwords("wrong\nwronger\n"));
        assert_eq!(failure.class, FailureClass::Locked);
        assert!(failure.message.contains("none of the 2 supplied"), "{}", failure.message);

        let right = passwords("wrong\ns3cret\n");
        let found = inspection(locked.path(), &right).expect("the second opens it");
        assert!(found.unlocked && found.encrypted);
        let made = normalized(locked.path(), PdfA::A2b, &right);
        assert_eq!(words(&text_of(made.file.path())), words(&LINES.join(" ")));
        assert!(!String::from_utf8_lossy(&made.bytes).contains("/Encrypt"));
    }
}

#[test]
fn a_password_of_the_owner_alone_does_not_lock() {
    let open = encrypted("", "owner", "256");
    let found = inspection(open.path(), &Passwords::default()).expect("it opens");
    assert!(found.encrypted && !found.unlocked);
    let made = normalized(open.path(), PdfA::A2b, &Passwords::default());
    assert_eq!(words(&text_of(made.file.path())), words(&LINES.join(" ")));
}

#[test]
fn what_a_pdf_holds_beside_its_pages_is_said() {
    let features = |catalog: &str, more: &[String]| {
        let mut objects = vec![HELVETICA.to_owned()];
        objects.extend(more.iter().cloned());
        let file = page(catalog, LETTER, &written(&LINES), &objects);
        inspection(file.path(), &Passwords::default()).expect("it opens").features
    };
    let files = "/Names<</EmbeddedFiles<</Names[(a) 6 0 R (b) 6 0 R]>>>>";
    let file = ["<</Type/Filespec/F(a)>>".to_owned()];
    assert_eq!(features("", &[]), []);
    assert_eq!(features(files, &file), [Feature::Attachments { count: 2 }]);
    assert_eq!(
        features(&format!("/Collection<<>>{files}"), &file),
        [Feature::Portfolio, Feature::Attachments { count: 2 }]
    );
    assert_eq!(
        features("/AcroForm<</XFA 6 0 R/Fields[]>>/NeedsRendering true", &[stream("", "<a/>")]),
        [Feature::Xfa { dynamic: true }]
    );
    assert_eq!(features("/AcroForm<</Fields[6 0 R]>>", &["<</FT/Tx/T(name)>>".to_owned()]), [Feature::Form]);
}

#[test]
fn a_pdf_whose_table_is_broken_is_repaired_on_a_copy_and_one_cut_off_is_refused() {
    let whole = std::fs::read(letter().path()).expect("read");
    let text = String::from_utf8_lossy(&whole).into_owned();
    let found = |bytes: &[u8]| {
        let mut file = NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("write");
        let found = inspection(file.path(), &Passwords::default());
        assert_eq!(std::fs::read(file.path()).expect("read"), bytes, "the file was changed");
        found.map(|found| (found.repaired, file))
    };
    assert!(!found(&whole).expect("it opens").0);
    let shifted = text.replacen("%PDF-1.7\n", "%PDF-1.7\n% a line that somebody put in\n", 1);
    // Bytes above 127 were two in the text; they stand in a comment.
    let (repaired, file) = found(shifted.as_bytes()).expect("it is repaired");
    assert!(repaired);
    let made = normalized(file.path(), PdfA::A2b, &Passwords::default());
    assert_eq!(words(&text_of(made.file.path())), words(&LINES.join(" ")));
    assert_eq!(
        found(&whole[..whole.len() * 3 / 5]).expect_err("it is cut off").class,
        FailureClass::Truncated
    );
}

#[test]
fn the_copy_of_a_signed_pdf_says_in_both_places_that_it_is_one() {
    let signed = page(
        "/AcroForm<</Fields[6 0 R]/SigFlags 3>>",
        LETTER,
        &written(&LINES),
        &[
            HELVETICA.to_owned(),
            "<</FT/Sig/T(s)/V<</Type/Sig/Filter/Adobe.PPKLite/ByteRange[0 1 2 3]/Contents<00>>>>>".to_owned(),
        ],
    );
    assert!(inspection(signed.path(), &Passwords::default()).expect("it opens").digitally_signed);
    let made = normalized(signed.path(), PdfA::A2b, &Passwords::default());
    let said = run("pdfinfo", &[made.file.path().as_os_str()]);
    let packet = run("pdfinfo", &["-meta".as_ref(), made.file.path().as_os_str()]);
    for text in [said, packet] {
        assert!(text.contains("Unsigned copy of a digitally signed document"), "{text}");
    }
    let text = String::from_utf8_lossy(&made.bytes);
    assert!(!text.contains("/ByteRange") && !text.contains("/AcroForm"));
}

#[test]
fn pages_of_one_pdf_share_what_they_name() {
    let objects = [
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        "<</Type/Pages/Kids[3 0 R 6 0 R]/Count 2/Resources<</Font<</F1 5 0 R>>>>>>".to_owned(),
        format!("<</Type/Page/Parent 2 0 R/Contents 4 0 R{LETTER}>>"),
        stream("", &written(&LINES)),
        HELVETICA.to_owned(),
        format!("<</Type/Page/Parent 2 0 R/Contents 4 0 R{LETTER}>>"),
    ];
    let made = normalized(pdf(&objects, "").path(), PdfA::A2b, &Passwords::default());
    assert_eq!(made.records.len(), 2);
    assert_eq!(String::from_utf8_lossy(&made.bytes).matches("/BaseFont /Helvetica").count(), 1);
}

#[test]
fn a_page_is_decoded_and_kept_by_the_same_rule_when_it_is_not_read() {
    let mut document =
        Document::open(File::open(letter().path()).expect("open"), &Limits::default()).expect("open");
    let page = raster::as_scanned(&mut document, 0, &Options::default()).expect("it is decoded");
    assert!(page.record.incoming.expect("a page of a PDF").kept);
    let page =
        raster::finish_page(&mut document, 0, &Options::default(), Effort::Unread, &mut Engines::default());
    assert!(page.expect("it is finished").record.incoming.expect("a page of a PDF").kept);
}

/// A page of text with an image in a corner, or as large as the page, that no decoder reads.
fn with_damaged_image(text: &str, place: &str) -> NamedTempFile {
    let image = stream(
        "/Type/XObject/Subtype/Image/Width 640/Height 480/BitsPerComponent 8/ColorSpace/DeviceRGB/Filter/DCTDecode",
        "this was a JPEG",
    );
    let objects = [
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        "<</Type/Pages/Kids[3 0 R]/Count 1>>".to_owned(),
        format!(
            "<</Type/Page/Parent 2 0 R/Contents 4 0 R\
             /Resources<</Font<</F1 5 0 R>>/XObject<</I 6 0 R>>>>{LETTER}>>"
        ),
        stream("", &format!("q {place} cm /I Do Q {text}")),
        HELVETICA.to_owned(),
        image,
    ];
    pdf(&objects, "")
}

#[test]
fn a_page_of_text_with_a_damaged_image_keeps_its_text_and_says_which_image_is_missing() {
    for place in ["100 0 0 75 450 40", "612 0 0 792 0 0"] {
        let source = with_damaged_image(&written(&LINES), place);
        let made = made_of(source.path(), PdfA::Off, &Passwords::default());
        let record = &made.records[0];
        assert_eq!(record.text_source, TextSource::Embedded, "{place}");
        assert!(record.incoming.as_ref().is_some_and(|incoming| incoming.kept), "{place}");
        assert_eq!(record.lacks, Some(Lack::Content), "{place}");
        let named = |note: &String| note.contains("640 x 480 pixels (object 6 of the file)");
        assert!(record.notes.iter().any(named), "{:?}", record.notes);
        assert_eq!(words(&text_of(made.file.path())), words(&LINES.join(" ")), "{place}");
    }
    // A scan without its image is no page.
    let scan = with_damaged_image("", "612 0 0 792 0 0");
    let mut document =
        Document::open(File::open(scan.path()).expect("open"), &Limits::default()).expect("open");
    let failure = document.page(0, &Limits::default()).expect_err("there is nothing to see");
    assert!(failure.message.contains("object 6 of the file"), "{failure}");
}

#[test]
fn a_sheet_that_no_page_may_have_and_a_font_that_does_not_say_so_break_the_claim() {
    let breaches = |entries: &str, font: &str| {
        let file = page("", entries, &written(&LINES), &[font.to_owned()]);
        normalized(file.path(), PdfA::A2b, &Passwords::default()).breaches
    };
    let huge = breaches("/MediaBox[0 0 20000 20000]/CropBox[0 0 612 792]", HELVETICA);
    assert!(huge.iter().any(|breach| breach.contains("20000 x 20000 points")), "{huge:?}");
    let untyped = breaches(LETTER, &HELVETICA.replace("/Type/Font", ""));
    assert!(untyped.iter().any(|breach| breach.contains("does not say that it is one")), "{untyped:?}");
    assert!(untyped.iter().any(|breach| breach.contains("is not in the file")), "{untyped:?}");
}

/// What breaks the standard on a page that draws this, with these resources and objects from number 5 on.
fn breaches_of(resources: &str, instructions: &str, more: &[String]) -> Vec<String> {
    let mut objects = vec![
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        "<</Type/Pages/Kids[3 0 R]/Count 1>>".to_owned(),
        format!("<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<<{resources}>>{LETTER}>>"),
        stream("", instructions),
    ];
    objects.extend(more.iter().cloned());
    let (bound, _) = kept(pdf(&objects, "").path(), PdfA::A2b, Vec::new());
    assert_eq!(bound.pdfa == PdfA::A2b, bound.breaches.is_empty());
    bound.breaches
}

/// A PDF of the first page of another as it came, on which these words were read.
fn kept(source: &Path, pdfa: PdfA, words: Vec<Word>) -> (Bound, NamedTempFile) {
    let record = PageRecord { width_px: 2_550, height_px: 3_300, dpi: 300, words, ..PageRecord::default() };
    let mut incoming = Document::open(File::open(source).expect("open"), &Limits::default()).expect("a PDF");
    let file = NamedTempFile::new().expect("a file");
    let mut binder = Binder::begin(info(pdfa), file.reopen().expect("open"));
    binder.keep_page(0, &mut incoming, 0, &record).expect("the page is kept");
    let bound = binder.finish().expect("finished");
    clean(file.path());
    (bound, file)
}

#[track_caller]
fn check_breach(breaches: &[String], said: &str) {
    assert!(breaches.iter().any(|breach| breach.contains(said)), "{said}: {breaches:?}");
}

#[test]
fn what_breaks_the_standard_in_patterns_glyphs_and_images_among_instructions_is_said() {
    let tiling = |draws: &str| {
        let pattern =
            "/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 20 20]/XStep 20/YStep 20/Resources<<>>";
        let fill = "/Pattern cs /P scn 72 72 300 300 re f";
        breaches_of("/Pattern<</P 5 0 R>>", fill, &[stream(pattern, draws)])
    };
    assert_eq!(tiling("0.5 g 0 0 10 10 re f"), Vec::<String>::new());
    check_breach(&tiling("0 1 1 0 k 0 0 10 10 re f"), "DeviceCMYK");

    let glyph = |draws: &str| {
        let font = "<</Type/Font/Subtype/Type3/FontBBox[0 0 500 500]/FontMatrix[.001 0 0 .001 0 0]/FirstChar 65\
                    /LastChar 65/Widths[600]/Encoding<</Type/Encoding/Differences[65/A]>>/CharProcs<</A 6 0 R>>\
                    /Resources<<>>>>";
        let glyph = stream("", &format!("600 0 d0 {draws} 0 0 500 500 re f"));
        breaches_of("/Font<</F1 5 0 R>>", "BT /F1 40 Tf 72 300 Td (AAA) Tj ET", &[font.to_owned(), glyph])
    };
    assert_eq!(glyph("0.5 g"), Vec::<String>::new());
    check_breach(&glyph("0 1 1 0 k"), "DeviceCMYK");

    let image = |entries: &str, data: &str| {
        let draw = format!("q 72 0 0 72 72 300 cm BI /W 1 /H 1 /BPC 8 /CS /G {entries} ID {data} EI Q");
        breaches_of("", &draw, &[])
    };
    assert_eq!(image("/I false", "@"), Vec::<String>::new());
    check_breach(&image("/I true", "@"), "smoother");
    // A clear code, a sample of 64, the end of the data, of nine bits each.
    check_breach(&image("/F [/AHx /LZW]", "80101010>"), "LZW");
}

#[test]
fn a_form_that_grows_without_end_is_not_looked_at_and_nothing_is_claimed_of_it() {
    let deflated = |data: &mut dyn std::io::Read| {
        let mut coder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::copy(data, &mut coder).expect("memory");
        coder.finish().expect("memory")
    };
    let inner = deflated(&mut std::io::Read::take(std::io::repeat(b' '), 1 << 30));
    let hex: String = deflated(&mut &inner[..]).iter().map(|byte| format!("{byte:02x}")).collect();
    let form = "/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Filter[/ASCIIHexDecode /FlateDecode /FlateDecode]";
    let breaches =
        breaches_of("/XObject<</Unused 5 0 R>>", "0.5 g 72 72 300 300 re f", &[stream(form, &hex)]);
    check_breach(&breaches, "too long to be looked at");
}

#[test]
fn what_does_not_read_with_certainty_is_not_laid_over_a_page_that_is_kept() {
    let source = page("", LETTER, "0.5 g 72 72 300 300 re f", &[HELVETICA.to_owned()]);
    let word = |text: &str, confidence: f32, line: u32| Word {
        text: text.into(),
        confidence,
        rect: Rect { x: 300 + 200 * u32::from(text == "two"), y: 300 + 100 * line, w: 120, h: 40 },
        line,
        block: 0,
    };
    let words = vec![
        word("lift", 0.95, 0),
        word("two", 0.9, 0),
        word("e", 0.9, 1),
        word("°", 0.85, 1),
        word("Wbrd", 0.4, 2),
        word("契約", 0.9, 3),
    ];
    let (_, bound) = kept(source.path(), PdfA::Off, words);
    assert_eq!(self::words(&text_of(bound.path())), ["lift", "two", "契約"]);
}
