//! Marker files: `scan.pdf.done`, or `scan.done`, says that `scan.pdf` is whole. Pure.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use super::listing::Sight;
use crate::config::Marker;

/// A listing with its markers told apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sorted {
    /// The files that may be scans.
    pub files: Vec<Sight>,
    /// The marker of a scan, by the scan's name.
    pub of: HashMap<OsString, Sight>,
    /// Markers whose scan is not there, and why they are not taken.
    pub alone: BTreeMap<OsString, String>,
}

/// Tells markers from scans. `is_resting` names the files that are left where they lie: their markers rest too.
pub fn sort(files: Vec<Sight>, marker: &Marker, is_resting: impl Fn(&Sight) -> bool) -> Sorted {
    let is_marker = |sight: &Sight| marked(&sight.name, marker).is_some();
    let (markers, files): (Vec<Sight>, Vec<Sight>) = files.into_iter().partition(is_marker);
    let mut sorted = Sorted::default();
    if !markers.is_empty() {
        let whole: HashMap<&OsStr, &Sight> = files.iter().map(|file| (file.name.as_os_str(), file)).collect();
        // Of several scans of one stem the marker is that of the first.
        let mut stems: HashMap<&[u8], &Sight> = HashMap::new();
        for file in &files {
            stems.entry(stem(file.name.as_bytes())).or_insert(file);
        }
        for sight in markers {
            let base = marked(&sight.name, marker).unwrap_or_default();
            match whole.get(base).or_else(|| stems.get(base.as_bytes())) {
                Some(scan) if is_resting(scan) => {}
                Some(scan) => drop(sorted.of.insert(scan.name.clone(), sight.clone())),
                None => {
                    let why = "it is a marker whose scan is not there".to_owned();
                    sorted.alone.insert(sight.name.clone(), why);
                }
            }
        }
    }
    sorted.files = files.into_iter().filter(|file| !is_resting(file)).collect();
    sorted
}

/// The name that a marker marks: its own, less the suffix.
fn marked<'n>(name: &'n OsStr, marker: &Marker) -> Option<&'n OsStr> {
    let bytes = name.as_bytes();
    let of = |suffix: &String| {
        let cut = bytes.len().checked_sub(suffix.len()).filter(|cut| *cut > 0)?;
        bytes[cut..].eq_ignore_ascii_case(suffix.as_bytes()).then(|| OsStr::from_bytes(&bytes[..cut]))
    };
    marker.suffixes.iter().find_map(of)
}

/// A path without the extension of its last part.
fn stem(path: &[u8]) -> &[u8] {
    let base = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    match path[base..].iter().rposition(|&byte| byte == b'.') {
        Some(dot) if dot > 0 => &path[..base + dot],
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of these files: scans, `marker > scan`, markers alone.
    fn check(names: &[&str], expected: (&[&str], &[&str], &[&str])) {
        let files = names.iter().map(|name| Sight::made_up(name, 1, 0)).collect();
        let sorted = sort(files, &Marker::default(), |sight| sight.name == "resting.pdf");
        let text = |name: &OsString| name.to_string_lossy().into_owned();
        let files: Vec<String> = sorted.files.iter().map(|file| text(&file.name)).collect();
        let mut of: Vec<String> = sorted
            .of
            .iter()
            .map(|(scan, marker)| format!("{} > {}", text(&marker.name), text(scan)))
            .collect();
        of.sort();
        let alone: Vec<String> = sorted.alone.keys().map(text).collect();
        assert_eq!(
            (files.as_slice(), of.as_slice(), alone.as_slice()),
            (
                expected.0.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice(),
                expected.1.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice(),
                expected.2.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice(),
            )
        );
    }

    #[test]
    fn a_marker_is_named_after_its_scan_with_or_without_the_extension() {
        check(&["a.pdf", "a.pdf.done"], (&["a.pdf"], &["a.pdf.done > a.pdf"], &[]));
        check(&["s/a.pdf", "s/a.DONE"], (&["s/a.pdf"], &["s/a.DONE > s/a.pdf"], &[]));
        check(&["s/a.pdf", "a.xml"], (&["s/a.pdf"], &[], &["a.xml"]));
        check(&["a.pdf", "b.done"], (&["a.pdf"], &[], &["b.done"]));
        check(&["a.pdf", "a.tif", "a.xml"], (&["a.pdf", "a.tif"], &["a.xml > a.pdf"], &[]));
        check(&["resting.pdf", "resting.done"], (&[], &[], &[]));
        check(&[".done"], (&[".done"], &[], &[]));
    }
}
