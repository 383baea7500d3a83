//! A purchase order.

use super::invoice::{columns, table};
use super::{BOLD, Document, PLAIN, letterhead, signature_block};
use crate::paper::{Align, Column, Face, Fonts, Sheet, Style};
use image::Rgb;

/// Halden orders spindles.
pub(crate) fn purchase_order(fonts: &Fonts) -> Document<'_> {
    let mut sheet = Sheet::a4(fonts);
    let address = "Verkstedveien 9, 1778 Halden, Norway   purchasing@halden.example.com";
    letterhead(&mut sheet, Rgb([40, 40, 40]), "Halden Tool Works AS", address);
    sheet.line(Style::new(Face::SansBold, 20.0), "PURCHASE ORDER");
    sheet.gap(4.0);
    let column = sheet.left + 46.0;
    sheet.pairs(
        PLAIN,
        column,
        &[
            ("Purchase order no.:", "4500-71932"),
            ("Order date:", "9 February 2026"),
            ("Delivery date:", "6 March 2026"),
            ("Terms of delivery:", "DAP Halden (Incoterms 2020)"),
            ("Buyer:", "Ingrid Solberg"),
        ],
    );
    sheet.gap(5.0);
    for line in ["Supplier:", "Carrow Precision Parts Ltd.", "Unit 5, Millbrook Park", "Sheffield S9 2TL"] {
        sheet.line(if line == "Supplier:" { BOLD } else { PLAIN }, line);
    }
    sheet.gap(5.0);
    for line in ["Ship to:", "Halden Tool Works AS, Gate 2", "Verkstedveien 9, 1778 Halden"] {
        sheet.line(if line == "Ship to:" { BOLD } else { PLAIN }, line);
    }
    sheet.gap(6.0);
    let columns = columns(&sheet);
    table(
        &mut sheet,
        &columns,
        &["Item", "Qty", "Unit price", "Line total"],
        &[
            &["SP-204 Spindle, hardened, 40 mm", "12", "184.00", "2,208.00"],
            &["BR-118 Bearing set, sealed", "24", "37.25", "894.00"],
            &["CL-007 Collet chuck ER32", "10", "61.40", "614.00"],
        ],
    );
    let sums: [Column; 2] = [(sheet.right - 48.0, Align::Right), (sheet.right, Align::Right)];
    sheet.row(BOLD, &sums, &["Order total", "EUR 3,716.00"]);
    sheet.gap(8.0);
    sheet.paragraph(PLAIN, "Please supply the goods listed above on our general terms of purchase. Confirm this order \
        in writing within three working days and quote the purchase order number on all delivery notes and invoices.");
    sheet.gap(4.0);
    signature_block(
        &mut sheet,
        "Authorised signature:",
        "Approved for Halden Tool Works AS",
        &[("", ""), ("Name:", "Ingrid Solberg"), ("Email:", "ingrid.solberg@example.com")],
    );
    Document::new(
        "purchase_order",
        vec![sheet],
        &[
            ("order_number", "4500-71932"),
            ("order_date", "2026-02-09"),
            ("delivery_date", "2026-03-06"),
            ("total", "3716.00 EUR"),
            ("email", "ingrid.solberg@example.com"),
            ("signature_anchor", "Authorised signature"),
        ],
    )
}
