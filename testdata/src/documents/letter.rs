//! Letters: one on one page, one on three, and one that will be locked.

use super::{BODY, Document, SMALL, letterhead, signature_block};
use crate::paper::{Fonts, Sheet};
use image::Rgb;

/// A landlord announces repairs.
pub(crate) fn letter_marlow(fonts: &Fonts) -> Document<'_> {
    let mut sheet = Sheet::a4(fonts);
    let address = "18 Weir Street, York YO1 7HX   office@marlow.example.com";
    letterhead(&mut sheet, Rgb([70, 50, 110]), "Marlow Property Care", address);
    for line in ["Ms Eleanor Price", "Flat 6, Tanner Court", "York YO10 4DL"] {
        sheet.line(BODY, line);
    }
    sheet.gap(6.0);
    sheet.line(BODY, "3 November 2026");
    sheet.gap(8.0);
    sheet.line(BODY, "Dear Ms Price,");
    sheet.gap(3.0);
    for paragraph in [
        "Thank you for your letter of 26 October about the damp in the stairwell of Tanner Court. Our surveyor visited \
         the building last Thursday and found that the gutter above the rear entrance has come loose, so that rain runs \
         down the wall behind the plaster.",
        "We have asked a roofer to refix the gutter during the week of 16 November. The work will take two days. You \
         will not need to be at home, but we would be grateful if bicycles could be kept out of the rear passage until \
         the scaffold has been taken down.",
        "Once the wall has dried, which may take until the end of January, the stairwell will be plastered and painted. \
         We are sorry for the trouble this has caused you and your neighbours, and we will write again when the painter \
         has given us a day.",
        "If you have any questions in the meantime, please do not hesitate to call me at the office.",
    ] {
        sheet.paragraph(BODY, paragraph);
    }
    sheet.gap(4.0);
    sheet.line(BODY, "Yours sincerely,");
    sheet.gap(16.0);
    sheet.line(BODY, "Daniel Okafor");
    sheet.line(BODY, "Property Manager");
    Document::new("letter", vec![sheet], &[("date", "2026-11-03"), ("email", "office@marlow.example.com")])
}

/// A museum writes at length; the scanner will write each page into a file of its own.
pub(crate) fn letter_in_three_pages(fonts: &Fonts) -> Document<'_> {
    let pages: [&[&str]; 3] = [
        &[
            "I am writing to thank you and the members of the rowing club for the offer of the eight-oared boat \
             \"Perseverance\", built in 1908, and for the papers that came with it. The trustees considered the offer \
             at their meeting in September and have asked me to tell you how delighted they are to accept it.",
            "As you know, the museum has little room. The boat is nearly nineteen metres long and cannot be turned in \
             the entrance hall. We have therefore measured the old rope walk behind the museum, which is dry, cool and \
             wide enough, and we propose to show the boat there, hung from the beams at the height of a visitor's eye.",
            "Before it can be moved, a conservator will look at the hull. Two of the planks near the bow have opened, \
             and the varnish has been renewed at least three times. She expects to need five weeks and would like to \
             begin in the new year, when the school visits are over.",
        ],
        &[
            "Your papers are a treasure of their own. The log of the 1911 season names every oarsman and gives the \
             weather for each outing in a hand that is a pleasure to read. With your permission we would like to copy \
             all four volumes, so that visitors can turn the pages without touching them.",
            "Several of our volunteers have family names that appear in the log. One of them, Mrs Ashdown, believes that \
             her grandfather steered the boat in the regatta of 1912, and she has found a photograph of the crew which \
             she would gladly lend for the opening.",
            "We would also like to record the memories of members who still rowed in the boat before it was retired in \
             the nineteen-fifties. If you could suggest three or four people, our archivist will visit them at home \
             with a small recorder and a large cake.",
        ],
        &[
            "As to the cost, the trustees have set aside a sum for the conservator and for the beams. The transport from \
             the boathouse will be given by a haulier who rowed for the club himself, and who has promised to drive \
             very slowly.",
            "We hope to open the rope walk on the first Saturday in June and to invite every member of the club. Perhaps \
             the present first crew would like to carry the boat the last hundred metres; there will be tea for all who \
             help and for all who watch.",
            "I look forward to hearing from you, and thank you once more for so generous a gift.",
        ],
    ];
    let mut sheets = Vec::new();
    for (number, paragraphs) in (1..).zip(pages) {
        let mut sheet = Sheet::a4(fonts);
        if number == 1 {
            let address = "The Quay, Exmouth   curator@harbourmuseum.example.com";
            letterhead(&mut sheet, Rgb([20, 80, 120]), "Harbour Museum", address);
            for line in ["Mr Robert Fenwick", "Exe Rowing Club", "Exmouth"] {
                sheet.line(BODY, line);
            }
            sheet.gap(6.0);
            sheet.line(BODY, "21 October 2026");
            sheet.gap(8.0);
            sheet.line(BODY, "Dear Mr Fenwick,");
            sheet.gap(3.0);
        } else {
            sheet.line(SMALL, &format!("Mr Robert Fenwick, 21 October 2026, page {number}"));
            sheet.gap(8.0);
        }
        for paragraph in paragraphs {
            sheet.paragraph(BODY, paragraph);
        }
        if number == 3 {
            sheet.gap(4.0);
            sheet.line(BODY, "Yours sincerely,");
            sheet.gap(16.0);
            sheet.line(BODY, "Harriet Lowe");
            sheet.line(BODY, "Curator");
        }
        sheets.push(sheet);
    }
    Document::new("letter", sheets, &[("date", "2026-10-21"), ("email", "curator@harbourmuseum.example.com")])
}

/// A letter nobody may read without the password.
pub(crate) fn locked_letter(fonts: &Fonts) -> Document<'_> {
    let mut sheet = Sheet::new(fonts, 148.0, 210.0, 16.0);
    sheet.line(BODY, "Dear Mr Weber,");
    sheet.gap(4.0);
    sheet.paragraph(BODY, "This letter is for your eyes only. The password will reach you by another way.");
    signature_block(&mut sheet, "Signature:", "Yours faithfully", &[]);
    Document::new("letter", vec![sheet], &[])
}
