//! The PDFs we write, judged by other people's programs: `qpdf` and the tools of poppler must be installed.

mod common;
mod seal;
mod searchable;
