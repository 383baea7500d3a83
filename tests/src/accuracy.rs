//! How well the pages are read: our text and Tesseract's own, against the same ground truth.
//!
//! The ground truth is a corpus of real scans beside the checkout (`../shared/corpus`), which is not part of
//! the project. Where it is absent nothing is measured, and the table says so.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs::Programs;

/// The language both sides read in: the one whose data every installation has.
const LANGUAGE: &str = "eng";

/// The corpus' lines on both sides' errors, or a sentence on why there are none.
///
/// # Errors
///
/// When the corpus is there but a program fails.
pub fn lines(programs: &Programs) -> Result<Vec<String>, String> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    if !corpus.join("score.py").is_file() {
        return Ok(vec![format!("No corpus at {}: accuracy is not measured.", corpus.display())]);
    }
    let scans = scans(&corpus.join("ocr"))?;
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (ours, theirs) = (scratch.path().join("ours"), scratch.path().join("tesseract"));
    std::fs::create_dir(&theirs).map_err(|error| error.to_string())?;

    run(programs.agent().args(["process", "--lang", LANGUAGE, "--out"]).arg(&ours).args(&scans))?;
    for scan in &scans {
        let text = by_tesseract(scan, scratch.path())?;
        let name = scan.with_extension("txt");
        let name = name.file_name().ok_or("a scan has a name")?;
        std::fs::write(theirs.join(name), text).map_err(|error| error.to_string())?;
    }

    let mut lines = vec![format!("{} scans of the corpus, all read as {LANGUAGE}:", scans.len())];
    for (name, results) in [("platen-agent", &ours), ("tesseract", &theirs)] {
        let score = run(Command::new("python3").arg(corpus.join("score.py")).arg(results).arg("--quiet"))?;
        let overall = score.lines().find(|line| line.starts_with("overall")).unwrap_or("no overall score");
        lines.push(format!("{name:<14}{overall}"));
    }
    Ok(lines)
}

fn scans(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut scans: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    scans.retain(|path| path.is_file() && path.extension().is_some_and(|kind| kind != "csv"));
    scans.sort();
    Ok(scans)
}

/// Tesseract's text of an image, or of a PDF's pages rendered at 300 dpi.
fn by_tesseract(scan: &Path, scratch: &Path) -> Result<String, String> {
    let read = |image: &Path| {
        run(Command::new("tesseract").arg(image).args(["-", "-l", LANGUAGE]).env("OMP_THREAD_LIMIT", "1"))
    };
    if scan.extension().is_none_or(|kind| kind != "pdf") {
        return read(scan);
    }
    let folder = tempfile::tempdir_in(scratch).map_err(|error| error.to_string())?;
    run(Command::new("pdftoppm").args(["-r", "300", "-png"]).arg(scan).arg(folder.path().join("page")))?;
    let pages = scans(folder.path())?;
    let texts = pages.iter().map(|page| read(page)).collect::<Result<Vec<_>, _>>()?;
    Ok(texts.join("\u{c}"))
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
}
