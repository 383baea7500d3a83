use platen_model::PolicyRef;

use super::super::tests::{kinds, page_text};
use super::*;

#[test]
fn a_value_is_the_same_but_for_case_blanks_and_punctuation() {
    let check = |wanted: &str, read: Option<&str>, same: bool| {
        assert_eq!(same_value(wanted, read), same, "{wanted:?} and {read:?}");
    };
    check("Gasthof Adler", Some("GASTHOF  ADLER."), true);
    check("Gasthof Adler", Some("Gasthof Adle"), false);
    check("2026-03-31", Some("2026-03-31"), true);
    check("2026-03-31", Some("2026-03-13"), false);
    check("12.50", Some("12.50 EUR"), true);
    check("12.50 USD", Some("12.50 EUR"), false);
    check("12.50 EUR", Some("12.50"), false);
    check("12.50", Some("12.51 EUR"), false);
    check("12.50", Some("12.50 each"), false);
    check("", None, true);
    check("", Some("12.50"), false);
    check("12.50", None, false);
}

/// One judged document of a type, decided to be of another at a confidence.
fn judged(truth: &str, decided: &str, confidence: f32, verdict: Verdict) -> Judged {
    let policy =
        PolicyRef { name: "test".into(), version: "1".into(), sha256: platen_model::Digest::of(b"") };
    let decision = Decision {
        document_type: DocumentType(decided.into()),
        confidence,
        verdict,
        reasons: Vec::new(),
        fields: BTreeMap::new(),
        line_items: Vec::new(),
        policy,
    };
    Judged {
        name: "one".into(),
        truth: DocumentType(truth.into()),
        best_is_right: truth == decided,
        strength: 0.0,
        fields: BTreeMap::new(),
        ms: 3.0,
        pages: 2,
        decision,
    }
}

#[test]
fn what_was_decided_alone_is_counted_apart_from_what_was_left_to_a_person() {
    let verdicts = Verdicts {
        judged: vec![
            judged("invoice", "invoice", 0.97, Verdict::Auto),
            judged("invoice", "receipt", 0.93, Verdict::Auto),
            judged("invoice", "invoice", 0.6, Verdict::Review),
            judged("receipt", "receipt", 0.98, Verdict::Auto),
            judged("receipt", "unknown", 0.1, Verdict::Quarantine),
        ],
    };
    assert_eq!(verdicts.share_automatic(), Some(0.6));
    assert_eq!(verdicts.share_right(), Some(2.0 / 3.0));
    let tallies = verdicts.by_type();
    let tally =
        |examples, right, abstained, taken_wrongly| Tally { examples, right, abstained, taken_wrongly };
    assert_eq!(tallies[&DocumentType("invoice".into())], tally(3, 1, 1, 0));
    assert_eq!(tallies[&DocumentType("receipt".into())], tally(2, 1, 1, 1));
    assert_eq!(verdicts.ms_a_page(), Some(1.5));
    assert_eq!(Verdicts::default().share_automatic(), None);
    assert_eq!(Verdicts::default().calibration_error(), None);
}

#[test]
fn the_calibration_error_is_the_distance_of_confidence_from_the_share_that_is_right() {
    let check = |documents: &[(f32, bool)], error: f64| {
        let judged = documents.iter().map(|(confidence, right)| {
            judged("invoice", if *right { "invoice" } else { "memo" }, *confidence, Verdict::Review)
        });
        let found = Verdicts { judged: judged.collect() }.calibration_error().expect("there are documents");
        assert!((found - error).abs() < 1e-6, "{documents:?}: {found}");
    };
    // Of two at 0.5 one is right.
    check(&[(0.5, true), (0.5, false)], 0.0);
    check(&[(0.9, false)], 0.9);
    check(&[(1.0, true)], 0.0);
    // What is too high in one bin does not make up for what is too low in another.
    check(&[(0.95, false), (0.05, true)], 0.95);
    check(&[(0.92, true), (0.98, true), (0.32, false), (0.38, false)], (0.1 + 0.7) / 4.0);
}

#[test]
fn fields_are_judged_by_name() {
    let mut one = judged("invoice", "invoice", 0.9, Verdict::Auto);
    let wanted = [("total", "12.50", Some("12.50 EUR")), ("date", "2026-03-31", None), ("iban", "", None)];
    for (name, wanted, read) in wanted {
        one.fields.insert(name.into(), (wanted.into(), read.map(str::to_owned)));
    }
    assert_eq!(one.wrong_fields().collect::<Vec<_>>(), [("date", "2026-03-31", None)]);
    let verdicts = Verdicts { judged: vec![one.clone(), one] };
    assert_eq!(
        (verdicts.field("total"), verdicts.field("date"), verdicts.field("none")),
        ((2, 2), (0, 2), (0, 0))
    );
    assert_eq!(verdicts.field_names(), ["date", "iban", "total"]);
}

fn example(text: &str, document_type: &str) -> Example {
    Example {
        name: text.chars().take(12).collect(),
        document_type: DocumentType(document_type.into()),
        fields: BTreeMap::new(),
        file_name: String::new(),
        source: String::new(),
        captured_on: None,
        text: page_text(text),
    }
}

#[test]
fn each_example_is_judged_once_by_what_the_other_half_says() {
    let mut examples: Vec<Example> = kinds().map(|(_, kind, text)| example(text, kind)).collect();
    // Weak documents that are something else, in both halves.
    examples.extend((0..24).map(|_| example("invoice\n", "unknown")));
    let rules = RuleSet::shipped();
    let verdicts = split_judged(&examples, &rules).expect("both halves carry a fit");
    assert_eq!(verdicts.judged.len(), examples.len());
    let mut names: Vec<&str> = verdicts.judged.iter().map(|judged| judged.name.as_str()).collect();
    let mut wanted: Vec<&str> = examples.iter().map(|example| example.name.as_str()).collect();
    names.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(names, wanted);

    // Every other one wrong: each half by itself ends one way, and so nothing is fitted.
    let halves: Vec<Example> =
        (0..80).map(|at| example("invoice\n", if at % 2 == 0 { "invoice" } else { "unknown" })).collect();
    assert!(matches!(split_judged(&halves, &rules), Err(FitError::OneSided(40, _))));
}

#[test]
fn halves_are_fitted_by_the_method_of_the_whole() {
    let (_, _, strong) = kinds().find(|(_, kind, _)| *kind == "invoice").expect("there is an invoice");
    let middle = "INVOICE\n";
    // Of one strength a document in ten is right, of the next two, and of the last nearly all are: no logistic curve.
    let mut examples = Vec::new();
    for at in 0..140 {
        let rarest = if at % 10 < 1 { "invoice" } else { "unknown" };
        let rare = if at % 10 < 2 { "invoice" } else { "unknown" };
        let often = if at % 20 < 2 { "unknown" } else { "invoice" };
        examples.extend([
            example("invoice\n", rarest),
            example("invoice\n", rarest),
            example(middle, rare),
            example(middle, rare),
        ]);
        examples.extend([example(strong, often), example(strong, often)]);
    }
    let verdicts = split_judged(&examples, &RuleSet::shipped()).expect("both halves carry a fit");
    let at_middle: Vec<f32> = verdicts
        .judged
        .iter()
        .filter(|judged| judged.name == "INVOICE\n")
        .map(|judged| judged.decision.confidence)
        .collect();
    assert_eq!(at_middle.len(), 280);
    assert!(at_middle.iter().all(|confidence| (confidence - 0.2).abs() < 0.02), "{:?}", at_middle[0]);
}

#[test]
fn an_example_is_read_by_the_day_of_its_capture() {
    let text = "INVOICE\nInvoice number 17-4\nInvoice date 14 June 2027\nTotal due EUR 5.00\n";
    let check = |captured_on: Option<jiff::civil::Date>, is_read: bool| {
        let example = Example { captured_on, ..example(text, "invoice") };
        let verdicts = judge(&[example], &RuleSet::shipped());
        assert_eq!(
            verdicts.judged[0].decision.fields.contains_key("invoice_date"),
            is_read,
            "{captured_on:?}"
        );
    };
    check(None, true);
    check(Some(jiff::civil::date(2027, 7, 1)), true);
    check(Some(jiff::civil::date(2026, 12, 1)), false);
}
