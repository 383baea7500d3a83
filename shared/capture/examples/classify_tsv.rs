//! Classifies documents that were read by the `tesseract` program (`tesseract PAGE OUT tsv`), one JSON line each:
//! a way to try rules over many texts without reading the pages again.
//!
//! ```text
//! cargo run -p platen-capture --example classify_tsv -- [--rules FOLDER] FILE.tsv...
//! ```

use std::path::Path;
use std::process::ExitCode;

use platen_capture::classify::{Origin, RuleSet, classify};
use platen_model::{PageRecord, PageText, Rect, Word};

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut rules = RuleSet::shipped();
    if arguments.first().is_some_and(|first| first == "--rules") && arguments.len() > 1 {
        match RuleSet::load(Path::new(&arguments[1])) {
            Ok(loaded) => rules = loaded,
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::from(2);
            }
        }
        arguments.drain(..2);
    }
    for file in &arguments {
        let text = match std::fs::read_to_string(file) {
            Ok(tsv) => page_text(&tsv),
            Err(error) => {
                eprintln!("cannot read {file}: {error}");
                return ExitCode::FAILURE;
            }
        };
        let started = std::time::Instant::now();
        let decision = classify(&text, &Origin::default(), &rules);
        let ms = started.elapsed().as_secs_f64() * 1000.0;
        println!(
            "{}",
            serde_json::json!({ "file": file, "pages": text.pages.len(), "ms": ms, "decision": decision })
        );
    }
    ExitCode::SUCCESS
}

/// Tesseract's table: level, page, block, paragraph, line, word, left, top, width, height, confidence, text.
fn page_text(tsv: &str) -> PageText {
    let mut pages: Vec<PageRecord> = Vec::new();
    let (mut line, mut block) = (0, 0);
    for row in tsv.lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        let number = |cell: usize| cells.get(cell).and_then(|cell| cell.parse::<u32>().ok()).unwrap_or(0);
        match number(0) {
            1 => {
                (line, block) = (0, 0);
                pages.push(PageRecord { width_px: number(8), height_px: number(9), ..PageRecord::default() });
            }
            2 => block += 1,
            4 => line += 1,
            5 => {
                let confidence =
                    cells.get(10).and_then(|cell| cell.parse::<f32>().ok()).unwrap_or(0.0) / 100.0;
                let text = cells.get(11).unwrap_or(&"").trim().to_owned();
                let rect = Rect { x: number(6), y: number(7), w: number(8), h: number(9) };
                if let Some(page) = pages.last_mut().filter(|_| !text.is_empty()) {
                    page.words.push(Word { text, confidence, rect, line, block });
                }
            }
            _ => {}
        }
    }
    for page in &mut pages {
        let letters: f32 = page.words.iter().map(|word| word.text.chars().count() as f32).sum();
        let sum: f32 = page.words.iter().map(|word| word.confidence * word.text.chars().count() as f32).sum();
        page.mean_confidence = if letters > 0.0 { sum / letters } else { 0.0 };
    }
    PageText::new(pages)
}
