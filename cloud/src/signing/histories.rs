//! The promise of signing, over random histories: one envelope for one key, and the right end.
//!
//! An evil twin stands in for the provider. It loses answers, takes calls late, is over its limit, says "completed"
//! before the file is ready, and yields to other workers in the middle of a call; its hints come twice, late or never.
//! It may make drafts or not, and may be able to look a key up, at once or after a while, or not at all. The courier is
//! the real one. What counts is who was asked to sign: drafts that nobody hears of may be lost.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use platen_capture::worker::pool::Pool;
use platen_model::event::{Actor, EventBody, Status};
use platen_model::{Digest, DocumentId, EnvelopeId, Recipient, TenantId};
use proptest::prelude::*;

use super::courier::{Case, CaseEnvelope, Courier, Ledger, LedgerError, StepEnd};
use super::gate::Clock;
use super::lifecycle::CallMark;
use super::lifecycle::tests::CAN;
use super::provider::{
    Answer, Callback, Capabilities, Card, EnvelopeState, Forged, Hint, Lookup, Order, Provider,
    ProviderError, Reference,
};
use super::returned::Examiner;
use super::trial::one_page_pdf;
use super::workplace::Shelf;
use crate::seal::KeyRing;

const SETTLES_SECONDS: i64 = 60;

/// What the evil twin does with the next call.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Fine,
    /// Not taken, and says so.
    Busy,
    /// Not taken: its limit is reached.
    OverLimit,
    /// Not taken, and the answer is lost.
    LostBefore,
    /// Taken, and the answer is lost.
    LostAfter,
    /// Taken some seconds later, and the answer is lost.
    Late(i64),
    /// Taken, and says that it was not. Only what is found all the same tells.
    Denies,
}

/// One thing that happens in a history.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// Time passes, in seconds.
    Wait(i64),
    /// Two workers run the sending step at the same time.
    SendTwice,
    /// A hint, or the timer.
    Poll,
    /// The signer does the next thing.
    SignerActs,
    /// An operator pauses the route, or lets it go on.
    Pause,
}

#[derive(Debug)]
struct Twin {
    moods: Mutex<Vec<Mood>>,
    now: Mutex<Timestamp>,
    card: Card,
    /// Envelopes with their key, the time they come into being, and the time their recipients are asked, if they are.
    made: Mutex<Vec<Made>>,
    life: Vec<EnvelopeState>,
    lived: Mutex<usize>,
    /// What a withdrawal finds.
    at_void: EnvelopeState,
    voided: Mutex<bool>,
}

#[derive(Clone, Copy, Debug)]
struct Made {
    key: EnvelopeId,
    at: Timestamp,
    asked_at: Option<Timestamp>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Twin {
    fn mood(&self) -> Mood {
        lock(&self.moods).pop().unwrap_or(Mood::Fine)
    }

    fn now(&self) -> Timestamp {
        *lock(&self.now)
    }

    fn reference(index: usize) -> Reference {
        Reference(format!("twin-{index}"))
    }

    /// Envelopes whose recipients were asked, or will be.
    fn asked_count(&self) -> usize {
        lock(&self.made).iter().filter(|made| made.asked_at.is_some()).count()
    }

    /// When the mood takes a call, if it does.
    fn taken_at(&self, mood: Mood) -> Option<Timestamp> {
        match mood {
            Mood::Fine | Mood::LostAfter | Mood::Denies => Some(self.now()),
            Mood::Late(seconds) => Some(self.now() + SignedDuration::from_secs(seconds)),
            Mood::Busy | Mood::OverLimit | Mood::LostBefore => None,
        }
    }

    /// What the mood makes of a question.
    async fn asked<T>(&self, answer: T) -> Result<T, ProviderError> {
        tokio::task::yield_now().await;
        match self.mood() {
            Mood::Fine => Ok(answer),
            Mood::Busy | Mood::Denies => Err(ProviderError::NotTaken("busy".into())),
            Mood::OverLimit => Err(over_limit()),
            _ => Err(ProviderError::Unknown("lost".into())),
        }
    }
}

fn over_limit() -> ProviderError {
    ProviderError::Later { after: Duration::from_secs(20), reason: "slow down".into() }
}

impl Provider for Twin {
    fn card(&self) -> &Card {
        &self.card
    }

    fn create<'a>(&'a self, order: &'a Order) -> Answer<'a, Reference> {
        Box::pin(async move {
            let mood = self.mood();
            let taken = self.taken_at(mood);
            // It does not know what a duplicate is: each call it takes is an envelope.
            let mut made = lock(&self.made);
            made.extend(taken.map(|at| Made {
                key: order.envelope_id,
                at,
                asked_at: (!self.card.can.drafts).then_some(at),
            }));
            match mood {
                Mood::Fine => Ok(Self::reference(made.len() - 1)),
                Mood::Busy | Mood::Denies => Err(ProviderError::NotTaken("busy".into())),
                Mood::OverLimit => Err(over_limit()),
                _ => Err(ProviderError::Unknown("lost".into())),
            }
        })
    }

    fn send<'a>(&'a self, _tenant: &'a TenantId, reference: &'a Reference) -> Answer<'a, ()> {
        Box::pin(async move {
            assert!(self.card.can.drafts, "only drafts are sent");
            let mood = self.mood();
            let index: usize = reference.0.trim_start_matches("twin-").parse().expect("one of ours");
            if let Some(at) = self.taken_at(mood) {
                let made = &mut lock(&self.made)[index];
                made.asked_at = Some(made.asked_at.map_or(at, |before| before.min(at)));
            }
            match mood {
                Mood::Fine => Ok(()),
                Mood::Busy | Mood::Denies => Err(ProviderError::NotTaken("busy".into())),
                Mood::OverLimit => Err(over_limit()),
                _ => Err(ProviderError::Unknown("lost".into())),
            }
        })
    }

    fn find<'a>(
        &'a self,
        _tenant: &'a TenantId,
        key: EnvelopeId,
        _: Timestamp,
    ) -> Answer<'a, Option<Reference>> {
        Box::pin(async move {
            let lag = match self.card.can.lookup {
                Lookup::Exact => SignedDuration::ZERO,
                Lookup::After(lag) => SignedDuration::try_from(lag).expect("short"),
                Lookup::Never => panic!("it cannot be asked"),
            };
            let there =
                lock(&self.made).iter().position(|made| made.key == key && made.at + lag <= self.now());
            self.asked(there.map(Self::reference)).await
        })
    }

    fn state<'a>(&'a self, _tenant: &'a TenantId, reference: &'a Reference) -> Answer<'a, EnvelopeState> {
        Box::pin(async move {
            let lived = *lock(&self.lived);
            let open = EnvelopeState::Open { viewed_by: vec![], signed_by: vec![] };
            let index: usize = reference.0.trim_start_matches("twin-").parse().expect("one of ours");
            let is_draft = lock(&self.made)[index].asked_at.is_none_or(|at| at > self.now());
            let state = match *lock(&self.voided) {
                true => self.at_void.clone(),
                false if is_draft => EnvelopeState::Draft,
                false => self.life[..lived].last().cloned().unwrap_or(open),
            };
            self.asked(state).await
        })
    }

    fn signed_pdf<'a>(&'a self, _tenant: &'a TenantId, _reference: &'a Reference) -> Answer<'a, Vec<u8>> {
        Box::pin(self.asked(one_page_pdf()))
    }

    fn void<'a>(&'a self, _: &'a TenantId, _: &'a Reference, _: &'a str) -> Answer<'a, ()> {
        Box::pin(async {
            *lock(&self.voided) = true;
            self.asked(()).await
        })
    }

    fn remind<'a>(&'a self, _: &'a TenantId, _: &'a Reference) -> Answer<'a, ()> {
        Box::pin(self.asked(()))
    }

    fn record<'a>(&'a self, _: &'a TenantId, _: &'a Reference) -> Answer<'a, serde_json::Value> {
        Box::pin(self.asked(serde_json::Value::Null))
    }

    fn verify(&self, _: &TenantId, _: &Callback<'_>) -> Result<Hint, Forged> {
        Err(Forged::NotExpected)
    }
}

/// Books in memory, with the rules the real ones keep: versions, and one mark for an attempt.
#[derive(Debug)]
struct Books {
    case: Mutex<Case>,
    events: Mutex<Vec<EventBody>>,
    mark: Mutex<Option<CallMark>>,
    polled: Mutex<Option<Timestamp>>,
    no_pdf: Mutex<Option<Timestamp>>,
    paused: Mutex<bool>,
}

impl Ledger for Books {
    fn case<'a>(
        &'a self,
        _: &'a TenantId,
        _: DocumentId,
    ) -> BoxFuture<'a, Result<Option<Case>, LedgerError>> {
        Box::pin(async {
            tokio::task::yield_now().await;
            Ok(Some(lock(&self.case).clone()))
        })
    }

    fn append<'a>(
        &'a self,
        case: &'a Case,
        _: Actor,
        body: EventBody,
    ) -> BoxFuture<'a, Result<bool, LedgerError>> {
        Box::pin(async {
            let mut current = lock(&self.case);
            if current.version != case.version {
                return Ok(false);
            }
            current.version += 1;
            current.status = match &body {
                EventBody::EnvelopeCreated { envelope_id, .. } => {
                    current.envelope = Some(CaseEnvelope {
                        envelope_id: *envelope_id,
                        reference: None,
                        created_at: Timestamp::MIN,
                        expires_at: Timestamp::MAX,
                        remind_every: None,
                    });
                    Status::EnvelopeCreated
                }
                EventBody::Sent { provider_reference } => {
                    let envelope = current.envelope.as_mut().expect("sent after created");
                    envelope.reference = Some(Reference(provider_reference.clone()));
                    Status::Sent
                }
                EventBody::Viewed { .. } => Status::Viewed,
                EventBody::RecipientSigned { signer } => {
                    current.signed_by.push(signer.clone());
                    Status::Viewed
                }
                EventBody::Quarantined { .. } => Status::Quarantined,
                EventBody::Signed { .. } => Status::Signed,
                EventBody::Declined { .. } => Status::Declined,
                EventBody::Expired => Status::Expired,
                EventBody::Voided { .. } => Status::Voided,
                other => panic!("signing appended {other:?}"),
            };
            lock(&self.events).push(body);
            Ok(true)
        })
    }

    fn call_mark(&self, _: EnvelopeId) -> BoxFuture<'_, Result<Option<CallMark>, LedgerError>> {
        Box::pin(async {
            tokio::task::yield_now().await;
            Ok(lock(&self.mark).clone())
        })
    }

    fn mark_call(
        &self,
        _: EnvelopeId,
        attempt: u32,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<bool, LedgerError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let mut mark = lock(&self.mark);
            let free = mark.as_ref().map_or(0, |mark| mark.attempt) + 1 == attempt;
            if free {
                *mark = Some(CallMark { attempt, at, draft: None });
            }
            Ok(free)
        })
    }

    fn unmark_call(&self, _: EnvelopeId, attempt: u32) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(async move {
            let mut mark = lock(&self.mark);
            if mark.as_ref().is_some_and(|mark| mark.attempt == attempt) {
                *mark = None;
            }
            Ok(())
        })
    }

    fn keep_draft(&self, _: EnvelopeId, draft: Reference) -> BoxFuture<'_, Result<Reference, LedgerError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let mut mark = lock(&self.mark);
            let mark = mark.as_mut().expect("a draft comes of a marked call");
            Ok(mark.draft.get_or_insert(draft).clone())
        })
    }

    fn note_no_pdf(&self, _: EnvelopeId, now: Timestamp) -> BoxFuture<'_, Result<Timestamp, LedgerError>> {
        Box::pin(async move { Ok(*lock(&self.no_pdf).get_or_insert(now)) })
    }

    fn note_reminder(
        &self,
        _: EnvelopeId,
        _: Timestamp,
        _: Duration,
    ) -> BoxFuture<'_, Result<bool, LedgerError>> {
        Box::pin(async { Ok(false) })
    }

    fn note_poll(
        &self,
        _: EnvelopeId,
        now: Timestamp,
        rest: Duration,
    ) -> BoxFuture<'_, Result<Option<Timestamp>, LedgerError>> {
        Box::pin(async move {
            let mut polled = lock(&self.polled);
            let next = polled.map(|at| at + SignedDuration::try_from(rest).expect("short"));
            if let Some(next) = next.filter(|next| *next > now) {
                return Ok(Some(next));
            }
            *polled = Some(now);
            Ok(None)
        })
    }

    fn paused<'a>(&'a self, _: &'a Case) -> BoxFuture<'a, Result<Option<String>, LedgerError>> {
        Box::pin(async move { Ok(lock(&self.paused).then(|| "an operator paused it".to_owned())) })
    }
}

/// One PDF, and whatever is put beside it.
#[derive(Debug)]
struct OneShelf;

impl Shelf for OneShelf {
    fn put<'a>(&'a self, _: &'a TenantId, bytes: Vec<u8>) -> BoxFuture<'a, Result<Digest, LedgerError>> {
        Box::pin(async move { Ok(Digest::of(&bytes)) })
    }

    fn get<'a>(&'a self, _: &'a TenantId, _: Digest) -> BoxFuture<'a, Result<Vec<u8>, LedgerError>> {
        Box::pin(async { Ok(one_page_pdf()) })
    }
}

/// Looks at what comes back, with keys that all histories share.
fn examiner() -> &'static Examiner {
    static SHARED: OnceLock<(tempfile::TempDir, Examiner)> = OnceLock::new();
    let (_, examiner) = SHARED.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = Arc::new(KeyRing::new(folder.path()));
        let examiner = Examiner::new(Arc::new(Pool::in_process(1)), keys, None);
        (folder, examiner.expect("no file is needed"))
    });
    examiner
}

fn moods() -> impl Strategy<Value = Vec<Mood>> {
    let mood = prop_oneof![
        3 => Just(Mood::Fine),
        1 => Just(Mood::Busy),
        1 => Just(Mood::OverLimit),
        2 => Just(Mood::LostBefore),
        2 => Just(Mood::LostAfter),
        2 => (0..=SETTLES_SECONDS).prop_map(Mood::Late),
    ];
    prop::collection::vec(mood, 0..40)
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let happening = prop_oneof![
        3 => (0..100i64).prop_map(Happening::Wait),
        4 => Just(Happening::SendTwice),
        3 => Just(Happening::Poll),
        1 => Just(Happening::SignerActs),
        1 => Just(Happening::Pause),
    ];
    prop::collection::vec(happening, 0..40)
}

/// What the twin can do: every way to make an envelope, and every way to look one up.
fn capabilities() -> impl Strategy<Value = Capabilities> {
    let lookup = prop_oneof![
        2 => Just(Lookup::Exact),
        1 => Just(Lookup::After(Duration::from_secs(90))),
        1 => Just(Lookup::Never),
    ];
    (any::<bool>(), lookup, prop_oneof![Just(0u64), Just(15)]).prop_map(|(drafts, lookup, rest)| {
        Capabilities {
            drafts,
            lookup,
            void: false,
            remind: false,
            sms: false,
            calls_a_minute: 1_000_000,
            call_deadline: Duration::from_secs(5),
            settles_within: Duration::from_secs(SETTLES_SECONDS.unsigned_abs()),
            poll_every: Duration::from_secs(1),
            rest_between_polls: Duration::from_secs(rest),
            ..CAN
        }
    })
}

/// The ways an envelope can live, and the state each must end in.
fn lives() -> impl Strategy<Value = (Vec<EnvelopeState>, Status)> {
    let (ada, bob) = (|| "ada@example.com".to_owned(), || "bob@example.com".to_owned());
    let viewed = EnvelopeState::Open { viewed_by: vec![ada()], signed_by: vec![] };
    let half = EnvelopeState::Open { viewed_by: vec![ada()], signed_by: vec![ada()] };
    let completed = EnvelopeState::Completed { signers: vec![ada(), bob()] };
    let declined = EnvelopeState::Declined { signer: bob(), reason: "no".into() };
    let voided = EnvelopeState::Voided { reason: "withdrawn".into() };
    prop_oneof![
        Just((vec![viewed.clone(), half.clone(), completed.clone()], Status::Signed)),
        Just((vec![half.clone(), completed.clone()], Status::Signed)),
        Just((vec![completed], Status::Signed)),
        Just((vec![viewed.clone(), half, declined], Status::Declined)),
        Just((vec![EnvelopeState::Expired], Status::Expired)),
        Just((vec![viewed, voided], Status::Voided)),
    ]
}

/// A document that is routed to the twin, and a courier.
struct Scene {
    twin: Arc<Twin>,
    books: Arc<Books>,
    courier: Courier,
    tenant: TenantId,
    document: DocumentId,
}

fn scene(can: Capabilities, moods: Vec<Mood>, life: Vec<EnvelopeState>, at_void: EnvelopeState) -> Scene {
    let start = Timestamp::from_second(1_700_000_000).expect("in range");
    let twin = Arc::new(Twin {
        card: Card::of_all("twin", can),
        moods: Mutex::new(moods),
        now: Mutex::new(start),
        made: Mutex::default(),
        life,
        lived: Mutex::new(0),
        at_void,
        voided: Mutex::new(false),
    });
    let case = Case {
        tenant_id: "office".parse().expect("a tenant"),
        document_id: DocumentId::new(),
        version: 6,
        status: Status::Routed,
        resume: None,
        title: "nda.tif".into(),
        route: "all".into(),
        provider: Some("twin".into()),
        recipients: vec![Recipient::signer("ada@example.com", 1), Recipient::signer("bob@example.com", 2)],
        blanks: Vec::new(),
        signed_by: Vec::new(),
        pdf_sha256: Digest::of(&one_page_pdf()),
        page_text_sha256: None,
        envelope: None,
    };
    let (tenant, document) = (case.tenant_id.clone(), case.document_id);
    let books = Arc::new(Books {
        case: Mutex::new(case),
        events: Mutex::default(),
        mark: Mutex::default(),
        polled: Mutex::default(),
        no_pdf: Mutex::default(),
        paused: Mutex::default(),
    });
    // The gate before the account goes by the same time.
    let (began, twins) = (Instant::now(), Arc::clone(&twin));
    let clock: Clock = Arc::new(move || began + twins.now().duration_since(start).unsigned_abs());
    let courier = Courier::with_clock(
        Arc::clone(&books) as Arc<dyn Ledger>,
        Arc::new(OneShelf),
        examiner().clone(),
        [Arc::clone(&twin) as Arc<dyn Provider>],
        &clock,
    );
    Scene { twin, books, courier, tenant, document }
}

async fn live_through(
    can: Capabilities,
    moods: Vec<Mood>,
    happenings: Vec<Happening>,
    (life, end): (Vec<EnvelopeState>, Status),
) {
    let life_length = life.len();
    let voided = EnvelopeState::Voided { reason: "by us".into() };
    let Scene { twin, books, courier, tenant, document } = scene(can, moods, life, voided);
    let both =
        tokio::join!(courier.create_envelope(&tenant, document), courier.create_envelope(&tenant, document));
    assert_eq!(both, (Ok(StepEnd::Done), Ok(StepEnd::Done)));

    let was_sent = || lock(&books.case).envelope.as_ref().is_some_and(|e| e.reference.is_some());
    let send_twice = async || {
        let now = twin.now();
        let (one, two) = tokio::join!(
            courier.send_envelope(&tenant, document, now),
            courier.send_envelope(&tenant, document, now)
        );
        one.and(two).expect("books in memory do not fail");
    };
    let pass = |seconds: i64| *lock(&twin.now) += SignedDuration::from_secs(seconds);
    let signer_acts = || {
        if was_sent() {
            let mut lived = lock(&twin.lived);
            *lived = (*lived + 1).min(life_length);
        }
    };
    for happening in happenings {
        match happening {
            Happening::Wait(seconds) => pass(seconds),
            Happening::SendTwice => send_twice().await,
            Happening::Poll => {
                courier.poll_envelope(&tenant, document, twin.now()).await.expect("no failure of ours");
            }
            Happening::SignerActs => signer_acts(),
            Happening::Pause => {
                let mut paused = lock(&books.paused);
                *paused = !*paused;
            }
        }
        assert!(twin.asked_count() <= 1, "nobody is asked for two envelopes");
    }
    // In the end the provider calms down, time passes and the jobs run. Some rounds settle what is open.
    lock(&twin.moods).clear();
    *lock(&books.paused) = false;
    for _ in 0..4 {
        pass(4 * SETTLES_SECONDS);
        send_twice().await;
    }
    if lock(&books.case).status == Status::Quarantined {
        // The only honest end where a call was lost and the provider can neither make drafts nor be asked.
        assert_eq!((can.lookup, can.drafts), (Lookup::Never, false));
        assert!(twin.asked_count() <= 1, "one envelope at most");
        return;
    }
    assert_eq!(twin.asked_count(), 1, "one envelope for one key");
    let sent = lock(&books.case).envelope.as_ref().and_then(|envelope| envelope.reference.clone());
    let asked = lock(&twin.made).iter().position(|made| made.asked_at.is_some()).map(Twin::reference);
    assert_eq!(sent, asked, "our books name the envelope whose recipients were asked");
    for _ in 0..life_length {
        signer_acts();
        pass(20);
        courier.poll_envelope(&tenant, document, twin.now()).await.expect("no failure of ours");
        // A hint that comes again changes nothing.
        courier.poll_envelope(&tenant, document, twin.now()).await.expect("no failure of ours");
    }
    assert_eq!(lock(&books.case).status, end);
    let names: Vec<&str> = lock(&books.events).iter().map(EventBody::name).collect();
    let once: BTreeSet<&&str> = names.iter().collect();
    assert_eq!(once.len(), names.len(), "nothing happens twice: {names:?}");
}

#[tokio::test]
async fn what_is_signed_in_the_moment_of_our_withdrawal_is_signed_and_what_is_not_has_expired() {
    let signers = vec!["ada@example.com".to_owned(), "bob@example.com".to_owned()];
    let open = EnvelopeState::Open { viewed_by: vec![], signed_by: vec![] };
    for (at_void, tells_withdrawn, end) in [
        (EnvelopeState::Completed { signers }, true, Status::Signed),
        (EnvelopeState::Voided { reason: "its time is over".into() }, true, Status::Expired),
        // It was not withdrawn, whatever the answer was.
        (open.clone(), true, Status::Sent),
        // Whether it was cannot be told.
        (open, false, Status::Expired),
    ] {
        let can = Capabilities { expires: false, void: true, tells_withdrawn, ..CAN };
        let Scene { twin, books, courier, tenant, document } = scene(can, Vec::new(), Vec::new(), at_void);
        courier.create_envelope(&tenant, document).await.expect("books in memory do not fail");
        courier.send_envelope(&tenant, document, twin.now()).await.expect("sent");
        lock(&books.case).envelope.as_mut().expect("an envelope").expires_at = twin.now();
        for _ in 0..2 {
            courier.poll_envelope(&tenant, document, twin.now()).await.expect("no failure of ours");
            *lock(&twin.now) += SignedDuration::from_secs(60);
        }
        assert_eq!(lock(&books.case).status, end);
    }
}

#[tokio::test]
async fn an_envelope_whose_time_is_over_before_it_was_sent_has_expired_and_nobody_is_asked() {
    let voided = EnvelopeState::Voided { reason: "by us".into() };
    let drafts = Capabilities { drafts: true, ..CAN };
    let stubborn = Capabilities { void: false, ..drafts };
    // What comes of each call, the first first: nothing is marked, or the outcome of the last call is not known, or was said
    // to be another than it is.
    let none: [Mood; 0] = [];
    for (can, moods, asked) in [
        (CAN, &none[..], 0),
        (CAN, &[Mood::Busy], 0),
        (CAN, &[Mood::LostBefore], 0),
        (CAN, &[Mood::LostAfter], 1),
        (CAN, &[Mood::Denies], 1),
        // Drafts that were kept, and whose sending came to this.
        (drafts, &[Mood::Fine, Mood::Busy], 0),
        (drafts, &[Mood::Fine, Mood::LostBefore], 0),
        (stubborn, &[Mood::Fine, Mood::LostBefore], 0),
        (drafts, &[Mood::Fine, Mood::LostAfter], 1),
        (drafts, &[Mood::Fine, Mood::Late(SETTLES_SECONDS)], 1),
        // A draft that is found by our key.
        (drafts, &[Mood::LostAfter], 0),
    ] {
        let calls = moods.iter().rev().copied().collect();
        let Scene { twin, books, courier, tenant, document } = scene(can, calls, Vec::new(), voided.clone());
        courier.create_envelope(&tenant, document).await.expect("books in memory do not fail");
        let send = async || courier.send_envelope(&tenant, document, twin.now()).await.expect("answered");
        if !moods.is_empty() {
            send().await;
        }
        lock(&books.case).envelope.as_mut().expect("an envelope").expires_at = twin.now();
        send().await;
        for _ in 0..2 {
            *lock(&twin.now) += SignedDuration::from_secs(2 * SETTLES_SECONDS);
            send().await;
        }
        // One that was taken all the same is found, and ends as all others do.
        let end = if asked == 1 { Status::Sent } else { Status::Expired };
        assert_eq!((lock(&books.case).status, twin.asked_count()), (end, asked), "{can:?}: {moods:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn inv10_no_history_makes_two_envelopes_and_every_one_ends_right(
        can in capabilities(),
        moods in moods(),
        happenings in happenings(),
        life in lives(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(live_through(can, moods, happenings, life));
    }
}
