//! The names of the results, decided before any work is done.
//!
//! The danger is here: a result must never be written over an input, nor over another input's result.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// What each input writes beside its name, the last two only where they are asked for.
pub(super) const EXTENSIONS: [&str; 6] = ["pdf", "txt", "json", SIGNED, "hocr", "alto.xml"];
/// The extension of a digitally signed PDF beside its searchable copy.
pub(super) const SIGNED: &str = "signed.pdf";
/// What a name ends with whose PDF has the place of another name's signed one.
const SIGNED_STEM: &str = ".signed";

/// The result names of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    stems: Vec<OsString>,
    taken: BTreeSet<OsString>,
}

impl Names {
    /// A name for each input: its own without the extension. Where several inputs share one, the second
    /// becomes `name.2`, the third `name.3`, whichever is free. So does `name.signed` beside `name`.
    pub(super) fn plan(inputs: &[PathBuf]) -> Self {
        let own: Vec<OsString> = inputs.iter().map(|input| own_stem(input)).collect();
        let mut taken: BTreeSet<OsString> = own.iter().cloned().collect();
        let mut seen: BTreeMap<&OsString, u32> = BTreeMap::new();
        let mut stems = Vec::new();
        for stem in &own {
            let count = seen.entry(stem).or_default();
            *count += 1;
            let is_anothers =
                unsigned(stem).is_some_and(|unsigned| own.iter().any(|other| other == unsigned));
            let stem = match *count {
                1 if !is_anothers => stem.clone(),
                count => free(stem, ".", count.max(2), &taken),
            };
            taken.insert(stem.clone());
            stems.push(stem);
        }
        Self { stems, taken }
    }

    /// The name of the results of input `input`.
    pub(super) fn of(&self, input: usize) -> &OsStr {
        &self.stems[input]
    }

    /// The names of the `count` documents found in input `input`: its name alone for one, else numbered
    /// from 1 (`name-1`, `name-2`), avoiding the names of other inputs.
    pub(super) fn of_documents(&mut self, input: usize, count: usize) -> Vec<OsString> {
        let stem = self.stems[input].clone();
        if count <= 1 {
            return vec![stem];
        }
        let mut names = Vec::new();
        for number in 1..=count {
            let mut name = stem.clone();
            name.push(format!("-{number}"));
            if !is_free(&name, &self.taken) {
                name = free(&name, ".", 2, &self.taken);
            }
            self.taken.insert(name.clone());
            names.push(name);
        }
        names
    }
}

/// A file in `out` by this stem and extension.
pub(super) fn result_path(out: &Path, stem: &OsStr, extension: &str) -> PathBuf {
    let mut name = stem.to_owned();
    name.push(".");
    name.push(extension);
    out.join(name)
}

/// The result of `stem` that would be written over one of the inputs, if any.
///
/// Inputs are compared by where they really are, so neither `./`, a symbolic link to the folder nor one to
/// the file hides one.
pub(super) fn overwritten_input(out: &Path, stem: &OsStr, inputs: &BTreeSet<PathBuf>) -> Option<PathBuf> {
    let out = out.canonicalize().ok()?;
    EXTENSIONS.iter().map(|extension| result_path(&out, stem, extension)).find(|path| inputs.contains(path))
}

/// Where the inputs really are: under the name they were given and under the one it leads to.
pub(super) fn real_places(inputs: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut places = BTreeSet::new();
    for input in inputs {
        places.extend(input.canonicalize());
        let parent = input.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new(".")).canonicalize();
        if let (Ok(parent), Some(name)) = (parent, input.file_name()) {
            places.insert(parent.join(name));
        }
    }
    places
}

fn own_stem(input: &Path) -> OsString {
    input.file_stem().unwrap_or(OsStr::new("input")).to_owned()
}

/// Whether no result of this name would be written over one of these names'.
fn is_free(name: &OsStr, taken: &BTreeSet<OsString>) -> bool {
    let mut signed = name.to_owned();
    signed.push(SIGNED_STEM);
    let is_anothers = unsigned(name).is_some_and(|unsigned| taken.contains(unsigned));
    !taken.contains(name) && !taken.contains(&signed) && !is_anothers
}

/// The name whose signed PDF has the place of this one's PDF.
fn unsigned(name: &OsStr) -> Option<&OsStr> {
    name.as_bytes().strip_suffix(SIGNED_STEM.as_bytes()).map(OsStr::from_bytes)
}

fn free(stem: &OsStr, separator: &str, from: u32, taken: &BTreeSet<OsString>) -> OsString {
    (from..)
        .map(|number| {
            let mut name = stem.to_owned();
            name.push(format!("{separator}{number}"));
            name
        })
        .find(|name| is_free(name, taken))
        .expect("there are more numbers than inputs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(inputs: &[&str], stems: &[&str]) {
        let inputs: Vec<PathBuf> = inputs.iter().map(PathBuf::from).collect();
        assert_eq!(Names::plan(&inputs).stems, stems);
    }

    #[test]
    fn each_input_gets_a_name_of_its_own() {
        check(&["a.tif", "b.pdf"], &["a", "b"]);
        check(&["x/a.tif", "y/a.tif", "a.pdf"], &["a", "a.2", "a.3"]);
        check(&["a.tif", "a.pdf", "a.2.png"], &["a", "a.3", "a.2"]);
        check(&["a", "a"], &["a", "a.2"]);
    }

    #[test]
    fn a_signed_pdf_is_kept_where_no_other_input_s_result_comes() {
        check(&["a.pdf", "a.signed.pdf"], &["a", "a.signed.2"]);
        check(&["a.signed.pdf", "a.pdf"], &["a.signed.2", "a"]);
        check(&["a.signed.pdf", "b.pdf"], &["a.signed", "b"]);
        check(&["a", "a", "a.2.signed.pdf"], &["a", "a.3", "a.2.signed"]);
        let mut names = Names::plan(&["a.pdf".into(), "a-1.signed.pdf".into()]);
        assert_eq!(names.of_documents(0, 2), ["a-1.2", "a-2"]);
        let mut results = BTreeSet::new();
        let mut names = Names::plan(&["a.pdf".into(), "a.signed.pdf".into(), "a.signed.signed.pdf".into()]);
        for stem in (0..3).flat_map(|input| names.of_documents(input, 1)) {
            for extension in EXTENSIONS {
                let path = result_path(Path::new("out"), &stem, extension);
                assert!(results.insert(path.clone()), "{} twice", path.display());
            }
        }
    }

    #[test]
    fn the_documents_of_one_input_avoid_the_names_of_other_inputs() {
        let mut names = Names::plan(&["a.pdf".into(), "a-2.tif".into()]);
        assert_eq!(names.of_documents(0, 1), ["a"]);
        assert_eq!(names.of_documents(0, 3), ["a-1", "a-2.2", "a-3"]);
    }

    #[test]
    fn a_result_that_would_replace_an_input_is_found_through_links_and_dots() {
        let folder = tempfile::tempdir().expect("a folder");
        let pdf = folder.path().join("scan.pdf");
        std::fs::write(&pdf, b"%PDF").expect("write");
        let link = folder.path().join("here");
        std::os::unix::fs::symlink(folder.path(), &link).expect("link");

        for given in [pdf.clone(), folder.path().join("./scan.pdf"), link.join("scan.pdf")] {
            let places = real_places(&[given]);
            assert!(overwritten_input(&link, OsStr::new("scan"), &places).is_some());
            assert!(overwritten_input(&link, OsStr::new("other"), &places).is_none());
        }
    }
}
