//! Pages whose reading order is easily got wrong: tables with rules and without, and prose in columns.

use super::{BODY, BOLD, PLAIN, SMALL};
use crate::paper::{Align, Column, Face, Fonts, Sheet, Style};

/// A table with a rule around every cell, between two paragraphs.
pub(crate) fn ruled_table(fonts: &Fonts) -> Sheet<'_> {
    let mut sheet = Sheet::a4(fonts);
    sheet.line(Style::new(Face::SansBold, 16.0), "Inventory of the north store");
    sheet.gap(4.0);
    sheet.paragraph(
        BODY,
        "Counted on the second of March by the two persons who sign below. What was found broken is listed with \
         the rest and marked in the last column, so that nothing is counted twice when it is mended.",
    );
    let edges = [0.0, 16.0, 78.0, 104.0, 132.0, 166.0].map(|x| sheet.left + x);
    let rows: [[&str; 5]; 9] = [
        ["No.", "Article", "Shelf", "Pieces", "Condition"],
        ["1", "Canvas sack, large", "east", "240", "good"],
        ["2", "Packing rope, hemp", "west", "35", "good"],
        ["3", "Wooden crate with lid", "loft", "118", "6 broken"],
        ["4", "Iron bracket", "loft", "1,250", "good"],
        ["5", "Lamp glass", "east", "64", "2 broken"],
        ["6", "Tin of varnish", "west", "27", "opened"],
        ["7", "Hand cart", "yard", "4", "good"],
        ["8", "Ladder, three metres", "yard", "3", "1 broken"],
    ];
    let height = 8.0;
    for row in rows {
        let top = sheet.y;
        for pair in edges.windows(2) {
            sheet.outline(pair[0], top, pair[1] - pair[0], height);
        }
        sheet.y = top + 1.6;
        let columns: Vec<Column> = edges.iter().map(|edge| (edge + 2.0, Align::Left)).collect();
        sheet.row(if row[0] == "No." { BOLD } else { PLAIN }, &columns, &row);
        sheet.y = top + height;
    }
    sheet.gap(8.0);
    sheet.paragraph(
        BODY,
        "The keys were handed over after the count. The store stays closed until the broken pieces are taken away.",
    );
    sheet
}

/// Labels and amounts with nothing between them but white space.
pub(crate) fn plain_table(fonts: &Fonts) -> Sheet<'_> {
    let mut sheet = Sheet::a4(fonts);
    sheet.line(Style::new(Face::SerifBold, 16.0), "Account of the harbour fund");
    sheet.gap(4.0);
    sheet.paragraph(
        BODY,
        "The treasurer presents the account of the past year. All amounts are in crowns, and those of the year \
         before stand beside them.",
    );
    sheet.gap(4.0);
    let columns =
        [(sheet.left, Align::Left), (sheet.right - 32.0, Align::Right), (sheet.right, Align::Right)];
    sheet.row(BOLD, &columns, &["", "this year", "year before"]);
    sheet.gap(2.0);
    for row in [
        ["Membership fees", "48,200", "46,950"],
        ["Mooring charges", "112,640", "98,310"],
        ["Gifts", "5,000", "12,750"],
        ["Interest", "1,384", "1,127"],
        ["Repair of the jetty", "61,905", "18,440"],
        ["Wages", "54,000", "52,500"],
        ["Insurance", "17,316", "16,890"],
        ["Light and power", "6,271", "5,988"],
        ["Postage", "842", "913"],
        ["Balance", "26,890", "64,406"],
    ] {
        sheet.row(BODY, &columns, &row);
        sheet.y += 1.5;
    }
    sheet.gap(8.0);
    sheet.paragraph(
        BODY,
        "The auditors have seen the books and found them in order. The meeting is asked to approve the account.",
    );
    sheet
}

/// Labels at the left edge and what belongs to them far to the right, as forms and letters have them.
pub(crate) fn pairs(fonts: &Fonts) -> Sheet<'_> {
    let mut sheet = Sheet::a4(fonts);
    sheet.line(Style::new(Face::SansBold, 16.0), "Booking confirmation");
    sheet.gap(6.0);
    let column = sheet.left + 105.0;
    sheet.pairs(
        PLAIN,
        column,
        &[
            ("Booking number:", "HX-77120"),
            ("Date of arrival:", "12 June 2026"),
            ("Date of departure:", "19 June 2026"),
            ("Number of guests:", "4"),
            ("Rate for a night:", "148.00"),
            ("Tourist tax:", "22.40"),
            ("Total for the stay:", "1,058.40"),
        ],
    );
    sheet.gap(8.0);
    sheet.paragraph(
        PLAIN,
        "Please bring this confirmation with you. The rooms are ready from three in the afternoon, and the kitchen is \
         open until nine.",
    );
    sheet
}

/// Prose in two columns below a heading.
pub(crate) fn columns(fonts: &Fonts) -> Sheet<'_> {
    let mut sheet = Sheet::a4(fonts);
    sheet.centred(Style::new(Face::SerifBold, 18.0), "On the keeping of lighthouses");
    sheet.gap(6.0);
    let (left, right, top) = (sheet.left, sheet.right, sheet.y);
    let gutter = 8.0;
    let middle = (left + right) / 2.0;
    sheet.right = middle - gutter / 2.0;
    for paragraph in [
        "A lighthouse asks for little and forgives nothing. The lamp must burn from dusk until dawn, and the glass \
         before it must be clean; all else in the keeper's day follows from these two sentences.",
        "In the first years the oil was carried up by hand, a hundred and forty steps with two cans, and the keeper \
         who spilled it cleaned the steps before he slept. Later a pulley was hung from the gallery, which spared \
         the knees and broke the windows.",
        "The log was written at every change of watch: wind, weather, ships that passed, and what had been mended. \
         Those books are kept in the harbour office, and whoever reads them hears the wind.",
    ] {
        sheet.paragraph(BODY, paragraph);
    }
    (sheet.left, sheet.right, sheet.y) = (middle + gutter / 2.0, right, top);
    for paragraph in [
        "Relief came once a month when the sea allowed it. The boat brought bread, letters and paraffin, and took \
         away whatever had become too much: empty barrels, sick men and, once, a piano.",
        "When the light was made electric the keepers stayed for a while, since nobody believed in it. Then the last \
         of them locked the door, and hung the key on a nail that is still there.",
        "Today a small machine looks whether the lamp is lit, and calls a telephone on the mainland when it is not. \
         It has called twice in nine years, both times because of a spider.",
    ] {
        sheet.paragraph(BODY, paragraph);
    }
    sheet
}

/// Two addresses side by side, and below them a bill of hours whose descriptions take several lines.
pub(crate) fn bill(fonts: &Fonts) -> Sheet<'_> {
    let mut sheet = Sheet::a4(fonts);
    let (left, right) = (sheet.left, sheet.right);
    let top = sheet.y;
    for line in ["From", "Tamsin Orchard", "Survey and drawing office", "Quarry Road, Penryn"] {
        sheet.line(PLAIN, line);
    }
    sheet.gap(0.0);
    (sheet.left, sheet.y) = (left + 100.0, top);
    for line in ["To", "Board of the Upper Mill", "The clerk", "Mill Lane, Truro"] {
        sheet.line(PLAIN, line);
    }
    sheet.left = left;
    sheet.gap(12.0);
    sheet.line(Style::new(Face::SansBold, 14.0), "Hours in April");
    sheet.gap(4.0);
    let columns = [(left, Align::Left), (right - 36.0, Align::Right), (right, Align::Right)];
    sheet.row(BOLD, &columns, &["Work", "Hours", "Amount"]);
    sheet.gap(2.0);
    for (work, hours, amount) in [
        (&["Measuring the weir and the", "upper sluice by boat"][..], "11.5", "632.50"),
        (&["Drawing of the wheel house", "in four sheets"][..], "26.0", "1,430.00"),
        (&["Meeting with the board"][..], "3.0", "165.00"),
        (&["Copies and postage"][..], "", "48.20"),
        (&["Sum"][..], "40.5", "2,275.70"),
    ] {
        sheet.row(PLAIN, &columns, &[work[0], hours, amount]);
        work[1..].iter().for_each(|line| sheet.line(PLAIN, line));
        sheet.y += 2.5;
    }
    sheet.gap(10.0);
    sheet.line(SMALL, "Payable within thirty days. Thank you.");
    sheet
}
