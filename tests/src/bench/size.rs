//! How many bytes a page takes in the PDF, and what is lost with those that are saved.
//!
//! Platen's two profiles and OCRmyPDF write the same pages, each an image file. Pages are told apart by what they are
//! coded from: colour, gray, or black and white. What profile `compact` takes away is judged by reading: each page is
//! drawn from the PDF by poppler, at the resolution of the scan, read again, and its errors are set beside those of
//! the scan itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use image::ImageReader;

use super::accuracy;
use super::contender::Tools;
use super::cost;
use super::figures::{mean, ratio};
use super::pages::{Page, Pages};
use super::report::{Report, figure};

/// A way to write a PDF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Writer {
    PlatenExact,
    PlatenCompact,
    OcrmypdfOne,
    OcrmypdfThree,
}

impl Writer {
    const ALL: [Self; 4] = [Self::PlatenExact, Self::PlatenCompact, Self::OcrmypdfOne, Self::OcrmypdfThree];

    fn name(self) -> &'static str {
        match self {
            Self::PlatenExact => "Platen, profile exact",
            Self::PlatenCompact => "Platen, profile compact",
            Self::OcrmypdfOne => "OCRmyPDF --optimize 1",
            Self::OcrmypdfThree => "OCRmyPDF --optimize 3",
        }
    }

    /// Writes the page's PDF into a folder, which holds nothing else then but texts and records.
    fn write(self, tools: &Tools, page: &Page, out: &Path) -> Result<PathBuf, String> {
        let level = match self {
            Self::PlatenExact | Self::PlatenCompact => {
                let profile = if self == Self::PlatenExact { "exact" } else { "compact" };
                let mut command = tools.platen(&[&page.path], &page.languages, out);
                cost::of(command.args(["--profile", profile]))?;
                let written = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "pdf");
                let entries = std::fs::read_dir(out).map_err(|error| error.to_string())?;
                let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
                return paths.find(written).ok_or_else(|| "there is no PDF".into());
            }
            Self::OcrmypdfOne => "1",
            Self::OcrmypdfThree => "3",
        };
        let pdf = out.join("page.pdf");
        let command = |dpi: &[&str]| {
            let mut command = Command::new(tools.peers.join("bin/ocrmypdf"));
            // What it recognises is not asked for here, and takes most of its time.
            command.args(["--jobs", "1", "--quiet", "--tesseract-timeout", "0", "--optimize", level]);
            command.args(dpi).arg(&page.path).arg(&pdf).env("OMP_THREAD_LIMIT", "1");
            command
        };
        cost::of(&mut command(&[])).or_else(|_| cost::of(&mut command(&["--image-dpi", "300"])))?;
        Ok(pdf)
    }
}

/// What a page is coded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Coding {
    Colour,
    Gray,
    BlackAndWhite,
}

impl Coding {
    const ALL: [Self; 3] = [Self::Colour, Self::Gray, Self::BlackAndWhite];

    fn name(self) -> &'static str {
        match self {
            Self::Colour => "colour",
            Self::Gray => "gray",
            Self::BlackAndWhite => "black and white",
        }
    }

    /// By the samples: a file may say colour and hold none.
    fn of(page: &Page) -> Option<Self> {
        let decoded = ImageReader::open(&page.path).ok()?.with_guessed_format().ok()?.decode().ok()?;
        let is_gray = |pixel: &image::Rgb<u8>| pixel.0.iter().max()?.checked_sub(*pixel.0.iter().min()?);
        let rgb = decoded.to_rgb8();
        let coloured = rgb.pixels().filter(|pixel| is_gray(pixel).is_some_and(|apart| apart > 8)).count();
        let extreme = rgb.pixels().filter(|pixel| pixel.0 == [0; 3] || pixel.0 == [255; 3]).count();
        Some(match (coloured * 1_000 > rgb.pixels().len(), extreme == rgb.pixels().len()) {
            (true, _) => Self::Colour,
            (false, true) => Self::BlackAndWhite,
            (false, false) => Self::Gray,
        })
    }
}

/// What the targets ask for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    /// Bytes of Platen's compact PDFs as a part of OCRmyPDF's with `--optimize 1`, over colour pages.
    pub compact: Option<f64>,
    /// Points of character error that the rendered compact pages have more than the scans, over colour and gray pages.
    pub lost_points: Option<f64>,
}

/// Measures, and writes the tables.
///
/// # Errors
///
/// When Platen cannot write a page, or the scorer fails.
pub fn measure(pages: &Pages, tools: &Tools, scratch: &Path, report: &mut Report) -> Result<Found, String> {
    let mut bytes: BTreeMap<(Writer, Coding), BTreeMap<&str, f64>> = BTreeMap::new();
    let (scanned, rendered) = (scratch.join("size-scanned"), scratch.join("size-rendered"));
    for (number, page) in (1..).zip(&pages.pages) {
        eprint!("\rbytes of page {number} of {}  ", pages.pages.len());
        let Some(coding) = Coding::of(page) else { continue };
        for writer in Writer::ALL {
            let is_ours = matches!(writer, Writer::PlatenExact | Writer::PlatenCompact);
            if !is_ours && !tools.has_ocrmypdf() {
                continue;
            }
            let out = tempfile::tempdir_in(scratch).map_err(|error| error.to_string())?;
            let pdf = match writer.write(tools, page, out.path()) {
                Ok(pdf) => pdf,
                // That it refuses a page is told by the table's count.
                Err(_) if !is_ours => continue,
                Err(error) => return Err(error),
            };
            let length = pdf.metadata().map_err(|error| error.to_string())?.len();
            bytes.entry((writer, coding)).or_default().insert(&page.name, length as f64);
            if writer == Writer::PlatenExact {
                keep_text(&pdf, &scanned, page)?;
            }
            if writer == Writer::PlatenCompact && coding != Coding::BlackAndWhite {
                read_again(tools, page, &pdf, &rendered, scratch)?;
            }
        }
    }
    eprintln!();

    let found = Found {
        compact: part_of(&bytes, Coding::Colour),
        lost_points: match &pages.corpus {
            Some(corpus) => lost_points(pages, tools, corpus, (&scanned, &rendered))?,
            None => None,
        },
    };
    tell(&bytes, found, report);
    Ok(found)
}

/// Compact against `--optimize 1`, over the pages that both wrote.
fn part_of(bytes: &BTreeMap<(Writer, Coding), BTreeMap<&str, f64>>, coding: Coding) -> Option<f64> {
    ratio(bytes.get(&(Writer::PlatenCompact, coding))?, bytes.get(&(Writer::OcrmypdfOne, coding))?)
}

fn tell(bytes: &BTreeMap<(Writer, Coding), BTreeMap<&str, f64>>, found: Found, report: &mut Report) {
    report.section("Bytes a page");
    let theirs = |coding| bytes.get(&(Writer::OcrmypdfOne, coding));
    let mut head = vec![String::new()];
    for coding in Coding::ALL {
        head.push(format!("{}: KB / page", coding.name()));
        head.push("--optimize 1 = 1".into());
    }
    let rows: Vec<Vec<String>> = Writer::ALL
        .iter()
        .map(|&writer| {
            let mut row = vec![writer.name().to_owned()];
            for coding in Coding::ALL {
                let own = bytes.get(&(writer, coding));
                let sizes: Vec<f64> = own.into_iter().flatten().map(|(_, bytes)| bytes / 1e3).collect();
                row.push(figure(mean(&sizes), 0));
                row.push(figure(own.and_then(|own| ratio(own, theirs(coding)?)), 2));
            }
            row
        })
        .collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    report.table(&head, &rows);
    let counts: Vec<String> = Coding::ALL
        .iter()
        .map(|&coding| {
            let pages = bytes.get(&(Writer::PlatenExact, coding)).map_or(0, BTreeMap::len);
            let both = theirs(coding).map_or(0, BTreeMap::len);
            format!("{}: {pages} pages, {both} of them by OCRmyPDF", coding.name())
        })
        .collect();
    report.paragraph(&format!("{}. Ratios are over the pages that both wrote.", counts.join("; ")));
    if let Some(lost) = found.lost_points {
        report.paragraph(&format!(
            "Read again from the rendered compact PDF, colour and gray pages have {:.2} points {} wrong characters than \
             read from the scan.",
            lost.abs(),
            if lost < 0.0 { "fewer" } else { "more" }
        ));
    }
}

/// Draws a page from the PDF at the resolution of the scan and reads it.
fn read_again(tools: &Tools, page: &Page, pdf: &Path, texts: &Path, scratch: &Path) -> Result<(), String> {
    let out = tempfile::tempdir_in(scratch).map_err(|error| error.to_string())?;
    let record = std::fs::read_to_string(pdf.with_extension("json")).map_err(|error| error.to_string())?;
    let record: serde_json::Value = serde_json::from_str(&record).map_err(|error| error.to_string())?;
    let width = record["pages"][0]["width_px"].as_u64().unwrap_or(2_480).to_string();
    let drawn = out.path().join("drawn");
    let mut command = Command::new("pdftoppm");
    command.args(["-png", "-singlefile", "-scale-to-x", &width, "-scale-to-y", "-1"]).arg(pdf).arg(&drawn);
    cost::of(&mut command)?;
    let again = out.path().join("again");
    cost::of(&mut tools.platen(&[&drawn.with_extension("png")], &page.languages, &again))?;
    keep_text(&again.join("drawn.pdf"), texts, page)
}

/// Keeps the text beside a PDF under the name by which the scorer finds it.
fn keep_text(pdf: &Path, texts: &Path, page: &Page) -> Result<(), String> {
    std::fs::create_dir_all(texts)
        .and_then(|()| std::fs::copy(pdf.with_extension("txt"), texts.join(format!("{}.txt", page.name))))
        .map(drop)
        .map_err(|error| format!("{}: {error}", texts.display()))
}

fn lost_points(
    pages: &Pages,
    tools: &Tools,
    corpus: &Path,
    (scanned, rendered): (&Path, &Path),
) -> Result<Option<f64>, String> {
    let before = accuracy::of_texts(scanned, corpus, tools)?;
    let after = accuracy::of_texts(rendered, corpus, tools)?;
    // The scorer takes a page without a text for one on which nothing was read.
    let is_rendered = |page: &&Page| rendered.join(format!("{}.txt", page.name)).is_file();
    let lost: Vec<f64> = pages
        .pages
        .iter()
        .filter(is_rendered)
        .filter_map(|page| Some(after.get(&page.name)?.characters - before.get(&page.name)?.characters))
        .collect();
    Ok(mean(&lost).map(|lost| lost * 100.0))
}
