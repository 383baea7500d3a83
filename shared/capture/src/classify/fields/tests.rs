use jiff::civil::date;
use platen_model::{DocumentType, PageText, Rect, Word};

use super::super::tests::{columns_text, page_text};
use super::super::{Origin, RuleSet, classify_as};

/// The fields of a document that somebody has named, captured on a day.
fn read(text: &PageText, document_type: &str, rules: &RuleSet) -> Vec<(String, String)> {
    let origin = Origin { day: Some(date(2026, 3, 10)), ..Origin::default() };
    let decision = classify_as(text, &DocumentType(document_type.into()), &origin, rules);
    decision.fields.into_iter().map(|(name, field)| (name, field.value)).collect()
}

fn check(text: &PageText, document_type: &str, field: &str, expected: Option<&str>) {
    let fields = read(text, document_type, &RuleSet::shipped());
    let value = fields.iter().find(|(name, _)| name == field).map(|(_, value)| value.as_str());
    let words: Vec<&str> = text.pages[0].words.iter().map(|word| word.text.as_str()).collect();
    assert_eq!(value, expected, "{field} of {}", words.join(" "));
}

#[test]
fn what_follows_a_sum_and_is_a_part_of_it_is_not_the_sum() {
    for row in [
        "Gesamtbetrag 119,00 EUR (inkl. 19,00 EUR MwSt.)",
        "Gesamtbetrag 119,00 EUR inkl. 19,00 EUR MwSt.",
        "Gesamtbetrag 119,00 EUR davon MwSt. 19,00 EUR",
        "Total TTC 119,00 EUR dont TVA 19,00 EUR",
        "Total due EUR 119.00 of which VAT EUR 19.00",
        "Total due (gross) EUR 119.00",
        "Gesamtbetrag 100,00 19,00 119,00 EUR",
    ] {
        check(&page_text(row), "invoice", "total", Some("119.00 EUR"));
    }
    let apart = "Gesamtbetrag    119,00 EUR        Skonto bis 5.4.    2,38 EUR";
    check(&columns_text(apart), "invoice", "total", Some("119.00 EUR"));
}

#[test]
fn a_sum_before_tax_or_discount_is_no_total() {
    let check = |text: &str, total: &str| check(&page_text(text), "invoice", "total", Some(total));
    check("Summe netto 1.000,00\nMwSt 190,00\nGesamtsumme 1.190,00 €", "1190.00 EUR");
    check("Summe netto 1.000,00 €\nMwSt 190,00 €\nZahlbetrag 1.190,00 €", "1190.00 EUR");
    check("Total before discount £120.00\nTotal £100.00", "100.00 GBP");
    check("Total excl. VAT £200.00\nLess deposit £140.00\nTotal £100.00", "100.00 GBP");
    check("Total net EUR 100.00\nTotal EUR 119.00", "119.00 EUR");
    check("Total net à payer 119,00 €", "119.00 EUR");
}

#[test]
fn the_total_of_a_credit_note_is_the_sum_furthest_from_nought() {
    check(&page_text("Total -20.00 EUR\n\n\nTotal -120.00 EUR"), "invoice", "total", Some("-120.00 EUR"));
    check(&page_text("Total -200.00 EUR\n\n\nTotal 120.00 EUR"), "invoice", "total", Some("120.00 EUR"));
}

#[test]
fn a_total_to_which_a_printed_tax_is_still_added_is_not_made_sure() {
    let confidence = |last: &str| {
        let text = columns_text(&format!(
            "Description   Quantity   Price     Amount\nPot                  2   50.00     100.00\n\
             Amount payable                EUR  100.00\nVAT                                 19.00\n{last}"
        ));
        let decision =
            classify_as(&text, &DocumentType("invoice".into()), &Origin::default(), &RuleSet::shipped());
        assert_eq!(decision.fields["total"].value, "100.00 EUR");
        decision.fields["total"].confidence
    };
    assert!(confidence("Together                           119.00") < 0.7);
    assert!(confidence("Together                           118.00") > 0.95);
}

#[test]
fn a_count_beside_a_sum_is_no_thousands_of_it() {
    check(&columns_text("TOTAL        4        120.00"), "receipt", "total", Some("120.00"));
    check(&columns_text("TOTAL 4 120.00"), "receipt", "total", Some("4120.00"));
}

#[test]
fn a_sum_in_a_rare_currency_is_not_one_in_the_currency_that_is_mentioned_most() {
    let check = |row: &str, value: &str, certainty: f32| {
        let text = page_text(&format!("Transport 10,00 EUR\nAmbalaj 12,00 EUR\n{row}"));
        let decision =
            classify_as(&text, &DocumentType("invoice".into()), &Origin::default(), &RuleSet::shipped());
        let total = &decision.fields["total"];
        assert_eq!(total.value, value, "{row}");
        assert!(total.confidence <= certainty, "{row}: {}", total.confidence);
    };
    check("Total de plată 1.190,00 RON", "1190.00 RON", 1.0);
    // Four countries have crowns: which is meant nobody knows, and it is not the euro.
    check("Total 120,00 kr", "120.00", 0.85);
    check("Total 120,00", "120.00 EUR", 1.0);
}

#[test]
fn what_has_happened_lies_before_the_capture() {
    check(&page_text("Date of birth 12.05.61"), "identity_document", "date_of_birth", Some("1961-05-12"));
    check(&page_text("Invoice date 03/04/2026"), "invoice", "invoice_date", Some("2026-03-04"));
    check(&page_text("Invoice date 14 June 2026"), "invoice", "invoice_date", None);
    check(&page_text("Invoice date 12 March 2026"), "invoice", "invoice_date", Some("2026-03-12"));
    check(&page_text("Due date 14 June 2026"), "invoice", "due_date", Some("2026-06-14"));
    check(&page_text("Order date 14 June 2026"), "purchase_order", "order_date", None);
    check(&page_text("Date 14/06/2026"), "receipt", "date", None);
}

#[test]
fn an_amount_or_a_date_is_no_number_of_an_invoice() {
    check(&page_text("Invoice amount $450.00"), "invoice", "invoice_number", None);
    check(&page_text("INVOICE 14 February 2026"), "invoice", "invoice_number", None);
    check(&page_text("INVOICE 17-4 of 14 February 2026"), "invoice", "invoice_number", Some("17-4"));
}

#[test]
fn telephones_and_tax_numbers_are_read_beside_their_labels() {
    check(&page_text("Phone: +44 20 7946 0958"), "letter", "phone", Some("+442079460958"));
    check(&page_text("Tel. 030 901820\nUSt-IdNr. DE136695976"), "letter", "phone", Some("+4930901820"));
    check(&page_text("Tel. 020 7946 0958\nTotal £5.00"), "letter", "phone", Some("+442079460958"));
    check(&page_text("Tel. 020 7946 0958"), "letter", "phone", None);
    check(&page_text("Steuernummer: 181/815/08155"), "invoice", "tax_id", Some("181/815/08155"));
    check(&page_text("EIN 04-2103594"), "invoice", "tax_id", Some("04-2103594"));
    check(&page_text("SIRET 732 829 320 00074"), "invoice", "tax_id", Some("73282932000074"));
    check(&page_text("EIN: 91-1144442"), "invoice", "tax_id", Some("91-1144442"));
    check(&page_text("Dies ist ein 732829320 und mehr"), "invoice", "tax_id", None);
    check(&page_text("ein 04-2103594"), "invoice", "tax_id", None);
    check(&page_text("NIF: 54362315K"), "invoice", "tax_id", Some("54362315K"));
    check(&page_text("VAT no. ATU13585627"), "invoice", "vat_id", Some("ATU13585627"));
}

/// A type whose one field is read as given.
fn with_field(field: &str) -> RuleSet {
    let text = format!(
        "type = \"poem\"\nthresholds = {{ auto = 0.9, review = 0.5 }}\nevidence = []\n[[field]]\nname = \"verse\"\n{field}\n"
    );
    RuleSet::with_shipped("poem.toml", &text)
}

#[test]
fn a_field_is_read_by_its_pattern() {
    let check = |field: &str, text: &str, expected: Option<&str>| {
        let fields = read(&page_text(text), "poem", &with_field(field));
        let value = fields.iter().find(|(name, _)| name == "verse").map(|(_, value)| value.as_str());
        assert_eq!(value, expected, "{field} on {text}");
    };
    let number = "kind = \"identifier\"\npatterns = ['\\bV-(\\d+ ?\\d+)\\b', 'no\\. \\w+']";
    check(number, "the verse V-12 34 is read", Some("12 34"));
    check(number, "it is no. X7 here", Some("no. X7"));
    check(number, "nothing\nV-5512\n", Some("5512"));
    check(number, "nothing", None);
    let day = "kind = \"date\"\npatterns = ['written on (.+)']";
    check(day, "printed on 1 May 2025\nwritten on 3 May 2025", Some("2025-05-03"));
    check(day, "written on paper", None);
    let labelled = "kind = \"identifier\"\nlabels = [\"verse\"]\npatterns = ['V-(\\d+)']";
    check(labelled, "V-12\nverse 77", Some("77"));
}

#[test]
fn a_field_is_read_in_its_box_on_the_page() {
    let rules = with_field("kind = \"date\"\nbox = [0.5, 0.0, 0.5, 0.2]");
    let text = columns_text(
        "3 May 2025                                                           4 June 2025\nrest",
    );
    assert_eq!(read(&text, "poem", &rules), [("verse".to_owned(), "2025-06-04".to_owned())]);
    let elsewhere = columns_text("3 May 2025");
    assert_eq!(read(&elsewhere, "poem", &rules), []);
}

#[test]
fn a_box_beside_its_label_is_ticked_or_not() {
    let check = |text: &str, expected: Option<&str>| {
        let rules = with_field("kind = \"check_box\"\nlabels = [\"urgent\"]\nunless = [\"not urgent\"]");
        let fields = read(&page_text(text), "poem", &rules);
        let value = fields.iter().find(|(name, _)| name == "verse").map(|(_, value)| value.as_str());
        assert_eq!(value, expected, "{text}");
    };
    check("☒ urgent ☐ not urgent", Some("yes"));
    check("☐ urgent ☒ not urgent", Some("no"));
    check("[ ] urgent", Some("no"));
    check("[ x ] or [x] urgent", Some("yes"));
    check("[x]urgent", Some("yes"));
    check("urgent: [X]", Some("yes"));
    check("it is urgent for us", None);
    check("☒\nurgent", None);
}

#[test]
fn a_place_to_sign_may_be_marked_for_programs() {
    let text = page_text("This agreement is made\n\n{{SIGN_HERE}}\n\nName: Ada Lind\n");
    let rules = RuleSet::shipped();
    let decision = classify_as(&text, &DocumentType("contract".into()), &Origin::default(), &rules);
    let anchor = decision.fields.get("signature_anchor").expect("the place is found");
    let word = text.pages[0].words.iter().find(|word| word.text == "{{SIGN_HERE}}").expect("it stands there");
    assert_eq!((anchor.value.as_str(), anchor.rect), ("SIGN_HERE", Some(word.rect)));
}

#[test]
fn a_page_of_nothing_but_labels_takes_no_longer_than_it_has_words() {
    let words = (0..6_000u32).map(|place| {
        let text = if place % 2 == 0 { "total" } else { "tax" };
        let rect = Rect { x: 20 * (place % 60), y: 20 * (place / 60), w: 18, h: 16 };
        Word { text: text.into(), confidence: 0.95, rect, line: place / 60, block: 0 }
    });
    let page = platen_model::PageRecord {
        width_px: 1_300,
        height_px: 2_100,
        words: words.collect(),
        ..platen_model::PageRecord::default()
    };
    let text = PageText::new(vec![page]);
    let begun = std::time::Instant::now();
    read(&text, "invoice", &RuleSet::shipped());
    // Quadratic it takes minutes; on a busy machine it takes a second.
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn of_a_long_document_the_last_pages_are_read_too() {
    let mut pages = vec!["Terms and conditions"; 30];
    pages[0] = "CONTRACT";
    pages[29] = "Total due EUR 77.00\nSignature:";
    let text = page_text(&pages.join("\u{c}"));
    let origin = Origin::default();
    let decision = classify_as(&text, &DocumentType("invoice".into()), &origin, &RuleSet::shipped());
    let total = &decision.fields["total"];
    assert_eq!((total.value.as_str(), total.page), ("77.00 EUR", 29));
    assert_eq!(decision.fields["signature_anchor"].page, 29);
}
