//! The benchmarks: Platen, Tesseract alone and OCRmyPDF over the same pages, side by side in one run.
//!
//! A time means nothing by itself; what is told is how the contenders compare on this machine, on the same core, with
//! the same language data. So the contenders take turns page by page (a busy moment of the machine meets all of
//! them), processor time and not the clock is what ratios are made of, and where a contender failed on a page, that
//! page leaves the comparison on both sides. The pages are real scans from a corpus beside the checkout, which is not
//! part of the project; where it is absent the generated samples stand in, and the tables say so.
//!
//! [`figures`] holds the arithmetic, [`cost`] what a process cost, [`pages`] what is read, [`contender`] who reads it.
//! [`side_by_side`], [`accuracy`], [`stages`], [`size`], [`growth`], [`skew`], [`classify`],
//! [`delivery`] and [`folders`] measure; [`targets`] judges and
//! [`report`] writes it down.

pub mod accuracy;
pub mod classify;
pub mod contender;
pub mod cost;
pub mod delivery;
pub mod figures;
pub mod folders;
pub mod growth;
pub mod machine;
pub mod manifest;
pub mod pages;
mod records;
pub mod report;
pub mod side_by_side;
pub mod size;
pub mod skew;
pub mod stages;
pub mod targets;
