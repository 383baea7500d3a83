//! The promise of signing, over random histories: one envelope for one key, and the right end.
//!
//! An evil twin stands in for the provider. It loses answers, takes calls late, says "completed" before the
//! file is ready, and yields to other workers in the middle of a call. The courier is the real one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use platen_model::event::{Actor, EventBody, Status};
use platen_model::{Digest, DocumentId, EnvelopeId, TenantId};
use proptest::prelude::*;

use super::courier::{Case, CaseEnvelope, Courier, Ledger, LedgerError, StepEnd};
use super::lifecycle::CallMark;
use super::provider::{
    Answer, Callback, Capabilities, EnvelopeState, Forged, Hint, Order, Provider, ProviderError, Reference,
};
use super::workplace::Shelf;

const SETTLES_SECONDS: i64 = 60;

/// What the evil twin does with the next call.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Fine,
    /// Not taken, and says so.
    Busy,
    /// Not taken, and the answer is lost.
    LostBefore,
    /// Taken, and the answer is lost.
    LostAfter,
    /// Taken some seconds later, and the answer is lost.
    Late(i64),
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
}

#[derive(Debug)]
struct Twin {
    moods: Mutex<Vec<Mood>>,
    now: Mutex<Timestamp>,
    /// Envelopes with their key and the time they come into being.
    made: Mutex<Vec<(EnvelopeId, Timestamp)>>,
    life: Vec<EnvelopeState>,
    lived: Mutex<usize>,
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

    fn reference(key: EnvelopeId) -> Reference {
        Reference(format!("twin-{key}"))
    }

    /// What the mood makes of a question.
    async fn asked<T>(&self, answer: T) -> Result<T, ProviderError> {
        tokio::task::yield_now().await;
        match self.mood() {
            Mood::Fine => Ok(answer),
            Mood::Busy => Err(ProviderError::NotTaken("busy".into())),
            _ => Err(ProviderError::Unknown("lost".into())),
        }
    }
}

impl Provider for Twin {
    fn name(&self) -> &'static str {
        "twin"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            find_by_key: true,
            webhooks: true,
            void: false,
            remind: false,
            call_deadline: Duration::from_secs(5),
            settles_within: Duration::from_secs(SETTLES_SECONDS.unsigned_abs()),
            poll_every: Duration::from_secs(1),
        }
    }

    fn create<'a>(&'a self, order: &'a Order) -> Answer<'a, Reference> {
        Box::pin(async move {
            let mood = self.mood();
            let at = match mood {
                Mood::Fine | Mood::LostAfter => Some(self.now()),
                Mood::Late(seconds) => Some(self.now() + SignedDuration::from_secs(seconds)),
                Mood::Busy | Mood::LostBefore => None,
            };
            // It does not know what a duplicate is: each call it takes is an envelope.
            lock(&self.made).extend(at.map(|at| (order.envelope_id, at)));
            match mood {
                Mood::Fine => Ok(Self::reference(order.envelope_id)),
                Mood::Busy => Err(ProviderError::NotTaken("busy".into())),
                _ => Err(ProviderError::Unknown("lost".into())),
            }
        })
    }

    fn find<'a>(&'a self, _tenant: &'a TenantId, key: EnvelopeId) -> Answer<'a, Option<Reference>> {
        Box::pin(async move {
            let there = lock(&self.made).iter().any(|(made, at)| *made == key && *at <= self.now());
            self.asked(there.then(|| Self::reference(key))).await
        })
    }

    fn state<'a>(&'a self, _tenant: &'a TenantId, _reference: &'a Reference) -> Answer<'a, EnvelopeState> {
        Box::pin(async move {
            let lived = *lock(&self.lived);
            let open = EnvelopeState::Open { viewed_by: vec![] };
            let state = self.life[..lived].last().cloned().unwrap_or(open);
            self.asked(state).await
        })
    }

    fn signed_pdf<'a>(&'a self, _tenant: &'a TenantId, _reference: &'a Reference) -> Answer<'a, Vec<u8>> {
        Box::pin(self.asked(b"%PDF-1.7 signed".to_vec()))
    }

    fn void<'a>(&'a self, _: &'a TenantId, _: &'a Reference, _: &'a str) -> Answer<'a, ()> {
        Box::pin(self.asked(()))
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
                    let expires_at = Timestamp::MAX;
                    let envelope = CaseEnvelope { envelope_id: *envelope_id, reference: None, expires_at };
                    current.envelope = Some(envelope);
                    Status::EnvelopeCreated
                }
                EventBody::Sent { provider_reference } => {
                    let envelope = current.envelope.as_mut().expect("sent after created");
                    envelope.reference = Some(Reference(provider_reference.clone()));
                    Status::Sent
                }
                EventBody::Viewed { .. } => Status::Viewed,
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
            Ok(*lock(&self.mark))
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
            let free = mark.map_or(0, |mark| mark.attempt) + 1 == attempt;
            if free {
                *mark = Some(CallMark { attempt, at });
            }
            Ok(free)
        })
    }

    fn unmark_call(&self, _: EnvelopeId, attempt: u32) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(async move {
            let mut mark = lock(&self.mark);
            if mark.is_some_and(|mark| mark.attempt == attempt) {
                *mark = None;
            }
            Ok(())
        })
    }
}

/// One PDF, and whatever is put beside it.
#[derive(Debug)]
struct OneShelf;

impl Shelf for OneShelf {
    fn put<'a>(&'a self, _: &'a TenantId, bytes: Vec<u8>) -> BoxFuture<'a, Result<Digest, String>> {
        Box::pin(async move { Ok(Digest::of(&bytes)) })
    }

    fn get<'a>(&'a self, _: &'a TenantId, _: Digest) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        Box::pin(async { Ok(b"%PDF-1.7".to_vec()) })
    }
}

fn moods() -> impl Strategy<Value = Vec<Mood>> {
    let mood = prop_oneof![
        3 => Just(Mood::Fine),
        1 => Just(Mood::Busy),
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
    ];
    prop::collection::vec(happening, 0..40)
}

/// The ways an envelope can live, and the state each must end in.
fn lives() -> impl Strategy<Value = (Vec<EnvelopeState>, Status)> {
    let signer = || "ada@example.com".to_owned();
    let viewed = EnvelopeState::Open { viewed_by: vec![signer()] };
    let completed = EnvelopeState::Completed { signers: vec![signer()] };
    let declined = EnvelopeState::Declined { signer: signer(), reason: "no".into() };
    let voided = EnvelopeState::Voided { reason: "withdrawn".into() };
    prop_oneof![
        Just((vec![viewed.clone(), completed.clone()], Status::Signed)),
        Just((vec![completed], Status::Signed)),
        Just((vec![viewed.clone(), declined], Status::Declined)),
        Just((vec![EnvelopeState::Expired], Status::Expired)),
        Just((vec![viewed, voided], Status::Voided)),
    ]
}

async fn live_through(
    moods: Vec<Mood>,
    happenings: Vec<Happening>,
    (life, end): (Vec<EnvelopeState>, Status),
) {
    let start = Timestamp::from_second(1_700_000_000).expect("in range");
    let life_length = life.len();
    let twin = Arc::new(Twin {
        moods: Mutex::new(moods),
        now: Mutex::new(start),
        made: Mutex::default(),
        life,
        lived: Mutex::new(0),
    });
    let case = Case {
        tenant_id: "office".parse().expect("a tenant"),
        document_id: DocumentId::new(),
        version: 6,
        status: Status::Routed,
        title: "nda.tif".into(),
        provider: Some("twin".into()),
        signers: vec!["ada@example.com".into()],
        pdf_sha256: Digest::of(b"%PDF-1.7"),
        envelope: None,
    };
    let (tenant, document) = (case.tenant_id.clone(), case.document_id);
    let books = Arc::new(Books { case: Mutex::new(case), events: Mutex::default(), mark: Mutex::default() });
    let providers: BTreeMap<&'static str, Arc<dyn Provider>> =
        BTreeMap::from([("twin", Arc::clone(&twin) as Arc<dyn Provider>)]);
    let courier =
        Courier { ledger: Arc::clone(&books) as Arc<dyn Ledger>, shelf: Arc::new(OneShelf), providers };

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
    let pass = |seconds| *lock(&twin.now) += SignedDuration::from_secs(seconds);
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
        }
    }
    // In the end the provider calms down, time passes and the jobs run. Two rounds settle what is open.
    lock(&twin.moods).clear();
    for _ in 0..3 {
        pass(2 * SETTLES_SECONDS);
        send_twice().await;
    }
    assert_eq!(lock(&twin.made).len(), 1, "one envelope for one key");
    for _ in 0..life_length {
        signer_acts();
        courier.poll_envelope(&tenant, document, twin.now()).await.expect("no failure of ours");
        // A hint that comes again changes nothing.
        courier.poll_envelope(&tenant, document, twin.now()).await.expect("no failure of ours");
    }
    assert_eq!(lock(&books.case).status, end);
    let names: Vec<&str> = lock(&books.events).iter().map(EventBody::name).collect();
    let once: BTreeSet<&&str> = names.iter().collect();
    assert_eq!(once.len(), names.len(), "nothing happens twice: {names:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn inv10_no_history_makes_two_envelopes_and_every_one_ends_right(
        moods in moods(),
        happenings in happenings(),
        life in lives(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(live_through(moods, happenings, life));
    }
}
