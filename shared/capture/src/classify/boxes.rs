//! Boxes to tick: those that are drawn on the page, and those that stand in its text because a program wrote them or a
//! recogniser read them beyond doubt.
//!
//! Whose box it is, is told by what stands between: the box nearest to a label on its row, with no other word and no other
//! box between. Where boxes stand as near before a label as behind it, it is the row that tells: one that begins
//! with a box has each before its label.

use std::ops::Range;

use platen_model::{CheckBox, Field, Rect};

use super::evidence::Finder;
use super::fields::{self, Excused, MOST_HITS, field};
use super::reading::Reading;
use super::rules::FieldRule;

/// Whether a box is ticked, and how certain that is.
type Found = (bool, f32);

const EMPTY: [&str; 9] = ["☐", "□", "◻", "❏", "❑", "▢", "[]", "()", "[_]"];
const TICKED: [&str; 16] =
    ["☑", "☒", "■", "◼", "✓", "✔", "✗", "✘", "🗹", "🗷", "[x]", "[v]", "[✓]", "[✔]", "(x)", "[*]"];
/// Certainty of a cross without its box: the lines of the box are not always read.
const BARE: f32 = 0.6;
/// A drawn box is no farther from its label than so many heights of it.
const FARTHEST: u32 = 4;
/// One gap is as wide as another one up to this factor.
const ALIKE: f32 = 1.4;

/// The value of a box.
fn value(ticked: bool) -> String {
    (if ticked { "yes" } else { "no" }).to_owned()
}

/// Whether the box beside the first label that has one is ticked.
pub(super) fn beside_label(finder: &Finder<'_>, rule: &FieldRule) -> Option<Field> {
    let reading = finder.reading;
    let excused = Excused::of(finder, rule);
    let hits = rule.labels.iter().flat_map(|label| finder.find(label)).filter(|hit| !excused.holds(*hit));
    hits.take(MOST_HITS).find_map(|hit| {
        let label = finder.words(hit);
        let found = drawn(reading, &label).or_else(|| read(reading, &label))?;
        Some(Field { confidence: found.confidence * hit.likeness, ..found })
    })
}

/// The box in a part of a page, where there is just one.
pub(super) fn inside(reading: &Reading<'_>, page: usize, holds: impl Fn(Rect) -> bool) -> Option<Field> {
    let mut found = reading.check_boxes(page).iter().filter(|found| holds(found.rect));
    let one = found.next().filter(|_| found.next().is_none())?;
    Some(of_drawn(page, one))
}

fn of_drawn(page: usize, found: &CheckBox) -> Field {
    let (value, page) = (value(found.ticked), page as u32);
    Field { value, text: String::new(), confidence: found.confidence, page, rect: Some(found.rect) }
}

/// The drawn box that belongs to a label.
fn drawn(reading: &Reading<'_>, label: &Range<usize>) -> Option<Field> {
    let page = reading.words[label.start].page;
    let rect = reading.rect_of(label.clone());
    let on_row = |other: Rect| {
        (other.y..other.y + other.h.max(1)).contains(&(rect.y + rect.h / 2))
            || (rect.y..rect.y + rect.h.max(1)).contains(&(other.y + other.h / 2))
    };
    let row: Vec<&CheckBox> = reading.check_boxes(page).iter().filter(|found| on_row(found.rect)).collect();
    let reach = rect.h.max(1).saturating_mul(FARTHEST);
    // The gap to a box, where nothing else stands in it. What was read of the box itself is no other word.
    let gap = |before: bool, found: &CheckBox| {
        let (from, to) =
            if before { (found.rect.x + found.rect.w, rect.x) } else { (rect.x + rect.w, found.rect.x) };
        let between = |other: Rect| {
            let middle = other.x + other.w / 2;
            (from..to.max(from)).contains(&middle)
        };
        let gap = (to + rect.h / 2).checked_sub(from)?.saturating_sub(rect.h / 2);
        let words = fields::page_words(reading, page).filter(|word| !label.contains(word));
        let mut words = words.map(|word| reading.words[word].word.rect);
        let parted = words.any(|word| on_row(word) && between(word) && !overlaps(word, found.rect));
        (gap <= reach && !parted).then_some(gap)
    };
    let nearest = |before: bool| {
        let side =
            row.iter().filter(|found| (found.rect.x + found.rect.w / 2 < rect.x + rect.w / 2) == before);
        side.filter_map(|found| Some((gap(before, found)?, *found))).min_by_key(|(gap, _)| *gap)
    };
    let (before, behind) = (nearest(true), nearest(false));
    let found = match (before, behind) {
        (Some(before), Some(behind)) => {
            let (one, other) = (before.0.max(1) as f32, behind.0.max(1) as f32);
            let is_before = match one.max(other) <= one.min(other) * ALIKE {
                true => begins_with_box(reading, page, &row, on_row),
                false => one < other,
            };
            if is_before { before.1 } else { behind.1 }
        }
        (before, behind) => before.or(behind)?.1,
    };
    Some(of_drawn(page, found))
}

fn overlaps(one: Rect, other: Rect) -> bool {
    one.x < other.x + other.w && other.x < one.x + one.w
}

/// Whether a box stands before all words of its row.
fn begins_with_box(
    reading: &Reading<'_>,
    page: usize,
    row: &[&CheckBox],
    on_row: impl Fn(Rect) -> bool,
) -> bool {
    let first = row.iter().map(|found| found.rect.x).min().unwrap_or(u32::MAX);
    let is_box = |rect: Rect| row.iter().any(|found| overlaps(rect, found.rect));
    let rects = fields::page_words(reading, page).map(|word| reading.words[word].word.rect);
    !rects.filter(|rect| on_row(*rect) && !is_box(*rect)).any(|rect| rect.x < first)
}

/// The box before a label or behind it, as the page's text has it.
fn read(reading: &Reading<'_>, label: &Range<usize>) -> Option<Field> {
    let line = reading.line(label.start).words.clone();
    // A box may be two words: a bracket that opens, and one that closes.
    let before =
        (1..=2).filter_map(|count| label.start.checked_sub(count)).filter(|start| *start >= line.start);
    let before = before.map(|start| (start..label.start).collect::<Vec<_>>());
    let behind = (1..=2).map(|count| label.end + count).filter(|end| *end <= line.end);
    let behind = behind.map(|end| (label.end..end).collect::<Vec<_>>());
    let glued = leading(&reading.words[label.start].word.text);
    let glued = glued.map(|found| (vec![label.start], found));
    let apart = before.chain(behind).find_map(|places| {
        let text: String = places.iter().map(|word| reading.words[*word].word.text.as_str()).collect();
        whole(&text).map(|found| (places, found))
    });
    let (places, (ticked, certainty)) = glued.or(apart)?;
    Some(field(reading, places, value(ticked), certainty))
}

/// A text that is a box and nothing else.
fn whole(text: &str) -> Option<Found> {
    let bare = text.trim_end_matches([':', '.']).to_lowercase();
    match bare.as_str() {
        bare if EMPTY.contains(&bare) => Some((false, 1.0)),
        bare if TICKED.contains(&bare) => Some((true, 1.0)),
        "x" => Some((true, BARE)),
        _ => None,
    }
}

/// A box at the beginning of a text that goes on: `[x]Yes`.
fn leading(text: &str) -> Option<Found> {
    let text = text.to_lowercase();
    let begins = |boxes: &[&str]| boxes.iter().any(|known| text.starts_with(known));
    match (begins(&TICKED), begins(&EMPTY)) {
        (true, _) => Some((true, 1.0)),
        (_, true) => Some((false, 1.0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use platen_model::{DocumentType, PageText};

    use super::super::tests::columns_text;
    use super::super::{Origin, RuleSet, classify_as};
    use super::*;

    /// A page on which `%` and `#` are drawn boxes, the second ticked; after `o` a recogniser took one for a letter.
    fn drawn_on(text: &str) -> PageText {
        let mut text = columns_text(text);
        let page = &mut text.pages[0];
        let is_box = |text: &str| ["%", "#", "o%"].contains(&text);
        for word in page.words.iter_mut().filter(|word| is_box(&word.text)) {
            let rect = Rect { y: word.rect.y + 6, w: 14, h: 14, ..word.rect };
            page.check_boxes.push(CheckBox { ticked: word.text == "#", confidence: 0.9, rect });
            word.text.retain(|c| c == 'o');
        }
        page.words.retain(|word| !word.text.is_empty());
        text
    }

    #[test]
    fn a_drawn_box_belongs_to_the_label_that_it_stands_next_to() {
        let check = |text: &str, label: &str, expected: Option<&str>| {
            let rules = format!(
                "type = \"poem\"\nthresholds = {{ auto = 0.9, review = 0.5 }}\nevidence = []\n\
                 [[field]]\nname = \"box\"\nkind = \"check_box\"\nlabels = [\"{label}\"]\n"
            );
            let rules = RuleSet::with_shipped("poem.toml", &rules);
            let named = DocumentType("poem".into());
            let decision = classify_as(&drawn_on(text), &named, &Origin::default(), &rules);
            let found = decision.fields.get("box");
            assert_eq!(found.map(|field| field.value.as_str()), expected, "{label} on {text}");
            assert!(found.is_none_or(|field| field.rect.is_some() && field.confidence <= 0.9));
        };
        for (text, yes, no) in [
            ("% Yes      # No", "no", "yes"),
            ("Yes %      No #", "no", "yes"),
            ("# Yes % No", "yes", "no"),
            ("Yes # No %", "yes", "no"),
            ("Married: % Yes      # No", "no", "yes"),
            ("# Yes\n% No", "yes", "no"),
            ("o% Yes      # No", "no", "yes"),
        ] {
            check(text, "yes", Some(yes));
            check(text, "no", Some(no));
        }
        check("#             urgent", "urgent", None);
        check("# not very urgent", "urgent", None);
        check("#\n\nurgent", "urgent", None);
        check("it is urgent", "urgent", None);
    }

    #[test]
    fn boxes_are_told_from_words() {
        let check = |text: &str, ticked: Option<bool>| {
            assert_eq!(whole(text).map(|found| found.0), ticked, "{text}");
        };
        for (text, ticked) in
            [("☒", true), ("[X]", true), ("☐", false), ("[]", false), ("(x):", true), ("X", true)]
        {
            check(text, Some(ticked));
        }
        for text in ["", "Yes", "[12]", "xx", "O", "(see)"] {
            check(text, None);
        }
        assert_eq!(leading("[x]Yes").map(|found| found.0), Some(true));
        assert_eq!(leading("☐No").map(|found| found.0), Some(false));
        assert_eq!(leading("Xavier"), None);
    }
}
