//! Real batches with their separators, against where each should be divided.
//!
//! They lie in a corpus beside the checkout (`../shared/corpus`), which is not part of the project. Where it is absent
//! these tests check nothing and say so.

mod manifest;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use manifest::{Entry, corpus};
use platen_capture::decode::Document;
use platen_capture::ocr::Engines;
use platen_capture::raster::finish_page;
use platen_capture::separate::{CodeRule, Fate, Separation, separate};
use platen_capture::{Effort, Options};
use platen_model::{Aside, PageRecord};
use serde_json::Value;

/// The pages of a file as they are before they are divided, but that nothing is read on them.
fn pages(path: &Path) -> Vec<PageRecord> {
    let options = Options::default();
    let mut document = Document::open(File::open(path).expect("it is in the manifest"), &options.limits)
        .unwrap_or_else(|failure| panic!("{}: {failure}", path.display()));
    let count = document.inspect(&options.limits).expect("it was opened").pages;
    let mut engines = Engines::default();
    let finish = |page| finish_page(&mut document, page, &options, Effort::Unread, &mut engines);
    (0..count).map(finish).map(|page| page.expect("a sound page").record).collect()
}

/// What must be chosen for a batch to be divided as its entry says.
fn choices(entry: &Entry) -> Separation {
    let code = |text: &str, page| CodeRule { text: text.into(), kinds: Vec::new(), page };
    let mut separation = Separation::default();
    match entry["file"].as_str() {
        name if name.contains("asn") => separation.codes = vec![code(r"^ASN(?<archive>\d+)$", Fate::Keep)],
        name if name.contains("qr") => {
            separation.codes = vec![code(r"^SPLIT\|type=(?<type>\w+)\|id=(?<id>\d+)$", Fate::Drop)];
        }
        "batch_blank.tif" => separation.blank = true,
        _ => {}
    }
    separation
}

fn numbers(value: &Value) -> Vec<usize> {
    value.as_array().into_iter().flatten().filter_map(Value::as_u64).map(|page| page as usize - 1).collect()
}

#[test]
fn every_batch_is_divided_where_its_separators_are_and_every_code_is_read() {
    let Some((folder, entries)) = corpus("separators") else { return };
    let mut wrong = Vec::new();
    for entry in entries.iter().filter(|entry| !entry["fields"].is_empty()) {
        let name = &entry["file"];
        let expected: Value = serde_json::from_str(&entry["fields"]).expect("a manifest's fields are JSON");
        let pages = pages(&folder.join(name));
        let mut complain = |what: String| wrong.push(format!("{name}: {what}"));

        let read = expected["barcodes_read"].as_object();
        for (page, codes) in read.into_iter().flatten() {
            let page: usize = page.parse().expect("a page number");
            for code in codes.as_array().into_iter().flatten() {
                let (text, format) = (code["text"].as_str(), code["format"].as_str().unwrap_or_default());
                let symbology = match format {
                    "QR Code" => "qr".to_owned(),
                    other => other.to_lowercase().replace(' ', "-"),
                };
                let found = &pages[page - 1].barcodes;
                if !found.iter().any(|one| Some(one.text.as_str()) == text && one.symbology == symbology) {
                    complain(format!("page {page}: no {symbology} {text:?} in {found:?}"));
                }
            }
        }
        for (number, page) in (1..).zip(&pages) {
            let known = |text: &str| expected.to_string().contains(&format!("{text:?}"));
            let strange = page.barcodes.iter().find(|code| code.symbology != "patch" && !known(&code.text));
            if let Some(code) = strange {
                complain(format!("page {number}: a code that is not there: {code:?}"));
            }
        }
        if let Some(blank) = expected["blank"].as_bool()
            && pages.iter().any(|page| page.blank != blank)
        {
            complain(format!("blank is not {blank}"));
        }

        let Some(documents) = expected["documents"].as_array() else { continue };
        // Where its codes stand on first pages, nothing is said of pages that happen to be blank.
        match separate(&pages, name.contains("asn"), &choices(entry)) {
            Ok(groups) => {
                let found: Vec<Vec<usize>> = groups.iter().map(|group| group.pages.clone()).collect();
                let wanted: Vec<Vec<usize>> = documents.iter().map(numbers).collect();
                if found != wanted {
                    complain(format!("{found:?} and not {wanted:?}"));
                }
                let sheets: Vec<usize> = groups
                    .iter()
                    .flat_map(|group| &group.aside)
                    .filter_map(|(page, why)| (*why == Aside::Sheet).then_some(*page))
                    .collect();
                if sheets != numbers(&expected["separator_pages"]) {
                    complain(format!("sheets are {sheets:?}"));
                }
                let texts: BTreeMap<String, String> = groups
                    .iter()
                    .flat_map(|group| group.values.values())
                    .map(|value| ((value.page + 1).to_string(), value.code.clone()))
                    .collect();
                for (page, text) in expected["separator_text"].as_object().into_iter().flatten() {
                    if texts.get(page).map(String::as_str) != text.as_str() {
                        complain(format!("page {page} says {:?}", texts.get(page)));
                    }
                }
            }
            Err(_) if documents.is_empty() => {}
            Err(nothing) => complain(nothing.to_string()),
        }
    }
    assert!(wrong.is_empty(), "of {} files:\n{}", entries.len(), wrong.join("\n"));
}

#[test]
fn on_pages_without_codes_none_is_found() {
    let Some((folder, entries)) = corpus("ocr") else { return };
    // Every fifth file: books, letters, forms, tables, receipts and photos are all among them.
    for entry in entries.iter().step_by(5) {
        for (number, page) in (1..).zip(pages(&folder.join(&entry["file"])).iter().take(3)) {
            assert_eq!(page.barcodes, [], "{}, page {number}", entry["file"]);
        }
    }
}
