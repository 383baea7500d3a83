//! A services contract on three pages.

use super::{BODY, BOLD, Document, SMALL, signature_block};
use crate::paper::{Face, Fonts, Sheet, Style};

/// Halden has its machines maintained.
pub(crate) fn services_contract(fonts: &Fonts) -> Document<'_> {
    let pages: [&[&str]; 3] = [
        &[
            "This Services Agreement is made on 1 September 2026 between Halden Tool Works AS (the \"Client\") and \
             Ferrow Maintenance Ltd. (the \"Contractor\").",
            "# 1. Scope of services",
            "The Contractor shall inspect, maintain and, where necessary, repair the machines listed in Schedule A at \
             the Client's works. Routine inspection takes place every eight weeks; urgent calls are answered within \
             one working day.",
            "The Contractor shall provide all tools and consumables. Spare parts are charged at cost and remain the \
             property of the Contractor until they are paid for.",
            "# 2. Term and termination",
            "This Agreement commences on the date first written above and continues for twenty-four months. Either \
             party may terminate it by giving three months' written notice. A party may terminate with immediate \
             effect if the other commits a material breach and fails to remedy it within thirty days.",
            "# 3. Fees and payment",
            "The Client shall pay a monthly fee of EUR 2,150.00 within thirty days of receipt of a proper invoice. \
             Late payments bear interest at four per cent above the base rate.",
        ],
        &[
            "# 4. Warranties",
            "The Contractor warrants that the services will be performed with reasonable skill and care by qualified \
             staff, and in accordance with the safety rules that apply at the Client's works.",
            "# 5. Limitation of liability",
            "Neither party shall be liable for indirect or consequential loss. The total liability of either party \
             under this Agreement shall not exceed the fees paid in the preceding twelve months, except in the case \
             of gross negligence or wilful misconduct.",
            "# 6. Indemnification",
            "Each party shall indemnify and hold harmless the other against claims of third parties that arise from \
             its breach of this Agreement.",
            "# 7. Insurance",
            "The Contractor shall maintain public liability insurance of not less than EUR 2,000,000 throughout the \
             term and shall produce evidence of it on request.",
            "# 8. Force majeure",
            "Neither party is responsible for delay caused by events beyond its reasonable control, provided that it \
             notifies the other without undue delay.",
        ],
        &[
            "# 9. Assignment",
            "Neither party may assign this Agreement without the prior written consent of the other.",
            "# 10. Governing law",
            "This Agreement shall be governed by and construed in accordance with the laws of Norway. The courts of \
             Oslo have exclusive jurisdiction.",
            "# 11. Entire agreement",
            "This Agreement, with its schedules, constitutes the entire agreement between the parties and may be \
             amended only in writing.",
            "IN WITNESS WHEREOF the parties have executed this Agreement.",
        ],
    ];
    let mut sheets = Vec::new();
    for (number, paragraphs) in (1..).zip(pages) {
        let mut sheet = Sheet::a4(fonts);
        if number == 1 {
            sheet.centred(Style::new(Face::SerifBold, 20.0), "SERVICES AGREEMENT");
            sheet.gap(2.0);
            sheet.centred(BOLD, "Contract No. HTW-2026-118");
            sheet.gap(7.0);
        }
        for paragraph in paragraphs {
            match paragraph.strip_prefix("# ") {
                Some(heading) => {
                    sheet.line(BOLD, heading);
                    sheet.gap(1.5);
                }
                None => sheet.paragraph(BODY, paragraph),
            }
        }
        if number == 3 {
            sheet.gap(6.0);
            signature_block(
                &mut sheet,
                "Signature:",
                "For the Client, Halden Tool Works AS",
                &[
                    ("Name:", "Ingrid Solberg"),
                    ("Title:", "Head of Production"),
                    ("Email:", "ingrid.solberg@example.com"),
                    ("Date:", ""),
                ],
            );
            signature_block(
                &mut sheet,
                "Signature:",
                "For the Contractor, Ferrow Maintenance Ltd.",
                &[
                    ("Name:", "Peter Ferrow"),
                    ("Title:", "Director"),
                    ("Email:", "peter@ferrow.example.com"),
                    ("Date:", ""),
                ],
            );
        }
        sheet.y = 280.0;
        sheet.gap(0.0);
        sheet.centred(SMALL, &format!("Services Agreement HTW-2026-118, page {number} of 3"));
        sheets.push(sheet);
    }
    Document::new(
        "contract",
        sheets,
        &[
            ("contract_number", "HTW-2026-118"),
            ("effective_date", "2026-09-01"),
            ("party_1", "Halden Tool Works AS"),
            ("party_2", "Ferrow Maintenance Ltd."),
            ("email", "ingrid.solberg@example.com"),
            ("signature_anchor", "Signature"),
        ],
    )
}
