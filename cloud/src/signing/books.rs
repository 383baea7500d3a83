//! The courier's books on the real store: cases from the projection, events through the one append there is.

use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use platen_model::event::{Actor, EventBody};
use platen_model::manifest::part_to_sign;
use platen_model::{DocumentId, EnvelopeId, PartRole, TenantId};

use super::courier::{Case, CaseEnvelope, Ledger, LedgerError};
use super::lifecycle::CallMark;
use super::pauses;
use super::provider::Reference;
use crate::jobs::StepError;
use crate::store::{Store, StoreError, documents, envelopes, events, from_ms};

/// How long an envelope is open where its route does not say.
const EXPIRES_AFTER: SignedDuration = SignedDuration::from_millis(envelopes::OPEN_MS);

/// The books.
#[derive(Clone, Debug)]
pub(super) struct Books {
    store: Store,
}

impl Books {
    /// The books in this store.
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }

    async fn read(&self, tenant: &TenantId, document: DocumentId) -> Result<Option<Case>, StoreError> {
        let Some(record) = documents::find(self.store.reading(), tenant, document).await? else {
            return Ok(None);
        };
        let Some(pdf) = part_to_sign(&record.parts) else { return Ok(None) };
        let envelope = match record.document.envelope_id {
            Some(id) => envelopes::find(&self.store, tenant, id).await?,
            None => None,
        };
        let envelope = envelope.map(|(envelope, _)| CaseEnvelope {
            envelope_id: envelope.envelope_id,
            reference: envelope.provider_reference.map(Reference),
            created_at: envelope.created_at,
            expires_at: record.expires_at.unwrap_or(envelope.created_at + EXPIRES_AFTER),
            remind_every: record.remind_every_s.map(|seconds| Duration::from_secs(seconds.into())),
        });
        Ok(Some(Case {
            tenant_id: tenant.clone(),
            document_id: document,
            version: record.document.version,
            status: record.document.status,
            resume: record.resume,
            title: record.document.file_name.clone(),
            provider: record.provider.clone(),
            route: record.document.route.clone().unwrap_or_default(),
            recipients: record.recipients.clone(),
            blanks: record.blanks.clone(),
            signed_by: record.signed_by.clone(),
            pdf_sha256: pdf.sha256,
            page_text_sha256: record.part(PartRole::PageText).map(|part| part.sha256),
            envelope,
        }))
    }

    async fn link(&self, case: &Case, actor: Actor, body: EventBody) -> Result<bool, LedgerError> {
        let mut write = self.store.begin().await.map_err(failed)?;
        write.hold(case.document_id).await.map_err(failed)?;
        let now = documents::find(&mut *write, &case.tenant_id, case.document_id).await.map_err(failed)?;
        if now.is_none_or(|record| record.document.version != case.version) {
            return Ok(false);
        }
        match events::append(&mut write, &case.tenant_id, case.document_id, actor, body).await {
            Ok(_) => write.commit().await.map(|()| true).map_err(failed),
            // The state machine's word is final; the step looks again and finds nothing to do.
            Err(events::AppendError::Refused(_) | events::AppendError::NoDocument(_)) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }
}

impl Ledger for Books {
    fn case<'a>(
        &'a self,
        tenant: &'a TenantId,
        document: DocumentId,
    ) -> BoxFuture<'a, Result<Option<Case>, LedgerError>> {
        Box::pin(async move { self.read(tenant, document).await.map_err(failed) })
    }

    fn append<'a>(
        &'a self,
        case: &'a Case,
        actor: Actor,
        body: EventBody,
    ) -> BoxFuture<'a, Result<bool, LedgerError>> {
        Box::pin(self.link(case, actor, body))
    }

    fn call_mark(&self, envelope: EnvelopeId) -> BoxFuture<'_, Result<Option<CallMark>, LedgerError>> {
        Box::pin(async move {
            let row: Option<(i64, i64, Option<String>)> =
                sqlx::query_as("SELECT attempt, at_ms, draft FROM envelope_calls WHERE envelope_id = $1")
                    .bind(envelope.to_string())
                    .fetch_optional(self.store.writing())
                    .await
                    .map_err(failed)?;
            let mark = |(attempt, at_ms, draft): (_, _, Option<String>)| CallMark {
                attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
                at: from_ms(at_ms),
                draft: draft.map(Reference),
            };
            Ok(row.map(mark))
        })
    }

    fn mark_call(
        &self,
        envelope: EnvelopeId,
        attempt: u32,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<bool, LedgerError>> {
        Box::pin(async move {
            // The first attempt finds no row, each later one the row of the attempt before it. Of two workers
            // only one changes a row.
            let statement = if attempt == 1 {
                "INSERT INTO envelope_calls (attempt, at_ms, envelope_id) VALUES ($1, $2, $3)
                 ON CONFLICT (envelope_id) DO NOTHING"
            } else {
                "UPDATE envelope_calls SET attempt = $1, at_ms = $2
                 WHERE envelope_id = $3 AND attempt = $1 - 1"
            };
            let marked = sqlx::query(statement)
                .bind(i64::from(attempt))
                .bind(at.as_millisecond())
                .bind(envelope.to_string())
                .execute(self.store.writing())
                .await
                .map_err(failed)?;
            Ok(marked.rows_affected() == 1)
        })
    }

    fn unmark_call(&self, envelope: EnvelopeId, attempt: u32) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(async move {
            sqlx::query("DELETE FROM envelope_calls WHERE envelope_id = $1 AND attempt = $2")
                .bind(envelope.to_string())
                .bind(i64::from(attempt))
                .execute(self.store.writing())
                .await
                .map_err(failed)?;
            Ok(())
        })
    }

    fn keep_draft(
        &self,
        envelope: EnvelopeId,
        draft: Reference,
    ) -> BoxFuture<'_, Result<Reference, LedgerError>> {
        Box::pin(async move {
            let (kept,): (String,) = sqlx::query_as(
                "UPDATE envelope_calls SET draft = COALESCE(draft, $1) WHERE envelope_id = $2 RETURNING draft",
            )
            .bind(&draft.0)
            .bind(envelope.to_string())
            .fetch_one(self.store.writing())
            .await
            .map_err(failed)?;
            Ok(Reference(kept))
        })
    }

    fn note_no_pdf(
        &self,
        envelope: EnvelopeId,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Timestamp, LedgerError>> {
        Box::pin(async move {
            let row: Option<(i64,)> = sqlx::query_as(
                "UPDATE envelope_calls SET no_pdf_ms = COALESCE(no_pdf_ms, $1) WHERE envelope_id = $2
                 RETURNING no_pdf_ms",
            )
            .bind(now.as_millisecond())
            .bind(envelope.to_string())
            .fetch_optional(self.store.writing())
            .await
            .map_err(failed)?;
            Ok(row.map_or(now, |(since_ms,)| from_ms(since_ms)))
        })
    }

    fn note_reminder(
        &self,
        envelope: EnvelopeId,
        now: Timestamp,
        every: Duration,
    ) -> BoxFuture<'_, Result<bool, LedgerError>> {
        Box::pin(async move {
            let every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
            let noted = sqlx::query(
                "INSERT INTO envelope_reminders (envelope_id, reminded_ms) VALUES ($1, $2)
                 ON CONFLICT (envelope_id) DO UPDATE SET reminded_ms = excluded.reminded_ms
                 WHERE envelope_reminders.reminded_ms <= $3",
            )
            .bind(envelope.to_string())
            .bind(now.as_millisecond())
            .bind(now.as_millisecond().saturating_sub(every_ms))
            .execute(self.store.writing())
            .await
            .map_err(failed)?;
            Ok(noted.rows_affected() == 1)
        })
    }

    fn note_poll(
        &self,
        envelope: EnvelopeId,
        now: Timestamp,
        rest: Duration,
    ) -> BoxFuture<'_, Result<Option<Timestamp>, LedgerError>> {
        Box::pin(async move {
            if rest.is_zero() {
                return Ok(None);
            }
            let rest_ms = i64::try_from(rest.as_millis()).unwrap_or(i64::MAX);
            let noted = sqlx::query(
                "UPDATE envelope_calls SET polled_ms = $1
                 WHERE envelope_id = $2 AND (polled_ms IS NULL OR polled_ms <= $3)",
            )
            .bind(now.as_millisecond())
            .bind(envelope.to_string())
            .bind(now.as_millisecond().saturating_sub(rest_ms))
            .execute(self.store.writing())
            .await
            .map_err(failed)?;
            if noted.rows_affected() == 1 {
                return Ok(None);
            }
            let row: Option<(Option<i64>,)> =
                sqlx::query_as("SELECT polled_ms FROM envelope_calls WHERE envelope_id = $1")
                    .bind(envelope.to_string())
                    .fetch_optional(self.store.writing())
                    .await
                    .map_err(failed)?;
            let polled = row.and_then(|(polled,)| polled);
            Ok(polled.map(|polled_ms| from_ms(polled_ms.saturating_add(rest_ms))))
        })
    }

    fn paused<'a>(&'a self, case: &'a Case) -> BoxFuture<'a, Result<Option<String>, LedgerError>> {
        Box::pin(async move {
            let provider = case.provider.as_deref().unwrap_or_default();
            pauses::why(&self.store, &case.tenant_id, &case.route, provider).await.map_err(failed)
        })
    }
}

/// A failure of our own, of the class it has in every other step.
pub(super) fn failed(error: impl Into<StepError>) -> LedgerError {
    match error.into() {
        StepError::Busy(why) => LedgerError::Busy(why),
        error => LedgerError::Broken(error.to_string()),
    }
}
