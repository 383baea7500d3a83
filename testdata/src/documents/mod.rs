//! The documents: what is printed on each, and what a reader should find there.
//!
//! One file per kind. All people, companies, numbers and events are invented; addresses end in `example.com`,
//! bank numbers are the well-known specimens with correct check digits.

mod bank_form;
mod contract;
mod delivery_note;
mod hr_form;
mod invoice;
pub(crate) mod layouts;
mod letter;
mod nda;
mod purchase_order;
mod receipt;
mod scrap;

use std::collections::BTreeMap;

use image::Rgb;

pub(crate) use bank_form::direct_debit_mandate;
pub(crate) use contract::services_contract;
pub(crate) use delivery_note::delivery_note;
pub(crate) use hr_form::onboarding_form;
pub(crate) use invoice::{invoice_brightwater, invoice_lindner};
pub(crate) use letter::{letter_in_three_pages, letter_marlow, locked_letter};
pub(crate) use nda::{mutual_nda, one_way_nda};
pub(crate) use purchase_order::purchase_order;
pub(crate) use receipt::receipt;
pub(crate) use scrap::{blank_page, faint_note};

use crate::paper::{Align, Face, Sheet, Style};

/// Running text.
const BODY: Style = Style::new(Face::Serif, 11.5);
/// Text of forms and tables.
const PLAIN: Style = Style::new(Face::Sans, 10.5);
/// Emphasis in forms and tables.
const BOLD: Style = Style::new(Face::SansBold, 10.5);
/// Small print.
const SMALL: Style = Style::new(Face::Sans, 8.5);

/// A printed document and what is known of it.
pub(crate) struct Document<'f> {
    pub(crate) document_type: &'static str,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) pages: Vec<Sheet<'f>>,
}

impl<'f> Document<'f> {
    fn new(document_type: &'static str, pages: Vec<Sheet<'f>>, fields: &[(&str, &str)]) -> Self {
        let fields = fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Self { document_type, fields, pages }
    }
}

/// A company's head of paper: a mark, its name, its address.
fn letterhead(sheet: &mut Sheet<'_>, ink: Rgb<u8>, name: &str, address: &str) {
    let (x, y) = (sheet.left, sheet.y);
    sheet.fill(x, y, 11.0, 11.0, ink);
    sheet.disc(x + 5.5, y + 5.5, 3.2, platen_testdata::scanner::PAPER);
    sheet.y += 1.0;
    sheet.row(Style::new(Face::SansBold, 15.0).inked(ink), &[(x + 15.0, Align::Left)], &[name]);
    sheet.row(SMALL, &[(x + 15.0, Align::Left)], &[address]);
    sheet.gap(2.0);
    sheet.fill(x, sheet.y, sheet.right - x, 0.5, ink);
    sheet.gap(8.0);
}

/// A place to sign: the label with a line to write on, then who signs.
fn signature_block(sheet: &mut Sheet<'_>, label: &str, organisation: &str, details: &[(&str, &str)]) {
    sheet.line(BOLD, organisation);
    sheet.gap(6.0);
    let column = sheet.left + 45.0;
    let line = sheet.y + 4.4;
    sheet.fill(column, line, 70.0, 0.25, crate::paper::BLACK);
    sheet.line(PLAIN, label);
    sheet.pairs(PLAIN, column, details);
    sheet.gap(7.0);
}
