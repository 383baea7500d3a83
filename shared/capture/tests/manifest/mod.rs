//! The corpus beside the checkout, by its manifests.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A line of a manifest, by the names of its columns.
pub(crate) type Entry = BTreeMap<String, String>;

/// The folder of a part of the corpus with its entries; `None`, said on standard error, where it is absent.
pub(crate) fn corpus(folder: &str) -> Option<(PathBuf, Vec<Entry>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus").join(folder);
    let Ok(manifest) = std::fs::read_to_string(folder.join("manifest.csv")) else {
        eprintln!("NOT CHECKED: there is no corpus at {}", folder.display());
        return None;
    };
    let mut rows = rows(&manifest).into_iter();
    let names = rows.next().expect("a manifest begins with the names of its columns");
    Some((folder, rows.map(|row| names.iter().cloned().zip(row).collect()).collect()))
}

/// The rows of a CSV file (RFC 4180).
fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            '\r' if !quoted => {}
            other => field.push(other),
        }
    }
    rows
}
