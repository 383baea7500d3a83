//! Claims about validation: what a rule says of which document.

use platen_model::{PageRecord, Rect, Word};

use super::*;
use crate::policy::Policy;
use crate::signing::Offers;
use crate::testing::record;

fn policy(validation: &str) -> Result<Policy, String> {
    let text = format!("version = '1'\n{validation}\n[[route]]\nname = 'all'\nwhen = 'true'");
    Policy::parse(&text, "routing.toml", &Offers::new()).map_err(|error| error.to_string())
}

/// Pages of these words, each read this surely.
fn pages(pages: &[(&str, f32)]) -> PageText {
    let page = |(text, confidence): &(&str, f32)| {
        let word = |word: &str| Word {
            text: word.into(),
            confidence: *confidence,
            rect: Rect { x: 0, y: 0, w: 10, h: 10 },
            line: 0,
            block: 0,
        };
        let words = text.split_whitespace().map(word).collect();
        PageRecord { words, mean_confidence: *confidence, ..PageRecord::default() }
    };
    PageText::new(pages.iter().map(page).collect())
}

/// Holds what a rule says of an invoice against what it should say: field and rule of each violation.
fn check(validation: &str, fields: &[(&str, &str)], text: &[(&str, f32)], expected: &[(&str, &str)]) {
    let policy = policy(validation).unwrap_or_else(|error| panic!("{validation}: {error}"));
    let mut document = record("invoice", fields).document;
    let text = pages(text);
    if !text.pages.is_empty() {
        document.page_count = text.pages.len() as u32;
        document.ocr_confidence = text.mean_confidence();
    }
    let found = policy.violations(&document, (!text.pages.is_empty()).then_some(&text));
    let told: Vec<(&str, &str)> = found
        .iter()
        .map(|violation| (violation.field.as_deref().unwrap_or_default(), violation.rule.as_str()))
        .collect();
    assert_eq!(told, expected, "{validation} of {fields:?}: {found:?}");
    for violation in &found {
        let sentences = [&violation.message, &violation.remedy];
        assert!(sentences.iter().all(|text| text.ends_with('.') && text.len() > 10), "{violation:?}");
    }
    let other = policy.violations(&record("letter", fields).document, None);
    let is_for_all = validation.contains("[[validation.check]]") && !validation.contains("types");
    assert!(is_for_all || other.is_empty(), "a letter is no invoice: {other:?}");
}

#[test]
fn required_fields_are_missed() {
    let rules = "[validation.type.invoice]\nrequired = ['total', 'number']";
    check(rules, &[("total", "1.00 EUR"), ("number", "7")], &[], &[]);
    check(rules, &[("total", " ")], &[], &[("total", "required"), ("number", "required")]);
    check("[validation.required]\ninvoice = ['total']", &[], &[], &[("total", "required")]);
}

#[test]
fn fields_have_the_form_they_should_have() {
    let form = |format: &str, value: &str, fits: bool| {
        let rules = format!("[validation.type.invoice.formats]\nx = {format}");
        check(&rules, &[("x", value)], &[], if fits { &[] } else { &[("x", "format")] });
    };
    for (format, value, fits) in [
        ("'date'", "2026-03-31", true),
        ("'date'", "31.03.2026", false),
        ("'date'", "2026-02-30", false),
        ("'money'", "1234.56 EUR", true),
        ("'money'", "1.234,56 EUR", false),
        ("'money'", "1234.56", false),
        ("'number'", "1234.56", true),
        ("'number'", "a few", false),
        ("'iban'", "DE02120300000000202051", true),
        ("'iban'", "DE02120300000000202052", false),
        ("'vat_id'", "DE136695976", true),
        ("'vat_id'", "ATU13585627", true),
        ("'tax_id'", "04-2103594", true),
        ("'tax_id'", "1955839662", false),
        ("'phone'", "+442079460958", true),
        ("'phone'", "020 7946 0958", false),
        ("'vat_id'", "DE136695977", false),
        ("'email'", "ada@example.com", true),
        ("'email'", "ada", false),
        ("{ pattern = '[A-Z]{2}-[0-9]+' }", "AB-12", true),
        ("{ pattern = '[A-Z]{2}-[0-9]+' }", "see AB-12", false),
        ("{ pattern = 'a|b' }", "ab", false),
    ] {
        form(format, value, fits);
    }
    check("[validation.type.invoice.formats]\nx = 'date'", &[], &[], &[]);
    let own = "[validation.type.invoice.formats]\nx = { pattern = 'a', message = 'Not the letter.', remedy = 'Write the letter.' }";
    let found = policy(own).expect("fits").violations(&record("invoice", &[("x", "b")]).document, None);
    assert_eq!(
        (found[0].message.as_str(), found[0].remedy.as_str()),
        ("Not the letter.", "Write the letter.")
    );
}

#[test]
fn conditions_hold_across_fields() {
    let total = "[[validation.check]]\nname = 'within order'\nfield = 'total'\n\
                 holds = 'document.fields.total.number <= document.fields.order_total.number && \
                 document.fields.total.currency == document.fields.order_total.currency'\n\
                 message = 'The total is over the order.'\nremedy = 'Ask who ordered it.'";
    let wrong = [("total", "within order")];
    check(total, &[("total", "100.00 EUR"), ("order_total", "100.00 EUR")], &[], &[]);
    check(total, &[("total", "100.01 EUR"), ("order_total", "100.00 EUR")], &[], &wrong);
    check(total, &[("total", "1.00 USD"), ("order_total", "100.00 EUR")], &[], &wrong);
    check(total, &[("total", "100.01 EUR")], &[], &[]);
    check(total, &[("total", "100,01 EUR"), ("order_total", "200.00 EUR")], &[], &wrong);

    let dates = "[[validation.check]]\nname = 'in order'\ntypes = ['invoice']\n\
                 holds = 'document.fields.due.day - document.fields.issued.day >= 0'\nmessage = 'It is due too soon.'";
    check(dates, &[("issued", "2026-02-28"), ("due", "2026-03-01")], &[], &[]);
    check(dates, &[("issued", "2026-03-01"), ("due", "2026-02-28")], &[], &[("due", "in order")]);
    check(dates, &[("issued", "2026-03-01"), ("due", "soon")], &[], &[("due", "in order")]);
}

#[test]
fn pages_are_as_many_as_they_should_be() {
    let three = [("a", 0.9), ("b", 0.9), ("c", 0.9)];
    let wrong = [("", "pages")];
    let rule = |pages: &str| format!("[validation.type.invoice]\npages = {pages}");
    check(&rule("3"), &[], &three, &[]);
    check(&rule("2"), &[], &three, &wrong);
    check(&rule("{ min = 2, max = 3 }"), &[], &three, &[]);
    check(&rule("{ max = 2 }"), &[], &three, &wrong);
    check(&rule("{ min = 4 }"), &[], &three, &wrong);
    let field = rule("{ field = 'pages' }");
    check(&field, &[("pages", "1 of 3")], &three, &[]);
    check(&field, &[("pages", "4")], &three, &[("pages", "pages")]);
    check(&field, &[("pages", "many")], &three, &[("pages", "pages")]);
    check(&field, &[], &three, &[]);

    let printed = rule("'printed'");
    let sheets = |texts: &[&'static str]| texts.iter().map(|text| (*text, 0.9)).collect::<Vec<_>>();
    check(&printed, &[], &sheets(&["no number", "at all"]), &[]);
    check(&printed, &[], &sheets(&["Page 1 of 2", "Page 2 of 2"]), &[]);
    check(&printed, &[], &sheets(&["Seite 1 von 2", "Seite 2 / 2"]), &[]);
    check(&printed, &[], &sheets(&["Page 1 of 2", "read badly"]), &[]);
    check(&printed, &[], &sheets(&["see page 7 of 9 there page 1 of 3", "Page 3 of 3"]), &wrong);
    check(&printed, &[], &sheets(&["Page 1 of 2", "Page 1 of 2"]), &wrong);
    check(&printed, &[], &sheets(&["Page 1 of 2", "Page 2 of 3"]), &wrong);
    check(&printed, &[], &sheets(&["page 1 sur 1", "another"]), &wrong);
}

#[test]
fn what_was_read_badly_is_not_believed() {
    let wrong = [("", "ocr_quality")];
    let rule = "[validation]\n[validation.type.invoice]\nminimum_ocr_confidence = 0.8";
    check(rule, &[], &[("well read", 0.9)], &[]);
    check(rule, &[], &[("badly read", 0.7)], &wrong);
    check(rule, &[], &[("", 0.0)], &[]);
    let page = "[validation.type.invoice]\nminimum_page_ocr_confidence = 0.8";
    check(page, &[], &[("well read", 0.9), ("badly", 0.7)], &wrong);
    check(page, &[], &[("well read", 0.9), ("", 0.0)], &[]);
}

#[test]
fn wrong_rules_stop_a_policy_from_being_loaded() {
    let check = |rules: &str, part: &str| {
        let error = policy(rules).map(drop).expect_err(rules);
        assert!(error.contains(part), "{rules}: {error}");
    };
    check("[validation]\nminimum_ocr_confidence = 70", "share from 0 to 1");
    check("[validation]\nminimum = 0.7", "unknown field");
    check("[validation.type.invoice.formats]\nx = 'datum'", "there is no format \"datum\"");
    check("[validation.type.invoice.formats]\nx = { pattern = '(' }", "regex");
    check("[validation.type.invoice]\npages = 0", "`pages` is");
    check("[validation.type.invoice]\npages = { min = 3, max = 2 }", "`pages` is");
    check("[validation.type.invoice]\npages = 'some'", "`pages` is");
    check(
        "[[validation.check]]\nname = 'a'\nmessage = 'b'\nholds = 'document.total > 1'",
        "document has no `total`",
    );
    check(
        "[[validation.check]]\nname = 'a'\nmessage = 'b'\nholds = 'document.page_count'",
        "not true or false",
    );
    let twice = "[[validation.check]]\nname = 'a'\nmessage = 'b'\nholds = 'true'\n".repeat(2);
    check(&twice, "two checks are called");
}

#[test]
fn who_may_override_is_for_the_policy_to_say() {
    use crate::auth::Role;
    let check = |by: &str, role: Role, may: bool| {
        let policy = policy(&format!("[validation]\noverride_by = '{by}'")).expect("fits");
        assert_eq!(policy.may_override(&Scopes::of_role(role)), may, "{by}, {role:?}");
    };
    check("nobody", Role::Admin, false);
    check("admin", Role::Admin, true);
    check("admin", Role::Reviewer, false);
    check("reviewer", Role::Reviewer, true);
    check("reviewer", Role::Viewer, false);
}
