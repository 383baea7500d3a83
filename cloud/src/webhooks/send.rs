//! One attempt of a delivery: the step of its job.

use std::time::Duration;

use jiff::Timestamp;
use platen_model::event::Event;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::{DEAD_AFTER, PAUSES};
use crate::api::payload;
use crate::app::App;
use crate::jobs::{Outcome, StepError};
use crate::store::jobs::Job;
use crate::store::webhooks::{self as rows, Delivery, Endpoint, State};
use crate::store::{audit, documents, events, now_ms};

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

/// How an attempt ended: the status of the answer, 0 where none came, and what went wrong.
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
    let answer = if endpoint.disabled.is_empty() {
        let Some(event) = events::at(&app.store, &job.tenant, delivery.position).await? else {
            return Err(StepError::later(format!("there is no event at place {}", delivery.position)));
        };
        Some(send(app, &endpoint, &delivery, &event).await?)
    } else {
        None
    };
    settle(app, endpoint, delivery, answer).await
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
    text.chars().take(TROUBLE_CHARACTERS).collect()
}

/// Records how an attempt ended, on the delivery and on its endpoint, and says when the next is.
async fn settle(
    app: &App,
    seen: Endpoint,
    delivery: Delivery,
    answer: Option<Answer>,
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
    let now = now_ms();
    let outcome = match answer {
        None => {
            delivery.state = State::Failed;
            delivery.trouble = "the endpoint is disabled".into();
            Outcome::Done
        }
        Some(Answer { status, trouble }) => {
            delivery.attempts += 1;
            delivery.tried_ms = now;
            delivery.status = status;
            delivery.trouble = trouble.unwrap_or_default();
            if delivery.trouble.is_empty() {
                delivery.state = State::Delivered;
                endpoint.failing_ms = 0;
                Outcome::Done
            } else {
                if endpoint.failing_ms == 0 {
                    endpoint.failing_ms = now;
                }
                let gone = status == 410;
                let pause = PAUSES.get(delivery.attempts as usize - 1).filter(|_| !gone);
                if pause.is_none() {
                    delivery.state = State::Failed;
                }
                let dead = now - endpoint.failing_ms >= DEAD_AFTER.as_millis() as i64;
                if gone {
                    endpoint.disabled = "it answered 410 Gone".into();
                } else if delivery.state == State::Failed && dead {
                    let trouble = &delivery.trouble;
                    endpoint.disabled = format!("it took nothing for three days; the last time: {trouble}");
                }
                pause.map_or(Outcome::Done, |pause| Outcome::Again(spread(*pause, &delivery)))
            }
        }
    };
    if !endpoint.disabled.is_empty() && seen.disabled.is_empty() {
        tracing::error!(endpoint = %endpoint.endpoint_id, reason = endpoint.disabled, "an endpoint is disabled");
        let subject = endpoint.endpoint_id.to_string();
        audit::add(&mut write, tenant, "system", "webhook.disable", &subject, &endpoint.disabled).await?;
    }
    rows::record(&mut write, tenant, &delivery).await?;
    rows::change(&mut write, &endpoint).await?;
    write.commit().await?;
    Ok(outcome)
}

/// A pause with up to a fifth added, so that what failed together does not come back together.
fn spread(pause: Duration, delivery: &Delivery) -> Duration {
    let digest = platen_model::Digest::of(delivery.delivery_id.to_string().as_bytes());
    pause.mul_f64(1.0 + f64::from(digest.as_bytes()[0]) / 255.0 / 5.0)
}
