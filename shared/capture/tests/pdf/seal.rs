//! Signatures made with `openssl` in the room we prepare, judged by poppler's `pdfsig`.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use crate::common::{bind, check_preflight, page_of, run, word};
use platen_capture::PdfA;
use platen_capture::inspection::ImageCodec;
use platen_capture::pdf::{Place, Section, add_validation, certificate, prepare_seal, render};
use platen_capture::worker::protocol::{Entry, SealInfo};
use platen_model::FailureClass;
use proptest::prelude::*;
use tempfile::{NamedTempFile, TempDir};

fn seal() -> SealInfo {
    SealInfo {
        strokes: Vec::new(),
        entries: Vec::new(),
        name: "Żaneta Müller".into(),
        reason: "I agree (really)".into(),
        at: "2026-03-01T12:00:00Z".parse().expect("a time"),
        lines: vec![
            "Signed by Żaneta Müller".into(),
            "I agree (really)".into(),
            "2026-03-01 12:00 UTC".into(),
        ],
        page: 0,
        // Over the white half of the test page.
        place: Place { left: 0.55, bottom: 0.4, right: 0.95, top: 0.5 },
        room_bytes: 8_192,
    }
}

fn letter() -> NamedTempFile {
    let words = vec![word("Agreement", [600, 200, 300, 40], 0, 0)];
    bind(&[page_of(words), page_of(vec![])], PdfA::A2b, ImageCodec::CcittG4)
}

/// The same PDF, rewritten by `qpdf` with these options.
fn rewritten(options: &[&str], source: &Path) -> NamedTempFile {
    let target = NamedTempFile::new().expect("a file");
    let mut arguments: Vec<&std::ffi::OsStr> = options.iter().map(AsRef::as_ref).collect();
    arguments.extend([source.as_os_str(), target.path().as_os_str()]);
    run("qpdf", &arguments);
    target
}

/// A signer with a certificate of its own.
struct Signer(TempDir);

impl Signer {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (key, certificate) = (folder.path().join("key"), folder.path().join("certificate"));
        let options = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=Test -keyout";
        let mut arguments: Vec<&std::ffi::OsStr> = options.split(' ').map(AsRef::as_ref).collect();
        arguments.extend([key.as_os_str(), "-out".as_ref(), certificate.as_os_str()]);
        run("openssl", &arguments);
        Self(folder)
    }

    /// Prepares a PDF, signs it and checks that it begins with what was given.
    fn sign(&self, pdf: &Path, seal: &SealInfo) -> NamedTempFile {
        let (mut bytes, room) = prepare_seal(&File::open(pdf).expect("open"), seal).expect("room");
        assert!(bytes.starts_with(&std::fs::read(pdf).expect("read")), "the original bytes were changed");
        let [_, open, close, rest] = room.byte_range.map(|number| number as usize);
        assert_eq!(close + rest, bytes.len());
        assert_eq!((bytes[open], bytes[close - 1]), (b'<', b'>'));

        let folder = self.0.path();
        let (data, signature) = (folder.join("data"), folder.join("signature"));
        std::fs::write(&data, [&bytes[..open], &bytes[close..]].concat()).expect("write");
        let (key, certificate) = (folder.join("key"), folder.join("certificate"));
        let options = "cms -sign -binary -cades -md sha256 -outform DER -signer";
        let mut arguments: Vec<&std::ffi::OsStr> = options.split(' ').map(AsRef::as_ref).collect();
        arguments.extend([certificate.as_os_str(), "-inkey".as_ref(), key.as_os_str(), "-in".as_ref()]);
        arguments.extend([data.as_os_str(), "-out".as_ref(), signature.as_os_str()]);
        run("openssl", &arguments);
        let signature = std::fs::read(&signature).expect("read");
        let digits: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        bytes[open + 1..open + 1 + digits.len()].copy_from_slice(digits.as_bytes());

        let mut file = NamedTempFile::new().expect("a file");
        file.write_all(&bytes).expect("write");
        file
    }
}

#[track_caller]
fn check_signed(pdf: &Path, signatures: usize) -> String {
    run("qpdf", &["--check".as_ref(), pdf.as_os_str()]);
    let said = run("pdfsig", &["-nocert".as_ref(), pdf.as_os_str()]);
    assert_eq!(said.matches("Signature is Valid.").count(), signatures, "{said}");
    assert_eq!(said.matches("- Total document signed").count(), 1, "{said}");
    said
}

#[test]
fn a_seal_is_valid_and_covers_the_whole_document() {
    let signed = Signer::new().sign(letter().path(), &seal());
    let said = check_signed(signed.path(), 1);
    assert!(said.contains("ETSI.CAdES.detached"), "{said}");
    let text = String::from_utf8_lossy(&std::fs::read(signed.path()).expect("read")).into_owned();
    assert!(text.contains("/M(D:20260301120000Z)/Name<FEFF017B0061006E"), "time and name are said");
}

#[test]
fn pdfs_with_object_streams_or_linearized_are_sealed_in_their_own_manner() {
    let letter = letter();
    let signer = Signer::new();
    for (options, streams) in [(&["--object-streams=generate"][..], true), (&["--linearize"][..], false)] {
        let source = rewritten(options, letter.path());
        let signed = signer.sign(source.path(), &seal());
        check_signed(signed.path(), 1);
        let update = std::fs::read(signed.path())
            .expect("read")
            .split_off(source.as_file().metadata().expect("length").len() as usize);
        let text = String::from_utf8_lossy(&update);
        assert_eq!(
            (text.contains("/XRef"), text.contains("\ntrailer\n")),
            (streams, !streams),
            "{options:?}"
        );
    }
}

/// A seal with all that one can have: a drawing, texts and a tick, on both pages.
fn full_seal() -> SealInfo {
    let entry = |text: Option<&str>, page, place| Entry {
        text: text.map(str::to_owned),
        page,
        place: Place::thousandths(place),
    };
    SealInfo {
        strokes: vec![vec![[0, 0], [500, 1000], [1000, 0]], vec![[10, 10]]],
        entries: vec![
            entry(Some("2026-03-01"), 0, [550, 600, 750, 630]),
            entry(None, 0, [800, 600, 830, 630]),
            entry(Some("Ångström (7)"), 1, [550, 600, 750, 630]),
        ],
        ..seal()
    }
}

#[test]
fn a_pdf_a_stays_one_under_its_seals_and_the_means_to_check_them() {
    let signer = Signer::new();
    let words = vec![word("Agreement", [600, 200, 300, 40], 0, 0)];
    let letter = bind(&[page_of(words), page_of(vec![])], PdfA::A1b, ImageCodec::CcittG4);
    let once = signer.sign(letter.path(), &full_seal());
    let other = SealInfo { page: 1, entries: Vec::new(), ..full_seal() };
    let twice = signer.sign(once.path(), &other);
    let nothing = tempfile::tempfile().expect("a file");
    let at = "2026-03-01T12:00:00Z".parse().expect("a time");
    let (bytes, _) = add_validation(twice.as_file(), &nothing, "", at).expect("added");
    let mut complete = NamedTempFile::new().expect("a file");
    complete.write_all(&bytes).expect("write");
    let section = Section {
        heading: "Żaneta Müller".into(),
        facts: (0..60).map(|number| (format!("Fact {number}"), "value".to_owned())).collect(),
    };
    let mut certified = NamedTempFile::new().expect("a file");
    certified.write_all(&certificate("Certificate of completion", &[section])).expect("write");
    let sealed = signer.sign(certified.path(), &SealInfo { entries: Vec::new(), ..full_seal() });
    check_preflight(&[once.path(), twice.path(), complete.path(), certified.path(), sealed.path()]);
}

#[test]
fn what_a_seal_adds_keeps_each_rule_of_pdf_a_that_no_validator_here_judges() {
    let letter = letter();
    let sealed = Signer::new().sign(letter.path(), &full_seal());
    let read = |file: &NamedTempFile| lopdf::Document::load(file.path()).expect("a PDF");
    let (before, after) = (read(&letter), read(&sealed));
    let of_catalog = |document: &lopdf::Document, key: &[u8]| {
        document.catalog().and_then(|catalog| catalog.get(key).cloned()).expect("it is there")
    };
    for key in [b"Metadata".as_slice(), b"OutputIntents"] {
        assert_eq!(of_catalog(&before, key), of_catalog(&after, key), "{}", String::from_utf8_lossy(key));
    }
    assert_eq!(before.trailer.get(b"ID").expect("an ID"), after.trailer.get(b"ID").expect("an ID"));
    let added: Vec<_> = after.objects.iter().filter(|(id, _)| id.0 > before.max_id).collect();
    let mut annotations = 0;
    for (id, object) in &added {
        let (dictionary, is_stream) = match object {
            lopdf::Object::Stream(stream) => (&stream.dict, true),
            lopdf::Object::Dictionary(dictionary) => (dictionary, false),
            _ => continue,
        };
        for forbidden in
            ["A", "AA", "JS", "JavaScript", "Launch", "SMask", "ca", "CA", "BM", "Group", "XFA", "Font"]
        {
            assert!(!dictionary.has(forbidden.as_bytes()), "{id:?} has {forbidden}");
        }
        if dictionary.get(b"Type").and_then(lopdf::Object::as_name).ok() != Some(b"Annot") {
            assert!(!is_stream || !dictionary.has(b"F"), "{id:?} refers to data outside the file");
            continue;
        }
        annotations += 1;
        let flags = dictionary.get(b"F").and_then(lopdf::Object::as_i64).expect("flags");
        let (print, hidden) = (flags & 4, flags & (1 | 2 | 32 | 256));
        assert!(print != 0 && hidden == 0, "printed, and never invisible or hidden: {flags}");
        let appearances = dictionary.get(b"AP").and_then(lopdf::Object::as_dict).expect("an appearance");
        let keys: Vec<&[u8]> = appearances.iter().map(|(key, _)| key.as_slice()).collect();
        assert_eq!(keys, [b"N"], "the normal one, and no other");
        let form = appearances.get(b"N").and_then(lopdf::Object::as_reference).expect("its form");
        let form = after.get_object(form).and_then(lopdf::Object::as_stream).expect("a stream");
        let content = form.decompressed_content().expect("content");
        let content = lopdf::content::Content::decode(&content).expect("content");
        for operation in content.operations {
            let known = ["q", "Q", "cm", "g", "G", "w", "J", "j", "m", "l", "c", "re", "h", "f", "S", "B"];
            assert!(known.contains(&operation.operator.as_str()), "{operation:?}: neither text nor colour");
        }
    }
    assert_eq!(annotations, 4, "the seal, two texts and a tick");
}

#[test]
fn a_second_seal_leaves_the_first_valid() {
    let signer = Signer::new();
    let once = signer.sign(letter().path(), &seal());
    let twice = signer.sign(once.path(), &SealInfo { page: 1, ..seal() });
    check_signed(twice.path(), 2);
}

#[test]
fn a_seal_joins_the_form_and_annotations_that_are_there() {
    // After one seal the page has a list of annotations and the document a form.
    let signer = Signer::new();
    let once = signer.sign(letter().path(), &seal());
    let twice = signer.sign(once.path(), &seal());
    let text = String::from_utf8_lossy(&std::fs::read(twice.path()).expect("read")).into_owned();
    let lists = |key: &str| {
        text.rsplit(key)
            .next()
            .map(|list| list.split(']').next().map_or(0, |list| list.matches(" R").count()))
    };
    assert_eq!((lists("/Fields"), lists("/Annots")), (Some(2), Some(2)));
}

/// How much ink the place holds, of 1000; the page is rendered as a person sees it.
fn ink(pdf: &Path, place: Place) -> u64 {
    let (png, _) = render(&File::open(pdf).expect("open"), 0, 800).expect("render");
    let shown = image::load_from_memory(&png).expect("a PNG").to_luma8();
    let (width, height) = (shown.width() as f32, shown.height() as f32);
    let xs = (place.left * width) as u32..(place.right * width) as u32;
    let ys = ((1.0 - place.top) * height) as u32..((1.0 - place.bottom) * height) as u32;
    let dark = ys
        .clone()
        .flat_map(|y| xs.clone().map(move |x| (x, y)))
        .filter(|(x, y)| shown.get_pixel(*x, *y).0[0] < 128);
    dark.count() as u64 * 1000 / (xs.len() as u64 * ys.len() as u64)
}

#[test]
fn the_visible_signature_stands_where_asked_however_the_page_is_turned() {
    let blank = bind(&[page_of(vec![])], PdfA::A2b, ImageCodec::CcittG4);
    for (turn, place) in [
        ("--rotate=+0:1", seal().place),
        // Turned clockwise, the white right half is at the bottom; then on the left; then at the top.
        ("--rotate=+90:1", Place { left: 0.1, bottom: 0.1, right: 0.5, top: 0.3 }),
        ("--rotate=+180:1", Place { left: 0.05, bottom: 0.1, right: 0.45, top: 0.2 }),
        ("--rotate=+270:1", Place { left: 0.3, bottom: 0.6, right: 0.7, top: 0.8 }),
    ] {
        let turned = rewritten(&[turn], blank.path());
        assert_eq!(ink(turned.path(), place), 0, "{turn}: the place is not white before");
        let (bytes, _) = prepare_seal(turned.as_file(), &SealInfo { place, ..seal() }).expect("room");
        let mut file = NamedTempFile::new().expect("a file");
        file.write_all(&bytes).expect("write");
        let found = ink(file.path(), place);
        assert!((10..300).contains(&found), "{turn}: {found} of 1000 is ink");
    }
}

#[test]
fn what_was_drawn_and_filled_in_shows_and_the_signature_covers_it() {
    let signer = Signer::new();
    let blank = bind(&[page_of(vec![]), page_of(vec![])], PdfA::A2b, ImageCodec::CcittG4);
    let words = Place { left: 0.55, bottom: 0.7, right: 0.8, top: 0.73 };
    let tick = Place { left: 0.6, bottom: 0.8, right: 0.63, top: 0.83 };
    let entry = |text: Option<&str>, place| Entry { text: text.map(str::to_owned), page: 0, place };
    let drawn = SealInfo {
        strokes: vec![vec![[0, 500], [250, 0], [500, 1000], [1000, 500]], vec![[900, 100]]],
        entries: vec![entry(Some("2026-03-01"), words), entry(None, tick)],
        ..seal()
    };
    let plain = signer.sign(blank.path(), &seal());
    let signed = signer.sign(blank.path(), &drawn);
    check_signed(signed.path(), 1);
    assert!(ink(signed.path(), words) > 5 && ink(signed.path(), tick) > 5, "both show");
    assert_eq!((ink(plain.path(), words), ink(plain.path(), tick)), (0, 0));
    let upper = Place { bottom: 0.46, ..seal().place };
    assert!(ink(signed.path(), upper) > 0, "the drawing shows");
    let outside = Entry { place: Place { right: 1.2, ..words }, ..entry(None, words) };
    check_refused(blank.as_file(), &SealInfo { entries: vec![outside], ..seal() }, FailureClass::Internal);
    let long = SealInfo { strokes: vec![vec![[1, 1]; 6_000]], ..seal() };
    check_refused(blank.as_file(), &long, FailureClass::TooLarge);
}

#[track_caller]
fn check_refused(source: &File, seal: &SealInfo, class: FailureClass) {
    let failure = prepare_seal(source, seal).expect_err("must be refused");
    assert_eq!(failure.class, class, "{failure}");
}

#[test]
fn what_cannot_be_sealed_is_refused_by_class() {
    let letter = letter();
    check_refused(letter.as_file(), &SealInfo { page: 2, ..seal() }, FailureClass::NoPages);
    check_refused(letter.as_file(), &SealInfo { room_bytes: u32::MAX, ..seal() }, FailureClass::TooLarge);
    let outside = Place { left: 0.9, bottom: 0.1, right: 1.2, top: 0.2 };
    check_refused(letter.as_file(), &SealInfo { place: outside, ..seal() }, FailureClass::Internal);

    let open = rewritten(&["--encrypt", "", "owner", "256", "--"], letter.path());
    check_refused(open.as_file(), &seal(), FailureClass::Locked);

    let bytes = std::fs::read(letter.path()).expect("read");
    let mut cut = tempfile::tempfile().expect("a file");
    cut.write_all(&bytes[..bytes.len() * 2 / 3]).expect("write");
    check_refused(&cut, &seal(), FailureClass::Corrupt);
}

#[test]
fn a_certification_that_forbids_changes_is_respected() {
    let text = String::from_utf8_lossy(&std::fs::read(certified(1).path()).expect("read")).into_owned();
    assert!(text.contains("/DocMDP"));
    check_refused(certified(1).as_file(), &seal(), FailureClass::Unsupported);
    prepare_seal(certified(2).as_file(), &seal()).expect("level 2 allows signatures");
}

/// A page whose author certified it with this permission level.
fn certified(level: u32) -> NamedTempFile {
    let objects = [
        "<</Type/Catalog/Pages 2 0 R/Perms<</DocMDP 4 0 R>>>>".to_owned(),
        "<</Type/Pages/Count 1/Kids[3 0 R]>>".to_owned(),
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>".to_owned(),
        format!("<</Type/Sig/Reference[<</TransformMethod/DocMDP/TransformParams<</P {level}>>>>]>>"),
    ];
    let mut pdf = String::from("%PDF-1.7\n");
    let mut table = String::from("xref\n0 5\n0000000000 65535 f \n");
    for (number, object) in (1..).zip(&objects) {
        table.push_str(&format!("{:010} 00000 n \n", pdf.len()));
        pdf.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let start = pdf.len();
    pdf.push_str(&format!("{table}trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n"));
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(pdf.as_bytes()).expect("write");
    file
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// A damaged PDF is refused or sealed, but never changed and never a crash.
    #[test]
    fn a_damaged_pdf_is_never_changed(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
        let mut bytes = std::fs::read(certified(2).path()).expect("read");
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&bytes).expect("write");
        if let Ok((sealed, _)) = prepare_seal(&file, &seal()) {
            prop_assert!(sealed.starts_with(&bytes));
        }
    }
}
