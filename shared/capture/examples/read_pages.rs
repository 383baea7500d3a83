//! Reads files as a worker would, in this process, for measuring.
//!
//! `read_pages OUT [--lang LANGUAGES] [--clean off|reading|shown] FILE…` writes `OUT/STEM.txt` (a form feed between pages) and prints one line
//! for each page: file, page, size, dpi, turn, skew, blank, words, confidence, quality and notes, milliseconds of each stage.

use std::ffi::OsStr;
use std::fs::File;
use std::path::PathBuf;
use std::time::Instant;

use platen_capture::decode::Document;
use platen_capture::ocr::Engines;
use platen_capture::{Clean, Effort, Options, raster};
use platen_model::{Failure, PageText};

fn main() -> std::io::Result<()> {
    let mut options = Options::default();
    let mut paths = Vec::new();
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--lang") => {
                options.languages =
                    arguments.next().and_then(|name| name.into_string().ok()).unwrap_or_default();
            }
            Some("--clean") => {
                options.clean = match arguments.next().as_deref().and_then(OsStr::to_str) {
                    Some("off") => Clean::Off,
                    Some("shown") => Clean::Shown,
                    _ => Clean::Reading,
                };
            }
            _ => paths.push(PathBuf::from(argument)),
        }
    }
    let mut paths = paths.into_iter();
    let Some(out) = paths.next() else {
        eprintln!("usage: read_pages OUT [--lang LANGUAGES] [--clean off|reading|shown] FILE…");
        std::process::exit(2);
    };
    let mut engines = Engines::default();
    for path in paths {
        let begun = Instant::now();
        match read(&path, &options, &mut engines) {
            Ok(text) => {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                std::fs::write(out.join(format!("{name}.txt")), text.text())?;
            }
            Err(failure) => println!("{}\tFAILED\t{failure}", path.display()),
        }
        eprintln!("{}\t{:.3} s", path.display(), begun.elapsed().as_secs_f64());
    }
    Ok(())
}

fn read(path: &PathBuf, options: &Options, engines: &mut Engines) -> Result<PageText, Failure> {
    let file = File::open(path).expect("the file is there");
    let mut document = Document::open(file, &options.limits)?;
    let inspection = document.inspect(&options.limits)?;
    let mut records = Vec::new();
    for page in 0..inspection.pages {
        let finished = raster::finish_page(&mut document, page, options, Effort::Whole, engines)
            .map_err(|failure| failure.on_page(page))?;
        let record = finished.record;
        println!(
            "{}\t{page}\t{}x{}\t{} dpi\t{}\t{:.2}\t{}\t{} words\t{:.3}\t{:.2} {:?}\t{:?} {}\t{:.0?}",
            path.display(),
            record.width_px,
            record.height_px,
            record.dpi,
            record.rotation_deg,
            record.skew_deg,
            if record.blank { "blank" } else { "" },
            record.words.len(),
            record.mean_confidence,
            record.quality,
            record.notes,
            finished.image.codec,
            finished.image.bytes,
            record.timings_ms,
        );
        records.push(record);
    }
    Ok(PageText::new(records))
}
