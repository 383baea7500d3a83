//! Whom a document is addressed to: the customer of an invoice, the supplier of an order, the reader of a letter.
//!
//! Their name and address are one block of lines that begin at one edge: under a label ("Bill to:"), beside it, or without
//! one where letters have their address, on the left below the letterhead (DIN 5008, and the window of an envelope
//! anywhere). What stands beside the block on the same rows is another block. The first line is the name; the address
//! ends with the last line that looks like one, and a line that begins something else, such as a telephone number or
//! another label, ends the block.

use std::ops::Range;

use platen_model::{Field, Rect};

use super::evidence::Finder;
use super::fields::{self, Excused, MOST_HITS, field};
use super::letterhead::{self, Line};
use super::reading::Reading;
use super::rules::FieldRule;

/// Most lines of a block.
const LINES: usize = 7;
/// The next line of a block begins no farther below the last one than so many heights of type.
const NEXT_LINE: f32 = 1.6;
/// The first one below its label: some leave a line empty.
const FIRST_LINE: f32 = 2.6;
/// Lines of a block begin at one edge up to so many heights of type.
const EDGE: u32 = 3;
/// A gap of so many heights of type parts blocks that stand side by side.
const GAP: u32 = 2;
/// Where letters have their address, as shares of the page: down to here its first line, and left of here its edge.
const WINDOW_DEPTH: std::ops::Range<f32> = 0.08..0.34;
const WINDOW_EDGE: f32 = 0.4;
/// Certainty of a name under its label, and of one in the window.
const LABELLED: f32 = 0.9;
const WINDOW: f32 = 0.75;

/// What stands on the line above a name.
const SALUTATIONS: [&str; 20] = [
    "an", "to", "à", "a", "frau", "herr", "herrn", "familie", "eheleute", "firma", "mr", "mrs", "ms",
    "mr & mrs", "messrs", "madame", "monsieur", "señor", "señora", "sr",
];
/// What a line begins with that names the one who reads it at the addressee's.
const ATTENTION: [&str; 8] =
    ["attn", "attention", "z. hd", "z.hd", "zu handen", "a l'attention", "à l'attention", "a la atención"];

/// A name and an address.
pub(super) struct Addressee {
    pub(super) name: Field,
    pub(super) address: Option<Field>,
}

/// The addressee that a rule's labels lead to, or whose address is in the window where the rule looks without a label.
pub(super) fn find(finder: &Finder<'_>, rule: &FieldRule) -> Option<Addressee> {
    let reading = finder.reading;
    let excused = Excused::of(finder, rule);
    let hits = rule.labels.iter().flat_map(|label| finder.find(label)).filter(|hit| !excused.holds(*hit));
    let labelled = hits.take(MOST_HITS).find_map(|hit| {
        let label = finder.words(hit);
        let beside = block(reading, first_beside(reading, &label)?, LABELLED * hit.likeness);
        beside.or_else(|| block(reading, first_below(reading, &label)?, LABELLED * hit.likeness))
    });
    // The label of an address says nothing else on its line; one inside a sentence leads nowhere.
    labelled.or_else(|| rule.without_label.and_then(|_| in_window(reading)))
}

/// A run of words on one row.
type Cell = Vec<usize>;

fn rect_of(reading: &Reading<'_>, cell: &Cell) -> Rect {
    reading.rect_of(cell.iter().copied())
}

fn middle(rect: Rect) -> u32 {
    rect.y + rect.h / 2
}

/// The words beside a label, as far as they stand together; empty where there are none.
fn first_beside(reading: &Reading<'_>, label: &Range<usize>) -> Option<Cell> {
    let page = reading.words[label.start].page;
    let rect = reading.rect_of(label.clone());
    let begins_line = label.start == reading.line(label.start).words.start || {
        let before = label.start - 1;
        reading.is_apart(before, label.start)
    };
    if !begins_line {
        return None;
    }
    let right = on_row(reading, page, rect).into_iter().filter(|word| {
        let other = reading.words[*word].word.rect;
        !label.contains(word) && other.x + other.w / 2 >= rect.x + rect.w
    });
    let cell = together(reading, right, rect.h);
    let near = |cell: &Cell| {
        cell.is_empty() || rect_of(reading, cell).x <= (rect.x + rect.w).saturating_add(rect.h * GAP)
    };
    Some(if near(&cell) { cell } else { Cell::new() })
}

/// The first line below a label that begins at its edge.
fn first_below(reading: &Reading<'_>, label: &Range<usize>) -> Option<Cell> {
    let rect = reading.rect_of(label.clone());
    below(reading, reading.words[label.start].page, rect, rect.x, FIRST_LINE)
}

/// The words of a page on the row of a box, from left to right.
fn on_row(reading: &Reading<'_>, page: usize, rect: Rect) -> Vec<usize> {
    let same_row = |word: &usize| {
        let other = reading.words[*word].word.rect;
        middle(other).abs_diff(middle(rect)) <= rect.h.max(other.h) / 2
    };
    let mut row: Vec<usize> = fields::page_words(reading, page).filter(same_row).collect();
    row.sort_by_key(|word| reading.words[*word].word.rect.x);
    row
}

/// The first words of a row that no wide gap parts.
fn together(reading: &Reading<'_>, row: impl Iterator<Item = usize>, height: u32) -> Cell {
    let mut cell = Cell::new();
    for word in row {
        let rect = reading.words[word].word.rect;
        let end = cell.last().map(|last| {
            let last = reading.words[*last].word.rect;
            last.x + last.w
        });
        if end.is_some_and(|end| rect.x > end.saturating_add(height.max(rect.h) * GAP)) {
            break;
        }
        cell.push(word);
    }
    cell
}

/// The line below a box, beginning at this edge, if it is near.
fn below(reading: &Reading<'_>, page: usize, rect: Rect, edge: u32, reach: f32) -> Option<Cell> {
    let height = rect.h.max(1);
    let end = rect.y + rect.h;
    let at_edge = |word: &usize| {
        let other = reading.words[*word].word.rect;
        let deep = other.y.saturating_sub(end) as f32 <= height as f32 * reach;
        middle(other) > end && deep && other.x + height * EDGE >= edge
    };
    let top = fields::page_words(reading, page)
        .filter(at_edge)
        .min_by_key(|word| middle(reading.words[*word].word.rect))?;
    let row = on_row(reading, page, reading.words[top].word.rect);
    let row = row.into_iter().filter(|word| reading.words[*word].word.rect.x + height * EDGE >= edge);
    let cell = together(reading, row, height);
    let begin = cell.first().map(|word| reading.words[*word].word.rect.x)?;
    (begin.abs_diff(edge) <= height * EDGE).then_some(cell)
}

/// Reads the block that begins with these words.
fn block(reading: &Reading<'_>, first: Cell, certainty: f32) -> Option<Addressee> {
    let page = reading.words[*first.first()?].page;
    let edge = rect_of(reading, &first).x;
    let mut cells = vec![first];
    while cells.len() < LINES {
        let last = rect_of(reading, cells.last()?);
        let Some(next) = below(reading, page, last, edge, NEXT_LINE) else { break };
        cells.push(next);
    }
    let lines: Vec<Line> = cells.iter().map(|cell| Line::of(reading, cell.clone())).collect();
    let mut lines = lines.as_slice();
    while lines.first().is_some_and(is_preface) {
        lines = &lines[1..];
    }
    let name = lines.first().filter(|line| is_name(line))?;
    let rest: Vec<&Line> = lines[1..]
        .iter()
        .take_while(|line| line.is_address() || !line.is_contact() && !line.text().contains(':'))
        .collect();
    let last = rest.iter().rposition(|line| line.is_address());
    let address = last.map(|last| letterhead::joined(reading, &rest[..=last], certainty * 0.9));
    // A name without an address is believed less: it may be any line.
    let certainty = if address.is_some() { certainty } else { certainty * 0.8 };
    let value = name.text().trim_matches(|c: char| !c.is_alphanumeric() && !".)".contains(c)).to_owned();
    Some(Addressee { name: field(reading, name.words().to_vec(), value, certainty), address })
}

fn is_name(line: &Line) -> bool {
    line.letters() >= 3 && !line.is_contact() && !line.is_address() && !line.text().trim_end().ends_with(':')
}

/// A salutation on a line of its own, or who reads it at the addressee's.
fn is_preface(line: &Line) -> bool {
    let text = line.text().to_lowercase();
    let bare = text.trim_matches(|c: char| !c.is_alphanumeric());
    SALUTATIONS.contains(&bare) || ATTENTION.iter().any(|words| text.starts_with(words))
}

/// The block in the window of an envelope: a name, and an address that ends with a postal code and a place.
fn in_window(reading: &Reading<'_>) -> Option<Addressee> {
    let (width, _) = reading.page_size(0);
    let issuer = letterhead::name(reading).and_then(|name| name.rect);
    let starts = reading.lines.iter().filter(|line| line.page == 0).map(|line| line.words.start);
    let in_window = starts.filter(|&word| {
        let edge = reading.words[word].word.rect.x as f32 / width.max(1) as f32;
        WINDOW_DEPTH.contains(&reading.depth(word)) && edge <= WINDOW_EDGE
    });
    in_window
        .filter_map(|word| {
            let rect = reading.words[word].word.rect;
            let row = on_row(reading, 0, rect).into_iter().filter(|other| *other >= word);
            let first = together(reading, row, rect.h);
            if issuer.is_some_and(|issuer| rect_of(reading, &first).y.abs_diff(issuer.y) <= issuer.h) {
                return None;
            }
            let found = block(reading, first, WINDOW)?;
            let address = found.address.as_ref()?;
            letterhead::has_postal_code(&address.text).then_some(found)
        })
        .next()
}

#[cfg(test)]
mod tests {
    use platen_model::DocumentType;

    use super::super::tests::columns_text;
    use super::super::{Origin, RuleSet, classify_as};

    /// Checks whom a document of a type is addressed to.
    #[track_caller]
    fn check(document_type: &str, field: &str, text: &str, expected: Option<(&str, Option<&str>)>) {
        let named = DocumentType(document_type.into());
        let decision = classify_as(&columns_text(text), &named, &Origin::default(), &RuleSet::shipped());
        let value = |name: &str| decision.fields.get(name).map(|field| field.value.clone());
        let found = value(field).map(|name| (name, value(&format!("{field}_address"))));
        let expected = expected.map(|(name, address)| (name.to_owned(), address.map(str::to_owned)));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn the_customer_stands_under_a_label_beside_another_address() {
        check(
            "invoice",
            "customer",
            "BRIGHTWATER PUMPS LTD\n4 Quay Road\nHull HU1 2AB\n\n\
             Bill to:                     Ship to:\n\
             Marlow & Finch LLP           Finch Storage\n\
             18 Cannon Street             Unit 4, Dock Lane\n\
             London EC4N 6AA              Leeds LS1 4AP\n\
             Phone: 020 7946 0958         Gate 2\n\n\
             Invoice number 7781\n",
            Some(("Marlow & Finch LLP", Some("18 Cannon Street, London EC4N 6AA"))),
        );
    }

    #[test]
    fn the_customer_stands_beside_its_label() {
        check(
            "invoice",
            "customer",
            "Orchard Tools Inc\n\nSold to: Henning Bakery GmbH\n         Hauptstrasse 5\n         79098 Freiburg\n\nInvoice 12\n",
            Some(("Henning Bakery GmbH", Some("Hauptstrasse 5, 79098 Freiburg"))),
        );
    }

    #[test]
    fn an_address_in_the_window_needs_no_label() {
        check(
            "invoice",
            "customer",
            "Lindner Haustechnik GmbH\nWerkstrasse 8, 50667 Koeln\n\n\n\n\
             Frau\nHedda Vinterland\nMuehlenweg 12\n24103 Kiel\n\n\n\
             Rechnung Nr. 2026-118\nSehr geehrte Frau Vinterland,\n",
            Some(("Hedda Vinterland", Some("Muehlenweg 12, 24103 Kiel"))),
        );
    }

    #[test]
    fn who_orders_names_who_supplies() {
        check(
            "purchase_order",
            "supplier",
            "Halden Instruments AS\nStorgata 3\n1771 Halden\n\nPURCHASE ORDER\n\n\
             Supplier                     Order number: PO-4471\n\
             Attn: Sales\n\
             Nordwind Metall GmbH         Order date: 3 May 2026\n\
             Hafenstrasse 21              Currency: EUR\n\
             20457 Hamburg\n",
            Some(("Nordwind Metall GmbH", Some("Hafenstrasse 21, 20457 Hamburg"))),
        );
    }

    #[test]
    fn where_no_address_is_nobody_is_addressed() {
        check("invoice", "customer", "INVOICE\nNumber 12\nTotal 14.00 EUR\n", None);
        check("invoice", "customer", "INVOICE\nthe customer is always right\nTotal 14.00 EUR\n", None);
        check("invoice", "customer", "", None);
    }
}
