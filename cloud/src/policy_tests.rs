use platen_model::{DocumentType, Reason};

use super::*;
use crate::testing::record;

fn check(routes: &str, expected: Result<(), &str>) {
    match (Policy::parse(routes, "routing.toml"), expected) {
        (Ok(_), Ok(())) => {}
        (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error} lacks {part:?}"),
        (found, expected) => panic!("{routes}: {expected:?}, but {found:?}"),
    }
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
    check(&unknown, Err("routing.toml, route \"a\": there is no provider \"desc\"; there are desk, sandbox"));
    let signers = |count: usize| format!("provider = \"desk\"\nsigners = {:?}\n", vec!["a@b.c"; count]);
    check(&(when("true") + &signers(12)), Ok(()));
    check(&(when("true") + &signers(13)), Err("over the limit of 12"));
    check(&(when("true") + "provider = \"desk\"\nsigners = [\"nobody\"]\n"), Err("not a signer's address"));
    check(&(when("true") + "expires_after = \"soon\"\n"), Err("expires_after"));
    check("version = \"1\"", Err("at least one"));
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
    let policy = Policy::parse(text, "routing.toml").expect("fits");
    let mut document =
        record("invoice", &[("total", "12000.00 EUR"), ("approver", "a@example.com")]).document;
    let chosen = policy.route(&document).expect("a route");
    assert_eq!(chosen.route.name, "large");
    assert_eq!(chosen.signers, ["a@example.com", "b@example.com"]);
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
    let policy = Policy::parse(text, "routing.toml").expect("fits");
    let sure = record("invoice", &[("total", "1.00 EUR")]);
    assert_eq!(policy.doubts(&sure), Vec::<String>::new());
    assert_eq!(policy.doubts(&record("invoice", &[])), ["The required field \"total\" was not found."]);
    assert_eq!(policy.doubts(&record("unknown", &[])).len(), 1);
    let mut unsure = sure.clone();
    unsure.document.confidence = 0.5;
    assert_eq!(policy.doubts(&unsure).len(), 1);
    let mut asked = sure;
    let decision = asked.decision.as_mut().expect("decided");
    decision.verdict = Verdict::Review;
    decision.reasons.clear();
    assert_eq!(policy.doubts(&asked).len(), 1);
    asked.decision.as_mut().expect("decided").reasons.push(Reason {
        rule: Reason::PAGE_WITHOUT_TEXT.into(),
        document_type: DocumentType::unknown(),
        weight: 0.0,
        seen: "This page has no text: it was too large.".into(),
        page: 3,
        rect: None,
    });
    assert_eq!(policy.doubts(&asked), ["Page 4: This page has no text: it was too large."]);
}

#[test]
fn the_built_in_policy_is_sound() {
    let document = record("nda", &[]).document;
    assert!(Policy::built_in().route(&document).expect("a route").route.provider.is_none());
}
