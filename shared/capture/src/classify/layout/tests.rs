use platen_model::{CheckBox, PageText, Rect};
use proptest::prelude::*;

use super::super::tests::page_text;
use super::*;

const FORM: &str = "\
APPLICATION FOR A PARKING PERMIT
City of Harlow, Department of Traffic
Family name: {name}
Date of birth: {born}
Registration mark of the vehicle: {mark}
Street and house number: {street}
Permit wanted for the quarter: {quarter}

I confirm that the statements above are complete and true.
Fee paid at the counter: {fee}
Signature of the applicant
";

fn filled(values: [&str; 6]) -> PageText {
    let names = ["{name}", "{born}", "{mark}", "{street}", "{quarter}", "{fee}"];
    page_text(
        &names.iter().zip(values).fold(FORM.to_owned(), |form, (name, value)| form.replace(name, value)),
    )
}

fn first() -> PageText {
    filled(["Okafor", "14.02.1988", "HK 4471", "Mill Lane 12", "Northgate", "EUR 45.00"])
}

fn second() -> PageText {
    filled([
        "Lindqvist-Berg",
        "03.11.1971",
        "BX 90 112",
        "Upper Canal Street 7 b",
        "Old Harbour",
        "EUR 120.50",
    ])
}

/// The words moved and stretched, as another scanner would lay them.
fn scanned_elsewhere(text: &PageText, dx: i64, dy: i64, scale: f32) -> PageText {
    let mut text = text.clone();
    for page in &mut text.pages {
        let scaled = |length: u32| (length as f32 * scale).round() as u32;
        (page.width_px, page.height_px) = (scaled(page.width_px), scaled(page.height_px));
        let words = page.words.iter_mut().map(|word| &mut word.rect);
        for rect in words.chain(page.check_boxes.iter_mut().map(|found| &mut found.rect)) {
            let moved = |at: u32, by: i64| u32::try_from(i64::from(scaled(at)) + by).unwrap_or(0);
            let Rect { x, y, w, h } = *rect;
            *rect = Rect { x: moved(x, dx), y: moved(y, dy), w: scaled(w), h: scaled(h) };
        }
    }
    text
}

/// The box around words of the first page.
fn around(text: &PageText, wanted: &str) -> Rect {
    let words = wanted.split(' ').map(|wanted| {
        text.pages[0].words.iter().find(|word| word.text == wanted).expect("the word stands there").rect
    });
    let boxed = words.reduce(|one, two| Rect {
        x: one.x.min(two.x),
        y: one.y.min(two.y),
        w: (one.x + one.w).max(two.x + two.w) - one.x.min(two.x),
        h: (one.y + one.h).max(two.y + two.h) - one.y.min(two.y),
    });
    boxed.expect("words were named")
}

/// A box as a person draws it: with room around, to the right most of all.
fn drawn(rect: Rect) -> Rect {
    Rect { x: rect.x - 6, y: rect.y - 6, w: rect.w + 260, h: rect.h + 12 }
}

fn taught() -> Template {
    let text = first();
    let mut template = Template::of(&text);
    let mut teach = |name: &str, kind, words: &str| {
        let field = TaughtField { kind, page: 0, rect: drawn(around(&text, words)) };
        template.teach(name, field).expect("the box is on the page");
    };
    teach("family_name", ValueKind::Text, "Okafor");
    teach("born", ValueKind::Date, "14.02.1988");
    teach("street", ValueKind::Text, "Mill Lane 12");
    teach("fee", ValueKind::Money, "EUR 45.00");
    template
}

fn values(template: &Template, text: &PageText) -> Vec<(String, String)> {
    template.read(text).into_iter().map(|(name, field)| (name, field.value)).collect()
}

#[test]
fn a_form_is_known_again_whoever_filled_it_in() {
    let (first, second) = (Fingerprint::of(&first()), Fingerprint::of(&second()));
    let likeness = first.likeness(&second);
    assert!(first.is_same_form(&second), "{likeness}");
    assert!(likeness < 1.0, "what was filled in differs");
}

#[test]
fn another_text_and_the_same_text_in_another_layout_are_other_forms() {
    let form = Fingerprint::of(&first());
    let check = |text: &str, what: &str| {
        let other = Fingerprint::of(&page_text(text));
        assert!(!form.is_same_form(&other), "{what}: {}", form.likeness(&other));
    };
    let letter = "City of Harlow, Department of Traffic\n\nDear Ms Okafor,\nwe have received your application for a parking \
                  permit.\nThe permit will be sent to you within the next two weeks.\nSincerely\nThe Department of Traffic\n";
    check(letter, "a letter of the same office");
    let in_a_column = FORM.split_whitespace().collect::<Vec<_>>().join("\n");
    check(&in_a_column, "the same words in a column");
    let note = Fingerprint::of(&page_text("Fee paid at the counter\n"));
    assert!(!note.tells() && !note.is_same_form(&note), "three words are no form");
}

#[test]
fn taught_fields_are_read_from_the_next_copy() {
    let read = values(&taught(), &second());
    let expected = [
        ("born", "1971-11-03"),
        ("family_name", "Lindqvist-Berg"),
        ("fee", "120.50 EUR"),
        ("street", "Upper Canal Street 7 b"),
    ];
    assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn a_copy_that_lies_elsewhere_and_has_another_resolution_is_read_alike() {
    let template = taught();
    let here = values(&template, &second());
    for (dx, dy, scale) in [(90, 0, 1.0), (-40, 60, 1.0), (0, -45, 1.5), (70, 80, 0.75), (25, -30, 2.0)] {
        let there = scanned_elsewhere(&second(), dx, dy, scale);
        assert!(template.fits(&there), "moved by {dx}, {dy}, scaled by {scale}");
        assert_eq!(values(&template, &there), here, "moved by {dx}, {dy}, scaled by {scale}");
    }
}

#[test]
fn a_page_without_the_printed_words_gives_no_value() {
    let read = taught().read(&page_text(
        "Minutes of the meeting\n\nMill Lane 12 was sold.\nEUR 45.00 was paid on 14.02.1988\n",
    ));
    assert!(read.is_empty(), "{read:?}");
}

#[test]
fn a_box_outside_of_its_page_is_refused() {
    let mut template = Template::of(&first());
    let mut check = |page: u32, rect: Rect, says: &str| {
        let error = template
            .teach("total", TaughtField { kind: ValueKind::Money, page, rect })
            .expect_err("it is wrong");
        assert!(error.contains(says), "{error}");
    };
    check(1, Rect { x: 1, y: 1, w: 5, h: 5 }, "no page 2");
    check(0, Rect { x: 1, y: 1, w: 0, h: 5 }, "empty");
    check(0, Rect { x: 1_650, y: 1, w: 50, h: 5 }, "outside");
    check(0, Rect { x: u32::MAX, y: 1, w: 5, h: 5 }, "outside");
}

#[test]
fn a_template_holds_no_word_of_the_copy_it_was_taught_on() {
    let kept = serde_json::to_string(&taught()).expect("it is written").to_lowercase();
    let text = first();
    for word in text.pages[0].words.iter().flat_map(|word| word.text.split(|c: char| !c.is_alphanumeric())) {
        let known =
            ["", "family", "name", "fee", "street", "date", "mark"].contains(&word.to_lowercase().as_str());
        let is_number = word.chars().all(|c| c.is_ascii_digit());
        assert!(
            known || is_number || word.len() < 3 || !kept.contains(&word.to_lowercase()),
            "{word:?} is kept"
        );
    }
    let (one, other) = (Template::of(&first()), Template::of(&second()));
    let words = |template: &Template| {
        serde_json::to_value(template).expect("it is written")["pages"][0]["marks"][0][0].clone()
    };
    assert_ne!(words(&one), words(&other), "one word has another hash on another form");
}

#[test]
fn a_template_is_the_same_after_it_was_kept() {
    let template = taught();
    let kept = serde_json::to_string(&template).expect("it is written");
    assert_eq!(serde_json::from_str::<Template>(&kept).expect("it is read"), template);
}

proptest! {
    #[test]
    fn misread_words_take_only_their_own_pairs(spoilt in proptest::collection::vec(0usize..60, 0..6)) {
        let mut text = second();
        for place in spoilt {
            let words = &mut text.pages[0].words;
            let place = place % words.len();
            words[place].text = "~|".into();
        }
        prop_assert!(Fingerprint::of(&first()).likeness(&Fingerprint::of(&text)) > 0.15);
    }

    #[test]
    fn no_page_breaks_the_reading(words in proptest::collection::vec((".{0,12}", 0u32..3_000, 0u32..3_000, 0u32..500, 0u32..90), 0..40)) {
        let mut text = first();
        for (place, (read, x, y, w, h)) in words.into_iter().enumerate() {
            let at = place % text.pages[0].words.len();
            let word = &mut text.pages[0].words[at];
            (word.text, word.rect) = (read, Rect { x, y, w, h });
        }
        taught().read(&text);
        Fingerprint::of(&text);
    }
}

#[test]
fn a_box_to_tick_is_read_where_it_was_shown() {
    let with_boxes = |text: PageText, ticked: [bool; 2]| {
        let mut text = text;
        let line = around(&text, "Fee");
        for (place, ticked) in (0..).zip(ticked) {
            let rect = Rect { x: line.x + 600 + 200 * place, y: line.y, w: 30, h: 30 };
            text.pages[0].check_boxes.push(CheckBox { ticked, confidence: 0.9, rect });
        }
        text
    };
    let shown = with_boxes(first(), [true, false]);
    let mut template = Template::of(&shown);
    let field = TaughtField { kind: ValueKind::CheckBox, page: 0, rect: shown.pages[0].check_boxes[1].rect };
    template.teach("is_new", field).expect("it lies on the page");
    let read = |text: &PageText| template.read(text).remove("is_new").map(|field| field.value);
    assert_eq!(read(&shown).as_deref(), Some("no"));
    let other = with_boxes(second(), [false, true]);
    assert_eq!(read(&other).as_deref(), Some("yes"));
    assert_eq!(read(&scanned_elsewhere(&other, 20, 14, 1.01)).as_deref(), Some("yes"));
    assert_eq!(read(&second()), None, "nothing is drawn there");
}

#[test]
fn a_page_in_the_middle_of_a_long_document_says_why_nothing_can_be_taught_on_it() {
    let form = first();
    let check = |pages: usize, page: u32, can: bool| {
        let text = PageText::new(vec![form.pages[0].clone(); pages]);
        let rect = around(&text, "Okafor");
        let taught = Template::of(&text).teach("name", TaughtField { kind: ValueKind::Text, page, rect });
        assert_eq!(can_be_taught(page as usize, pages), can, "page {page} of {pages}");
        match taught {
            Ok(()) => assert!(can, "page {page} of {pages}"),
            Err(why) => assert!(!can && why.contains("in the middle"), "{why}"),
        }
    };
    check(1, 0, true);
    check(10, 8, true);
    check(12, 7, true);
    check(12, 8, false);
    check(12, 9, false);
    check(12, 10, true);
}
