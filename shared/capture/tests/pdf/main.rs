//! The PDFs we write, judged by other people's programs: `qpdf` and the tools of poppler must be installed.

mod archival;
mod common;
mod fields;
mod guide;
mod incoming;
mod makeup;
mod own_text;
mod seal;
mod searchable;
mod snapshots;
