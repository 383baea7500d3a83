//! A form of a bank, with boxes that are ticked by hand.

use image::Rgb;

use super::{BOLD, Document, PLAIN, SMALL};
use crate::paper::{Face, Fonts, Sheet, Style};

/// The side of a box to tick, in millimetres.
const BOX: f32 = 4.0;
/// A blue ball pen.
const PEN: Rgb<u8> = Rgb([44, 58, 140]);

/// A direct debit mandate whose kind of payment is ticked.
pub(crate) fn direct_debit_mandate(fonts: &Fonts) -> Document<'_> {
    let mut sheet = Sheet::a4(fonts);
    let (left, width) = (sheet.left, sheet.right - sheet.left);
    sheet.line(Style::new(Face::SansBold, 18.0), "SEPA Direct Debit Mandate");
    sheet.line(SMALL, "To be completed by the debtor and returned to the creditor.");
    sheet.gap(6.0);
    sheet.field(left, sheet.y, width / 2.0, "Mandate reference", "OT-2026-00481");
    sheet.field(left + width / 2.0, sheet.y, width / 2.0, "Creditor identifier", "DE98ZZZ09999999999");
    sheet.y += 18.0;
    sheet.paragraph(
        PLAIN,
        "By signing this mandate form, I authorise Ostertal Water Supply to send instructions to my bank to debit my \
        account, and my bank to debit my account in accordance with these instructions.",
    );
    sheet.gap(3.0);
    sheet.line(BOLD, "Type of payment");
    sheet.gap(2.0);
    for (label, ticked) in [("Recurrent payment", true), ("One-off payment", false)] {
        let (x, y) = (left + 4.0, sheet.y);
        sheet.outline(x, y, BOX, BOX);
        if ticked {
            sheet.tick(x, y, BOX, PEN);
        }
        sheet.indented(PLAIN, x + BOX + 3.0, label);
        sheet.gap(3.0);
    }
    sheet.gap(4.0);
    for (caption, value) in [
        ("Account holder", "HEDDA VINTERLAND"),
        ("IBAN", "DE89 3704 0044 0532 0130 00"),
        ("Place and date", "OSTERTAL, 09.06.2026"),
    ] {
        sheet.field(left, sheet.y, width, caption, value);
        sheet.y += 12.0;
    }
    sheet.gap(12.0);
    sheet.fill(left + 52.0, sheet.y + 4.4, width / 2.0, 0.25, crate::paper::BLACK);
    sheet.line(PLAIN, "Signature of debtor:");
    Document::new(
        "bank_form",
        vec![sheet],
        &[
            ("account_holder", "HEDDA VINTERLAND"),
            ("mandate_reference", "OT-2026-00481"),
            ("iban", "DE89370400440532013000"),
            ("recurrent_payment", "yes"),
            ("one_off_payment", "no"),
        ],
    )
}
