//! Two invoices: an English one over 10,000, and a German one below.

use super::{BOLD, Document, PLAIN, SMALL, letterhead};
use crate::paper::{Align, Column, Face, Fonts, Sheet, Style};
use image::Rgb;

/// Brightwater bills Nordwind.
pub(crate) fn invoice_brightwater(fonts: &Fonts) -> Document<'_> {
    let mut sheet = Sheet::a4(fonts);
    let address = "4 Quay Lane, Bristol BS1 5UH, United Kingdom   accounts@brightwater.example.com";
    letterhead(&mut sheet, Rgb([24, 62, 120]), "Brightwater Analytics Ltd.", address);
    sheet.line(Style::new(Face::SansBold, 22.0), "INVOICE");
    sheet.gap(5.0);
    let column = sheet.left + 42.0;
    sheet.pairs(
        PLAIN,
        column,
        &[
            ("Invoice number:", "BW-2026-0417"),
            ("Invoice date:", "14 April 2026"),
            ("Due date:", "14 May 2026"),
            ("Your order:", "PO-88213"),
            ("VAT number:", "GB980780684"),
        ],
    );
    sheet.gap(6.0);
    for line in ["Bill to:", "Nordwind Systems GmbH", "Hafenstrasse 12", "20457 Hamburg", "Germany"] {
        sheet.line(if line == "Bill to:" { BOLD } else { PLAIN }, line);
    }
    sheet.gap(8.0);
    let columns = columns(&sheet);
    table(
        &mut sheet,
        &columns,
        &["Description", "Quantity", "Unit price", "Amount"],
        &[
            &["Harbour sensor calibration, per unit", "24", "310.00", "7,440.00"],
            &["Data platform licence, second quarter", "1", "2,400.00", "2,400.00"],
            &["On-site training, per day", "2", "280.00", "560.00"],
        ],
    );
    let sums: [Column; 2] = [(sheet.right - 48.0, Align::Right), (sheet.right, Align::Right)];
    sheet.row(PLAIN, &sums, &["Subtotal", "10,400.00"]);
    sheet.row(PLAIN, &sums, &["VAT 20%", "2,080.00"]);
    sheet.gap(1.5);
    sheet.row(BOLD, &sums, &["Total due", "EUR 12,480.00"]);
    sheet.gap(14.0);
    sheet.paragraph(
        PLAIN,
        "Payment terms: 30 days net. Please quote the invoice number with your payment. Interest \
        is charged on overdue amounts.",
    );
    let column = sheet.left + 30.0;
    sheet.pairs(
        PLAIN,
        column,
        &[
            ("Bank:", "Severn Commercial Bank"),
            ("IBAN:", "GB29 NWBK 6016 1331 9268 19"),
            ("BIC:", "NWBKGB2L"),
        ],
    );
    sheet.gap(8.0);
    sheet.line(PLAIN, "Thank you for your business.");
    Document::new(
        "invoice",
        vec![sheet],
        &[
            ("invoice_number", "BW-2026-0417"),
            ("invoice_date", "2026-04-14"),
            ("due_date", "2026-05-14"),
            ("order_number", "PO-88213"),
            ("total", "12480.00 EUR"),
            ("iban", "GB29NWBK60161331926819"),
            ("vat_id", "GB980780684"),
            ("email", "accounts@brightwater.example.com"),
        ],
    )
}

/// Lindner bills a school, in German.
pub(crate) fn invoice_lindner(fonts: &Fonts) -> Document<'_> {
    let mut sheet = Sheet::a4(fonts);
    let address = "Gerberweg 7, 04109 Leipzig   Telefon 0341 555 0170   buero@lindner.example.com";
    letterhead(&mut sheet, Rgb([150, 40, 36]), "Lindner Druck & Papier GmbH", address);
    for line in ["Grundschule am Auwald", "Frau Sabine Kranz", "Schulstrasse 3", "04179 Leipzig"] {
        sheet.line(PLAIN, line);
    }
    sheet.gap(12.0);
    sheet.line(Style::new(Face::SansBold, 20.0).inked(Rgb([150, 40, 36])), "Rechnung");
    sheet.gap(4.0);
    let column = sheet.left + 48.0;
    sheet.pairs(
        PLAIN,
        column,
        &[
            ("Rechnungsnummer:", "R-2026-1093"),
            ("Rechnungsdatum:", "23.07.2026"),
            ("Lieferdatum:", "20.07.2026"),
            ("Kundennummer:", "40217"),
        ],
    );
    sheet.gap(6.0);
    sheet.paragraph(
        PLAIN,
        "Sehr geehrte Frau Kranz, für unsere Lieferung erlauben wir uns, Ihnen wie folgt zu \
        berechnen:",
    );
    let columns = columns(&sheet);
    table(
        &mut sheet,
        &columns,
        &["Bezeichnung", "Menge", "Einzelpreis", "Betrag"],
        &[
            &["Schulhefte A4, liniert, 32 Blatt", "600", "0,89", "534,00"],
            &["Kopierpapier A4, 80 g, Karton", "18", "21,50", "387,00"],
            &["Jahresbericht, Druck und Bindung", "150", "3,10", "465,00"],
            &["Anlieferung frei Haus", "1", "29,50", "29,50"],
        ],
    );
    let sums: [Column; 2] = [(sheet.right - 48.0, Align::Right), (sheet.right, Align::Right)];
    sheet.row(PLAIN, &sums, &["Zwischensumme", "1.415,50"]);
    sheet.row(PLAIN, &sums, &["zzgl. 19 % MwSt.", "268,95"]);
    sheet.gap(1.5);
    sheet.row(BOLD, &sums, &["Gesamtbetrag", "1.684,45 EUR"]);
    sheet.gap(12.0);
    sheet.paragraph(
        PLAIN,
        "Bitte überweisen Sie den Rechnungsbetrag innerhalb von 14 Tagen ohne Abzug auf unser \
        Konto. Die Ware bleibt bis zur vollständigen Bezahlung unser Eigentum.",
    );
    sheet.line(PLAIN, "Mit freundlichen Grüßen");
    sheet.line(PLAIN, "Lindner Druck & Papier GmbH");
    sheet.y = 266.0;
    sheet.gap(0.0);
    sheet.line(SMALL, "Bank: Sparkasse Musterstadt   IBAN: DE02 1203 0000 0000 2020 51   BIC: BYLADEM1001");
    sheet.line(
        SMALL,
        "USt-IdNr.: DE136695976   Geschäftsführer: Karl Lindner   Amtsgericht Leipzig HRB 00000",
    );
    Document::new(
        "invoice",
        vec![sheet],
        &[
            ("invoice_number", "R-2026-1093"),
            ("invoice_date", "2026-07-23"),
            ("total", "1684.45 EUR"),
            ("iban", "DE02120300000000202051"),
            ("vat_id", "DE136695976"),
            ("email", "buero@lindner.example.com"),
        ],
    )
}

/// Where the columns of a price table stand.
pub(super) fn columns(sheet: &Sheet<'_>) -> [Column; 4] {
    let right = sheet.right;
    [
        (sheet.left, Align::Left),
        (right - 66.0, Align::Right),
        (right - 32.0, Align::Right),
        (right, Align::Right),
    ]
}

/// A table between two lines.
pub(super) fn table(sheet: &mut Sheet<'_>, columns: &[Column], header: &[&str], rows: &[&[&str]]) {
    let (left, right) = (sheet.left, sheet.right);
    sheet.row(BOLD, columns, header);
    sheet.rule(left, right);
    for row in rows {
        sheet.row(PLAIN, columns, row);
        sheet.y += 1.2;
    }
    sheet.rule(left, right);
    sheet.gap(2.0);
}
