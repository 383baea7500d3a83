//! A delivery note.

use super::{BOLD, Document, PLAIN, letterhead, signature_block};
use crate::paper::{Align, Column, Face, Fonts, Sheet, Style};
use image::Rgb;

/// Kessel hands over five pallets.
pub(crate) fn delivery_note(fonts: &Fonts) -> Document<'_> {
    let mut sheet = Sheet::a4(fonts);
    let address = "Freight Terminal 3, Rotterdam   dispatch@kessel.example.com";
    letterhead(&mut sheet, Rgb([196, 110, 20]), "Kessel Freight & Storage", address);
    sheet.line(Style::new(Face::SansBold, 20.0), "DELIVERY NOTE");
    sheet.gap(4.0);
    let column = sheet.left + 50.0;
    sheet.pairs(
        PLAIN,
        column,
        &[
            ("Delivery note no.:", "DN-300581"),
            ("Date of delivery:", "12 May 2026"),
            ("Order number:", "4500-71932"),
            ("Carrier:", "Kessel, truck 14"),
            ("Consignee:", "Halden Tool Works AS, Gate 2"),
        ],
    );
    sheet.gap(8.0);
    let (left, right) = (sheet.left, sheet.right);
    let columns: [Column; 4] = [
        (left, Align::Left),
        (left + 24.0, Align::Left),
        (right - 40.0, Align::Right),
        (right, Align::Right),
    ];
    sheet.row(BOLD, &columns, &["Article", "Description of goods", "Packages", "Weight"]);
    sheet.rule(left, right);
    for row in [
        ["SP-204", "Spindle, hardened, 40 mm", "2 pallets", "418 kg"],
        ["BR-118", "Bearing set, sealed", "1 pallet", "96 kg"],
        ["CL-007", "Collet chuck ER32", "2 cartons", "31 kg"],
    ] {
        sheet.row(PLAIN, &columns, &row);
        sheet.y += 1.5;
    }
    sheet.rule(left, right);
    sheet.gap(3.0);
    sheet.row(BOLD, &[columns[0], columns[3]], &["Gross weight", "545 kg"]);
    sheet.gap(10.0);
    sheet.paragraph(PLAIN, "The goods remain the property of the sender until paid for in full. Visible damage and \
        missing packages must be noted below at the time of delivery; hidden damage must be reported within seven days.");
    sheet.gap(4.0);
    sheet.line(PLAIN, "Goods received in good condition and complete.");
    sheet.gap(8.0);
    signature_block(
        &mut sheet,
        "Received by:",
        "Consignee",
        &[("Name:", "Ola Brandt"), ("Date:", "12 May 2026")],
    );
    Document::new(
        "delivery_note",
        vec![sheet],
        &[
            ("delivery_note_number", "DN-300581"),
            ("delivery_date", "2026-05-12"),
            ("order_number", "4500-71932"),
            ("email", "dispatch@kessel.example.com"),
            ("signature_anchor", "Received by"),
        ],
    )
}
