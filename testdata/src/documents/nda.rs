//! Two non-disclosure agreements: a mutual one on one page, and a one-way one on two.

use super::{BODY, Document, SMALL, letterhead, signature_block};
use crate::paper::{Face, Fonts, Sheet, Style};
use image::Rgb;

/// Nordwind and Brightwater promise each other silence.
pub(crate) fn mutual_nda(fonts: &Fonts) -> Document<'_> {
    let mut sheet = Sheet::a4(fonts);
    sheet.centred(Style::new(Face::SerifBold, 18.0), "MUTUAL NON-DISCLOSURE AGREEMENT");
    sheet.gap(6.0);
    for paragraph in [
        "This Mutual Non-Disclosure Agreement (the \"Agreement\") is entered into as of March 16, 2026 (the \
         \"Effective Date\") by and between Nordwind Systems GmbH, Hafenstrasse 12, 20457 Hamburg, Germany, and \
         Brightwater Analytics Ltd., 4 Quay Lane, Bristol BS1 5UH, United Kingdom.",
        "1. Purpose. The parties wish to explore a joint tender for harbour sensors and, in that connection, each \
         party may disclose to the other certain confidential information.",
        "2. Confidential Information. \"Confidential Information\" means any technical or business information \
         disclosed by the disclosing party to the receiving party, in writing or orally, that is marked as \
         confidential or should reasonably be understood to be confidential.",
        "3. Obligations. The receiving party shall hold the Confidential Information in strict confidence, shall \
         not disclose it to any third party without prior written consent, and shall use it solely for the Purpose.",
        "4. Exclusions. These obligations do not apply to information that is or becomes publicly known, was \
         rightfully known before disclosure, or is independently developed by the receiving party.",
        "5. Term. This Agreement remains in force for three (3) years from the Effective Date. Upon request, all \
         Confidential Information shall be returned or destroyed.",
        "6. Governing law. This Agreement is governed by the laws of Germany.",
    ] {
        sheet.paragraph(BODY, paragraph);
    }
    sheet.gap(3.0);
    signature_block(
        &mut sheet,
        "Signature:",
        "Nordwind Systems GmbH",
        &[("Name:", "Jonas Weber"), ("Title:", "Managing Director"), ("Email:", "jonas.weber@example.com")],
    );
    signature_block(
        &mut sheet,
        "Signature:",
        "Brightwater Analytics Ltd.",
        &[
            ("Name:", "Amelia Hart"),
            ("Title:", "Chief Operating Officer"),
            ("Email:", "amelia.hart@example.com"),
        ],
    );
    Document::new(
        "nda",
        vec![sheet],
        &[
            ("effective_date", "2026-03-16"),
            ("party_1", "Nordwind Systems GmbH"),
            ("party_2", "Brightwater Analytics Ltd."),
            ("email", "jonas.weber@example.com"),
            ("signature_anchor", "Signature"),
        ],
    )
}

/// Helix discloses, a consultant listens.
pub(crate) fn one_way_nda(fonts: &Fonts) -> Document<'_> {
    let mut first = Sheet::letter(fonts);
    letterhead(
        &mut first,
        Rgb([22, 96, 88]),
        "Helix Orchard Labs, Inc.",
        "870 Market Street, San Francisco, CA 94102",
    );
    first.centred(Style::new(Face::SerifBold, 17.0), "CONFIDENTIALITY AGREEMENT");
    first.gap(6.0);
    for paragraph in [
        "This Confidentiality Agreement is made on 2 June 2026 between Helix Orchard Labs, Inc. (the \"Disclosing \
         Party\") and Marta Kowalska Consulting (the \"Receiving Party\").",
        "WHEREAS the Disclosing Party possesses proprietary information and trade secrets relating to the breeding \
         of drought-resistant apple rootstock; and WHEREAS the Receiving Party needs access to that information in \
         order to prepare a feasibility study;",
        "NOW, THEREFORE, in consideration of the mutual covenants contained herein, the parties agree as follows:",
        "1. Definition. Confidential Information includes data, samples, field notes, designs, customer lists and \
         any copy of them, in whatever form they are disclosed.",
        "2. Non-disclosure and non-use. The Receiving Party agrees not to disclose the Confidential Information to \
         any person other than those of its employees who need to know it, and not to use it for any purpose other \
         than the feasibility study.",
        "3. Standard of care. The Receiving Party shall protect the Confidential Information with at least the same \
         degree of care as its own, and in no case less than reasonable care.",
        "4. Compelled disclosure. If disclosure is required by law, the Receiving Party shall give prompt written \
         notice, so that the Disclosing Party may seek a protective order.",
    ] {
        first.paragraph(BODY, paragraph);
    }
    first.y = 262.0;
    first.gap(0.0);
    first.centred(SMALL, "Page 1 of 2");

    let mut second = Sheet::letter(fonts);
    for paragraph in [
        "5. Return of materials. Upon termination the Receiving Party shall return or destroy all documents and \
         samples that contain Confidential Information and confirm this in writing.",
        "6. No licence. Nothing in this Agreement grants any right or licence under any patent or trade secret.",
        "7. Remedies. The Receiving Party acknowledges that a breach may cause irreparable harm for which damages \
         are not an adequate remedy, and that injunctive relief may be sought.",
        "8. Term. The obligations of confidentiality survive for five (5) years after the date of disclosure.",
        "IN WITNESS WHEREOF, the parties have executed this Agreement as of the date first written above.",
    ] {
        second.paragraph(BODY, paragraph);
    }
    second.gap(8.0);
    signature_block(
        &mut second,
        "By:",
        "Helix Orchard Labs, Inc.",
        &[("Name:", "Ruth Delgado"), ("Title:", "General Counsel"), ("Email:", "ruth.delgado@example.com")],
    );
    signature_block(
        &mut second,
        "By:",
        "Marta Kowalska Consulting",
        &[("Name:", "Marta Kowalska"), ("Title:", "Owner"), ("Email:", "marta@kowalska.example.com")],
    );
    second.y = 262.0;
    second.gap(0.0);
    second.centred(SMALL, "Page 2 of 2");
    Document::new(
        "nda",
        vec![first, second],
        &[
            ("effective_date", "2026-06-02"),
            ("party_1", "Helix Orchard Labs, Inc."),
            ("party_2", "Marta Kowalska Consulting"),
            ("email", "ruth.delgado@example.com"),
            ("signature_anchor", "By"),
        ],
    )
}
