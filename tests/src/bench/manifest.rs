//! The lists of the corpus (CSV, RFC 4180).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A line of a list, by the names of its columns.
pub type Entry = BTreeMap<String, String>;

/// Where the corpus is, if it is there.
pub fn corpus() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    folder.join("score.py").is_file().then_some(folder)
}

/// The entries of a list.
///
/// # Errors
///
/// When it cannot be read.
pub fn entries(path: &Path) -> Result<Vec<Entry>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut rows = rows(&text).into_iter();
    let names = rows.next().unwrap_or_default();
    Ok(rows.map(|row| names.iter().cloned().zip(row).collect()).collect())
}

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

#[cfg(test)]
mod tests {
    #[test]
    fn a_field_may_hold_commas_quotes_and_line_ends() {
        let rows = super::rows("a,b\r\n\"x, \"\"y\"\"\n z\",2\n");
        assert_eq!(rows, [["a", "b"], ["x, \"y\"\n z", "2"]]);
    }
}
