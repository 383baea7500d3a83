//! Claims about the desk, with a real database, real workers and poppler's verdict.

use super::mail::Way;
use super::page::{Signature, Turn, Visit, Visitor};
use super::*;
use crate::checkpoints::timestamps::tests as timestamps;
use crate::signing::provider::PageSize;
use crate::signing::returned::Examiner;
use crate::signing::trial::{Trial, pdfsig, pyhanko};
use askama::Template as _;
use jiff::Timestamp;
use platen_model::{Blank, Recipient, Role, SignatureClock, SignatureVerdict};
use std::sync::Arc;

pub(super) const ADA: &str = "ada@example.com";
pub(super) const BOB: &str = "bob@example.com";

pub(super) fn desk(trial: &Trial) -> Desk {
    desk_with(trial, Identity::Link)
}

pub(super) fn desk_with(trial: &Trial, identity: Identity) -> Desk {
    let way = Way::Folder(trial.folder.path().join("mail"));
    with_post(trial, Post { from: "desk@office.example".into(), way }, identity)
}

fn with_post(trial: &Trial, post: Post, identity: Identity) -> Desk {
    let config = config::Desk { identity, ..config::Desk::default() };
    Desk::new(trial.place.clone(), post, &config)
}

#[tokio::test]
async fn signers_see_the_name_of_who_asks_in_the_message_and_on_the_page() {
    let trial = Trial::new().await;
    let post =
        Post { from: "desk@office.example".into(), way: Way::Folder(trial.folder.path().join("mail")) };
    let config = config::Desk { name: Some("Halden & Partners".into()), ..config::Desk::default() };
    let desk = Desk::new(trial.place.clone(), post, &config);
    desk.create(&trial.order(&[ADA])).await.expect("taken");
    let letter = letters(&trial).concat();
    assert!(letter.contains("Halden & Partners asks you to sign"), "{letter}");
    let page = follow_link(&trial, &desk, ADA).await.sign_page(1, "", None).render().expect("a page");
    assert!(page.contains("Halden &#38; Partners") || page.contains("Halden &amp; Partners"), "{page}");
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

pub(super) fn visitor() -> Visitor {
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
    let (ada, eve) = (Signature::typed("Ada L."), Signature::typed("Eve M."));
    let (one, two) = tokio::join!(desk.sign(&visit, &ada, &browser), desk.sign(&visit, &eve, &browser));
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
    desk.sign(&early, &Signature::typed("Bob"), &visitor()).await.expect("answered");
    assert_eq!(
        desk.state(&trial.tenant, &reference).await,
        Ok(EnvelopeState::Open { viewed_by: vec![BOB.into()], signed_by: vec![] })
    );

    let ada = follow_link(&trial, &desk, ADA).await;
    assert_eq!(ada.turn(), Turn::Now);
    desk.sign(&ada, &Signature::typed("Ada"), &visitor()).await.expect("signed");
    let bob = follow_link(&trial, &desk, BOB).await;
    desk.sign(&bob, &Signature::typed("Bob"), &visitor()).await.expect("signed");

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
async fn each_reminder_is_a_message_of_its_own_and_one_repeated_after_a_crash_is_the_same() {
    let trial = Trial::new().await;
    let desk = desk(&trial);
    let reference = desk.create(&trial.order(&[ADA])).await.expect("taken");
    let remind = async || {
        desk.remind(&trial.tenant, &reference).await.expect("reminded");
        // The next one is of another millisecond.
        tokio::time::sleep(Duration::from_millis(3)).await;
        letters_to(&trial, ADA)
    };
    assert_eq!((remind().await, remind().await), (2, 3), "beside the invitation");
    let ids: std::collections::BTreeSet<String> = letters(&trial)
        .iter()
        .filter_map(|letter| letter.lines().find(|line| line.starts_with("Message-ID:")).map(str::to_owned))
        .collect();
    assert_eq!(ids.len(), 3, "{ids:?}");
    // As if the process had been killed after the message, before that was noted.
    let begun = desk.book.begin_reminder(&reference, 0).await.expect("noted");
    assert_eq!(desk.book.begin_reminder(&reference, 0).await, Ok(begun));
    assert_eq!(remind().await, 4);
    sqlx::query("UPDATE desk_signers SET reminding_ms = $1")
        .bind(begun)
        .execute(&trial.place.database)
        .await
        .expect("an update");
    assert_eq!((remind().await, remind().await), (4, 5), "the same, and then another");
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
        desk.sign(&visit, &Signature::typed("Ada"), &visitor()).await.expect("answered");
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
    desk.sign(&visit, &Signature::typed("Ada Lovelace"), &visitor()).await.expect("kept");
    let refused = desk.state(&order.tenant_id, &reference).await.expect_err("cannot be sealed");
    assert!(matches!(&refused, ProviderError::Refused(_)), "{refused}");
    assert_eq!(follow_link(&trial, &desk, ADA).await.turn(), Turn::Over, "the signature is kept");
}

/// Everyone's token, by position.
pub(super) async fn visit(desk: &Desk, trial: &Trial, order: &Order, position: u32) -> Visit {
    let token = Token::of(&desk.secret(&trial.tenant).expect("a secret"), order.envelope_id, position);
    desk.visit(token.as_str()).await.expect("an answer").expect("it fits")
}

pub(super) fn letters(trial: &Trial) -> Vec<String> {
    let Ok(folder) = std::fs::read_dir(trial.folder.path().join("mail")) else { return Vec::new() };
    folder.map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).expect("text")).collect()
}

pub(super) fn letters_to(trial: &Trial, address: &str) -> usize {
    letters(trial).iter().filter(|letter| letter.contains(&format!("To: {address}\r\n"))).count()
}

#[tokio::test]
async fn those_of_one_turn_sign_in_any_order_and_approvers_and_copies_have_their_place() {
    const CAROL: &str = "carol@example.com";
    const COPY: &str = "copy@example.com";
    let trial = Trial::new().await;
    let desk = desk(&trial);
    let recipient = |address: &str, role, order| Recipient { role, ..Recipient::signer(address, order) };
    let order = Order {
        recipients: vec![
            recipient(ADA, Role::Approver, 1),
            recipient(BOB, Role::Signer, 2),
            recipient(CAROL, Role::Signer, 2),
            recipient(COPY, Role::Cc, 3),
        ],
        ..trial.order(&[])
    };
    let reference = desk.create(&order).await.expect("taken");
    assert_eq!((letters_to(&trial, ADA), letters_to(&trial, BOB), letters_to(&trial, COPY)), (1, 0, 0));
    let sees = async |position| visit(&desk, &trial, &order, position).await.may_see();
    assert_eq!(visit(&desk, &trial, &order, 2).await.turn(), Turn::NotYet);
    assert_eq!((sees(0).await, sees(2).await, sees(3).await), (true, false, false));
    desk.sign(&visit(&desk, &trial, &order, 0).await, &Signature::typed("Ada"), &visitor())
        .await
        .expect("approved");
    assert_eq!((letters_to(&trial, BOB), letters_to(&trial, CAROL), letters_to(&trial, COPY)), (1, 1, 0));
    // Both at once, and not in the order of their positions.
    let (carol, bob) = (visit(&desk, &trial, &order, 2).await, visit(&desk, &trial, &order, 1).await);
    let (as_carol, as_bob) = (Signature::typed("Carol"), Signature::typed("Bob"));
    let browser = visitor();
    let (one, two) = tokio::join!(desk.sign(&carol, &as_carol, &browser), desk.sign(&bob, &as_bob, &browser));
    one.and(two).expect("both are answered");
    let state = desk.state(&trial.tenant, &reference).await.expect("a state");
    assert_eq!(state, EnvelopeState::Completed { signers: vec![ADA.into(), BOB.into(), CAROL.into()] });
    let signed = desk.signed_pdf(&trial.tenant, &reference).await.expect("a signed PDF");
    let said = pdfsig(&signed);
    assert_eq!(said.matches("Signature is Valid").count(), 2, "an approval is no seal: {said}");
    assert!(said.contains("Total document signed"), "{said}");
    assert_eq!(letters_to(&trial, COPY), 1);
    let copy = visit(&desk, &trial, &order, 3).await;
    assert_eq!(copy.turn(), Turn::Over);
    assert!(copy.end_page().render().expect("a page").contains("document.pdf"));
    assert_eq!(copy.pdf(), Some(Digest::of(&signed)));
    assert!(copy.may_see() && sees(0).await && sees(2).await, "who has signed, and the copy");
    desk.sign(&copy, &Signature::typed("Copy"), &browser).await.expect("answered");
    assert_eq!(desk.signed_pdf(&trial.tenant, &reference).await, Ok(signed), "a copy signs nothing");
}

#[tokio::test]
async fn the_signature_stands_in_its_place_as_it_was_drawn_with_what_was_filled_in() {
    let trial = Trial::new().await;
    let desk = desk(&trial);
    let blank = |kind, x, y, w, h| Blank { recipient: 0, kind, page: 0, x, y, w, h, why: String::new() };
    let order = Order {
        blanks: vec![
            blank(BlankKind::Signature, 300.0, 100.0, 200.0, 60.0),
            blank(BlankKind::Date, 60.0, 300.0, 120.0, 20.0),
            blank(BlankKind::Text, 60.0, 400.0, 120.0, 20.0),
            blank(BlankKind::Checkbox, 60.0, 500.0, 20.0, 20.0),
        ],
        pages: vec![PageSize { w: 595.0, h: 842.0 }],
        ..trial.order(&[ADA])
    };
    let reference = desk.create(&order).await.expect("taken");
    let ada = visit(&desk, &trial, &order, 0).await;
    let page = ada.sign_page(1, "", None).render().expect("a page");
    assert!(page.contains("name=\"text.2\"") && page.contains("name=\"tick.3\""), "{page}");
    let signature = Signature {
        name: "Ada L.".into(),
        strokes: vec![vec![[0, 0], [500, 1000], [1000, 0]], vec![[10, 10]]],
        // A gap that is a date is not the signer's to fill in, and there is no gap 9.
        entries: vec![(2, Some("blue\nsky".into())), (3, None), (1, Some("1999-01-01".into())), (9, None)],
    };
    desk.sign(&ada, &signature, &visitor()).await.expect("signed");
    let signed = desk.signed_pdf(&trial.tenant, &reference).await.expect("a signed PDF");
    let said = pdfsig(&signed);
    assert!(said.contains("Signature is Valid") && said.contains("Total document signed"), "{said}");
    // The box of the signature, in PDF's own coordinates: from the bottom.
    let text = String::from_utf8_lossy(&signed).into_owned();
    let rect = text.split("/Rect").nth(1).and_then(|rest| rest.split(']').next()).expect("a rectangle");
    let edges: Vec<f32> =
        rect.trim_matches(['[', ' ']).split(' ').filter_map(|edge| edge.parse().ok()).collect();
    for (found, expected) in edges.iter().zip([300.0, 682.0, 500.0, 742.0]) {
        assert!((found - expected).abs() < 1.0, "{edges:?}");
    }
    assert_eq!(text.matches("/Subtype/Stamp").count(), 3, "date, text and tick");
    let record = desk.record(&trial.tenant, &reference).await.expect("a record");
    assert_eq!(record["signers"][0]["entries"], serde_json::json!(["blue sky", null]));
}

#[tokio::test]
async fn pyhanko_agrees_and_finds_a_changed_byte() {
    let trial = Trial::new().await;
    let desk = desk(&trial);
    let order = trial.order(&[ADA, BOB]);
    let reference = desk.create(&order).await.expect("taken");
    for (position, name) in [(0, "Ada"), (1, "Bob")] {
        let visit = visit(&desk, &trial, &order, position).await;
        desk.sign(&visit, &Signature::typed(name), &visitor()).await.expect("signed");
    }
    let signed = desk.signed_pdf(&trial.tenant, &reference).await.expect("a signed PDF");
    let keys = trial.place.keys.of(&trial.tenant).expect("keys");
    let trusted = keys.seal.certificate_pem();
    let said = pyhanko(&signed, trusted);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines.iter().all(|line| line.starts_with("intact=True valid=True trusted=True")), "{said}");
    assert!(lines[1].contains("coverage=ENTIRE_FILE changes=NONE"), "{said}");
    assert!(!lines[0].contains("changes=OTHER"), "what the second signer did is a signature: {said}");

    // A letter of the document itself, under both signatures.
    let mut changed = signed.clone();
    let at = changed.windows(8).position(|part| part == b"MediaBox").expect("the page");
    changed[at + 10] = b'9';
    let said = pyhanko(&changed, trusted);
    assert!(said.lines().all(|line| line.contains("intact=False")), "{said}");
}

#[tokio::test]
async fn invitations_and_codes_go_to_a_real_mail_server() {
    let server = platen_tests::servers::Mail::start();
    let trial = Trial::new().await;
    let smtp = super::mail::Smtp { url: server.url(), user: None, password: None, from: None };
    smtp.check().expect("a server of this machine");
    let post = Post { from: "desk@office.example".into(), way: Way::Server(smtp) };
    let desk = with_post(&trial, post, Identity::Code);
    let order = Order { title: "Vertrag über Möbel.pdf".into(), ..trial.order(&[ADA]) };
    let reference = desk.create(&order).await.expect("taken");
    desk.send_code(&visit(&desk, &trial, &order, 0).await).await.expect("sent");
    let letters = server.letters();
    assert_eq!(letters.len(), 2, "{letters:?}");
    assert!(letters.iter().all(|letter| letter.contains("To: ada@example.com")), "{letters:?}");
    assert!(letters.iter().any(|letter| letter.contains("/sign/")), "{letters:?}");
    drop(server);
    let lost = desk.remind(&trial.tenant, &reference).await.expect_err("nobody takes it");
    assert!(matches!(lost, ProviderError::NotTaken(_)), "{lost}");
}

#[tokio::test]
async fn a_drawing_that_is_none_is_as_if_nothing_had_been_drawn() {
    assert_eq!(Signature::strokes("[[[1,2],[3,4]]]"), vec![vec![[1, 2], [3, 4]]]);
    let long = format!("[[{}[1,1]]]", "[1,1],".repeat(6_000));
    for text in ["", "x", "[[1]]", "[[[1,2,3]]]", "[[[1001,0]]]", "[[[-1,0]]]", long.as_str()] {
        assert!(Signature::strokes(text).is_empty(), "{text:.20}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_authority_each_seal_is_stamped_and_the_file_brings_what_is_needed_to_check_it_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = timestamps::authority(folder.path().to_owned(), None).await;
    let mut trial = Trial::new().await;
    let order = trial.order(&[ADA, BOB]);
    // While the authority is away signatures are kept, and no lesser seal is made.
    trial.place.timestamp_url = Some("http://127.0.0.1:9/".into());
    let patient = desk(&trial);
    let reference = patient.create(&order).await.expect("taken");
    let ada = visit(&patient, &trial, &order, 0).await;
    patient.sign(&ada, &Signature::typed("Ada"), &visitor()).await.expect("kept");
    let away = patient.state(&trial.tenant, &reference).await.expect_err("nobody stamps");
    assert!(matches!(&away, ProviderError::NotTaken(why) if why.contains("time-stamp")), "{away}");

    trial.place.timestamp_url = Some(url);
    let desk = desk(&trial);
    let bob = visit(&desk, &trial, &order, 1).await;
    desk.state(&trial.tenant, &reference).await.expect("sealed now, and Bob is asked");
    desk.sign(&bob, &Signature::typed("Bob"), &visitor()).await.expect("signed");
    let state = desk.state(&trial.tenant, &reference).await.expect("a state");
    assert_eq!(state, EnvelopeState::Completed { signers: vec![ADA.into(), BOB.into()] });
    let signed = desk.signed_pdf(&trial.tenant, &reference).await.expect("a signed PDF");
    assert_eq!(desk.signed_pdf(&trial.tenant, &reference).await, Ok(signed.clone()), "the same each time");

    let trusted = trial.place.keys.of(&trial.tenant).expect("keys");
    let said = pyhanko(&signed, trusted.seal.certificate_pem());
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(said.lines().all(|line| line.starts_with("intact=True valid=True trusted=True")), "{said}");
    assert!(said.lines().all(|line| line.ends_with("stamped=True")), "{said}");
    assert!(!said.contains("changes=OTHER"), "{said}");
    assert!(String::from_utf8_lossy(&signed).contains("/DSS"));
    let examine = async |roots: Option<std::path::PathBuf>| {
        let (workers, keys) = (Arc::clone(&trial.place.workers), Arc::clone(&trial.place.keys));
        let examiner = Examiner::new(workers, keys, roots).expect("certificates");
        let found =
            examiner.examine(&trial.tenant, signed.clone(), order.pdf.clone(), true, Timestamp::now());
        found.await.expect("a finding")
    };
    for (roots, clock) in [
        (None, SignatureClock::StampedByUnknown),
        (Some(folder.path().join("tsa.pem")), SignatureClock::Stamped),
    ] {
        let finding = examine(roots).await;
        assert_eq!(finding.verdict, SignatureVerdict::Valid, "{finding:?}");
        assert!(finding.signatures.iter().all(|found| found.clock == clock), "{finding:?}");
    }
    let path = folder.path().join("signed.pdf");
    std::fs::write(&path, &signed).expect("write");
    let checked = std::process::Command::new("qpdf").arg("--check").arg(path).output().expect("qpdf");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_is_given_while_seals_are_looked_at_is_in_the_file_that_is_handed_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut trial = Trial::new().await;
    trial.place.timestamp_url = Some(timestamps::authority(folder.path().to_owned(), None).await);
    let desk = desk(&trial);
    let order = trial.order(&[ADA, BOB]);
    let reference = desk.create(&order).await.expect("taken");
    desk.sign(&visit(&desk, &trial, &order, 0).await, &Signature::typed("Ada"), &visitor())
        .await
        .expect("signed");
    // Bob's signature is kept in the moment after the seals were made, and before the file is completed.
    let deed = book::Deed {
        drawn: &[],
        entries: &[],
        name: "Bob",
        consent: CONSENT,
        remote_address: "192.0.2.8",
        user_agent: "test",
    };
    desk.book.sign(&reference, 1, &deed).await.expect("kept");
    let completed = async || {
        desk.complete(&trial.tenant, &reference).await.expect("nothing fails");
        let (envelope, signers) = desk.book.read(&trial.tenant, &reference).await.expect("readable");
        let (_, newest) = newest(&envelope, &signers).expect("there is a PDF");
        (envelope.completed_sha256, newest)
    };
    let (nothing, with_one_seal) = completed().await;
    assert_eq!(nothing, None, "Bob's seal is missing");
    desk.book.keep_completed(&reference, with_one_seal, &[]).await.expect("answered");
    assert_eq!(completed().await.0, None, "nor does the book take it");

    let signed = desk.signed_pdf(&trial.tenant, &reference).await.expect("a signed PDF");
    assert_eq!(pdfsig(&signed).matches("Signature is Valid").count(), 2);
    assert_eq!(completed().await.0, Some(Digest::of(&signed).to_string()));
}

#[tokio::test]
async fn an_address_the_mail_server_refuses_is_for_a_person_and_one_it_puts_off_is_tried_again() {
    let server = platen_tests::servers::Mail::start();
    let trial = Trial::new().await;
    let smtp = super::mail::Smtp { url: server.url(), user: None, password: None, from: None };
    let post = Post { from: "desk@office.example".into(), way: Way::Server(smtp) };
    let desk = with_post(&trial, post, Identity::Link);
    let refused = desk.create(&trial.order(&["refused@example.com"])).await.expect_err("no such mailbox");
    assert!(
        matches!(&refused, ProviderError::Refused(why) if why.contains("refused@example.com")),
        "{refused}"
    );
    // What is open at the desk is never said not to be: its signer may come in person.
    let order = trial.order(&["later@example.com"]);
    let reference = desk.create(&order).await.expect("taken");
    assert!(server.letters().is_empty(), "nobody was invited");
    let waits =
        async || desk.front(&trial.tenant, order.envelope_id).await.expect("readable").seats[0].mail_waits;
    assert!(waits().await, "the office sees that");
    // The next look tries again, and by then the mail goes.
    let later = self::desk(&trial);
    let open = EnvelopeState::Open { viewed_by: vec![], signed_by: vec![] };
    for _ in 0..2 {
        assert_eq!(later.state(&trial.tenant, &reference).await, Ok(open.clone()));
        assert_eq!(letters_to(&trial, "later@example.com"), 1);
    }
    assert!(!waits().await);
}

#[tokio::test]
async fn a_copy_that_could_not_be_sent_when_all_had_signed_is_sent_later() {
    const COPY: &str = "copy@example.com";
    let trial = Trial::new().await;
    let away = super::mail::Smtp { url: "smtp://127.0.0.1:9".into(), user: None, password: None, from: None };
    let post = Post { from: "desk@office.example".into(), way: Way::Server(away) };
    let desk = with_post(&trial, post, Identity::Link);
    let copy = Recipient { role: Role::Cc, ..Recipient::signer(COPY, 2) };
    let order = Order { recipients: vec![Recipient::signer(ADA, 1), copy], ..trial.order(&[]) };
    let reference = desk.create(&order).await.expect("taken");
    let later = self::desk(&trial);
    let waiting = async || {
        let front = later.front(&trial.tenant, order.envelope_id).await.expect("readable");
        front.copies_waiting
    };
    assert_eq!(
        (later.send_copies().await, letters_to(&trial, COPY)),
        (Ok(0), 0),
        "not before she has signed"
    );
    desk.sign(&visit(&desk, &trial, &order, 0).await, &Signature::typed("Ada"), &visitor())
        .await
        .expect("signed");
    let completed = EnvelopeState::Completed { signers: vec![ADA.into()] };
    assert_eq!(desk.state(&trial.tenant, &reference).await, Ok(completed));
    assert_eq!((desk.send_copies().await, waiting().await), (Ok(1), vec![COPY.to_owned()]));
    assert_eq!((later.send_copies().await, letters_to(&trial, COPY)), (Ok(0), 1));
    assert_eq!(waiting().await, Vec::<String>::new());
    assert_eq!((later.send_copies().await, letters_to(&trial, COPY)), (Ok(0), 1), "once");
}

#[tokio::test]
async fn what_came_to_nothing_is_shown_to_nobody_any_more_and_who_signed_it_is_told() {
    for ending in ["declined", "expired", "voided"] {
        let trial = Trial::new().await;
        let desk = desk(&trial);
        let order = Order {
            recipients: vec![Recipient::signer(ADA, 1), Recipient::signer(BOB, 1)],
            ..trial.order(&[])
        };
        let reference = desk.create(&order).await.expect("taken");
        let ada = async || visit(&desk, &trial, &order, 0).await;
        desk.sign(&ada().await, &Signature::typed("Ada"), &visitor()).await.expect("signed");
        let page = ada().await.end_page().render().expect("a page");
        assert!(ada().await.may_see() && page.contains("document.pdf"), "{ending}: it is open: {page}");
        match ending {
            "declined" => {
                let bob = visit(&desk, &trial, &order, 1).await;
                desk.decline(&bob, "not mine", &visitor()).await.expect("declined");
            }
            "voided" => desk.void(&trial.tenant, &reference, "a mistake").await.expect("withdrawn"),
            _ => {
                let past = "UPDATE desk_envelopes SET expires_ms = 1";
                sqlx::query(past).execute(&trial.place.database).await.expect("time passes");
            }
        }
        for position in [0, 1] {
            let visit = visit(&desk, &trial, &order, position).await;
            let page = visit.end_page().render().expect("a page");
            assert!(!visit.may_see() && !page.contains("document.pdf"), "{ending}: {page}");
            assert_eq!(page.contains("is on record"), position == 0, "{ending}: {page}");
        }
    }
}

#[tokio::test]
async fn mail_that_is_put_off_hides_no_state_and_keeps_no_other_signer_from_an_invitation() {
    let server = platen_tests::servers::Mail::start();
    let trial = Trial::new().await;
    let smtp = super::mail::Smtp { url: server.url(), user: None, password: None, from: None };
    let post = Post { from: "desk@office.example".into(), way: Way::Server(smtp) };
    let desk = with_post(&trial, post, Identity::Link);
    let recipients = vec![Recipient::signer("later@example.com", 1), Recipient::signer(ADA, 1)];
    let order = Order { recipients, ..trial.order(&[]) };
    desk.create(&order).await.expect("taken, though not all were invited");
    let invited = || server.letters().iter().filter(|letter| letter.contains("To: ada@example.com")).count();
    assert_eq!(invited(), 1, "Ada was, though another comes before her");

    let reference = Reference(order.envelope_id.to_string());
    let state = async || desk.state(&trial.tenant, &reference).await;
    desk.sign(&visit(&desk, &trial, &order, 1).await, &Signature::typed("Ada"), &visitor())
        .await
        .expect("signed");
    let half = EnvelopeState::Open { viewed_by: vec![ADA.into()], signed_by: vec![ADA.into()] };
    assert_eq!(state().await, Ok(half), "one invitation still waits");
    let past = "UPDATE desk_envelopes SET expires_ms = 1";
    sqlx::query(past).execute(&trial.place.database).await.expect("time passes");
    assert_eq!(state().await, Ok(EnvelopeState::Expired));
}

#[tokio::test]
async fn whose_time_is_over_is_not_invited_any_more_and_who_gets_a_copy_still_is() {
    const COPY: &str = "copy@example.com";
    let trial = Trial::new().await;
    let desk = desk(&trial);
    let copy = Recipient { role: Role::Cc, ..Recipient::signer(COPY, 2) };
    let late = Order { expires_at: Timestamp::now(), ..trial.order(&[ADA]) };
    let reference = desk.create(&late).await.expect("taken");
    desk.remind(&trial.tenant, &reference).await.expect("answered");
    assert_eq!(letters_to(&trial, ADA), 0, "there is nothing she could sign");

    let order = Order { recipients: vec![Recipient::signer(ADA, 1), copy], ..trial.order(&[]) };
    let reference = desk.create(&order).await.expect("taken");
    let deed = book::Deed {
        drawn: &[],
        entries: &[],
        name: "Ada",
        consent: CONSENT,
        remote_address: "192.0.2.7",
        user_agent: "test",
    };
    desk.book.note_viewed(&reference, 0).await.expect("noted");
    desk.book.sign(&reference, 0, &deed).await.expect("signed in time");
    let past = "UPDATE desk_envelopes SET expires_ms = 1";
    sqlx::query(past).execute(&trial.place.database).await.expect("time passes");
    let completed = EnvelopeState::Completed { signers: vec![ADA.into()] };
    assert_eq!(desk.state(&trial.tenant, &reference).await, Ok(completed));
    assert_eq!(letters_to(&trial, COPY), 1);
}

#[tokio::test]
async fn what_all_have_signed_is_signed_though_a_copy_cannot_be_sent() {
    for copy in ["refused@example.com", "later@example.com"] {
        let server = platen_tests::servers::Mail::start();
        let trial = Trial::new().await;
        let smtp = super::mail::Smtp { url: server.url(), user: None, password: None, from: None };
        let post = Post { from: "desk@office.example".into(), way: Way::Server(smtp) };
        let desk = with_post(&trial, post, Identity::Link);
        let copy = Recipient { role: Role::Cc, ..Recipient::signer(copy, 2) };
        let order = Order { recipients: vec![Recipient::signer(ADA, 1), copy], ..trial.order(&[]) };
        let reference = desk.create(&order).await.expect("taken");
        let ada = visit(&desk, &trial, &order, 0).await;
        desk.sign(&ada, &Signature::typed("Ada"), &visitor()).await.expect("signed");
        let state = desk.state(&trial.tenant, &reference).await;
        assert_eq!(state, Ok(EnvelopeState::Completed { signers: vec![ADA.into()] }));
        let signed = desk.signed_pdf(&trial.tenant, &reference).await.expect("a signed PDF");
        assert!(pdfsig(&signed).contains("Signature is Valid"));
        assert_eq!(server.letters().len(), 1, "the invitation went out");
    }
}

#[tokio::test]
async fn the_certificate_names_what_was_signed_and_is_sealed() {
    let trial = Trial::new().await;
    let desk = desk(&trial);
    let order = trial.order(&[ADA]);
    let reference = desk.create(&order).await.expect("taken");
    desk.sign(&visit(&desk, &trial, &order, 0).await, &Signature::typed("Ada L."), &visitor())
        .await
        .expect("signed");
    desk.state(&trial.tenant, &reference).await.expect("a state");
    let made = desk.certificate(&trial.tenant, &reference).await.expect("made").expect("there is one");
    assert_eq!(
        desk.certificate(&trial.tenant, &reference).await,
        Ok(Some(made.clone())),
        "the same each time"
    );
    let said = pdfsig(&made);
    assert!(said.contains("Signature is Valid") && said.contains("Total document signed"), "{said}");
}

crate::testing::also_on_postgres!(
    those_of_one_turn_sign_in_any_order_and_approvers_and_copies_have_their_place,
    pressing_sign_twice_is_one_signature_and_poppler_finds_it_valid,
    two_signers_sign_in_order_and_the_first_signature_stays_valid,
    an_order_repeated_after_a_crash_is_one_envelope_and_one_invitation,
    each_reminder_is_a_message_of_its_own_and_one_repeated_after_a_crash_is_the_same,
    after_a_refusal_the_end_of_time_or_a_withdrawal_nothing_can_be_signed,
    a_link_that_was_guessed_opens_nothing,
    more_signers_than_seals_have_room_are_refused_for_good,
    a_pdf_that_can_never_be_sealed_is_said_to_be_so_and_the_signature_stays,
    a_signature_that_is_given_while_seals_are_looked_at_is_in_the_file_that_is_handed_out,
    whose_time_is_over_is_not_invited_any_more_and_who_gets_a_copy_still_is,
    a_copy_that_could_not_be_sent_when_all_had_signed_is_sent_later,
    what_came_to_nothing_is_shown_to_nobody_any_more_and_who_signed_it_is_told,
);
