//! One attempt of a delivery: the step of its job.

use std::time::Duration;

use jiff::Timestamp;
use platen_model::TenantId;
use platen_model::event::Event;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::probes::Refused;
use super::{DEAD_AFTER, PAUSES, SURELY_DEAD_AFTER};
use crate::api::payload;
use crate::app::App;
use crate::jobs::{Outcome, StepError};
use crate::store::jobs::Job;
use crate::store::webhooks::{self as rows, Delivery, Endpoint, State};
use crate::store::{StoreError, Write, audit, documents, events, now_ms};

/// Most characters that are kept of what went wrong.
const TROUBLE_CHARACTERS: usize = 500;

/// The events that carry the approval payload: those of a document that has a route.
const WITH_PAYLOAD: [&str; 10] = [
    "routed",
    "envelope_created",
    "sent",
    "viewed",
    "recipient_signed",
    "signed",
    "declined",
    "expired",
    "voided",
    "archived",
];

/// How an attempt ended.
enum Attempt {
    /// Nothing was sent: the endpoint is disabled.
    Disabled,
    /// Nothing was sent: what was to be sent could not be made, for a reason of our own.
    Unmade(String),
    /// It was sent, or could not be brought there.
    Sent(Answer),
}

/// What came of sending: the status of the answer, 0 where none came, and what went wrong.
struct Answer {
    status: u16,
    trouble: Option<String>,
}

/// Tries a delivery. Its own row says how often it was tried; the job only comes back for it.
pub async fn deliver(app: &App, job: &Job) -> Result<Outcome, StepError> {
    let id = job.argument.parse().map_err(StepError::later)?;
    let Some(delivery) = rows::delivery(app.store.reading(), &job.tenant, id).await? else {
        return Ok(Outcome::Done);
    };
    if delivery.state != State::Waiting {
        return Ok(Outcome::Done);
    }
    let endpoint = rows::find(app.store.reading(), &job.tenant, delivery.endpoint_id).await?;
    let Some(endpoint) = endpoint else { return Ok(Outcome::Done) };
    if !endpoint.disabled.is_empty() {
        return settle(app, endpoint, delivery, Attempt::Disabled).await;
    }
    if let Err(refused) = may_be_called(app, &endpoint, &delivery) {
        let wait = spread(refused.wait, &delivery);
        let others = rows::Others { endpoint: endpoint.endpoint_id, but: refused.but, due_in: refused.rest };
        rows::put_off(&app.store, &job.tenant, &others, wait).await?;
        return Ok(Outcome::Again(wait));
    }
    let Some(event) = events::at(&app.store, &job.tenant, delivery.position).await? else {
        return Err(StepError::later(format!("there is no event at place {}", delivery.position)));
    };
    let attempt = match send(app, &endpoint, &delivery, &event).await {
        Ok(answer) => Attempt::Sent(answer),
        // Days are left to mend it, as with an endpoint that is away: a job would be given up within minutes.
        Err(error) => Attempt::Unmade(cut(&format!("it could not be made: {error}"))),
    };
    settle(app, endpoint, delivery, attempt).await
}

/// Marks a delivery whose job is given up as failed, in the same write: otherwise it would say for ever that it waits.
pub async fn give_up(write: &mut Write, job: &Job, reason: &str) -> Result<(), StoreError> {
    let waiting = held(write, &job.tenant, &job.argument, State::Waiting).await?;
    let Some(mut delivery) = waiting else { return Ok(()) };
    delivery.state = State::Failed;
    delivery.trouble = cut(reason);
    rows::record(write, &job.tenant, &delivery).await
}

/// Lets a delivery wait again whose job is sent on its way again.
pub async fn resume(write: &mut Write, tenant: &TenantId, argument: &str) -> Result<(), StoreError> {
    let Some(mut delivery) = held(write, tenant, argument, State::Failed).await? else { return Ok(()) };
    delivery.state = State::Waiting;
    delivery.attempts = 0;
    rows::record(write, tenant, &delivery).await
}

/// The delivery of a job with this argument, where it is in this state: held as an attempt does when it is recorded.
async fn held(
    write: &mut Write,
    tenant: &TenantId,
    argument: &str,
    state: State,
) -> Result<Option<Delivery>, StoreError> {
    let Ok(id) = argument.parse() else { return Ok(None) };
    let Some(delivery) = rows::delivery(&mut **write, tenant, id).await? else { return Ok(None) };
    write.hold(delivery.endpoint_id).await?;
    let delivery = rows::delivery(&mut **write, tenant, id).await?;
    Ok(delivery.filter(|delivery| delivery.state == state))
}

/// Whether an endpoint may be called now; else how long to wait, which counts as no attempt. One that fails takes up a
/// hand for as long as it may take to answer: it is called once in a while, not for each of its deliveries. What a person
/// replays is tried at once.
fn may_be_called(app: &App, endpoint: &Endpoint, delivery: &Delivery) -> Result<(), Refused> {
    let is_replayed = delivery.attempts == 0 && delivery.tried_ms != 0;
    if endpoint.failing_ms == 0 || is_replayed {
        return Ok(());
    }
    let failing = Duration::from_millis(now_ms().saturating_sub(endpoint.failing_ms).unsigned_abs());
    app.webhooks.probes.take(endpoint.endpoint_id, delivery.delivery_id, failing)
}

async fn send(
    app: &App,
    endpoint: &Endpoint,
    delivery: &Delivery,
    stored: &events::Stored,
) -> Result<Answer, StepError> {
    let failed = |trouble: String| Answer { status: 0, trouble: Some(trouble) };
    let url: Url = match endpoint.url.parse() {
        Ok(url) => url,
        Err(error) => return Ok(failed(format!("its URL cannot be read: {error}"))),
    };
    if let Some(refusal) = app.webhooks.guard.refuses(&url) {
        return Ok(failed(format!("its URL {refusal}")));
    }
    let event: Event = serde_json::from_str(&stored.bytes).map_err(StepError::later)?;
    let mut data: Value = serde_json::from_str(&stored.bytes).map_err(StepError::later)?;
    data["hash"] = json!(stored.hash);
    if WITH_PAYLOAD.contains(&event.body.name()) {
        let (tenant, sequence) = (&endpoint.tenant, Some(event.sequence));
        data["approval"] = json!(payload::of_document(app, tenant, event.document_id, sequence).await?);
    }
    let body = json!({ "type": format!("document.{}", delivery.event), "timestamp": event.at, "data": data });
    let body = body.to_string();
    let seconds = Timestamp::now().as_second();
    let signature = app.webhooks.site.signature(endpoint, delivery.delivery_id, seconds, body.as_bytes());
    let document = documents::find(app.store.reading(), &endpoint.tenant, event.document_id).await?;
    let client = app.webhooks.client(&url);
    let mut request = client
        .post(url)
        .header(CONTENT_TYPE, "application/json")
        .header("webhook-id", delivery.delivery_id.to_string())
        .header("webhook-timestamp", seconds)
        .header("webhook-signature", signature);
    if let Some(record) = document {
        request = request.header("traceparent", record.document.correlation_id.to_string());
    }
    Ok(match request.body(body).send().await {
        Ok(answer) if answer.status().is_success() => {
            Answer { status: answer.status().as_u16(), trouble: None }
        }
        Ok(answer) => {
            let status = answer.status();
            Answer { status: status.as_u16(), trouble: Some(format!("it answered {status}")) }
        }
        Err(error) => failed(told(&error)),
    })
}

/// An error with what caused it, without the URL, which the caller has.
fn told(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    cut(&text)
}

/// As much of a text as is kept.
fn cut(text: &str) -> String {
    text.chars().take(TROUBLE_CHARACTERS).collect()
}

/// Records how an attempt ended, on the delivery and on its endpoint, and says when the next is.
async fn settle(
    app: &App,
    seen: Endpoint,
    delivery: Delivery,
    attempt: Attempt,
) -> Result<Outcome, StepError> {
    let tenant = &seen.tenant;
    let mut write = app.store.begin().await?;
    write.hold(delivery.endpoint_id).await?;
    // Once more: somebody may have changed both while the endpoint took its time.
    let Some(mut endpoint) = rows::find(&mut *write, tenant, delivery.endpoint_id).await? else {
        return Ok(Outcome::Done);
    };
    let Some(mut delivery) = rows::delivery(&mut *write, tenant, delivery.delivery_id).await? else {
        return Ok(Outcome::Done);
    };
    let was_enabled = endpoint.disabled.is_empty();
    let outcome = note(&seen, &mut endpoint, &mut delivery, attempt, now_ms());
    if was_enabled && !endpoint.disabled.is_empty() {
        tracing::error!(endpoint = %endpoint.endpoint_id, reason = endpoint.disabled, "an endpoint is disabled");
        let subject = endpoint.endpoint_id.to_string();
        audit::add(&mut write, tenant, "system", "webhook.disable", &subject, &endpoint.disabled).await?;
    }
    rows::record(&mut write, tenant, &delivery).await?;
    rows::change(&mut write, &endpoint).await?;
    write.commit().await?;
    Ok(outcome)
}

/// What an attempt means for its delivery and for the endpoint as it is now, of which another may have been `seen` before
/// it: what an address answered that is not the endpoint's any more says nothing of it.
fn note(
    seen: &Endpoint,
    endpoint: &mut Endpoint,
    delivery: &mut Delivery,
    attempt: Attempt,
    now: i64,
) -> Outcome {
    let (Answer { status, trouble }, tells) = match attempt {
        Attempt::Disabled => {
            delivery.state = State::Failed;
            delivery.trouble = "the endpoint is disabled".into();
            return Outcome::Done;
        }
        Attempt::Unmade(trouble) => (Answer { status: 0, trouble: Some(trouble) }, false),
        Attempt::Sent(answer) => (answer, endpoint.url == seen.url),
    };
    delivery.attempts += 1;
    delivery.tried_ms = now;
    delivery.status = status;
    delivery.trouble = trouble.unwrap_or_default();
    if delivery.trouble.is_empty() {
        delivery.state = State::Delivered;
        if tells {
            endpoint.failing_ms = 0;
        }
        return Outcome::Done;
    }
    let gone = tells && status == 410;
    let pause = PAUSES.get(delivery.attempts as usize - 1).filter(|_| !gone);
    if pause.is_none() {
        delivery.state = State::Failed;
    }
    if tells && endpoint.failing_ms == 0 {
        endpoint.failing_ms = now;
    }
    // A person may have disabled it meanwhile, whose reason stays.
    if tells && endpoint.disabled.is_empty() {
        endpoint.disabled = disabling(endpoint, delivery, now);
    }
    pause.map_or(Outcome::Done, |pause| Outcome::Again(spread(*pause, delivery)))
}

/// Why an endpoint is disabled after a delivery that it did not take; empty where it is not.
fn disabling(endpoint: &Endpoint, delivery: &Delivery, now: i64) -> String {
    if delivery.status == 410 {
        return "it answered 410 Gone".into();
    }
    let failing = Duration::from_millis(now.saturating_sub(endpoint.failing_ms).unsigned_abs());
    let is_dead = delivery.state == State::Failed && failing >= DEAD_AFTER;
    if is_dead || failing >= SURELY_DEAD_AFTER {
        let days = failing.as_secs() / (24 * 3600);
        return format!("it took nothing for {days} days; the last time: {}", delivery.trouble);
    }
    String::new()
}

/// A pause with up to a fifth added, so that what failed together does not come back together.
fn spread(pause: Duration, delivery: &Delivery) -> Duration {
    let digest = platen_model::Digest::of(delivery.delivery_id.to_string().as_bytes());
    pause.mul_f64(1.0 + f64::from(digest.as_bytes()[0]) / 255.0 / 5.0)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const DAY_MS: i64 = 24 * 3600 * 1000;
    const NOW: i64 = 100 * DAY_MS;

    fn endpoint() -> Endpoint {
        Endpoint {
            endpoint_id: Uuid::from_u128(1),
            tenant: crate::testing::tenant(),
            url: "https://old.example/hook".into(),
            events: Vec::new(),
            secret_number: 1,
            former_until_ms: 0,
            disabled: String::new(),
            failing_ms: 0,
            created_ms: 1,
        }
    }

    fn delivery(attempts: u32) -> Delivery {
        Delivery {
            delivery_id: Uuid::from_u128(2),
            endpoint_id: Uuid::from_u128(1),
            position: 1,
            event: "received".into(),
            state: State::Waiting,
            attempts,
            status: 0,
            trouble: String::new(),
            created_ms: 1,
            tried_ms: 0,
        }
    }

    /// What becomes of an endpoint that is `now` something else than was seen, by this answer to the delivery's next attempt.
    fn check(now: &Endpoint, attempts: u32, attempt: Attempt) -> (Endpoint, Delivery) {
        let seen = endpoint();
        let (mut endpoint, mut delivery) = (now.clone(), delivery(attempts));
        let outcome = note(&seen, &mut endpoint, &mut delivery, attempt, NOW);
        assert_eq!(outcome != Outcome::Done, delivery.state == State::Waiting, "{outcome:?}: {delivery:?}");
        (endpoint, delivery)
    }

    fn answered(status: u16) -> Attempt {
        Attempt::Sent(Answer { status, trouble: (status >= 300).then(|| format!("it answered {status}")) })
    }

    #[test]
    fn what_an_address_answers_that_was_changed_meanwhile_says_nothing_of_the_new_one() {
        let (there, _) = check(&endpoint(), 0, answered(410));
        assert_eq!(there.disabled, "it answered 410 Gone");
        let changed = Endpoint { url: "https://new.example/hook".into(), ..endpoint() };
        let (there, delivery) = check(&changed, 0, answered(410));
        assert_eq!((there, delivery.state), (changed.clone(), State::Waiting), "it is tried there");
        let failing = Endpoint { failing_ms: NOW - DAY_MS, ..changed };
        let (there, delivery) = check(&failing, 0, answered(204));
        assert_eq!((there, delivery.state), (failing, State::Delivered));
    }

    #[test]
    fn an_endpoint_that_a_person_switched_off_during_an_attempt_keeps_their_reason() {
        let off = Endpoint { disabled: "switched off".into(), failing_ms: 1, ..endpoint() };
        assert_eq!(check(&off, 0, answered(410)).0, off);
        assert_eq!(check(&off, PAUSES.len() as u32, answered(503)).0, off);
    }

    #[test]
    fn a_failure_of_our_own_says_nothing_of_the_endpoint_and_uses_up_an_attempt() {
        let failing = Endpoint { failing_ms: NOW - 10 * DAY_MS, ..endpoint() };
        for there in [endpoint(), failing] {
            let unmade = || Attempt::Unmade("a blob is missing".into());
            let (after, delivery) = check(&there, 0, unmade());
            assert_eq!((&after, delivery.state, delivery.attempts), (&there, State::Waiting, 1));
            let (after, delivery) = check(&there, PAUSES.len() as u32, unmade());
            assert_eq!((&after, delivery.state), (&there, State::Failed));
            assert_eq!(delivery.trouble, "a blob is missing");
        }
    }

    #[test]
    fn an_endpoint_is_disabled_by_a_delivery_given_up_after_three_days_and_by_any_after_four() {
        let last = PAUSES.len() as u32;
        for (days, attempts, disabled) in [(1, last, false), (3, 0, false), (3, last, true), (4, 0, true)] {
            let failing = Endpoint { failing_ms: NOW - days * DAY_MS, ..endpoint() };
            let (after, _) = check(&failing, attempts, answered(503));
            assert_eq!(!after.disabled.is_empty(), disabled, "after {days} days, {attempts} attempts");
            assert!(!disabled || after.disabled.contains(&format!("{days} days")), "{}", after.disabled);
        }
    }
}
