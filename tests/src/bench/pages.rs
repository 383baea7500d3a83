//! The pages that are read: real ones where the corpus is there, the generated samples where it is not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::figures::Group;
use super::manifest;

/// The folders of the corpus whose pages are read.
const FOLDERS: &[&str] = &["ocr", "photos"];
/// What `tesseract` alone reads; it takes no PDF.
const IMAGES: &[&str] = &["tif", "jpg", "png"];
/// Every so many-th page is read in a quick run.
const QUICK_EVERY: usize = 6;

/// One page, alone in its image file.
#[derive(Clone, Debug)]
pub struct Page {
    /// The file's name. It is not shown: tables speak of kinds.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Tesseract's languages for it.
    pub languages: String,
    /// What it is like.
    pub group: Group,
}

/// The pages, and what to say about their choice.
#[derive(Clone, Debug)]
pub struct Pages {
    /// In the order in which they are read.
    pub pages: Vec<Page>,
    /// The corpus they come from; `None`: these are the generated samples.
    pub corpus: Option<PathBuf>,
    /// Sentences about what was chosen and left out.
    pub remarks: Vec<String>,
}

impl Pages {
    /// Chooses the pages.
    ///
    /// # Errors
    ///
    /// When a list of the corpus cannot be read, or Tesseract does not say its languages.
    pub fn choose(quick: bool) -> Result<Self, String> {
        let installed = installed_languages()?;
        let corpus = manifest::corpus();
        let mut remarks = Vec::new();
        let mut pages = match &corpus {
            Some(corpus) => of_corpus(corpus)?,
            None => {
                remarks.push(
                    "There is no corpus beside the checkout: the pages are the generated samples of the project, \
                     and accuracy is not measured."
                        .into(),
                );
                of_samples()
            }
        };
        let all = pages.len();
        pages.retain(|page| page.languages.split('+').all(|language| installed.contains(language)));
        if pages.len() < all {
            let left_out = all - pages.len();
            remarks
                .push(format!("{left_out} pages are left out: the data of their language is not installed."));
        }
        // Every kind is in the choice, because pages of a kind lie side by side.
        pages.sort_by(|one, other| (one.group, &one.name).cmp(&(other.group, &other.name)));
        if quick && corpus.is_some() {
            pages = pages.into_iter().step_by(QUICK_EVERY).collect();
        }
        Ok(Self { pages, corpus, remarks })
    }

    /// The languages, each with its pages.
    pub fn by_language(&self) -> Vec<(&str, Vec<&Page>)> {
        let languages: BTreeSet<&str> = self.pages.iter().map(|page| page.languages.as_str()).collect();
        let with_pages = |language: &'_ str| {
            self.pages.iter().filter(|page| page.languages == language).collect::<Vec<_>>()
        };
        languages.into_iter().map(|language| (language, with_pages(language))).collect()
    }
}

fn is_image(path: &Path) -> bool {
    path.extension().and_then(|kind| kind.to_str()).is_some_and(|kind| IMAGES.contains(&kind))
}

fn of_corpus(corpus: &Path) -> Result<Vec<Page>, String> {
    let mut pages = Vec::new();
    for folder in FOLDERS {
        for entry in manifest::entries(&corpus.join(folder).join("manifest.csv"))? {
            let path = corpus.join(folder).join(&entry["file"]);
            if is_image(&path) && entry["pages"] == "1" {
                pages.push(Page {
                    name: entry["file"].clone(),
                    path,
                    languages: entry["lang"].clone(),
                    group: Group::of_kind(&entry["kind"]),
                });
            }
        }
    }
    Ok(pages)
}

fn of_samples() -> Vec<Page> {
    let samples = platen_testdata::samples();
    let whole = samples.iter().filter(|sample| !sample.is_quarantined());
    // A file of several pages would count as one.
    let single = whole.filter(|sample| sample.expected.pages as usize == sample.expected.files.len());
    let files = single.flat_map(|sample| sample.paths()).filter(|path| is_image(path));
    let page = |path: PathBuf| Page {
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        path,
        languages: "eng".into(),
        group: Group::Other,
    };
    files.map(page).collect()
}

/// The languages that Tesseract has data for. Platen reads with the same installation.
fn installed_languages() -> Result<BTreeSet<String>, String> {
    let output = Command::new("tesseract").arg("--list-langs").output();
    let output = output.map_err(|error| format!("tesseract: {error}"))?;
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(list.lines().skip(1).map(|line| line.trim().to_owned()).collect())
}
