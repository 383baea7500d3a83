//! Classification as a whole: over the project's own samples, and over any text at all.

use std::time::Instant;

use platen_model::{DocumentType, PageRecord, PageText, Rect, Verdict, Word};
use platen_testdata::{Outcome, samples};
use proptest::prelude::*;

use super::*;

/// Width of a character and height of a line on the pages made here, in pixels.
const CHARACTER: u32 = 14;
const LINE: u32 = 40;

/// Page text as a perfect reader would give it: one block for each group of lines, form feeds between pages.
fn page_text(text: &str) -> PageText {
    let pages = text.split('\u{c}').map(|text| {
        let mut words = Vec::new();
        let mut block = 0;
        for (line, text) in (0..).zip(text.lines()) {
            if text.trim().is_empty() {
                block += 1;
            }
            let mut x = 100;
            for word in text.split_whitespace() {
                let w = CHARACTER * word.chars().count() as u32;
                let rect = Rect { x, y: 150 + LINE * line, w, h: 26 };
                x += w + CHARACTER;
                words.push(Word { text: word.to_owned(), confidence: 0.96, rect, line, block });
            }
        }
        let height = text.lines().count() as u32 * LINE + 300;
        PageRecord {
            width_px: 1654,
            height_px: height.max(2339),
            dpi: 200,
            mean_confidence: 0.96,
            words,
            ..PageRecord::default()
        }
    });
    PageText::new(pages.collect())
}

#[test]
fn every_sample_is_named_rightly_and_only_the_clear_ones_go_on_alone() {
    let rules = RuleSet::shipped();
    for sample in samples() {
        let Outcome::Document { verdict } = &sample.expected.outcome else { continue };
        let decision = classify(&page_text(&sample.expected.text), "", &rules);
        let expected = if verdict == "auto" { Verdict::Auto } else { Verdict::Review };
        let said = format!(
            "{}: {} {:.2} {:#?}",
            sample.name, decision.document_type, decision.confidence, decision.reasons
        );
        assert_eq!(decision.verdict, expected, "{said}");
        if expected == Verdict::Auto {
            assert_eq!(decision.document_type.0, sample.expected.document_type, "{said}");
        }
    }
}

#[test]
fn every_expected_field_of_the_samples_is_read() {
    let rules = RuleSet::shipped();
    let mut wrong = Vec::new();
    for sample in samples() {
        let decision = classify(&page_text(&sample.expected.text), "", &rules);
        for (name, value) in &sample.expected.fields {
            let read = decision.fields.get(name).map(|field| field.value.as_str());
            if read != Some(value) {
                wrong.push(format!("{} {name}: expected {value}, read {read:?}", sample.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_reason_names_its_rule_its_words_and_their_place() {
    let decision =
        classify(&page_text("INVOICE\nInvoice number: 17-4\nTotal due EUR 5.00\n"), "", &RuleSet::shipped());
    let reason =
        decision.reasons.iter().find(|reason| reason.rule == "invoice/title").expect("the title speaks");
    assert_eq!((reason.seen.as_str(), reason.page), ("INVOICE", 0));
    assert!(reason.rect.is_some_and(|rect| rect.w > 0));
}

#[test]
fn a_file_name_alone_decides_nothing() {
    let decision = classify(&page_text(""), "invoice.pdf", &RuleSet::shipped());
    assert!(decision.document_type.is_unknown() && decision.confidence == 0.0, "{decision:?}");
}

#[test]
fn a_page_takes_less_than_ten_milliseconds() {
    let rules = RuleSet::shipped();
    let samples = samples();
    let texts: Vec<PageText> = samples.iter().map(|sample| page_text(&sample.expected.text)).collect();
    let pages: usize = texts.iter().map(|text| text.pages.len()).sum();
    let started = Instant::now();
    for text in &texts {
        classify(text, "", &rules);
    }
    let each = started.elapsed().as_secs_f64() * 1000.0 / pages as f64;
    println!("{each:.2} ms a page");
    // Ten times the promise: a busy machine must not fail the test, a quadratic rule must.
    assert!(each < 100.0, "{each:.1} ms a page");
}

fn any_word() -> impl Strategy<Value = Word> {
    let texts = prop_oneof![
        "\\PC{0,12}",
        "[0-9.,/-]{1,12}",
        Just("Invoice".to_owned()),
        Just("Signature:".to_owned()),
        Just("between".to_owned()),
        Just("and".to_owned()),
        Just("total".to_owned()),
        Just("DE89".to_owned()),
    ];
    let numbers = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>());
    (texts, 0.0f32..=1.0, numbers, 0u32..9, 0u32..3).prop_map(
        |(text, confidence, (x, y, w, h), line, block)| {
            let rect = Rect { x: x >> 18, y: y >> 18, w: w >> 20, h: h >> 20 };
            Word { text, confidence, rect, line, block }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_text_makes_classification_panic_or_doubt_its_own_bounds(
        pages in prop::collection::vec(prop::collection::vec(any_word(), 0..60), 0..4),
        name in "\\PC{0,20}",
    ) {
        let rules = RuleSet::shipped();
        let record = |words| PageRecord { width_px: 1654, height_px: 2339, words, ..PageRecord::default() };
        let text = PageText::new(pages.into_iter().map(record).collect());
        let decision = classify(&text, &name, &rules);
        prop_assert!((0.0..=1.0).contains(&decision.confidence));
        prop_assert_eq!(&decision, &classify(&text, &name, &rules));
        for field in decision.fields.values() {
            prop_assert!((0.0..=1.0).contains(&field.confidence));
        }
    }

    #[test]
    fn without_words_the_answer_is_unknown(pages in 0usize..6, name in "\\PC{0,20}") {
        let text = PageText::new(vec![PageRecord::default(); pages]);
        let decision = classify(&text, &name, &RuleSet::shipped());
        prop_assert_eq!(decision.document_type, DocumentType::unknown());
        prop_assert_eq!(decision.verdict, Verdict::Review);
        prop_assert!(decision.fields.is_empty());
    }
}
