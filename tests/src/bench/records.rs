//! What Platen says of files that it read: the records that `platen-agent process` writes.

use std::path::Path;

use platen_model::PageRecord;
use serde::Deserialize;

use super::contender::Tools;
use super::cost;

/// The part of a `process` record that is read here.
#[derive(Debug, Deserialize)]
pub(super) struct Record {
    pub(super) pages: Vec<PageRecord>,
}

impl Record {
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
        serde_json::from_slice(&bytes).map_err(|error| failed(&error))
    }
}

/// The pages of each file as Platen sees them; `None` where it is not read, which is a finding.
///
/// # Errors
///
/// When no file at all is read.
pub(super) fn pages(
    files: &[&Path],
    tools: &Tools,
    out: &Path,
) -> Result<Vec<Option<Vec<PageRecord>>>, String> {
    let outcome = cost::of(&mut tools.platen(files, "eng", out));
    let pages: Vec<Option<Vec<PageRecord>>> = files
        .iter()
        .map(|file| {
            let record = out.join(file.file_stem()?).with_extension("json");
            Some(Record::read(&record).ok()?.pages)
        })
        .collect();
    match outcome {
        Err(error) if pages.iter().all(Option::is_none) => Err(error),
        _ => Ok(pages),
    }
}

/// The first page of each file.
///
/// # Errors
///
/// When no file at all is read.
pub(super) fn first_pages(
    files: &[&Path],
    tools: &Tools,
    out: &Path,
) -> Result<Vec<Option<PageRecord>>, String> {
    let first = |pages: Option<Vec<PageRecord>>| pages.and_then(|pages| pages.into_iter().next());
    Ok(pages(files, tools, out)?.into_iter().map(first).collect())
}
