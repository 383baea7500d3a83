//! The sandbox's own clock: it sends callbacks when their time has come.
//!
//! What was delivered is counted in the database after each answer. A kill between the answer and the count
//! repeats that callback, as with every provider: callbacks come at least once.

use std::time::Duration;

use jiff::Timestamp;
use platen_model::TenantId;

use super::{CallbackBody, Row, SIGNATURE_HEADER, Sandbox, script};
use crate::signing::provider::ProviderError;
use crate::signing::workplace::{internal, now_ms};

/// How often the clock looks.
const TICK: Duration = Duration::from_millis(200);
/// The most envelopes looked at in one tick.
const BATCH: i64 = 200;
/// How long a callback is tried before the sandbox gives it up, as real providers do.
const GIVE_UP_AFTER_MS: i64 = 24 * 3_600_000;

/// Something to deliver.
#[derive(Debug, PartialEq, Eq)]
struct Delivery {
    due_ms: u64,
    body: CallbackBody,
}

/// All callbacks of an envelope's life, in the order they are sent.
fn deliveries(row: &Row) -> Vec<Delivery> {
    let signers = row.signers();
    let times = match script::callbacks(&signers) {
        script::Callbacks::Once => 1,
        script::Callbacks::Twice => 2,
        script::Callbacks::Never => 0,
    };
    let mut deliveries = Vec::new();
    for (number, moment) in script::life(&signers).into_iter().enumerate() {
        for _ in 0..times {
            let reference = row.reference.clone();
            let id = format!("evt_{reference}_{number}");
            let body = CallbackBody { id, kind: moment.event.to_owned(), reference };
            deliveries.push(Delivery { due_ms: moment.after_ms, body });
        }
    }
    deliveries
}

impl Sandbox {
    /// Sends callbacks for ever. Run it as a task of its own.
    pub async fn run_clock(&self, http: reqwest::Client) {
        loop {
            if let Err(error) = self.tick(&http).await {
                tracing::warn!(%error, "the sandbox clock missed a tick; it goes on with the next");
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Sends what is due now, and answers how many callbacks were taken.
    pub async fn tick(&self, http: &reqwest::Client) -> Result<u32, ProviderError> {
        let rows = sqlx::query_as::<_, Row>(
            "SELECT * FROM sandbox_envelopes WHERE callbacks_done = 0 ORDER BY created_ms LIMIT $1",
        )
        .bind(BATCH)
        .fetch_all(&self.place.database)
        .await
        .map_err(internal)?;
        let mut taken = 0;
        for row in rows {
            taken += self.deliver(http, &row).await?;
        }
        Ok(taken)
    }

    async fn deliver(&self, http: &reqwest::Client, row: &Row) -> Result<u32, ProviderError> {
        let tenant: TenantId = row.tenant_id.parse().map_err(internal)?;
        let all = deliveries(row);
        let already = usize::try_from(row.callbacks_sent).unwrap_or(0);
        let elapsed_ms = row.elapsed_ms();
        let mut sent = already;
        for delivery in all.iter().skip(already).take_while(|delivery| delivery.due_ms <= elapsed_ms) {
            if !self.post(http, &tenant, &delivery.body).await? {
                break;
            }
            sent += 1;
            sqlx::query("UPDATE sandbox_envelopes SET callbacks_sent = $1 WHERE reference = $2")
                .bind(i64::try_from(sent).unwrap_or(i64::MAX))
                .bind(&row.reference)
                .execute(&self.place.database)
                .await
                .map_err(internal)?;
        }
        let given_up = now_ms() - row.created_ms > GIVE_UP_AFTER_MS;
        if sent == all.len() || row.void_reason.is_some() || given_up {
            sqlx::query("UPDATE sandbox_envelopes SET callbacks_done = 1 WHERE reference = $1")
                .bind(&row.reference)
                .execute(&self.place.database)
                .await
                .map_err(internal)?;
        }
        Ok(u32::try_from(sent - already).unwrap_or(u32::MAX))
    }

    /// Whether the callback was taken. One that was not is sent again at a later tick.
    async fn post(
        &self,
        http: &reqwest::Client,
        tenant: &TenantId,
        body: &CallbackBody,
    ) -> Result<bool, ProviderError> {
        let (signature, bytes) = self.callback(tenant, body, Timestamp::now())?;
        let url = format!("{}/v1/webhooks/signature-events/sandbox/{tenant}", self.place.public_url);
        let answer = http
            .post(url)
            .header(SIGNATURE_HEADER, signature)
            .header("content-type", "application/json")
            .timeout(Duration::from_secs(10))
            .body(bytes)
            .send()
            .await;
        Ok(answer.is_ok_and(|answer| answer.status().is_success()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(signer: &str, events: &[&str]) {
        let row = Row {
            reference: "sbx_1".into(),
            envelope_id: String::new(),
            tenant_id: "office".into(),
            pdf_sha256: String::new(),
            signers: format!("[\"{signer}@example.com\"]"),
            created_ms: 0,
            void_reason: None,
            signed_sha256: None,
            callbacks_sent: 0,
        };
        let sent = deliveries(&row);
        let kinds: Vec<&str> = sent.iter().map(|delivery| delivery.body.kind.as_str()).collect();
        assert_eq!(kinds, events, "{signer}");
        assert!(sent.is_sorted_by_key(|delivery| delivery.due_ms));
    }

    #[test]
    fn callbacks_come_once_twice_or_never_as_the_address_says() {
        check("signs", &["envelope.viewed", "envelope.completed"]);
        check("silent", &[]);
        check("expires", &["envelope.expired"]);
        let twice = ["envelope.viewed", "envelope.viewed", "envelope.completed", "envelope.completed"];
        check("twice", &twice);
    }
}
