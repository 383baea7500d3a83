//! Why an input could not be carried on, in words for a machine and for a person.

use std::{fmt, io};

use serde::{Deserialize, Serialize};

/// The classes of failure. Each has its own treatment; the names are part of the interface.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The file has no bytes.
    Empty,
    /// The file ends before its format says it should.
    Truncated,
    /// The bytes break their format's rules.
    Corrupt,
    /// The document cannot be opened without a password.
    Locked,
    /// The format, or a feature of it, is not one we read.
    Unsupported,
    /// A named limit on bytes, pixels or pages was passed.
    TooLarge,
    /// A stage passed its deadline.
    TimedOut,
    /// A worker passed its memory limit.
    OutOfMemory,
    /// The file opens but holds no page.
    NoPages,
    /// There are separator sheets, and nothing that they separate.
    NoDocument,
    /// The data of a language that is to be read are not installed.
    NoLanguage,
    /// There is no such file, or it may not be read.
    Unreadable,
    /// Our own fault, or the machine's.
    Internal,
}

impl FailureClass {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Empty,
        Self::Truncated,
        Self::Corrupt,
        Self::Locked,
        Self::Unsupported,
        Self::TooLarge,
        Self::TimedOut,
        Self::OutOfMemory,
        Self::NoPages,
        Self::NoDocument,
        Self::NoLanguage,
        Self::Unreadable,
        Self::Internal,
    ];

    /// The class of this name; `None` where it is one that only a later release knows.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }

    /// The class as it is written in files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Truncated => "truncated",
            Self::Corrupt => "corrupt",
            Self::Locked => "locked",
            Self::Unsupported => "unsupported",
            Self::TooLarge => "too_large",
            Self::TimedOut => "timed_out",
            Self::OutOfMemory => "out_of_memory",
            Self::NoPages => "no_pages",
            Self::NoDocument => "no_document",
            Self::NoLanguage => "no_language",
            Self::Unreadable => "unreadable",
            Self::Internal => "internal",
        }
    }

    /// What a person can do about it.
    pub fn what_helps(self) -> &'static str {
        match self {
            Self::Empty => "scan the page again; the scanner wrote no bytes",
            Self::Truncated => "scan or copy the file again; it was cut off",
            Self::Corrupt => "scan the page again, or save the file anew from the program that made it",
            Self::Locked => {
                "put the password, a line of its own, into the `passwords_file` of its source or of `[capture]` \
                 (`--password-file` of `process`), or save a copy without one"
            }
            Self::Unsupported => "save the file as PDF, TIFF, JPEG or PNG",
            Self::TooLarge => {
                "split the file, scan at a lower resolution, or raise the limit in the configuration"
            }
            Self::TimedOut => "retry when the machine is less busy, or raise `capture.limits.page_seconds`",
            Self::OutOfMemory => {
                "scan at a lower resolution, or raise `capture.limits.worker_memory_mb`; where the machine itself \
                 has no memory left, retry when it has, or lower `workers`"
            }
            Self::NoPages => "check that the file holds pages; some programs write empty documents",
            Self::NoDocument => {
                "scan the sheet together with its pages; to keep the sheet itself, process it with --separate off"
            }
            Self::NoLanguage => {
                "install the language data named above, or correct `languages` in the configuration (`--lang` of \
                 `process`)"
            }
            Self::Unreadable => "check the name, and that this user may read the file",
            Self::Internal => "retry; if it fails again, report it with the message above",
        }
    }

    /// Whether only another file helps: the same bytes fail in the same way however often they are tried.
    pub fn wants_another_file(self) -> bool {
        matches!(self, Self::Empty | Self::Truncated | Self::Corrupt | Self::Unsupported | Self::NoPages)
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The stage of the capture path at which something failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Copying a file from its hot folder into the spool.
    Claim,
    /// Finding out what the file is.
    Inspect,
    /// Decoding, straightening or reading a page.
    Page,
    /// Dividing the pages into documents.
    Separate,
    /// Writing the PDF.
    Bind,
    /// Showing a page of a finished PDF as an image.
    Render,
    /// Making room for a signature in a finished PDF.
    Seal,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Claim => "claim",
            Self::Inspect => "inspect",
            Self::Page => "page",
            Self::Separate => "separate",
            Self::Bind => "bind",
            Self::Render => "render",
            Self::Seal => "seal",
        })
    }
}

/// One failure: its class, where it happened, and what exactly was wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{stage}: {message} ({class})")]
pub struct Failure {
    /// The class.
    pub class: FailureClass,
    /// The stage.
    pub stage: Stage,
    /// What was wrong, as a lower-case fragment.
    pub message: String,
    /// The page it concerns, from 0, where it concerns one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// It is the moment's, not the document's: a full disk, too many processes. It is tried again by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passing: bool,
}

impl Failure {
    /// A failure of `class` at `stage`.
    pub fn new(class: FailureClass, stage: Stage, message: impl Into<String>) -> Self {
        Self { class, stage, message: message.into(), page: None, passing: false }
    }

    /// A failure of the file system or of another resource of the machine.
    pub fn of_io(stage: Stage, what: &str, error: &io::Error) -> Self {
        let failure = Self::new(FailureClass::Internal, stage, format!("{what}: {error}"));
        Self { passing: passes(error), ..failure }
    }

    /// The same failure, known to be the moment's.
    pub fn passing(self) -> Self {
        Self { passing: true, ..self }
    }

    /// The same failure, said of page `page` (from 0).
    pub fn on_page(mut self, page: u32) -> Self {
        self.page = Some(page);
        self
    }
}

/// Whether an error goes away by itself or by a person's care for the machine: no space, no quota, no descriptors, a
/// lock, a network share that is gone for a while.
fn passes(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    /// `ENFILE` and `EMFILE`: open files, of the machine and of the process.
    const TOO_MANY_FILES: [i32; 2] = [23, 24];
    let passing = [
        Kind::StorageFull,
        Kind::QuotaExceeded,
        Kind::ResourceBusy,
        Kind::ExecutableFileBusy,
        Kind::WouldBlock,
        Kind::StaleNetworkFileHandle,
        Kind::HostUnreachable,
        Kind::NetworkUnreachable,
        Kind::NetworkDown,
        Kind::TimedOut,
    ];
    passing.contains(&error.kind()) || error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_name_and_those_that_want_another_file_are_of_the_bytes() {
        for class in FailureClass::ALL {
            assert_eq!(FailureClass::named(class.as_str()), Some(class));
            assert_eq!(serde_json::to_value(class).ok(), Some(class.as_str().into()));
        }
        assert_eq!(FailureClass::named("of a later release"), None);
        let hopeless = FailureClass::ALL.into_iter().filter(|class| class.wants_another_file());
        let names: Vec<&str> = hopeless.map(FailureClass::as_str).collect();
        assert_eq!(names, ["empty", "truncated", "corrupt", "unsupported", "no_pages"]);
    }

    #[test]
    fn a_full_disk_passes_and_a_broken_file_does_not() {
        let of = |error: io::Error| Failure::of_io(Stage::Bind, "x.pdf", &error).passing;
        assert!(of(io::ErrorKind::StorageFull.into()) && of(io::Error::from_raw_os_error(24)));
        assert!(!of(io::ErrorKind::InvalidData.into()) && !of(io::ErrorKind::PermissionDenied.into()));
    }
}
