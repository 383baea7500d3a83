//! Claims about envelopes that a program orders, over the whole cloud.

use platen_model::DocumentId;
use platen_model::event::{EventBody, Status};
use platen_model::{Digest, PolicyRef};
use reqwest::Method;
use serde_json::{Value, json};

use crate::machine::{State, apply};
use crate::signing::harness::{Cloud, cloud, cloud_with};
use crate::testing;

const ADDRESS: &str = "/v1/signatures/envelopes";
/// Everything is archived without a signature.
const ARCHIVE: &str =
    "version = \"test\"\n[validation]\nminimum_confidence = 0.5\n[[route]]\nname = \"keep\"\nwhen = 'true'\n";

fn order(document: DocumentId) -> Value {
    json!({
        "document_id": document,
        "provider": "desk",
        "recipients": [{ "address": "ada@example.com", "name": "Ada Lovelace", "role": "signer", "order": 1 }],
        "places": [{ "recipient": 1, "fallback": { "page": 1, "x": 30.0, "y": 200.0 } }],
    })
}

async fn post(cloud: &Cloud, key: &str, order: &Value) -> (u16, Value) {
    let headers = [("idempotency-key", key)];
    let headers = if key.is_empty() { &headers[..0] } else { &headers[..] };
    cloud.operate_with(headers, Method::POST, ADDRESS, Some(order.clone())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_archived_without_a_signature_is_sent_by_order_and_signed_as_by_a_route() {
    let cloud = cloud_with(ARCHIVE, |_| {}).await;
    let document = cloud.receive().await;
    cloud.until(document, Status::Archived).await;
    let (status, envelope) = post(&cloud, "", &order(document)).await;
    assert_eq!(status, 201, "{envelope}");
    assert_eq!(envelope["status"], "created");
    let (x, y) = (envelope["blanks"][0]["x"].as_f64(), envelope["blanks"][0]["y"].as_f64());
    assert!(
        (x.expect("a place") - 85.0).abs() < 0.1 && (y.expect("a place") - 566.9).abs() < 0.1,
        "{envelope}"
    );
    let path = format!("{ADDRESS}/{}", envelope["envelope_id"].as_str().expect("an id"));
    assert_eq!(cloud.operate(Method::GET, &path, None).await.0, 200);
    let record = cloud.until(document, Status::Sent).await;
    assert_eq!(record.document.route.as_deref(), Some("by API"));
    let links = cloud.links_to("ada@example.com");
    let [link] = &links[..] else { panic!("one invitation: {links:?}") };
    let form = [("name", "Ada Lovelace"), ("consent", "yes")];
    let signed = cloud.http.post(link).form(&form).send().await.expect("an answer");
    assert_eq!(signed.status(), 303);
    let record = cloud.until(document, Status::Archived).await;
    assert!(record.signed_sha256.is_some());
    cloud.check_evidence(&record).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_under_the_same_key_is_one_envelope_and_another_is_refused() {
    let cloud = cloud_with(ARCHIVE, |_| {}).await;
    let document = cloud.receive().await;
    cloud.until(document, Status::Archived).await;
    let same = order(document);
    let both = tokio::join!(post(&cloud, "\"k-1\"", &same), post(&cloud, "\"k-1\"", &same));
    let mut statuses = [both.0.0, both.1.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 201], "{both:?}");
    assert_eq!(both.0.1["envelope_id"], both.1.1["envelope_id"]);
    let (status, again) = post(&cloud, "\"k-1\"", &same).await;
    assert_eq!((status, &again["envelope_id"]), (200, &both.0.1["envelope_id"]));
    let mut other = order(document);
    other["provider"] = "sandbox".into();
    assert_eq!(post(&cloud, "\"k-1\"", &other).await.0, 422);
    let (status, refused) = post(&cloud, "\"k-2\"", &same).await;
    assert_eq!(status, 409, "it has an open envelope: {refused}");
    assert_eq!(cloud.envelopes(document).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_validated_or_lacks_an_approval_is_not_sent_by_order() {
    let doubtful = cloud("desk", "ada@example.com", 0.99).await;
    let document = doubtful.receive().await;
    doubtful.until(document, Status::InReview).await;
    let (status, refused) = post(&doubtful, "", &order(document)).await;
    assert_eq!(status, 409, "{refused}");

    let routing = format!("{ARCHIVE}provider = \"desk\"\nsigners = [\"bob@example.com\"]\napprovals = 1\n");
    let careful = cloud_with(&routing, |_| {}).await;
    let document = careful.receive().await;
    careful.until(document, Status::InReview).await;
    assert_eq!(post(&careful, "", &order(document)).await.0, 409);
    assert!(careful.envelopes(document).await.is_empty());
    let unknown = order(DocumentId::new());
    assert_eq!(post(&careful, "", &unknown).await.0, 404);
}

#[test]
fn inv9_an_order_leads_to_a_route_only_from_where_validation_was_passed() {
    for status in Status::ALL {
        for resume in Status::ALL.map(Some).into_iter().chain([None]) {
            for (signs, provider) in [(false, None), (true, Some("desk".to_owned()))] {
                let mut record = testing::record("nda", &[]);
                record.document.status = status;
                record.resume = resume;
                record.provider = provider;
                let Ok(first) = super::first_event(&record) else { continue };
                // Whatever is left to the order, the machine has the last word: it must come to a route there, too.
                let state = State { status, resume, signs, awaits_originals: false, raw: false };
                let state = match first {
                    Some(event) => apply(Some(state), &event).expect("the first event"),
                    None => state,
                };
                let was_archived = state.status == Status::Archived && !signs;
                assert!(state.status == Status::Validated || was_archived, "{status}, {resume:?}: {state:?}");
                let routed = EventBody::Routed {
                    route: "by API".into(),
                    policy: PolicyRef {
                        name: "routing".into(),
                        version: "1".into(),
                        sha256: Digest::of(b""),
                    },
                    provider: Some("desk".into()),
                    recipients: Vec::new(),
                    blanks: Vec::new(),
                    expires_at: None,
                    remind_every_s: None,
                    tags: Vec::new(),
                    retention_class: None,
                };
                let routed = apply(Some(state), &routed).expect("a route");
                assert_eq!((routed.status, routed.signs), (Status::Routed, true));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_refused_leaves_no_pin_behind_and_a_telephone_number_needs_a_gateway() {
    let cloud = cloud_with(ARCHIVE, |_| {}).await;
    let document = cloud.receive().await;
    cloud.until(document, Status::Archived).await;
    let mut with_pin = order(document);
    with_pin["pins"] = json!([{ "recipient": 1, "pin": "4711" }]);
    let pins = async || {
        let query = sqlx::query_as::<_, (i64,)>("SELECT COUNT(*) FROM desk_pins");
        query.fetch_one(cloud.app.store.reading()).await.expect("a count").0
    };
    let mut of_nothing = with_pin.clone();
    of_nothing["document_id"] = json!(DocumentId::new());
    assert_eq!(post(&cloud, "", &of_nothing).await.0, 404);
    assert_eq!(pins().await, 0);
    let mut by_telephone = with_pin.clone();
    by_telephone["recipients"][0]["phone"] = "+49 30 1234567".into();
    let (status, refused) = post(&cloud, "", &by_telephone).await;
    assert!(status == 422 && refused["errors"]["provider"].to_string().contains("telephone"), "{refused}");
    by_telephone["recipients"][0]["phone"] = "1234".into();
    let (status, refused) = post(&cloud, "", &by_telephone).await;
    assert!(status == 422 && refused["errors"]["recipients[0]"].is_string(), "{refused}");
    assert_eq!(post(&cloud, "", &with_pin).await.0, 201);
    assert_eq!(pins().await, 1);
    assert_eq!(post(&cloud, "", &with_pin).await.0, 409, "it is on its way");
    assert_eq!(pins().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_declined_can_be_asked_again_or_replaced_by_order() {
    let cloud = cloud("sandbox", "declines@example.com", 0.5).await;
    let document = cloud.receive().await;
    cloud.until(document, Status::Declined).await;
    let mut again = order(document);
    again["provider"] = "sandbox".into();
    again["recipients"][0]["address"] = "signs@example.com".into();
    let (status, made) = post(&cloud, "", &again).await;
    assert_eq!(status, 201, "{made}");
    let record = cloud.until(document, Status::Archived).await;
    assert_eq!(cloud.envelopes(document).await.len(), 2);
    cloud.check_evidence(&record).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_cannot_be_carried_out_is_refused_field_by_field() {
    let cloud = cloud_with(ARCHIVE, |_| {}).await;
    let document = cloud.receive().await;
    cloud.until(document, Status::Archived).await;
    let check = async |pointer: &str, value: Value, field: &str| {
        let mut order = order(document);
        *order.pointer_mut(pointer).expect("a member") = value;
        let (status, refused) = post(&cloud, "", &order).await;
        assert_eq!(status, 422, "{pointer}: {refused}");
        let errors = refused["errors"].as_object().expect("errors");
        assert!(errors.keys().any(|key| key.contains(field)), "{pointer}: {refused}");
    };
    check("/provider", "documenso/nobody".into(), "provider").await;
    check("/recipients", json!([]), "recipients").await;
    check("/recipients/0/address", "ada".into(), "recipients[0]").await;
    check("/recipients/0/order", 0.into(), "recipients").await;
    check("/recipients/0/role", "cc".into(), "provider").await;
    check("/places/0/recipient", 2.into(), "places[0]").await;
    let mut late = order(document);
    late["expires_at"] = "2020-01-01T00:00:00Z".into();
    assert_eq!(post(&cloud, "", &late).await.0, 422);
    let mut more = order(document);
    more["stamp"] = "x".into();
    assert_eq!(post(&cloud, "", &more).await.0, 422);
    assert!(cloud.envelopes(document).await.is_empty());
    assert_eq!(cloud.record(document).await.document.status, Status::Archived);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_of_the_order_is_asked_for_from_the_first_look_and_a_locked_one_shows_and_is_replaced() {
    let cloud = cloud_with(ARCHIVE, |_| {}).await;
    let document = cloud.receive().await;
    cloud.until(document, Status::Archived).await;
    let mut with_pin = order(document);
    with_pin["pins"] = json!([{ "recipient": 1, "pin": "4711" }]);
    let (status, envelope) = post(&cloud, "\"k\"", &with_pin).await;
    assert_eq!(status, 201, "{envelope}");
    cloud.until(document, Status::Sent).await;
    let link = cloud.links_to("ada@example.com").remove(0);
    let read = async |path: &str| {
        let answer = cloud.http.get(format!("{link}{path}")).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    };
    assert!(read("").await.1.contains("Prove it is you"));
    assert_eq!(read("/document.pdf").await.0, 403);
    let give = async |pin: &str| {
        let answer = cloud.http.post(format!("{link}/pin")).form(&[("pin", pin)]).send().await;
        answer.expect("an answer").status().as_u16()
    };
    for _ in 0..5 {
        assert_eq!(give("0000").await, 422);
    }
    assert_eq!(give("4711").await, 429, "locked");
    assert!(read("").await.1.contains("is locked"));
    let page = cloud.page(&format!("/documents/{document}")).await;
    assert!(page.contains("the PIN is locked after too many wrong tries"), "{page}");
    let path = format!("{ADDRESS}/{}/recipients/1/pin", envelope["envelope_id"].as_str().expect("an id"));
    assert_eq!(cloud.operate(Method::PUT, &path, Some(json!({ "pin": "0815" }))).await.0, 204);
    assert_eq!(give("0815").await, 303);
    let nobody = path.replace("/1/pin", "/2/pin");
    assert_eq!(cloud.operate(Method::PUT, &nobody, Some(json!({ "pin": "0815" }))).await.0, 404);
    let mut elsewhere = order(document);
    elsewhere["provider"] = "sandbox".into();
    elsewhere["pins"] = with_pin["pins"].clone();
    let (status, refused) = post(&cloud, "", &elsewhere).await;
    assert!(status == 422 && refused["errors"]["pins[0]"].is_string(), "{refused}");
    let chain = cloud.names_of_events(document).await.join(" ");
    assert!(!chain.contains("4711"), "{chain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_office_shows_a_link_as_a_code_that_opens_the_document_and_that_is_written_down() {
    let cloud = cloud("desk", "ada@example.com", 0.5).await;
    let document = cloud.receive().await;
    cloud.until(document, Status::Sent).await;
    let own = format!("/documents/{document}");
    let page = cloud.page(&own).await;
    assert!(page.contains("At the desk") && !page.contains("/sign/"), "no link without asking: {page}");
    let cookie = cloud.signed_in().await;
    let show = async |csrf: &str| {
        let request = cloud.http.post(format!("{}{own}/desk/0/link", cloud.url)).header("cookie", &cookie);
        let answer = request.form(&[("csrf", csrf)]).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    };
    assert_eq!(show("").await.0, 403);
    let list = cloud.http.get(format!("{}/documents", cloud.url)).header("cookie", &cookie).send().await;
    let csrf = crate::signing::harness::hidden(&list.expect("an answer").text().await.expect("text"), "csrf");
    let (status, shown) = show(&csrf).await;
    assert_eq!(status, 200, "{shown}");
    let link =
        shown.split("value=\"").find_map(|rest| rest.split('"').next().filter(|it| it.contains("/sign/")));
    assert_eq!(link.map(str::to_owned), Some(cloud.links_to("ada@example.com").remove(0)));
    assert!(shown.contains("<svg") && shown.contains("<path d=\"M"), "{shown}");
    let (_, audit) = cloud.operate(Method::GET, "/v1/audit", None).await;
    assert!(audit.to_string().contains("signing.link.shown"), "{audit}");
}

testing::also_on_postgres!(
    what_was_archived_without_a_signature_is_sent_by_order_and_signed_as_by_a_route,
    the_same_order_under_the_same_key_is_one_envelope_and_another_is_refused,
);
