//! Claims about the desk, with a real database, real workers and poppler's verdict.

use super::page::{Turn, Visit, Visitor};
use super::*;
use crate::signing::trial::{Trial, pdfsig};
use askama::Template as _;
use jiff::Timestamp;

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

fn desk(trial: &Trial) -> Desk {
    let outgoing = Outgoing { folder: trial.folder.path().join("mail"), from: "desk@office.example".into() };
    Desk::new(trial.place.clone(), outgoing)
}

/// Follows the link in the newest invitation of an address.
async fn follow_link(trial: &Trial, desk: &Desk, address: &str) -> Visit {
    let letters = std::fs::read_dir(trial.folder.path().join("mail")).expect("invitations");
    let letters =
        letters.map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).expect("text"));
    let letter = letters.into_iter().find(|letter| letter.contains(&format!("To: {address}\r\n")));
    let letter = letter.unwrap_or_else(|| panic!("no invitation for {address}"));
    let link = letter.split_whitespace().find(|word| word.contains("/sign/")).expect("a link");
    let token = link.rsplit('/').next().expect("a token");
    desk.visit(token).await.expect("no failure of ours").expect("the link fits")
}

fn visitor() -> Visitor {
    Visitor { remote_address: "192.0.2.7".into(), user_agent: "test".into() }
}

#[tokio::test]
async fn pressing_sign_twice_is_one_signature_and_poppler_finds_it_valid() {
    let trial = Trial::new().await;
    let desk = desk(&trial);
    let order = trial.order(&[ADA]);
    let reference = desk.create(&order).await.expect("taken");
    let visit = follow_link(&trial, &desk, ADA).await;
    let browser = visitor();
    let (one, two) =
        tokio::join!(desk.sign(&visit, "Ada L.", &browser), desk.sign(&visit, "Eve M.", &browser));
    one.and(two).expect("both are answered");

    let state = desk.state(&trial.tenant, &reference).await.expect("a state");
    assert_eq!(state, EnvelopeState::Completed { signers: vec![ADA.into()] });
    let signed = desk.signed_pdf(&trial.tenant, &reference).await.expect("a signed PDF");
    assert_eq!(desk.signed_pdf(&trial.tenant, &reference).await, Ok(signed.clone()), "the same each time");
    assert!(signed.starts_with(&order.pdf), "the original bytes are a prefix");
    let said = pdfsig(&signed);
    assert_eq!(said.matches("Signature is Valid").count(), 1, "{said}");
    assert!(said.contains("Total document signed"), "{said}");

    let record = desk.record(&trial.tenant, &reference).await.expect("a record");
    // Which of two presses at once is the first is the database's to say.
    let name = record["signers"][0]["name"].as_str().expect("a name");
    assert!(name == "Ada L." || name == "Eve M.", "{name}");
    assert_eq!(record["signers"][0]["remote_address"], "192.0.2.7");
    assert!(!record.to_string().contains("/sign/"), "links are secrets");
}

#[tokio::test]
async fn two_signers_sign_in_order_and_the_first_signature_stays_valid() {
    let trial = Trial::new().await;
    let desk = desk(&trial);
    let reference = desk.create(&trial.order(&[ADA, BOB])).await.expect("taken");
    let secret = desk.secret(&trial.tenant).expect("a secret");
    let key = reference.0.parse().expect("our key");
    let early = desk.visit(Token::of(&secret, key, 1).as_str()).await.expect("an answer").expect("it fits");
    assert_eq!(early.turn(), Turn::NotYet);
    desk.sign(&early, "Bob", &visitor()).await.expect("answered");
    assert_eq!(
        desk.state(&trial.tenant, &reference).await,
        Ok(EnvelopeState::Open { viewed_by: vec![BOB.into()], signed_by: vec![] })
    );

    let ada = follow_link(&trial, &desk, ADA).await;
    assert_eq!(ada.turn(), Turn::Now);
    desk.sign(&ada, "Ada", &visitor()).await.expect("signed");
    let bob = follow_link(&trial, &desk, BOB).await;
    desk.sign(&bob, "Bob", &visitor()).await.expect("signed");

    let signed = desk.signed_pdf(&trial.tenant, &reference).await.expect("a signed PDF");
    let said = pdfsig(&signed);
    assert_eq!(said.matches("Signature is Valid").count(), 2, "{said}");
}

#[tokio::test]
async fn an_order_repeated_after_a_crash_is_one_envelope_and_one_invitation() {
    let trial = Trial::new().await;
    let desk = desk(&trial);
    let order = trial.order(&[ADA]);
    assert_eq!(desk.find(&trial.tenant, order.envelope_id, jiff::Timestamp::UNIX_EPOCH).await, Ok(None));
    let first = desk.create(&order).await.expect("taken");
    // As if the process had been killed before the invitation was noted.
    sqlx::query("UPDATE desk_signers SET invited_ms = NULL")
        .execute(&trial.place.database)
        .await
        .expect("an update");
    assert_eq!(
        desk.find(&trial.tenant, order.envelope_id, jiff::Timestamp::UNIX_EPOCH).await,
        Ok(Some(first.clone()))
    );
    assert_eq!(desk.create(&order).await, Ok(first));
    let letters = std::fs::read_dir(trial.folder.path().join("mail")).expect("invitations").count();
    assert_eq!(letters, 1);
    let other = "harbour".parse().expect("a tenant");
    assert_eq!(
        desk.find(&other, order.envelope_id, jiff::Timestamp::UNIX_EPOCH).await,
        Ok(None),
        "another tenant sees nothing"
    );
}

#[tokio::test]
async fn after_a_refusal_the_end_of_time_or_a_withdrawal_nothing_can_be_signed() {
    for ending in ["declined", "expired", "voided"] {
        let trial = Trial::new().await;
        let desk = desk(&trial);
        let mut order = trial.order(&[ADA]);
        if ending == "expired" {
            order.expires_at = Timestamp::now();
        }
        let reference = desk.create(&order).await.expect("taken");
        let token = Token::of(&desk.secret(&trial.tenant).expect("a secret"), order.envelope_id, 0);
        let visit = desk.visit(token.as_str()).await.expect("an answer").expect("it fits");
        let end = match ending {
            "declined" => {
                desk.decline(&visit, "wrong\nparty", &visitor()).await.expect("answered");
                EnvelopeState::Declined { signer: ADA.into(), reason: "wrong party".into() }
            }
            "voided" => {
                desk.void(&trial.tenant, &reference, "a mistake").await.expect("answered");
                EnvelopeState::Voided { reason: "a mistake".into() }
            }
            _ => EnvelopeState::Expired,
        };
        desk.sign(&visit, "Ada", &visitor()).await.expect("answered");
        desk.void(&trial.tenant, &reference, "too late").await.expect("answered");
        assert_eq!(desk.state(&trial.tenant, &reference).await, Ok(end), "{ending}");
        let visit = desk.visit(token.as_str()).await.expect("an answer").expect("it fits");
        assert_eq!(visit.turn(), Turn::Over, "{ending}");
        let page = visit.end_page().render().expect("the template fits its data");
        assert!(!page.contains("document.pdf"), "{ending}: {page}");
        assert!(desk.signed_pdf(&trial.tenant, &reference).await.is_err(), "{ending}");
    }
}

#[tokio::test]
async fn a_link_that_was_guessed_opens_nothing() {
    let trial = Trial::new().await;
    let desk = desk(&trial);
    desk.create(&trial.order(&[ADA])).await.expect("taken");
    for guess in ["", "a", "../../etc/passwd", &"A".repeat(43)] {
        assert!(desk.visit(guess).await.expect("an answer").is_none(), "{guess}");
    }
}

#[test]
fn no_seal_stands_on_another_and_all_stand_on_the_page() {
    let places: Vec<[u16; 4]> = (0..SIGNERS_MAX as u32).map(seal_place).collect();
    for (number, [left, bottom, right, top]) in places.iter().enumerate() {
        assert!(left < right && bottom < top && *right <= 1000 && *top <= 1000, "{number}");
        let overlaps = |[l, b, r, t]: &[u16; 4]| left < r && l < right && bottom < t && b < top;
        assert_eq!(places.iter().filter(|other| overlaps(other)).count(), 1, "{number}");
    }
}

#[tokio::test]
async fn more_signers_than_seals_have_room_are_refused_for_good() {
    let trial = Trial::new().await;
    let order = trial.order(&[ADA; SIGNERS_MAX + 1]);
    let refused = desk(&trial).create(&order).await.expect_err("too many");
    assert!(matches!(refused, ProviderError::Refused(_)), "{refused}");
}

#[tokio::test]
async fn a_pdf_that_can_never_be_sealed_is_said_to_be_so_and_the_signature_stays() {
    let trial = Trial::new().await;
    let desk = desk(&trial);
    let order = Order { pdf: b"not a PDF".to_vec(), ..trial.order(&[ADA]) };
    let reference = desk.create(&order).await.expect("taken");
    let visit = follow_link(&trial, &desk, ADA).await;
    desk.sign(&visit, "Ada Lovelace", &visitor()).await.expect("kept");
    let refused = desk.state(&order.tenant_id, &reference).await.expect_err("cannot be sealed");
    assert!(matches!(&refused, ProviderError::Refused(_)), "{refused}");
    assert_eq!(follow_link(&trial, &desk, ADA).await.turn(), Turn::Over, "the signature is kept");
}

crate::testing::also_on_postgres!(
    pressing_sign_twice_is_one_signature_and_poppler_finds_it_valid,
    two_signers_sign_in_order_and_the_first_signature_stays_valid,
    an_order_repeated_after_a_crash_is_one_envelope_and_one_invitation,
    after_a_refusal_the_end_of_time_or_a_withdrawal_nothing_can_be_signed,
    a_link_that_was_guessed_opens_nothing,
    more_signers_than_seals_have_room_are_refused_for_good,
    a_pdf_that_can_never_be_sealed_is_said_to_be_so_and_the_signature_stays,
);
