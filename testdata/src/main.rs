//! Makes the samples: prints the documents, scans them, and writes the files with what is expected of each.
//!
//! `platen-testdata` writes `testdata/samples/` and `testdata/pages/`; `platen-testdata --check` writes nothing and ends
//! with status 1 if a committed file differs from what would be written.

mod documents;
mod encode;
mod paper;
mod plan;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Makes the project's sample scans.
#[derive(Parser)]
struct Arguments {
    /// Compare with the committed files instead of writing.
    #[arg(long)]
    check: bool,
    /// The folder in which `samples` and `pages` are.
    #[arg(long, default_value = env!("CARGO_MANIFEST_DIR"))]
    folder: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = |files, folder: &str| {
        let folder = arguments.folder.join(folder);
        if arguments.check { compare(&folder, &files) } else { write(&folder, &files) }
    };
    let samples = plan::make().and_then(|files| done(files, "samples"));
    let pages = plan::pages().and_then(|files| done(files, "pages"));
    match samples.and_then(|samples| Ok(format!("{samples}\n{}", pages?))) {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &PathBuf, files: &BTreeMap<String, Vec<u8>>) -> Result<String, String> {
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::write(&path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    let bytes: usize = files.values().map(Vec::len).sum();
    Ok(format!("{} files, {bytes} bytes, in {}", files.len(), folder.display()))
}

fn compare(folder: &PathBuf, files: &BTreeMap<String, Vec<u8>>) -> Result<String, String> {
    let entries =
        std::fs::read_dir(folder).map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    let mut complaints: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !files.contains_key(name))
        .map(|name| format!("{name} is not among the files we make"))
        .collect();
    for (name, bytes) in files {
        match std::fs::read(folder.join(name)) {
            Ok(found) if found == *bytes => {}
            Ok(found) => {
                complaints.push(format!("{name} differs: {} bytes, not {}", found.len(), bytes.len()))
            }
            Err(error) => complaints.push(format!("{name}: {error}")),
        }
    }
    if complaints.is_empty() {
        return Ok(format!("{} files are as they would be made", files.len()));
    }
    complaints.push("run `cargo run -p platen-testdata` and commit the result".into());
    Err(complaints.join("\n"))
}
