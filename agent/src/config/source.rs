//! `[[source]]`: one hot folder, and what holds for the files in it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use platen_capture::Separation;
use platen_model::{DocumentType, TenantId};
use regex::Regex;
use serde::{Deserialize, Serialize};

/// What becomes of a file once its bytes are safe in the spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// It is removed: the spool has it.
    #[default]
    Remove,
    /// It is moved into the folder `done` inside the hot folder, under a name that starts with its capture id.
    Done,
    /// It stays where it is, and is not taken again unless it changes.
    Leave,
}

/// How the agent learns that a folder changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Events {
    /// By the kernel's events where a probe shows that they arrive, else by polling.
    #[default]
    Auto,
    /// By polling alone.
    Never,
}

/// One hot folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name, shown everywhere and sent with each document.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
    /// The department its documents belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// The type of all its documents, where it is known; else it is told from their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_type: Option<DocumentType>,
    /// Tesseract languages of its documents, where they differ from `capture.languages`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub languages: Option<String>,
    /// The tenant its documents belong to: that which this device is enrolled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// Labels that go with each document.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Which documents go out first: lower before higher; 100 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// Whether the folders inside it are watched too.
    #[serde(default)]
    pub nested: bool,
    /// How long a file must stand still before it is taken, in milliseconds. Where absent it is learned from the
    /// pauses that this source's writers make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_ms: Option<u64>,
    /// How long a file that does not end as its format demands may stand still before it is taken as it is, and
    /// put into quarantine, in milliseconds.
    #[serde(default = "default_give_up_ms")]
    pub give_up_ms: u64,
    /// How changes are noticed.
    #[serde(default)]
    pub events: Events,
    /// How often the folder is listed where events do not arrive, in milliseconds.
    #[serde(default = "default_poll_ms")]
    pub poll_ms: u64,
    /// How often it is listed in any case, in milliseconds.
    #[serde(default = "default_rescan_ms")]
    pub rescan_ms: u64,
    /// What becomes of a file once it is safe.
    #[serde(default)]
    pub after: After,
    /// Days after which a file in `done` is removed: a scan with `after = "done"`, a marker that says something with
    /// `after = "remove"`. They stay for ever where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_days: Option<u32>,
    /// Names that are none of our business, with `*` and `?`, beside those that never are (`.tmp`, `~`, `Thumbs.db`, …).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// Files that say that a scan is whole.
    #[serde(default)]
    pub marker: Marker,
    /// For scanners that write one file per page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// For feeders that scan one side: the fronts in one file, the backs in the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplex: Option<Duplex>,
    /// How its scans are divided into documents, in place of what holds for all sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separation: Option<Separation>,
    /// A file of passwords for its locked PDFs, one a line, in place of the one in `[capture]`: what one department's
    /// papers open with need not be tried on another's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passwords_file: Option<PathBuf>,
    /// What is different for folders inside it; needs `nested`.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "subfolder")]
    pub subfolders: Vec<Subfolder>,
}

fn default_give_up_ms() -> u64 {
    600_000
}

fn default_poll_ms() -> u64 {
    1_000
}

fn default_rescan_ms() -> u64 {
    10_000
}

/// Files that say that a scan is whole: `scan.pdf.done` or `scan.done` beside `scan.pdf`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Marker {
    /// How their names end. Such a file is never a scan; it goes where its scan goes, but one that has bytes is
    /// not removed: it is moved into `done`.
    pub suffixes: Vec<String>,
    /// Whether a scan is taken only once its marker is there.
    pub required: bool,
}

impl Default for Marker {
    fn default() -> Self {
        Self { suffixes: vec![".done".into(), ".xml".into()], required: false }
    }
}

/// Files that belong together, one per page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// A regular expression over file names with the named groups `batch` and `page`. Files that do not
    /// match are taken one by one.
    pub pattern: String,
    /// A batch is whole when no file of it came or changed for this long, in milliseconds.
    pub gap_ms: u64,
}

/// Both sides of a stack of paper from a feeder that scans one: a file of fronts, then a file of backs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Duplex {
    /// Whether the backs come last page first, as they do when the stack is turned over.
    pub backs_reversed: bool,
    /// A regular expression over file names whose group `scanner` tells scanners apart that share the folder.
    /// Folders inside the source are always told apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// How long after the fronts the backs may come, in milliseconds. Later the fronts alone go to a person.
    pub within_ms: u64,
}

impl Default for Duplex {
    fn default() -> Self {
        Self { backs_reversed: true, pattern: None, within_ms: 1_800_000 }
    }
}

/// What is different for a folder inside a source, and for those inside that.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subfolder {
    /// Its path within the source.
    pub path: PathBuf,
    /// As of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// As of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_type: Option<DocumentType>,
    /// As of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub languages: Option<String>,
    /// As of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// Labels beside those of the source.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// What holds for a file by the folder it lies in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The department.
    pub department: Option<String>,
    /// The document type.
    pub document_type: Option<DocumentType>,
    /// Tesseract languages.
    pub languages: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

impl Source {
    /// A source of this name and folder with every default.
    pub fn new(name: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            folder: folder.into(),
            department: None,
            document_type: None,
            languages: None,
            tenant: None,
            labels: BTreeMap::new(),
            priority: None,
            nested: false,
            quiet_ms: None,
            give_up_ms: default_give_up_ms(),
            events: Events::default(),
            poll_ms: default_poll_ms(),
            rescan_ms: default_rescan_ms(),
            after: After::default(),
            done_days: None,
            ignore: Vec::new(),
            marker: Marker::default(),
            batch: None,
            duplex: None,
            separation: None,
            passwords_file: None,
            subfolders: Vec::new(),
        }
    }

    /// What holds for a file of this path within the source: of each thing, what the deepest folder says.
    pub fn place(&self, name: &Path) -> Place {
        let mut place = Place {
            department: self.department.clone(),
            document_type: self.document_type.clone(),
            languages: self.languages.clone(),
            labels: self.labels.clone(),
        };
        let mut around: Vec<&Subfolder> =
            self.subfolders.iter().filter(|folder| name.starts_with(&folder.path)).collect();
        around.sort_by_key(|folder| folder.path.components().count());
        for folder in around {
            let Place { department, document_type, languages, labels } = &mut place;
            *department = folder.department.clone().or(department.take());
            *document_type = folder.document_type.clone().or(document_type.take());
            *languages = folder.languages.clone().or(languages.take());
            labels.extend(folder.labels.clone());
        }
        place
    }

    /// The tenants that it and its subfolders name.
    pub fn tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.tenant.iter().chain(self.subfolders.iter().filter_map(|folder| folder.tenant.as_ref()))
    }

    /// Whether anything is ever put into `done`.
    fn fills_done(&self) -> bool {
        match self.after {
            After::Done => true,
            // Markers that say something.
            After::Remove => !self.marker.suffixes.is_empty(),
            After::Leave => false,
        }
    }

    /// What cannot be as it is configured, as a fragment for a person.
    pub(super) fn check(&self) -> Result<(), String> {
        let pattern = |key: &str, pattern: &str, groups: &[&str]| {
            let regex = Regex::new(pattern).map_err(|error| format!("{key}: {error}"))?;
            let named: Vec<&str> = regex.capture_names().flatten().collect();
            match groups.iter().find(|group| !named.contains(group)) {
                Some(group) => Err(format!("{key} needs a group (?<{group}>…)")),
                None => Ok(()),
            }
        };
        if let Some(batch) = &self.batch {
            pattern("batch.pattern", &batch.pattern, &["batch", "page"])?;
        }
        if let Some(scanner) = self.duplex.as_ref().and_then(|duplex| duplex.pattern.as_ref()) {
            pattern("duplex.pattern", scanner, &["scanner"])?;
        }
        if self.batch.is_some() && self.duplex.is_some() {
            return Err("it has batch and duplex; fronts and backs come in one file each".into());
        }
        if self.done_days.is_some() && !self.fills_done() {
            return Err("done_days needs after = \"done\", or markers and after = \"remove\"".into());
        }
        if self.marker.suffixes.iter().any(String::is_empty) {
            return Err("marker.suffixes: every file would be a marker".into());
        }
        if self.marker.required && self.marker.suffixes.is_empty() {
            return Err("marker.required needs marker.suffixes: nothing would ever be taken".into());
        }
        if !self.nested && !self.subfolders.is_empty() {
            return Err("subfolder needs nested = true".into());
        }
        let plain = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        match self.subfolders.iter().find(|folder| folder.path.as_os_str().is_empty() || !plain(&folder.path))
        {
            Some(folder) => {
                Err(format!("subfolder {:?} is no path within the source", folder.path.display().to_string()))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_folder_decides() {
        let mut source = Source::new("desk", "in");
        (source.department, source.languages) = (Some("office".into()), Some("eng".into()));
        let folder = |path: &str, department: Option<&str>, language: Option<&str>| Subfolder {
            path: path.into(),
            department: department.map(Into::into),
            languages: language.map(Into::into),
            ..Subfolder::default()
        };
        source.subfolders = vec![folder("a/b", None, Some("fra")), folder("a", Some("sales"), Some("deu"))];
        let check = |name: &str, department: &str, languages: &str| {
            let place = source.place(Path::new(name));
            assert_eq!(place.department.as_deref(), Some(department), "{name}");
            assert_eq!(place.languages.as_deref(), Some(languages), "{name}");
        };
        check("x.pdf", "office", "eng");
        check("a/x.pdf", "sales", "deu");
        check("a/b/c/x.pdf", "sales", "fra");
        check("ab/x.pdf", "office", "eng");
    }

    #[test]
    fn files_in_done_have_their_days_wherever_there_are_any() {
        let check = |after, suffixes: &[&str]| {
            let mut source = Source { after, done_days: Some(30), ..Source::new("desk", "in") };
            source.marker.suffixes = suffixes.iter().map(|suffix| (*suffix).to_owned()).collect();
            source.check().is_ok()
        };
        assert!(check(After::Done, &[]));
        assert!(check(After::Remove, &[".xml"]), "a marker with bytes is moved there");
        assert!(!check(After::Remove, &[]));
        assert!(!check(After::Leave, &[".xml"]));
    }

    #[test]
    fn a_marker_that_is_required_can_be_there() {
        let check = |suffixes: &[&str]| {
            let mut source = Source::new("desk", "in");
            let suffixes = suffixes.iter().map(|suffix| (*suffix).to_owned()).collect();
            source.marker = Marker { suffixes, required: true };
            source.check()
        };
        assert_eq!(check(&[".done"]), Ok(()));
        assert!(check(&[]).is_err_and(|what| what.contains("nothing would ever be taken")));
    }

    #[test]
    fn a_subfolder_lies_within_its_source() {
        let check = |path: &str| {
            let mut source = Source::new("desk", "in");
            source.nested = true;
            source.subfolders = vec![Subfolder { path: path.into(), ..Subfolder::default() }];
            source.check()
        };
        assert_eq!(check("a/b"), Ok(()));
        for outside in ["", "../a", "/etc", "a/../../b"] {
            assert!(check(outside).is_err(), "{outside}");
        }
    }
}
