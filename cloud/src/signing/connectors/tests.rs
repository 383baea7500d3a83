//! Claims about every connector, against fakes that speak over real HTTP.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use platen_model::{Blank, BlankKind, Digest, DocumentId, EnvelopeId, Recipient, Role, TenantId};
use serde_json::{Value, json};

use super::fakes::{Fake, LINK, Stage, TOKEN, Trouble, WEBHOOK_SECRET};
use super::{AccountConfig, Kind, open};
use crate::signing::provider::{
    Callback, Callbacks, EnvelopeState, Forged, Hint, Lookup, Order, PageSize, Provider, ProviderError,
    Reference,
};
use crate::signing::trial::one_page_pdf;

const ALL: [Kind; 6] =
    [Kind::Documenso, Kind::Docuseal, Kind::Docusign, Kind::DropboxSign, Kind::Foxit, Kind::Esignly];
const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

/// A fake and an account there.
struct Trial {
    fake: Fake,
    provider: Arc<dyn Provider>,
    config: AccountConfig,
    tenant: TenantId,
    folder: tempfile::TempDir,
}

impl Trial {
    async fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let fake = Fake::start(kind).await;
        let config = fake.account(folder.path());
        config.check().expect("a sound account");
        let provider = open(std::slice::from_ref(&config)).expect("a client").remove(0);
        Self { fake, provider, config, tenant: "office".parse().expect("a tenant"), folder }
    }

    /// An order for Ada, then Bob, and what else this provider can take.
    fn order(&self) -> Order {
        let can = self.provider.capabilities();
        let mut recipients =
            vec![Recipient::signer(ADA, 1), Recipient::signer(BOB, if can.ordered { 2 } else { 1 })];
        if can.approvers {
            recipients[0].role = Role::Approver;
        }
        if can.copies_max > 0 {
            recipients.push(Recipient { role: Role::Cc, ..Recipient::signer("copy@example.com", 3) });
        }
        let blank = |recipient, kind| Blank {
            recipient,
            kind,
            page: 0,
            x: 59.5,
            y: 421.0,
            w: 144.0,
            h: 36.0,
            why: String::new(),
        };
        let pdf = one_page_pdf();
        Order {
            envelope_id: EnvelopeId::new(),
            tenant_id: self.tenant.clone(),
            document_id: DocumentId::new(),
            title: "nda.tif".into(),
            pdf_sha256: Digest::of(&pdf),
            pdf,
            recipients,
            blanks: vec![
                blank(0, BlankKind::Checkbox),
                blank(1, BlankKind::Signature),
                blank(1, BlankKind::Date),
            ],
            pages: vec![PageSize { w: 595.0, h: 842.0 }],
            expires_at: Timestamp::now() + SignedDuration::from_hours(30 * 24),
        }
    }

    /// Makes an envelope and asks its recipients.
    async fn sent(&self) -> (Order, Reference) {
        let order = self.order();
        let reference = self.provider.create(&order).await.expect("taken");
        if self.provider.capabilities().drafts {
            assert_eq!(self.state(&reference).await, EnvelopeState::Draft);
            self.provider.send(&self.tenant, &reference).await.expect("sent");
        }
        (order, reference)
    }

    async fn state(&self, reference: &Reference) -> EnvelopeState {
        self.provider.state(&self.tenant, reference).await.expect("a state")
    }

    fn opened(viewed: &[&str], signed: &[&str]) -> EnvelopeState {
        let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        EnvelopeState::Open { viewed_by: owned(viewed), signed_by: owned(signed) }
    }
}

#[tokio::test]
async fn every_provider_carries_an_envelope_to_its_signed_file() {
    for kind in ALL {
        let trial = Trial::new(kind).await;
        let (order, reference) = trial.sent().await;
        let site = &trial.fake.site;
        assert_eq!(site.only().sendings, 1, "{kind:?}");
        assert_eq!(trial.state(&reference).await, Trial::opened(&[], &[]), "{kind:?}");
        if trial.provider.capabilities().drafts {
            trial.provider.send(&trial.tenant, &reference).await.expect("it may be repeated");
            assert_eq!(site.only().sendings, 1, "{kind:?}: nobody is asked twice");
        }
        site.view(ADA);
        assert_eq!(trial.state(&reference).await, Trial::opened(&[ADA], &[]), "{kind:?}");
        trial.provider.remind(&trial.tenant, &reference).await.expect("reminded");
        assert!(site.only().reminders > 0, "{kind:?}");
        site.sign(ADA);
        assert_eq!(trial.state(&reference).await, Trial::opened(&[ADA], &[ADA]), "{kind:?}");
        let early = trial.provider.signed_pdf(&trial.tenant, &reference).await;
        // Some serve the file as it is now: those are asked for their state first, by us or by the courier.
        assert!(early.is_err() || kind == Kind::Docusign, "{kind:?}: {early:?}");
        site.view(BOB);
        site.sign(BOB);
        let EnvelopeState::Completed { signers } = trial.state(&reference).await else {
            panic!("{kind:?} is not completed")
        };
        assert_eq!(signers, order.addresses(), "{kind:?}");
        let signed = trial.provider.signed_pdf(&trial.tenant, &reference).await.expect("a file");
        assert!(signed.starts_with(b"%PDF-"), "{kind:?}");
        let certificate = trial.provider.certificate(&trial.tenant, &reference).await.expect("an answer");
        let has_its_own = trial.provider.capabilities().audit_trail && kind != Kind::Foxit;
        assert_eq!(certificate.is_some(), has_its_own, "{kind:?}");
        let record = trial.provider.record(&trial.tenant, &reference).await.expect("a record").to_string();
        assert!(!record.contains(LINK) && !record.contains(TOKEN), "{kind:?}: {record}");
        assert!(record.contains(ADA), "{kind:?}: {record}");
        assert_eq!(site.count(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn refusals_withdrawals_and_ends_of_time_are_told_apart() {
    for kind in ALL {
        let trial = Trial::new(kind).await;
        let (_, reference) = trial.sent().await;
        trial.provider.void(&trial.tenant, &reference, "a mistake").await.expect("withdrawn");
        assert!(matches!(trial.fake.site.only().stage, Stage::Voided(_)), "{kind:?}");
        if kind == Kind::Esignly {
            // How it shows the end of a request is unconfirmed; the rest of its claims with it.
            continue;
        }
        assert!(matches!(trial.state(&reference).await, EnvelopeState::Voided { .. }), "{kind:?}");
        trial.provider.void(&trial.tenant, &reference, "again").await.expect("repeating it changes nothing");

        let trial = Trial::new(kind).await;
        let (_, reference) = trial.sent().await;
        trial.fake.site.decline(ADA, "not mine");
        let declined = EnvelopeState::Declined { signer: ADA.into(), reason: "not mine".into() };
        assert_eq!(trial.state(&reference).await, declined, "{kind:?}");

        let trial = Trial::new(kind).await;
        let (_, reference) = trial.sent().await;
        trial.fake.site.expire();
        let expected = match kind {
            // Its envelopes stay open: the courier keeps the time.
            Kind::Documenso => Trial::opened(&[], &[]),
            _ => EnvelopeState::Expired,
        };
        assert_eq!(trial.state(&reference).await, expected, "{kind:?}");
    }
}

#[tokio::test]
async fn a_draft_is_withdrawn_as_well_and_nobody_is_asked() {
    for kind in [Kind::Documenso, Kind::Docusign, Kind::Foxit] {
        let trial = Trial::new(kind).await;
        let reference = trial.provider.create(&trial.order()).await.expect("taken");
        assert_eq!(trial.state(&reference).await, EnvelopeState::Draft, "{kind:?}");
        for _ in 0..2 {
            let answer = trial.provider.void(&trial.tenant, &reference, "a mistake").await;
            assert_eq!(answer, Ok(()), "{kind:?}");
            let state = trial.state(&reference).await;
            assert!(matches!(state, EnvelopeState::Voided { .. }), "{kind:?}: {state:?}");
        }
        assert_eq!(trial.fake.site.only().sendings, 0, "{kind:?}");
    }
}

#[tokio::test]
async fn a_withdrawal_that_is_refused_counts_only_where_the_envelope_has_ended() {
    for kind in [Kind::Docusign, Kind::DropboxSign, Kind::Foxit] {
        let trial = Trial::new(kind).await;
        let (_, reference) = trial.sent().await;
        let refused = async || {
            trial.fake.site.trouble(Trouble::Refuses);
            trial.provider.void(&trial.tenant, &reference, "a mistake").await
        };
        let answer = refused().await;
        assert!(
            matches!(&answer, Err(ProviderError::Refused(why)) if why.contains("not this one")),
            "{kind:?}: {answer:?}"
        );
        assert_eq!(trial.state(&reference).await, Trial::opened(&[], &[]), "{kind:?}: its links are live");
        trial.fake.site.sign(ADA);
        trial.fake.site.sign(BOB);
        assert_eq!(refused().await, Ok(()), "{kind:?}: it has ended");
    }
}

#[tokio::test]
async fn an_envelope_is_gone_where_its_provider_says_so_and_not_where_a_proxy_does() {
    for kind in [Kind::Documenso, Kind::Docuseal, Kind::Docusign, Kind::DropboxSign] {
        let trial = Trial::new(kind).await;
        let (_, reference) = trial.sent().await;
        for trouble in [Trouble::NoWay, Trouble::NoWayInJson] {
            trial.fake.site.trouble(trouble);
            let state = trial.provider.state(&trial.tenant, &reference).await;
            assert!(matches!(state, Err(ProviderError::Down(_))), "{kind:?}: {state:?}");
            trial.fake.site.trouble(trouble);
            let record = trial.provider.record(&trial.tenant, &reference).await;
            assert!(matches!(record, Err(ProviderError::Down(_))), "{kind:?}: an empty record: {record:?}");
        }
        assert_eq!(trial.state(&reference).await, Trial::opened(&[], &[]), "{kind:?}: it is there");
        trial.fake.site.forget();
        assert!(matches!(trial.state(&reference).await, EnvelopeState::Voided { .. }), "{kind:?}");
    }
}

#[tokio::test]
async fn an_error_that_is_sent_in_the_signed_files_place_is_said() {
    for (kind, error) in [
        (Kind::Foxit, json!({ "result": "error", "error_description": "the file is locked" })),
        (Kind::Esignly, json!({ "error_code": 500, "message": "no such file" })),
    ] {
        let trial = Trial::new(kind).await;
        let (_, reference) = trial.sent().await;
        trial.fake.site.sign(ADA);
        trial.fake.site.sign(BOB);
        trial.fake.site.returns(error.to_string().into_bytes());
        let signed = trial.provider.signed_pdf(&trial.tenant, &reference).await;
        match kind {
            Kind::Foxit => assert_eq!(signed, Err(ProviderError::Refused("the file is locked".into()))),
            _ => assert_eq!(signed, Err(ProviderError::NotTaken("error 500".into()))),
        }
    }
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_the_envelope_is_found_again_by_our_key() {
    for kind in ALL {
        let trial = Trial::new(kind).await;
        let order = trial.order();
        let since = Timestamp::now();
        let find = async || trial.provider.find(&trial.tenant, order.envelope_id, since).await;
        let lookup = trial.provider.capabilities().lookup;
        if lookup != Lookup::Never {
            assert_eq!(find().await, Ok(None), "{kind:?}: nothing is there yet");
        }
        trial.fake.site.trouble(Trouble::LosesAnswer);
        let answer = trial.provider.create(&order).await;
        assert!(matches!(answer, Err(ProviderError::Unknown(_))), "{kind:?}: {answer:?}");
        assert_eq!(trial.fake.site.count(), 1, "{kind:?}: it was taken all the same");
        match lookup {
            Lookup::Never => {
                find().await.expect_err("it cannot be asked");
            }
            _ => {
                let found = find().await.expect("an answer").expect("it is there");
                assert_eq!(found.0, trial.fake.site.only().id, "{kind:?}");
                // Of two envelopes with one key the oldest counts.
                trial.provider.create(&order).await.expect("a second one");
                assert_eq!(find().await, Ok(Some(found)), "{kind:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_certainly_did_not_happen_is_told_from_what_perhaps_did() {
    for kind in ALL {
        let trial = Trial::new(kind).await;
        let order = trial.order();
        // A token is got first, so that trouble meets the call itself.
        let (_, reference) = trial.sent().await;
        let site = &trial.fake.site;
        let create = async |trouble| {
            site.trouble(trouble);
            trial.provider.create(&order).await
        };
        let later = create(Trouble::TooMany).await;
        let after = Duration::from_secs(7);
        assert!(
            matches!(later, Err(ProviderError::Later { after: said, .. }) if said == after),
            "{kind:?}: {later:?}"
        );
        let refused = create(Trouble::Unauthorized).await;
        assert!(matches!(refused, Err(ProviderError::NotTaken(_))), "{kind:?}: {refused:?}");
        let out = create(Trouble::Out).await;
        assert!(matches!(out, Err(ProviderError::Unknown(_))), "{kind:?}: {out:?}");
        site.trouble(Trouble::Out);
        let asked = trial.provider.state(&trial.tenant, &reference).await;
        assert!(matches!(asked, Err(ProviderError::Down(_))), "{kind:?}: {asked:?}");
        assert_eq!(site.count(), 1, "{kind:?}");

        // Nobody listens there any more.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let dead = format!("http://{}", listener.local_addr().expect("an address"));
        drop(listener);
        let config = AccountConfig { url: Some(dead), ..trial.config.clone() };
        let provider = open(&[config]).expect("a client").remove(0);
        let unreachable = provider.create(&order).await;
        assert!(matches!(unreachable, Err(ProviderError::Down(_))), "{kind:?}: {unreachable:?}");
    }
}

#[tokio::test]
async fn a_rotated_token_counts_from_the_next_call_on() {
    let trial = Trial::new(Kind::Documenso).await;
    let (_, reference) = trial.sent().await;
    std::fs::write(trial.folder.path().join("token"), "api_other").expect("write");
    let refused = trial.provider.state(&trial.tenant, &reference).await;
    assert!(matches!(refused, Err(ProviderError::NotTaken(_))), "{refused:?}");
    std::fs::write(trial.folder.path().join("token"), format!("{TOKEN}\n")).expect("write");
    trial.state(&reference).await;
}

#[tokio::test]
async fn places_are_given_in_each_providers_own_unit() {
    // A tenth of the width from the left, half of the height from the top.
    let check = async |kind, pointer: &str, expected: Value| {
        let trial = Trial::new(kind).await;
        trial.sent().await;
        let order = trial.fake.site.only().order;
        let found = order.pointer(pointer).unwrap_or_else(|| panic!("{kind:?}: {order:#}"));
        match (found.as_f64(), expected.as_f64()) {
            (Some(found), Some(expected)) => assert!((found - expected).abs() < 1e-6, "{kind:?}: {found}"),
            _ => assert_eq!(*found, expected, "{kind:?}"),
        }
    };
    check(Kind::Documenso, "/recipients/1/fields/0/positionX", json!(10.0)).await;
    check(Kind::Documenso, "/recipients/1/fields/0/positionY", json!(50.0)).await;
    check(Kind::Docuseal, "/documents/0/fields/1/areas/0/x", json!(0.1)).await;
    check(Kind::Docuseal, "/documents/0/fields/1/areas/0/y", json!(0.5)).await;
    check(Kind::Docusign, "/recipients/signers/1/tabs/signHereTabs/0/xPosition", json!("60")).await;
    check(Kind::Docusign, "/recipients/signers/1/tabs/signHereTabs/0/yPosition", json!("421")).await;
    check(Kind::DropboxSign, "/form_fields_per_document[1][y]", json!("421")).await;
    check(Kind::DropboxSign, "/form_fields_per_document[1][width]", json!("160")).await;
    check(Kind::Foxit, "/fields/1/y", json!(421)).await;
}

/// A callback as its provider sends it: headers, query, body.
#[derive(Clone, Debug)]
struct Sent {
    headers: Vec<(String, String)>,
    query: String,
    body: Vec<u8>,
}

fn hmac(secret: &str, message: &[u8]) -> Vec<u8> {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    ring::hmac::sign(&key, message).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}

/// A genuine callback about envelope 7, signed with this secret at this second.
fn sent(kind: Kind, secret: &str, second: i64) -> Sent {
    let json = |value: Value| value.to_string().into_bytes();
    let header = |name: &str, value: String| vec![(name.to_owned(), value)];
    let query = String::new();
    match kind {
        Kind::Documenso => {
            let recipient = json!({ "id": 1, "email": ADA, "token": LINK, "readStatus": "OPENED" });
            let payload =
                json!({ "id": 7, "envelopeId": "7", "status": "PENDING", "recipients": [recipient] });
            let body = json(json!({ "event": "DOCUMENT_OPENED", "payload": payload, "createdAt": second }));
            Sent { headers: header("x-documenso-secret", secret.into()), query, body }
        }
        Kind::Docuseal => {
            let data = json!({ "id": 71, "submission": { "id": 7, "url": LINK } });
            let body = json(json!({ "event_type": "form.viewed", "timestamp": second, "data": data }));
            let tag = hex(&hmac(secret, &[format!("{second}.").as_bytes(), &body].concat()));
            Sent { headers: header("x-docuseal-signature", format!("{second}.{tag}")), query, body }
        }
        Kind::Docusign => {
            let generated = Timestamp::from_second(second).expect("in range").to_string();
            let body = json(json!({
                "event": "recipient-completed", "generatedDateTime": generated,
                "data": { "envelopeId": "7", "envelopeSummary": { "recipientSigningUri": LINK } },
            }));
            let mut headers = header("x-docusign-signature-1", base64(&hmac("another key", &body)));
            headers.extend(header("x-docusign-signature-2", base64(&hmac(secret, &body))));
            Sent { headers, query, body }
        }
        Kind::DropboxSign => {
            let event = json!({
                "event_time": second.to_string(),
                "event_type": "signature_request_viewed",
                "event_hash": hex(&hmac(secret, format!("{second}signature_request_viewed").as_bytes())),
                "event_metadata": { "related_signature_id": "1" },
            });
            let request = json!({ "signature_request_id": "7", "signing_url": LINK });
            let text = json!({ "event": event, "signature_request": request }).to_string();
            let body =
                format!("--x\r\nContent-Disposition: form-data; name=\"json\"\r\n\r\n{text}\r\n--x--\r\n");
            let headers = header("content-type", "multipart/form-data; boundary=x".into());
            Sent { headers, query, body: body.into_bytes() }
        }
        Kind::Foxit => {
            let folder = json!({ "folderId": 7, "folderStatus": "SHARED", "folderAccessURL": LINK });
            let data = json!({ "folder": folder, "viewing_party": { "emailId": ADA } });
            let body = json(json!({ "event_name": "folder_viewed", "data": data }));
            Sent { headers: header("x-foxit-signature", base64(&hmac(secret, &body))), query, body }
        }
        Kind::Esignly => Sent { headers: Vec::new(), query, body: b"{}".to_vec() },
    }
}

fn verify(trial: &Trial, sent: &Sent, now: i64) -> Result<Hint, Forged> {
    let received_at = Timestamp::from_second(now).expect("in range");
    let callback = Callback { headers: &sent.headers, query: &sent.query, body: &sent.body, received_at };
    trial.provider.verify(&trial.tenant, &callback)
}

#[tokio::test]
async fn callbacks_are_believed_only_when_they_are_proved() {
    let now = Timestamp::now().as_second();
    for kind in ALL {
        let trial = Trial::new(kind).await;
        let genuine = sent(kind, WEBHOOK_SECRET, now);
        if trial.provider.capabilities().callbacks == Callbacks::None {
            assert_eq!(verify(&trial, &genuine, now), Err(Forged::NotExpected), "{kind:?}");
            continue;
        }
        let hint = verify(&trial, &genuine, now).unwrap_or_else(|forged| panic!("{kind:?}: {forged}"));
        assert_eq!(hint.reference, Some(Reference("7".into())), "{kind:?}");
        assert_eq!(verify(&trial, &genuine, now).expect("again").id, hint.id, "{kind:?}: a repetition");

        verify(&trial, &sent(kind, "another secret", now), now).expect_err("by another secret");
        let bare = Sent { headers: Vec::new(), ..genuine.clone() };
        verify(&trial, &bare, now).expect_err("without what proves it");
        let empty = sent(kind, "", now);
        verify(&trial, &empty, now).expect_err("an empty secret proves nothing");
        if matches!(trial.provider.capabilities().callbacks, Callbacks::Signed) {
            let mut changed = genuine.clone();
            let at = changed.body.iter().position(|byte| *byte == b'7').expect("the id");
            changed.body[at] = b'8';
            assert_eq!(verify(&trial, &changed, now), Err(Forged::BadSignature), "{kind:?}");
        }
        if matches!(kind, Kind::Docuseal | Kind::Docusign | Kind::DropboxSign) {
            let old = sent(kind, WEBHOOK_SECRET, now - 30 * 24 * 3600);
            assert_eq!(verify(&trial, &old, now), Err(Forged::Stale), "{kind:?}");
        }
        let kept = trial.provider.redact(&genuine.body);
        assert!(!String::from_utf8_lossy(&kept).contains("LET-ME-SIGN"), "{kind:?}: no links are kept");
    }
}

#[tokio::test]
async fn links_in_a_form_on_one_line_are_not_kept_either() {
    let trial = Trial::new(Kind::DropboxSign).await;
    let json = json!({ "signing_url": LINK, "kept": "https" }).to_string();
    let body = serde_urlencoded::to_string([("json", json), ("more", LINK.into())]).expect("a form");
    let kept = trial.provider.redact(body.as_bytes());
    let kept = String::from_utf8_lossy(&kept);
    assert!(!kept.contains("LET-ME-SIGN") && kept.contains("%22kept%22"), "{kept}");
}

#[tokio::test]
async fn while_a_webhook_secret_is_replaced_both_count() {
    let now = Timestamp::now().as_second();
    for kind in ALL.into_iter().filter(|kind| *kind != Kind::Esignly) {
        let mut trial = Trial::new(kind).await;
        let path = trial.folder.path().join("next");
        std::fs::write(&path, "the next secret").expect("write");
        trial.config.webhook_secrets.push(crate::signing::secret::Secret::File(path));
        trial.provider = open(std::slice::from_ref(&trial.config)).expect("a client").remove(0);
        verify(&trial, &sent(kind, WEBHOOK_SECRET, now), now)
            .unwrap_or_else(|forged| panic!("{kind:?}: {forged}"));
        verify(&trial, &sent(kind, "the next secret", now), now)
            .unwrap_or_else(|forged| panic!("{kind:?}: {forged}"));
        // The old one goes.
        std::fs::write(trial.folder.path().join("webhook"), "gone").expect("write");
        verify(&trial, &sent(kind, WEBHOOK_SECRET, now), now).expect_err("it was taken away");
    }
}

#[tokio::test]
async fn foxits_signature_is_found_where_the_configuration_says() {
    let mut trial = Trial::new(Kind::Foxit).await;
    trial.config.signature_carrier = Some("query:signature".into());
    trial.provider = open(std::slice::from_ref(&trial.config)).expect("a client").remove(0);
    let mut callback = sent(Kind::Foxit, WEBHOOK_SECRET, 0);
    verify(&trial, &callback, 0).expect_err("it stands in a header");
    // A plus that was not escaped.
    callback.query = format!("signature={}", callback.headers[0].1);
    verify(&trial, &callback, 0).expect("it stands in the query");
    trial.config.signature_carrier = Some("cookie:a".into());
    trial.config.check().expect_err("no such place");
}

#[test]
fn accounts_that_cannot_work_are_refused_by_name() {
    let check = |text: &str, part: &str| {
        let account: AccountConfig = toml::from_str(text).expect("an account");
        let error = account.check().expect_err(text);
        assert!(error.contains(part) && error.contains("[[signing]]"), "{error}");
    };
    check("provider = 'documenso'\naccount = 'Main'\ntoken = 'env:A'", "`account` is a word");
    check("provider = 'documenso'\naccount = 'main'", "`token` is needed");
    check("provider = 'documenso'\naccount = 'main'\ntoken = 'env:A'\nurl = 'http://sign.example'", "https");
    check("provider = 'docusign'\naccount = 'main'", "`user_id`");
    check("provider = 'foxit'\naccount = 'main'\ntoken = 'env:A'", "`client_id`");
    toml::from_str::<AccountConfig>("provider = 'documenso'\naccount = 'main'\ntoken = 'api_123'")
        .expect_err("a secret has no place in the file");
}

#[path = "fuzz_tests.rs"]
mod fuzzed;
