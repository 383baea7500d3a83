//! The tables as Markdown, for the terminal and for `docs/benchmarks.md`.

use std::path::Path;

/// The tables stand between these lines of the document; what stands around them is written by people.
const BEGIN: &str = "<!-- tables: made by `make bench`, do not edit -->";
const END: &str = "<!-- end of tables -->";

/// What a run found, in Markdown.
#[derive(Clone, Debug, Default)]
pub struct Report {
    text: String,
}

impl Report {
    /// Begins a section.
    pub fn section(&mut self, title: &str) {
        self.line(&format!("## {title}\n"));
    }

    /// A paragraph.
    pub fn paragraph(&mut self, text: &str) {
        self.line(&format!("{text}\n"));
    }

    /// A list.
    pub fn list(&mut self, items: &[String]) {
        for item in items {
            self.line(&format!("- {item}"));
        }
        self.line("");
    }

    /// A table. All columns but the first hold figures.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        self.line(&format!("| {} |", head.join(" | ")));
        let rules: Vec<&str> =
            (0..head.len()).map(|column| if column == 0 { "---" } else { "---:" }).collect();
        self.line(&format!("|{}|", rules.join("|")));
        for row in rows {
            self.line(&format!("| {} |", row.join(" | ")));
        }
        self.line("");
    }

    fn line(&mut self, line: &str) {
        println!("{line}");
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Puts the tables into a document, in the place of those that it has.
    ///
    /// # Errors
    ///
    /// When the document cannot be read or written, or has no place for tables.
    pub fn write_into(&self, document: &Path) -> Result<(), String> {
        self.write_between(document, BEGIN, END)
    }

    /// The same, between other lines.
    ///
    /// # Errors
    ///
    /// As [`Report::write_into`].
    pub fn write_between(&self, document: &Path, begin: &str, end: &str) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{}: {error}", document.display());
        let old = std::fs::read_to_string(document).map_err(failed)?;
        let new = replaced(&old, &self.text, begin, end)
            .ok_or_else(|| format!("{} has no lines {begin:?} and {end:?}", document.display()))?;
        std::fs::write(document, new).map_err(failed)
    }
}

fn replaced(document: &str, tables: &str, begin: &str, end: &str) -> Option<String> {
    let (before, rest) = document.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}\n\n{}\n\n{end}{after}", tables.trim_end()))
}

/// A figure with this many digits behind the point, or a dash where there is none.
pub fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:.digits$}"))
}

/// A part of one in per cent.
pub fn per_cent(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{:.digits$} %", value * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_tables_take_the_place_of_the_old_and_nothing_else_changes() {
        let document = format!("# Title\n\n{BEGIN}\n\nold\n\n{END}\n\nRemarks.\n");
        let new = replaced(&document, "new\n", BEGIN, END).expect("there is a place");
        assert_eq!(new, format!("# Title\n\n{BEGIN}\n\nnew\n\n{END}\n\nRemarks.\n"));
        assert_eq!(replaced(&new, "new\n", BEGIN, END).as_deref(), Some(new.as_str()));
        assert_eq!(replaced("no place", "new", BEGIN, END), None);
    }
}
