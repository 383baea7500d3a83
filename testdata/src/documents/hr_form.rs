//! A form from an onboarding packet: boxes with captions, filled in by machine.

use super::{BOLD, Document, PLAIN, SMALL};
use crate::paper::{Face, Fonts, Sheet, Style};
use image::Rgb;

/// A new colleague's particulars.
pub(crate) fn onboarding_form(fonts: &Fonts) -> Document<'_> {
    let mut sheet = Sheet::a4(fonts);
    let (left, width) = (sheet.left, sheet.right - sheet.left);
    sheet.fill(left, sheet.y, width, 1.4, Rgb([46, 104, 70]));
    sheet.gap(5.0);
    sheet.line(Style::new(Face::SansBold, 19.0), "New Employee Onboarding Form");
    sheet.line(SMALL, "Human Resources, Form HR-12. Please complete all sections in block letters.");
    sheet.gap(6.0);

    let half = width / 2.0;
    let mut section = |title: &str, rows: &[&[(&str, &str)]]| {
        sheet.line(BOLD, title);
        sheet.gap(1.5);
        for row in rows {
            let each = width / row.len() as f32;
            for (place, (caption, value)) in row.iter().enumerate() {
                sheet.field(left + each * place as f32, sheet.y, each, caption, value);
            }
            sheet.y += 12.0;
        }
        sheet.gap(5.0);
    };
    section(
        "Section 1: Employee information",
        &[
            &[("Full name of employee", "TOMAS LINDQVIST")],
            &[("Date of birth", "17.08.1991"), ("Nationality", "SWEDISH")],
            &[("Home address", "BJORKVAGEN 4, 411 05 GOTEBORG")],
            &[("Email", "tomas.lindqvist@example.com"), ("Telephone", "031 555 0144")],
        ],
    );
    section(
        "Section 2: Employment",
        &[
            &[("Job title", "FIELD TECHNICIAN"), ("Department", "SERVICE NORTH")],
            &[("Start date", "01.10.2026"), ("Manager", "H. ASKELAND")],
        ],
    );
    section(
        "Section 3: Payroll and emergency contact",
        &[
            &[("IBAN", "DE89 3704 0044 0532 0130 00")],
            &[("Emergency contact", "KARIN LINDQVIST"), ("Telephone of contact", "031 555 0162")],
        ],
    );

    sheet.line(PLAIN, "Documents received: identity document, tax card, signed employee handbook.");
    sheet.gap(2.0);
    sheet.paragraph(
        PLAIN,
        "I declare that the information given above is complete and correct, and I will notify \
        Human Resources of any change.",
    );
    sheet.gap(6.0);
    sheet.fill(left + 48.0, sheet.y + 4.4, half, 0.25, crate::paper::BLACK);
    sheet.line(PLAIN, "Employee signature:");
    Document::new(
        "hr_form",
        vec![sheet],
        &[
            ("employee_name", "TOMAS LINDQVIST"),
            ("date_of_birth", "1991-08-17"),
            ("start_date", "2026-10-01"),
            ("email", "tomas.lindqvist@example.com"),
            ("iban", "DE89370400440532013000"),
            ("signature_anchor", "Employee signature"),
        ],
    )
}
