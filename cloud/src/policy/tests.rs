use jiff::SignedDuration;
use platen_model::{DocumentType, PageRecord, Reason};

use super::dry_run::Counts;
use super::explain::RouteOutcome;
use super::*;
use crate::testing::record;

fn check(routes: &str, expected: Result<(), &str>) {
    match (Policy::parse(routes, "routing.toml", &offers()), expected) {
        (Ok(_), Ok(())) => {}
        (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error} lacks {part:?}"),
        (found, expected) => panic!("{routes}: {expected:?}, but {found:?}"),
    }
}

fn offers() -> Offers {
    // An account that can do little.
    let account = toml::from_str("provider = 'esignly'\naccount = 'main'\ntoken = 'env:A'");
    let signing = vec![account.expect("an account")];
    crate::signing::offers(&crate::config::Config { signing, ..Default::default() })
}

fn when(condition: &str) -> String {
    format!("version = \"1\"\n[[route]]\nname = \"a\"\nwhen = '{condition}'\n")
}

#[test]
fn typing_errors_stop_a_policy_from_being_loaded() {
    check(&when("document.document_type == \"nda\""), Ok(()));
    check(&when("document.typ == \"nda\""), Err("document has no `typ`"));
    check(&when("true || document.fields.total.amount == \"1\""), Err("a field has no `amount`"));
    check(&when("documents.document_type == \"nda\""), Err("documents"));
    check(&when("document.document_type"), Err("not true or false"));
    check(&when("document.page_count =="), Err("when"));
    check(&(when("true") + "signer = [\"a@b.c\"]\n"), Err("routing.toml:5"));
    check(&(when("true") + "provider = \"desk\"\n"), Err("needs `signers`"));
    check(&(when("true") + "signers = [\"a@b.c\"]\n"), Err("has no `signers`"));
    let unknown = when("true") + "provider = \"desc\"\nsigners = [\"a@b.c\"]\n";
    check(
        &unknown,
        Err(
            "routing.toml, route \"a\": there is no provider \"desc\"; there are desk, esignly/main, sandbox",
        ),
    );
    let signers = |count: usize| format!("provider = \"desk\"\nsigners = {:?}\n", vec!["a@b.c"; count]);
    check(&(when("true") + &signers(12)), Ok(()));
    check(&(when("true") + &signers(13)), Err("over the limit of 12"));
    check(&(when("true") + "provider = \"desk\"\nsigners = [\"nobody\"]\n"), Err("not a signer's address"));
    check(&(when("true") + "expires_after = \"soon\"\n"), Err("expires_after"));
    check("version = \"1\"", Err("at least one"));
}

#[test]
fn codes_by_telephone_are_for_the_desk_with_a_gateway_and_numbers_are_read_as_they_are_dialled() {
    let route = |provider: &str, more: &str| {
        when("true")
            + &format!("provider = \"{provider}\"\nrecipients = [{{ address = \"a@b.c\", {more} }}]\n")
    };
    check(&route("desk", "phone = \"+49 30 1234567\""), Err("sends no codes by telephone"));
    check(&route("sandbox", "phone_field = \"phone\""), Err("sends no codes by telephone"));
    let sms = "url = 'https://sms.example'\nbody = '{\"a\": \"{to}\", \"b\": \"{text}\"}'";
    let sms = Some(toml::from_str(sms).expect("a gateway"));
    let desk = crate::config::Desk { sms, ..Default::default() };
    let offers = crate::signing::offers(&crate::config::Config { desk, ..Default::default() });
    let parse = |more: &str| Policy::parse(&route("desk", more), "routing.toml", &offers);
    let wrong = parse("phone = \"1234\"").expect_err("no country").to_string();
    assert!(wrong.contains("not a telephone number with its country"), "{wrong}");
    let phone_of = |policy: &Policy, fields: &[(&str, &str)]| {
        let chosen = policy.route(&record("nda", fields).document);
        chosen.map(|chosen| chosen.recipients[0].phone.clone()).map_err(|error| error.to_string())
    };
    let fixed = parse("phone = \"+49 (30) 123-4567\"").expect("sound");
    assert_eq!(phone_of(&fixed, &[]), Ok(Some("+49301234567".into())));
    let read = parse("phone_field = \"phone\"").expect("sound");
    assert_eq!(phone_of(&read, &[("phone", "+43 1 234 5678")]), Ok(Some("+4312345678".into())));
    for fields in [&[][..], &[("phone", "call me")]] {
        assert!(phone_of(&read, fields).expect_err("for a person").contains("telephone"), "{fields:?}");
    }
}

#[test]
fn the_first_route_that_matches_decides() {
    let text = "version = \"1\"
        [[route]]
        name = 'large'
        when = 'document.document_type == \"invoice\" && document.fields.total.value.matches(\"^[0-9]{5,}\")'
        provider = 'desk'
        signers = [{ field = 'approver' }, 'b@example.com']
        expires_after = '2d'
        [[route]]
        name = 'rest'
        when = 'true'";
    let policy = Policy::parse(text, "routing.toml", &offers()).expect("fits");
    let mut document =
        record("invoice", &[("total", "12000.00 EUR"), ("approver", "a@example.com")]).document;
    let chosen = policy.route(&document).expect("a route");
    assert_eq!(chosen.route.name, "large");
    let addresses: Vec<&str> = chosen.recipients.iter().map(|recipient| recipient.address.as_str()).collect();
    assert_eq!(addresses, ["a@example.com", "b@example.com"]);
    assert_eq!((chosen.recipients[0].order, chosen.recipients[1].order), (1, 2));
    assert_eq!(chosen.route.expires_after, Some(SignedDuration::from_hours(48)));

    document.fields.remove("total");
    assert_eq!(
        policy.route(&document).expect("a route").route.name,
        "rest",
        "a missing field matches nothing"
    );

    let mut document = record("invoice", &[("total", "12000.00 EUR"), ("approver", "the boss")]).document;
    let error = policy.route(&document).expect_err("no address").to_string();
    assert!(error.contains("the boss"), "{error}");
    document.fields.remove("approver");
    policy.route(&document).expect_err("no signer");
}

#[test]
fn a_person_is_asked_where_there_is_doubt() {
    let text = "version = \"1\"\n[validation]\nminimum_confidence = 0.6\n[validation.required]\n\
                invoice = [\"total\"]\n[[route]]\nname = \"all\"\nwhen = \"true\"";
    let policy = Policy::parse(text, "routing.toml", &offers()).expect("fits");
    let reasons = |record: &Record| policy.judge(record, None).reasons();
    let sure = record("invoice", &[("total", "1.00 EUR")]);
    assert_eq!(reasons(&sure), Vec::<String>::new());
    assert_eq!(reasons(&record("invoice", &[])), ["The required field \"total\" was not found."]);
    assert_eq!(reasons(&record("unknown", &[])).len(), 1);
    let mut unsure = sure.clone();
    unsure.document.confidence = 0.5;
    assert_eq!(reasons(&unsure).len(), 1);
    let mut asked = sure;
    let decision = asked.decision.as_mut().expect("decided");
    decision.verdict = Verdict::Review;
    decision.reasons.clear();
    assert_eq!(reasons(&asked).len(), 1);
    asked.decision.as_mut().expect("decided").reasons.push(Reason {
        rule: Reason::PAGE_WITHOUT_TEXT.into(),
        document_type: DocumentType::unknown(),
        weight: 0.0,
        seen: "This page has no text: it was too large.".into(),
        page: 3,
        rect: None,
    });
    assert_eq!(reasons(&asked), ["Page 4: This page has no text: it was too large."]);
}

#[test]
fn of_a_document_without_a_kind_a_person_is_told_whether_its_pages_are_blank() {
    let policy = Policy::parse(&when("true"), "routing.toml", &offers());
    let policy = policy.expect("fits");
    let (unknown, page) = (record("unknown", &[]), PageRecord::default());
    let blank = PageRecord { blank: true, ..PageRecord::default() };
    let check = |pages: &[&PageRecord], expected: &str| {
        let text = PageText::new(pages.iter().map(|page| (*page).clone()).collect());
        assert_eq!(policy.judge(&unknown, Some(&text)).reasons(), [expected]);
    };
    check(&[&blank, &blank], "There is nothing on its pages: they are blank.");
    check(&[&blank, &page], "The rules do not know what kind of document this is.");
    check(&[], "The rules do not know what kind of document this is.");
}

#[test]
fn a_person_is_asked_where_a_total_contradicts_its_rows_or_a_field_is_unsure() {
    let policy = |rules: &str| {
        let text = format!(
            "version = '1'\n[validation.type.invoice]\nrequired = ['total']\n{rules}\n\
                            [[route]]\nname = 'all'\nwhen = 'true'"
        );
        Policy::parse(&text, "routing.toml", &offers())
    };
    let reasons = |rules: &str, record: &Record| policy(rules).expect("fits").judge(record, None).reasons();
    let read = record("invoice", &[("total", "1.00 EUR"), ("number", "7")]);
    let unsure = |rules: &str, names: &[&str]| {
        let found = reasons(rules, &read);
        assert_eq!(found.len(), names.len(), "{rules}: {found:?}");
        for (sentence, name) in found.iter().zip(names) {
            assert!(sentence.starts_with(&format!("\"{name}\" was read as")), "{sentence}");
        }
    };
    unsure("", &[]);
    unsure("minimum_field_confidence = 0.9", &[]);
    unsure("minimum_field_confidence = 0.95", &["total"]);
    unsure("minimum_field_confidence = { number = 0.95, total = 0.5, other = 0.9 }", &["number"]);
    let error = policy("minimum_field_confidence = { total = 95 }").expect_err("no share").to_string();
    assert!(error.contains("minimum_field_confidence.total"), "{error}");

    let mut contradicted = read.clone();
    contradicted.decision.as_mut().expect("decided").reasons.push(Reason {
        rule: Reason::TOTAL_DIFFERS.into(),
        document_type: DocumentType("invoice".into()),
        weight: 0.0,
        seen: "The rows add up to 2.00, the total reads 1.00 EUR.".into(),
        page: 0,
        rect: None,
    });
    assert_eq!(reasons("", &contradicted), ["The rows add up to 2.00, the total reads 1.00 EUR."]);
}

#[test]
fn the_built_in_policy_is_sound() {
    let document = record("nda", &[]).document;
    assert!(Policy::built_in().route(&document).expect("a route").route.provider.is_none());
}

#[test]
fn a_route_that_asks_for_what_its_account_cannot_do_is_refused() {
    let route = |provider: &str, rest: &str| format!("{}provider = \"{provider}\"\n{rest}", when("true"));
    let approver = "recipients = [{address = \"a@b.c\", role = \"approver\"}, \"d@e.f\"]\n";
    check(&route("sandbox", approver), Ok(()));
    check(&route("esignly/main", approver), Err("knows no approvers"));
    let copy = "recipients = [\"a@b.c\", {address = \"d@e.f\", role = \"cc\"}]\n";
    check(&route("desk", approver), Ok(()));
    let in_turn = "signers = [\"a@b.c\", \"d@e.f\"]";
    check(&route("esignly/main", in_turn), Err("one after the other"));
    let place = "signers = [\"a@b.c\"]\n[[route.place]]\nrecipient = 1\nanchor = \"Signature\"";
    check(&route("esignly/main", place), Err("by coordinates"));
    check(&route("sandbox", copy), Ok(()));
    check(&route("esignly/main", copy), Err("at most 0 copies"));
    check(&route("sandbox", "recipients = [{address = \"d@e.f\", role = \"cc\"}]"), Err("nobody who signs"));
    check(&route("sandbox", "recipients = [{field = \"a\", person = \"b\"}]"), Err("has one of"));
    check(&route("sandbox", "recipients = [{person = \"b\"}]"), Err("the directory has no \"b\""));
    let place = "signers = [\"a@b.c\"]\n[[route.place]]\nrecipient = 2\nanchor = \"Signature\"";
    check(&route("sandbox", place), Err("counted from 1"));
    check(&route("sandbox", &place.replace("= 2", "= 1")), Ok(()));
    check(&route("sandbox", "signers = [\"a@b.c\"]\napprovals = 9"), Err("`approvals` is at most"));
}

#[test]
fn people_come_from_a_directory_and_the_fallback_takes_the_place_of_who_declined() {
    let folder = tempfile::tempdir().expect("a folder");
    let people =
        "[legal]\naddress = \"l@example.com\"\nname = \"Lea Legal\"\n[boss]\naddress = \"b@example.com\"";
    std::fs::write(folder.path().join("people.toml"), people).expect("write");
    let text = "version = \"1\"\ndirectory = \"people.toml\"\n[[route]]\nname = \"a\"\nwhen = \"true\"\n\
                provider = \"sandbox\"\nresend = 1\non_decline = {person = \"boss\"}\n\
                recipients = [{person_of = \"department\", role = \"approver\"}, \"s@example.com\"]";
    let path = folder.path().join("routing.toml");
    std::fs::write(&path, text).expect("write");
    let policy = Policy::load(&path, &offers()).expect("fits");
    let mut record = record("nda", &[]);
    record.document.department = None;
    let error = policy.route(&record.document).expect_err("no department").to_string();
    assert!(error.contains("no \"department\""), "{error}");
    record.document.department = Some("legal".into());
    let chosen = policy.route(&record.document).expect("a route");
    let first = &chosen.recipients[0];
    assert_eq!((first.address.as_str(), first.name.as_deref()), ("l@example.com", Some("Lea Legal")));
    let instead = policy.instead(&chosen, &record.document, &["L@example.com".into()]).expect("people");
    assert_eq!(
        (instead[0].address.as_str(), instead[0].role),
        ("b@example.com", platen_model::Role::Approver)
    );
    assert_eq!(instead[1], chosen.recipients[1]);

    record.document.route = Some("a".into());
    record.document.status = Status::Declined;
    record.ends.declined_by = vec!["l@example.com".into()];
    assert!(policy.goes_on(&record));
    record.ends.declined_by.push("b@example.com".into());
    assert!(!policy.goes_on(&record), "there is no second fallback");
    record.document.status = Status::Expired;
    record.ends.expired = 1;
    assert!(policy.goes_on(&record));
    record.ends.expired = 2;
    assert!(!policy.goes_on(&record));
    // Of the one after these nobody ever heard.
    record.ends.unsent = 1;
    assert!(policy.goes_on(&record), "it does not count");
    record.ends.unsent = UNSENT_MAX + 1;
    assert!(!policy.goes_on(&record), "a person sees that nothing is sent");
    record.document.route = Some("by API".into());
    record.ends.unsent = 1;
    assert!(!policy.goes_on(&record), "whose end was ordered has expired");
}

#[test]
fn a_person_signs_up_to_an_amount_and_another_above_it() {
    let policy = |people: &str| {
        let text = "version = '1'\ndirectory = 'people.toml'\n[[route]]\nname = 'a'\nwhen = 'true'\n\
                    provider = 'sandbox'\nrecipients = [{ person = 'clerk' }]";
        let source = Source { policy: text.into(), directory: Some(people.into()) };
        Policy::of_source(source, "routing.toml", &offers())
    };
    let people = "[clerk]\naddress = 'c@example.com'\nup_to = '1000.00 EUR'\nabove = 'boss'\n\
                  [boss]\naddress = 'b@example.com'\nup_to = '9000.00 EUR'";
    let found = policy(people).expect("fits");
    let check = |fields: &[(&str, &str)], expected: Result<&str, &str>| {
        let document = record("invoice", fields).document;
        let violations = found.violations(&document, None);
        match (found.route(&document), expected) {
            (Ok(chosen), Ok(address)) => {
                assert_eq!(chosen.recipients[0].address, address, "{fields:?}");
                assert_eq!(violations, []);
            }
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{error}");
                let [violation] = &violations[..] else { panic!("{violations:?}") };
                assert_eq!(
                    (violation.rule.as_str(), violation.field.as_deref()),
                    (Violation::SIGNERS, Some("total"))
                );
            }
            (found, expected) => panic!("{fields:?}: {expected:?}, but {found:?}"),
        }
    };
    check(&[("total", "999.99 EUR")], Ok("c@example.com"));
    check(&[("total", "1000.00 EUR")], Ok("c@example.com"));
    check(&[("total", "1000.01 EUR")], Ok("b@example.com"));
    check(&[("total", "9000.01 EUR")], Err("up to 9000.00 EUR only"));
    // A credit note pays out what an invoice takes in.
    check(&[("total", "-1000.00 EUR")], Ok("c@example.com"));
    check(&[("total", "-1000.01 EUR")], Ok("b@example.com"));
    check(&[("total", "-9000.01 EUR")], Err("up to 9000.00 EUR only"));
    check(&[("total", "10.00 USD")], Err("cannot be compared"));
    check(&[], Err("cannot be compared"));
    for (people, part) in [
        ("[clerk]\naddress = 'c@example.com'\nup_to = '1000'", "with its currency"),
        ("[clerk]\naddress = 'c@example.com'\nabove = 'clerk'", "needs `up_to`"),
        ("[clerk]\naddress = 'c@example.com'\nup_to = '1.00 EUR'\nabove = 'boss'", "no \"boss\""),
        ("[clerk]\naddress = 'c@example.com'\nup_to = '1.00 EUR'\nabove = 'clerk'", "in a circle"),
    ] {
        let error = policy(people).expect_err(people).to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn each_route_says_which_part_of_its_condition_failed_and_what_it_saw() {
    let text = "version = '1'
        [[route]]
        name = 'large'
        when = 'document.document_type == \"invoice\" && document.fields.total.number >= 10000.0'
        provider = 'desk'
        signers = ['boss@example.com']
        [[route]]
        name = 'invoices'
        when = 'document.document_type == \"invoice\"'
        provider = 'desk'
        signers = [{ field = 'approver' }]
        [[route]]
        name = 'rest'
        when = 'true'";
    let policy = Policy::parse(text, "routing.toml", &offers()).expect("fits");
    let invoice = record("invoice", &[("total", "120.00 EUR"), ("approver", "a@example.com")]);
    let told = policy.explain(&invoice, None);
    assert_eq!(told.route.as_deref(), Some("invoices"));
    let outcomes: Vec<RouteOutcome> = told.routes.iter().map(|route| route.outcome).collect();
    assert_eq!(outcomes, [RouteOutcome::NoMatch, RouteOutcome::Chosen, RouteOutcome::TooLate]);
    let parts: Vec<(&str, bool)> =
        told.routes[0].parts.iter().map(|part| (part.part.as_str(), part.holds)).collect();
    let expected =
        [("document.document_type == \"invoice\"", true), ("document.fields.total.number >= 10000.0", false)];
    assert_eq!(parts, expected);
    let seen = told.routes[0].parts[1].values.get("document.fields.total.number").cloned();
    assert_eq!(seen, Some(Some("120".into())));
    assert_eq!(told.routes[1].recipients[0].address, "a@example.com");
    for part in
        ["no  document.fields.total.number >= 10000.0", "document.fields.total.number = 120", "is taken"]
    {
        assert!(told.to_string().contains(part), "{told}");
    }

    let lost = policy.explain(&record("invoice", &[]), None);
    let missing = &lost.routes[0].parts[1];
    assert_eq!(missing.problem.as_deref(), Some("there is no `total`"));
    assert!(lost.routes[1].problem.as_ref().is_some_and(|problem| problem.contains("approver")));
    assert_eq!(lost.violations[0].field.as_deref(), Some("approver"));
}

#[test]
fn a_dry_run_names_what_another_policy_would_do_otherwise() {
    let before = Policy::parse(&when("true"), "routing.toml", &offers()).expect("fits");
    let text = "version = '2'
        [validation.type.invoice]
        required = ['total']
        [[route]]
        name = 'invoices'
        when = 'document.document_type == \"invoice\"'
        provider = 'desk'
        signers = [{ field = 'approver' }]
        [[route]]
        name = 'a'
        when = 'true'";
    let after = Policy::parse(text, "routing.toml", &offers()).expect("fits");
    let mut counts = Counts::default();
    let mut check = |record: &Record, changes: bool| {
        let change = dry_run::compare(&before, &after, record, None, &mut counts);
        assert_eq!(change.is_some(), changes, "{:?}", record.document.document_type);
        change
    };
    check(&record("letter", &[]), false);
    let change = check(&record("invoice", &[("approver", "a@example.com")]), true).expect("a change");
    assert_eq!((change.before.review, change.after.review), (false, true));
    assert_eq!(change.after.reasons, ["The required field \"total\" was not found."]);
    assert_eq!(change.after.recipients, ["a@example.com"]);
    // A person corrected it since: what the rules had read decides whether a person is asked, what is known now where it goes.
    let mut corrected = record("letter", &[]);
    corrected.document.document_type = DocumentType("invoice".into());
    let change = check(&corrected, true).expect("a change");
    assert!(!change.after.review && change.after.problem.is_some(), "{change}");
    let expected = Counts {
        documents: 3,
        changed: 2,
        other_route: 2,
        other_recipients: 1,
        more_review: 1,
        less_review: 0,
        more_problems: 1,
    };
    assert_eq!(counts, expected);
}

#[test]
fn the_policy_in_the_documentation_is_sound_and_so_is_the_one_that_is_installed() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let text = std::fs::read_to_string(format!("{root}/docs/policies.md")).expect("the page");
    let blocks: Vec<&str> =
        text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [policy, directory] = blocks[..] else { panic!("{} blocks", blocks.len()) };
    let source = Source { policy: policy.into(), directory: Some(directory.into()) };
    let policy = Policy::of_source(source, "docs/policies.md", &offers()).expect("sound");
    let fields = [
        ("total", "1200.00 EUR"),
        ("order_total", "1000.00 EUR"),
        ("invoice_number", "7"),
        ("invoice_date", "2026-03-31"),
        ("due_date", "2026-03-01"),
    ];
    let invoice = record("invoice", &fields).document;
    let rules: Vec<String> =
        policy.violations(&invoice, None).into_iter().map(|violation| violation.rule).collect();
    assert_eq!(rules, ["within the order", "due after its date"]);
    let chosen = policy.route(&invoice).expect("a route");
    assert_eq!(chosen.recipients[0].address, "board@example.com", "above the clerk's limit");
    let installed = std::path::Path::new(root).join("packaging/default/routing.toml");
    Policy::load(&installed, &offers()).expect("sound");
}
