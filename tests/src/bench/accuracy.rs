//! How well the pages are read, by the corpus' own scorer and ground truth.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::contender::Tools;
use super::figures::{Group, mean};
use super::manifest;
use super::pages::Page;

/// The errors on one page.
#[derive(Clone, Copy, Debug)]
pub struct Errors {
    /// Wrong, missing and extra characters as a part of the characters there are.
    pub characters: f64,
    /// The same for words.
    pub words: f64,
}

/// The errors of the texts in a folder, by the pages' names. Pages whose reading order is open are left out.
///
/// # Errors
///
/// When the scorer fails.
pub fn of_texts(texts: &Path, corpus: &Path, tools: &Tools) -> Result<BTreeMap<String, Errors>, String> {
    let table = texts.join("scores.csv");
    let mut command = Command::new(tools.python());
    command.arg(corpus.join("score.py")).arg(texts).args(["--purpose", "ocr,photos", "--quiet"]);
    let output = command.arg("--csv").arg(&table).output().map_err(|error| format!("python: {error}"))?;
    if !output.status.success() {
        return Err(format!("the scorer failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let mut errors = BTreeMap::new();
    for entry in manifest::entries(&table)? {
        let number = |column: &str| {
            entry.get(column).and_then(|value| value.parse().ok()).ok_or(format!("no number for {column}"))
        };
        let name = entry["file"].rsplit('/').next().unwrap_or_default().to_owned();
        if !entry["mode"].split(' ').any(|mode| mode == "bow") {
            errors.insert(name, Errors { characters: number("cer")?, words: number("wer")? });
        }
    }
    Ok(errors)
}

/// Mean errors over the pages of a group (of all groups: `None`); `None` where none was scored.
pub fn mean_of(errors: &BTreeMap<String, Errors>, pages: &[&Page], group: Option<Group>) -> Option<Errors> {
    let wanted = pages.iter().filter(|page| group.is_none_or(|group| page.group == group));
    let scored: Vec<Errors> = wanted.filter_map(|page| errors.get(&page.name)).copied().collect();
    let of = |part: fn(&Errors) -> f64| mean(&scored.iter().map(part).collect::<Vec<_>>());
    Some(Errors { characters: of(|errors| errors.characters)?, words: of(|errors| errors.words)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_over_the_scored_pages_of_the_group() {
        let page =
            |name: &str, group| Page { name: name.into(), path: name.into(), languages: "eng".into(), group };
        let pages = [page("a", Group::Book), page("b", Group::Book), page("c", Group::Receipt)];
        let pages: Vec<&Page> = pages.iter().collect();
        let errors = |characters| Errors { characters, words: characters * 2.0 };
        let found = BTreeMap::from([("a".to_owned(), errors(0.1)), ("c".to_owned(), errors(0.3))]);
        let characters =
            |group| mean_of(&found, &pages, group).map(|errors| (errors.characters * 1e3).round());
        assert_eq!(characters(Some(Group::Book)), Some(100.0), "the page without a score has no say");
        assert_eq!(characters(None), Some(200.0));
        assert_eq!(characters(Some(Group::Hard)), None);
    }
}
