//! The page's geometry on a corpus of real scans beside the checkout (`../shared/corpus`), which is not part of
//! the project. Where it is absent these tests say so, and prove nothing.
//!
//! `cargo nextest run -p platen-capture corpus --no-capture` shows the tables.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use image::GrayImage;

use super::ink::Ink;
use super::upright::{self, Upright};
use super::{STRAIGHT_DEG, skew, turn};
use crate::decode::Document;
use crate::ocr::Engines;
use crate::options::Options;

/// One page in so many is turned all ways: enough to notice when it goes wrong, and done in seconds.
const EVERY: usize = 4;

/// The corpus' folder of this name, or a word on its absence.
fn folder(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus").join(name);
    if folder.join("manifest.csv").is_file() {
        return Some(folder);
    }
    eprintln!("No corpus at {}: nothing was measured.", folder.display());
    None
}

/// The named columns of a folder's manifest.
fn manifest<const N: usize>(folder: &Path, columns: [&str; N]) -> Vec<[String; N]> {
    let text = std::fs::read_to_string(folder.join("manifest.csv")).expect("the manifest is readable");
    let mut lines = text.lines().map(fields);
    let header = lines.next().expect("the manifest has a header");
    let places =
        columns.map(|column| header.iter().position(|name| name == column).expect("the column is there"));
    lines.map(|fields| places.map(|place| fields.get(place).cloned().unwrap_or_default())).collect()
}

/// The fields of a line of comma-separated values, some of them in quotes.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            _ => fields.last_mut().expect("there is always one").push(letter),
        }
    }
    fields
}

/// The first page of a file, in gray, with the resolution it states; `None` for what cannot be decoded here.
fn first_page(path: &Path) -> Option<(GrayImage, Option<u32>)> {
    let limits = Options::default().limits;
    let file = File::open(path).expect("the corpus has what its manifest names");
    let picture = Document::open(file, &limits).ok()?.page(0, &limits).ok()?;
    Some((picture.samples.to_gray(), picture.dpi))
}

fn upright(page: &GrayImage, dpi: Option<u32>, engines: &mut Engines) -> Upright {
    let ink = Ink::of(page);
    upright::find(page, dpi.unwrap_or(300), &ink, "eng", engines).expect("English is installed")
}

#[test]
fn corpus_skews_are_found_to_a_twentieth_of_a_degree_and_never_a_fifth_wrong() {
    let Some(folder) = folder("deskew") else { return };
    eprintln!("{:<28} {:>8} {:>8} {:>7} {:>6}", "file", "truth", "found", "error", "ms");
    let mut errors = Vec::new();
    for [name, kind, truth] in manifest(&folder, ["file", "kind", "angle_deg"]) {
        let Some((page, _)) = first_page(&folder.join(&name)) else { continue };
        let Some(truth) = truth.parse::<f32>().ok().filter(|_| kind != "orientation") else { continue };
        let start = Instant::now();
        let found = skew::Glance::across(&Ink::of(&page)).lines().skew_deg;
        let ms = start.elapsed().as_secs_f64() * 1_000.0;
        let error = found - truth;
        eprintln!("{name:<28} {truth:>8.2} {found:>8.3} {error:>7.3} {ms:>6.1}");
        errors.push(error.abs());
        if kind == "straight-scan" {
            assert!(found.abs() < STRAIGHT_DEG, "{name} is straight and would be turned by {found}");
        }
    }
    let mean = errors.iter().sum::<f32>() / errors.len() as f32;
    let worst = errors.iter().copied().fold(0.0, f32::max);
    eprintln!("{} pages: mean error {mean:.3}, worst {worst:.3} degrees", errors.len());
    assert!(mean <= 0.05 && worst <= 0.2, "mean {mean}, worst {worst}");
}

#[test]
fn corpus_pages_are_put_upright_however_they_lie_and_never_turned_wrongly() {
    let mut engines = Engines::default();
    let (mut pages, mut wrong, mut turned, mut right, mut dear) = (0, Vec::new(), 0, 0, 0);
    for folder in ["ocr", "classify"].into_iter().filter_map(folder) {
        for [name] in manifest(&folder, ["file"]).into_iter().step_by(EVERY) {
            let Some((page, dpi)) = first_page(&folder.join(&name)) else { continue };
            pages += 1;
            for quarters in 0..4 {
                let lies = turn::gray_by_quarters(page.clone(), quarters * 90);
                let start = Instant::now();
                let found = upright(&lies, dpi, &mut engines).rotation_deg;
                dear += u32::from(start.elapsed().as_millis() > 100);
                let truth = (4 - quarters) % 4 * 90;
                turned += u32::from(quarters > 0);
                right += u32::from(quarters > 0 && found == truth);
                if found != truth {
                    eprintln!("{name}, turned by {}: found {found}", quarters * 90);
                }
                if found != truth && found != 0 {
                    wrong.push((name.clone(), quarters * 90, found));
                }
            }
        }
    }
    eprintln!(
        "{pages} pages four ways: {right} of {turned} turned ones put right, {dear} asked for a second opinion"
    );
    assert!(wrong.is_empty(), "turned wrongly: {wrong:?}");
    assert!(right * 100 >= turned * 98, "{right} of {turned}");
}
