//! `platen-agent sheet`: cover and separator sheets to print.

use std::path::{Path, PathBuf};

use platen_capture::classify::RuleSet;
use platen_capture::pdf::{self, Paper};
use platen_capture::separate::{Patch, SheetValues};
use platen_model::durable;

use crate::Complaint;

/// What is to be printed.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// Names and values that the document behind the sheet gets; `type` and `department` are its own.
    pub values: Vec<(String, String)>,
    /// The patch code.
    pub patch: Patch,
    /// The paper.
    pub paper: Paper,
    /// Where the PDF goes. What is there already is not written over.
    pub out: PathBuf,
}

/// Writes the sheet.
///
/// # Errors
///
/// Where a value cannot stand on a sheet, no rule knows its type, or the file cannot be written.
pub fn write(sheet: Sheet, rules: &RuleSet) -> Result<(), Complaint> {
    // Said now, and not when a stack of paper has gone through the scanner behind it.
    for (_, wanted) in sheet.values.iter().filter(|(name, _)| name == "type") {
        if !rules.document_types().any(|known| known.0 == *wanted) {
            let known: Vec<String> = rules.document_types().map(ToString::to_string).collect();
            return Err(refused(
                format!("no classification rule knows the type {wanted:?}"),
                &format!("name one of {}, or rules of your own with --config", known.join(", ")),
            ));
        }
    }
    let values = SheetValues::new(sheet.values).map_err(|error| {
        refused(error.to_string(), "correct that value; `--field name=value` gives further ones")
    })?;
    let made = pdf::sheet(&values, sheet.patch, sheet.paper);
    let bytes = made.map_err(|failure| refused(failure.to_string(), "shorten the values"))?;
    if sheet.out.symlink_metadata().is_ok() {
        return Err(refused(format!("{} is there already", sheet.out.display()), "name another file"));
    }
    std::path::absolute(&sheet.out)
        .and_then(|out| durable::write(&out, &bytes))
        .map(drop)
        .map_err(|error| cannot_write(&sheet.out, &error))
}

fn refused(what: String, help: &str) -> Complaint {
    Complaint::new(what, "nothing was written", help)
}

fn cannot_write(out: &Path, error: &std::io::Error) -> Complaint {
    refused(format!("cannot write {}: {error}", out.display()), "name a file in a folder you may write to")
}
