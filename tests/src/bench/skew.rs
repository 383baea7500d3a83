//! How straight and how upright pages become, and what finding their skew costs.
//!
//! The whole programs are judged by what is left to do on the pages that they wrote, as Platen finds it. What Platen's
//! records say that it took out is held against the truth too, and the worse of both counts: a page is not straight because
//! the estimator that straightened it says so. The estimators alone are set side by side on the same gray pictures:
//! this is the one place here that calls Platen as a library.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use image::GrayImage;
use platen_capture::Limits;
use platen_capture::decode::Document;
use platen_capture::raster::measures::Marks;
use platen_model::PageRecord;

use super::contender::{Contender, Tools};
use super::cost;
use super::figures::{largest, mean};
use super::report::{Report, figure};
use super::{manifest, records};

/// The estimators of others.
const PEERS_SCRIPT: &str = include_str!("skew_peers.py");
/// An angle that was made is known to this many degrees, one that was measured on a page to the other.
const MADE_TO_DEG: f64 = 0.2;
const NATURAL_TO_DEG: f64 = 0.4;
/// Each estimate is taken so often; the fastest counts, because everything else a machine does only adds time.
const ESTIMATES: u32 = 3;

/// One page whose skew and orientation are known.
#[derive(Clone, Debug)]
struct Known {
    path: PathBuf,
    /// Clockwise.
    skew_deg: f64,
    /// The turn that was made to it, clockwise.
    turned_deg: u32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Turned by a known angle, or scanned straight.
    Made,
    /// As it lay on the scanner; the angle was measured.
    Natural,
    /// On its side or upside down.
    Turned,
}

impl Kind {
    fn tolerance_deg(self) -> f64 {
        if self == Self::Made { MADE_TO_DEG } else { NATURAL_TO_DEG }
    }
}

/// What the targets ask for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    /// Mean error of our estimate on the pages with an angle that was made, in degrees.
    pub mean_deg: Option<f64>,
    /// The worst.
    pub worst_deg: Option<f64>,
    /// Milliseconds a page.
    pub ms: Option<f64>,
    /// Pages that Platen turned wrongly.
    pub wrong_turns: usize,
    /// Turned pages that it put right, and all of them.
    pub put_right: (usize, usize),
}

/// Measures on the deskew set of the corpus, and writes the tables.
///
/// # Errors
///
/// When the set cannot be read, or one of our programs fails.
pub fn measure(tools: &Tools, quick: bool, scratch: &Path, report: &mut Report) -> Result<Found, String> {
    report.section("Skew and orientation");
    let Some(corpus) = manifest::corpus() else {
        report.paragraph("There is no corpus beside the checkout: skew and orientation are not measured.");
        return Ok(Found::default());
    };
    let set = known(&corpus.join("deskew"))?;
    let mut found = Found::default();

    let ours = platen(&set, tools, scratch)?;
    let mut rows = vec![row("Platen", &set, &ours)];
    // Neither turns nor straightens the image it is given.
    let as_it_lay: Vec<Option<Left>> = set.iter().map(|known| Some(Left::of(known))).collect();
    rows.push(row("tesseract alone, OCRmyPDF: by definition", &set, &as_it_lay));
    if tools.has_ocrmypdf() && !quick {
        rows.push(row(Contender::OcrmypdfFull.name(), &set, &ocrmypdf(&set, tools, scratch)?));
    }
    report.table(
        &[
            "",
            "pages read",
            "made skew, left: mean °",
            "worst °",
            "straightened wrongly",
            "turned pages put right",
            "turned wrongly",
        ],
        &rows,
    );
    report.paragraph(&format!(
        "Straightened wrongly: more than {MADE_TO_DEG}° is left, or {NATURAL_TO_DEG}° where the truth is known no better. \
         What is left is what Platen finds on the pages that were written; of its own, what its records missed if that is \
         more. Turned wrongly: neither upright nor as it lay.",
    ));
    found.wrong_turns = wrong_turns(&set, &ours);
    found.put_right = put_right(&set, &ours);
    tell_estimators(&set, tools, scratch, report, &mut found)?;
    Ok(found)
}

fn known(folder: &Path) -> Result<Vec<Known>, String> {
    let mut set = Vec::new();
    for entry in manifest::entries(&folder.join("manifest.csv"))? {
        // Files of several pages state no single angle.
        let (Ok(skew_deg), Ok(turned_deg)) = (entry["angle_deg"].parse(), entry["orientation_deg"].parse())
        else {
            continue;
        };
        let kind = match entry["kind"].as_str() {
            "orientation" => Kind::Turned,
            "natural-skew" => Kind::Natural,
            _ => Kind::Made,
        };
        set.push(Known { path: folder.join(&entry["file"]), skew_deg, turned_deg, kind });
    }
    Ok(set)
}

/// What is left to do on a page that was processed.
#[derive(Clone, Copy, Debug)]
struct Left {
    skew_deg: f64,
    turn_deg: u32,
}

impl Left {
    /// What there was to do.
    fn of(known: &Known) -> Self {
        Self { skew_deg: known.skew_deg.abs(), turn_deg: known.turned_deg }
    }

    fn on(page: &PageRecord) -> Self {
        Self { skew_deg: f64::from(page.skew_deg).abs(), turn_deg: page.rotation_deg }
    }
}

/// Reads the set with Platen; `None` where a page was not read.
fn platen(set: &[Known], tools: &Tools, scratch: &Path) -> Result<Vec<Option<Left>>, String> {
    let folder = scratch.join("deskew");
    let files: Vec<&Path> = set.iter().map(|known| known.path.as_path()).collect();
    let pages = records::first_pages(&files, tools, &folder)?;
    let missed = set.iter().zip(pages).map(|(known, page)| {
        let page = page?;
        let turn_deg = (known.turned_deg + page.rotation_deg) % 360;
        Some(Left { skew_deg: (f64::from(page.skew_deg) - known.skew_deg).abs(), turn_deg })
    });
    let written = |(number, file): (usize, &&Path)| {
        let pdf = folder.join(file.file_stem()?).with_extension("pdf");
        shown(&pdf, &folder.join(format!("page-{number}")))
    };
    let pictures: Vec<Option<PathBuf>> = files.iter().enumerate().map(written).collect();
    let seen = left_on(&pictures, tools, &folder.join("seen"))?;
    let worse = |(missed, seen): (Option<Left>, Option<Left>)| {
        let (missed, seen) = (missed?, seen?);
        let turn_deg = if missed.turn_deg == 0 { seen.turn_deg } else { missed.turn_deg };
        Some(Left { skew_deg: missed.skew_deg.max(seen.skew_deg), turn_deg })
    };
    Ok(missed.zip(seen).map(worse).collect())
}

fn ocrmypdf(set: &[Known], tools: &Tools, scratch: &Path) -> Result<Vec<Option<Left>>, String> {
    let folder = scratch.join("deskew-ocrmypdf");
    let mut pictures = Vec::new();
    for (number, known) in set.iter().enumerate() {
        eprint!("\rOCRmyPDF on the deskew set, page {} of {}  ", number + 1, set.len());
        let out = folder.join(number.to_string());
        std::fs::create_dir_all(&out).map_err(|error| error.to_string())?;
        let run = |assume_dpi| {
            let contender = Contender::OcrmypdfFull;
            cost::of(&mut contender.command(tools, &known.path, "eng", &out, assume_dpi))
        };
        // A file may be refused for want of a resolution.
        let made = run(false).or_else(|_| run(true)).is_ok();
        let picture = shown(&out.join("page.pdf"), &folder.join(format!("page-{number}")));
        pictures.push(picture.filter(|_| made));
    }
    eprintln!();
    left_on(&pictures, tools, &folder.join("seen"))
}

/// The first page of a PDF as a reader shows it, in gray; `None` where it cannot be shown.
fn shown(pdf: &Path, picture: &Path) -> Option<PathBuf> {
    let mut command = Command::new("pdftoppm");
    command.args(["-r", "200", "-gray", "-png", "-singlefile"]).arg(pdf).arg(picture);
    cost::of(&mut command).ok()?;
    Some(picture.with_extension("png"))
}

/// What Platen still finds to do on pages that were written.
fn left_on(pictures: &[Option<PathBuf>], tools: &Tools, out: &Path) -> Result<Vec<Option<Left>>, String> {
    let there: Vec<&Path> = pictures.iter().flatten().map(PathBuf::as_path).collect();
    let mut seen = records::first_pages(&there, tools, out)?.into_iter();
    let left = |page: PageRecord| Left::on(&page);
    Ok(pictures
        .iter()
        .map(|picture| picture.as_ref().and_then(|_| seen.next().flatten()).map(left))
        .collect())
}

/// Pages that are neither upright nor as they lay.
fn wrong_turns(set: &[Known], left: &[Option<Left>]) -> usize {
    let is_wrong = |(known, left): &(&Known, &Option<Left>)| {
        left.is_some_and(|left| left.turn_deg != 0 && left.turn_deg != known.turned_deg)
    };
    set.iter().zip(left).filter(is_wrong).count()
}

fn put_right(set: &[Known], left: &[Option<Left>]) -> (usize, usize) {
    let turned = || set.iter().zip(left).filter(|(known, _)| known.turned_deg != 0);
    let right = turned().filter(|(_, left)| left.is_some_and(|left| left.turn_deg == 0)).count();
    (right, turned().count())
}

fn row(name: &str, set: &[Known], left: &[Option<Left>]) -> Vec<String> {
    let read = || set.iter().zip(left).filter_map(|(known, left)| Some((known, (*left)?)));
    let skews = || read().filter(|(known, _)| known.kind != Kind::Turned);
    let made = skews().filter(|(known, _)| known.kind == Kind::Made);
    let errors: Vec<f64> = made.map(|(_, left)| left.skew_deg).collect();
    let wrong = skews().filter(|(known, left)| left.skew_deg > known.kind.tolerance_deg()).count();
    let (right, turned) = put_right(set, left);
    vec![
        name.to_owned(),
        format!("{} of {}", read().count(), set.len()),
        figure(mean(&errors), 3),
        figure(largest(&errors), 2),
        format!("{wrong} of {}", skews().count()),
        format!("{right} of {turned}"),
        wrong_turns(set, left).to_string(),
    ]
}

/// The errors and times of one estimator.
#[derive(Debug, Default)]
struct Estimates {
    made_deg: Vec<f64>,
    natural_deg: Vec<f64>,
    ms: Vec<f64>,
}

impl Estimates {
    fn add(&mut self, known: &Known, skew_deg: f64, ms: f64) {
        let error = (skew_deg - known.skew_deg).abs();
        if known.kind == Kind::Made { &mut self.made_deg } else { &mut self.natural_deg }.push(error);
        self.ms.push(ms);
    }

    fn row(&self, name: &str) -> Vec<String> {
        vec![
            name.to_owned(),
            figure(mean(&self.made_deg), 3),
            figure(largest(&self.made_deg), 2),
            figure(mean(&self.natural_deg), 2),
            figure(largest(&self.natural_deg), 2),
            figure(mean(&self.ms), 1),
            figure(largest(&self.ms), 1),
        ]
    }
}

fn tell_estimators(
    set: &[Known],
    tools: &Tools,
    scratch: &Path,
    report: &mut Report,
    found: &mut Found,
) -> Result<(), String> {
    let mut all: BTreeMap<String, Estimates> = BTreeMap::new();
    let mut pictures = BTreeMap::new();
    let mut pixels = Vec::new();
    for known in set.iter().filter(|known| known.kind != Kind::Turned) {
        let page = decoded(&known.path)?;
        let picture = scratch.join(format!("{}.png", pictures.len()));
        page.save(&picture).map_err(|error| format!("{}: {error}", picture.display()))?;
        let (skew_deg, ms) = our_estimate(&page);
        all.entry("Platen".into()).or_default().add(known, skew_deg, ms);
        pixels.push(f64::from(page.width()) * f64::from(page.height()) / 1e6);
        pictures.insert(picture.display().to_string(), known);
    }
    if tools.peers.join("bin/python").is_file() {
        let script = scratch.join("skew_peers.py");
        std::fs::write(&script, PEERS_SCRIPT).map_err(|error| error.to_string())?;
        let mut command = Command::new(tools.python());
        for threads in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"] {
            command.env(threads, "1");
        }
        command.arg(script).arg(ESTIMATES.to_string());
        let output = command.args(pictures.keys()).output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("the peers failed: {}", String::from_utf8_lossy(&output.stderr)));
        }
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            if let [file, name, degrees, ms] = fields[..]
                && let Some(known) = pictures.get(file)
            {
                // Where it found no angle it would leave the page as it is.
                let skew_deg = degrees.parse().unwrap_or(0.0);
                all.entry(name.to_owned()).or_default().add(known, skew_deg, ms.parse().unwrap_or(f64::NAN));
            }
        }
    }
    let ours = &all["Platen"];
    found.mean_deg = mean(&ours.made_deg);
    found.worst_deg = largest(&ours.made_deg);
    found.ms = mean(&ours.ms);
    report.paragraph(&format!(
        "The estimators alone, on the same gray pictures ({} Mpixel on average, an A4 page at 300 dpi has 8.7). Each \
         estimate was made {ESTIMATES} times on one thread, and the fastest counts. Platen's time is that of the clock and \
         holds finding the marks on the page, which its other measures use too; the others' is processor time.",
        figure(mean(&pixels), 1)
    ));
    let mut rows: Vec<Vec<String>> = all.iter().map(|(name, estimates)| estimates.row(name)).collect();
    // Ours first.
    rows.sort_by_key(|row| row[0] != "Platen");
    report.table(
        &["", "made skew: mean °", "worst °", "natural skew: mean °", "worst °", "ms / page", "slowest ms"],
        &rows,
    );
    Ok(())
}

fn decoded(path: &Path) -> Result<GrayImage, String> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let limits = Limits::default();
    let decoded = Document::open(file, &limits).and_then(|mut document| document.page(0, &limits));
    Ok(decoded.map_err(|failure| failure.to_string())?.samples.to_gray())
}

fn our_estimate(page: &GrayImage) -> (f64, f64) {
    let mut fastest_ms = f64::INFINITY;
    let mut skew_deg = 0.0;
    for _ in 0..ESTIMATES {
        let begun = Instant::now();
        skew_deg = f64::from(Marks::of(page).skew_deg());
        fastest_ms = fastest_ms.min(begun.elapsed().as_secs_f64() * 1e3);
    }
    (skew_deg, fastest_ms)
}
