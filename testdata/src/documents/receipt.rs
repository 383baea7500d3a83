//! A till receipt.

use super::Document;
use crate::paper::{Align, Column, Face, Fonts, Sheet, Style};

/// Paint and brushes, paid by card.
pub(crate) fn receipt(fonts: &Fonts) -> Document<'_> {
    let type_ = Style::new(Face::Mono, 9.5);
    let mut sheet = Sheet::new(fonts, 80.0, 150.0, 6.0);
    sheet.centred(Style::new(Face::SansBold, 13.0), "COLBERT HARDWARE");
    sheet.centred(type_, "31 High Street, Ludlow");
    sheet.centred(type_, "Tel. 01584 555 019");
    sheet.centred(type_, "VAT No. GB980780684");
    sheet.gap(3.0);
    let columns: [Column; 2] = [(sheet.left, Align::Left), (sheet.right, Align::Right)];
    sheet.row(type_, &columns, &["Receipt no. 0048213", "Till 2"]);
    sheet.row(type_, &columns, &["Date: 19/08/2026", "14:37"]);
    sheet.gap(2.0);
    for row in [
        ["Masonry paint 5 l", "38.50"],
        ["Brush set, 3 pcs", "11.95"],
        ["Masking tape 2 x 2.40", "4.80"],
        ["Dust sheet", "6.25"],
    ] {
        sheet.row(type_, &columns, &row);
    }
    sheet.rule(columns[0].0, columns[1].0);
    sheet.row(type_, &columns, &["Subtotal", "61.50"]);
    sheet.row(Style::new(Face::SansBold, 12.0), &columns, &["TOTAL", "GBP 61.50"]);
    sheet.row(type_, &columns, &["incl. VAT 20%", "10.25"]);
    sheet.gap(2.0);
    sheet.row(type_, &columns, &["Card payment", "61.50"]);
    sheet.row(type_, &columns, &["Change", "0.00"]);
    sheet.row(type_, &columns, &["Approval code", "774120"]);
    sheet.gap(3.0);
    sheet.centred(type_, "Items sold: 5");
    sheet.centred(type_, "Thank you for shopping with us");
    sheet.centred(type_, "Please keep your receipt");
    Document::new("receipt", vec![sheet], &[("date", "2026-08-19"), ("total", "61.50 GBP")])
}
