//! The part of the desk's book about proofs: the codes that were sent to signers, and the PINs that senders set.
//!
//! Tries are counted before they are looked at, so that two at once are two.

use platen_model::{Digest, TenantId};
use sqlx::AnyConnection;

use super::book::{Book, SignerRow};
use crate::signing::provider::{ProviderError, Reference};
use crate::signing::workplace::{internal, now_ms};

/// Tries of a PIN.
pub(super) const PIN_TRIES_MAX: i64 = 5;
/// A day in milliseconds.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// What became of a new code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CodeKept {
    /// It is to be sent.
    Kept,
    /// One was sent a moment ago.
    Resting,
    /// The signer has had all codes of today.
    UsedUp,
}

/// The PIN of a signer.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct PinRow {
    pub(super) position: i64,
    pub(super) pin: String,
    pub(super) tries: i64,
    pub(super) set_ms: i64,
    pub(super) given_ms: Option<i64>,
    pub(super) browser_sha256: Option<String>,
}

impl PinRow {
    /// Whether it was tried too often: it opens nothing until the sender sets a new one.
    pub(super) fn is_locked(&self) -> bool {
        self.tries >= PIN_TRIES_MAX
    }
}

impl SignerRow {
    /// Whether there were so many codes today.
    pub(super) fn has_had_codes(&self, codes_a_day: u32) -> bool {
        self.codes_day == now_ms().div_euclid(DAY_MS) && self.codes_sent >= i64::from(codes_a_day)
    }
}

impl Book {
    /// Keeps the keyed digest of a new code, unless one was sent after `not_after`, or there were `codes_max` of them
    /// today already.
    pub(super) async fn keep_code(
        &self,
        reference: &Reference,
        position: i64,
        tag: &str,
        not_after: i64,
        codes_max: u32,
    ) -> Result<CodeKept, ProviderError> {
        let now = now_ms();
        let today = now.div_euclid(DAY_MS);
        let kept = sqlx::query(
            "UPDATE desk_signers SET code_tag = $1, code_sent_ms = $2, code_tries = 0, codes_day = $3,
               codes_sent = CASE WHEN codes_day = $3 THEN codes_sent + 1 ELSE 1 END
             WHERE envelope_id = $4 AND position = $5 AND (code_sent_ms IS NULL OR code_sent_ms <= $6)
               AND (codes_day <> $3 OR codes_sent < $7)",
        )
        .bind(tag)
        .bind(now)
        .bind(today)
        .bind(&reference.0)
        .bind(position)
        .bind(not_after)
        .bind(i64::from(codes_max))
        .execute(&self.database)
        .await
        .map_err(internal)?;
        if kept.rows_affected() == 1 {
            return Ok(CodeKept::Kept);
        }
        let row: Option<(i64, i64)> = sqlx::query_as(
            "SELECT codes_day, codes_sent FROM desk_signers WHERE envelope_id = $1 AND position = $2",
        )
        .bind(&reference.0)
        .bind(position)
        .fetch_optional(&self.database)
        .await
        .map_err(internal)?;
        let used_up = row.is_some_and(|(day, sent)| day == today && sent >= i64::from(codes_max));
        Ok(if used_up { CodeKept::UsedUp } else { CodeKept::Resting })
    }

    /// Forgets a code that could not be sent, and that one was sent a moment ago; it counts among the day's.
    pub(super) async fn drop_code(
        &self,
        reference: &Reference,
        position: i64,
        tag: &str,
    ) -> Result<(), ProviderError> {
        sqlx::query(
            "UPDATE desk_signers SET code_tag = NULL, code_sent_ms = NULL
             WHERE envelope_id = $1 AND position = $2 AND code_tag = $3",
        )
        .bind(&reference.0)
        .bind(position)
        .bind(tag)
        .execute(&self.database)
        .await
        .map_err(internal)?;
        Ok(())
    }

    /// Counts a try of the code before it is looked at. `false` when there were too many, or no code is valid.
    pub(super) async fn count_try(
        &self,
        reference: &Reference,
        position: i64,
        tries_max: i64,
        sent_after: i64,
    ) -> Result<bool, ProviderError> {
        let counted = sqlx::query(
            "UPDATE desk_signers SET code_tries = code_tries + 1
             WHERE envelope_id = $1 AND position = $2 AND code_tries < $3 AND code_tag IS NOT NULL
               AND code_sent_ms > $4",
        )
        .bind(&reference.0)
        .bind(position)
        .bind(tries_max)
        .bind(sent_after)
        .execute(&self.database)
        .await
        .map_err(internal)?;
        Ok(counted.rows_affected() == 1)
    }

    /// Sets a signer's PIN, in the place of one before: its tries begin anew, and whoever gave the old one gives this
    /// one. Who has signed has none set any more: that the old one was given is evidence. Written through a connection,
    /// so that it can be one step with the envelope it is for.
    pub(super) async fn set_pin(
        connection: &mut AnyConnection,
        tenant: &TenantId,
        reference: &Reference,
        position: i64,
        hash: &str,
        by: &str,
    ) -> Result<(), ProviderError> {
        let set = sqlx::query(
            "INSERT INTO desk_pins (envelope_id, position, tenant_id, pin, set_by, set_ms)
             SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT 1 FROM desk_signers s
                 WHERE s.envelope_id = $1 AND s.position = $2 AND s.signed_ms IS NOT NULL)
             ON CONFLICT (envelope_id, position) DO UPDATE SET pin = excluded.pin, set_by = excluded.set_by,
               set_ms = excluded.set_ms, tries = 0, given_ms = NULL, browser_sha256 = NULL",
        )
        .bind(&reference.0)
        .bind(position)
        .bind(tenant.as_str())
        .bind(hash)
        .bind(by)
        .bind(now_ms())
        .execute(connection)
        .await
        .map_err(internal)?;
        if set.rows_affected() == 0 {
            let why = "who has signed or approved is not asked for a PIN any more";
            return Err(ProviderError::Refused(why.into()));
        }
        Ok(())
    }

    /// The PINs of an envelope.
    pub(super) async fn pins(
        &self,
        tenant: &TenantId,
        reference: &Reference,
    ) -> Result<Vec<PinRow>, ProviderError> {
        sqlx::query_as("SELECT * FROM desk_pins WHERE envelope_id = $1 AND tenant_id = $2 ORDER BY position")
            .bind(&reference.0)
            .bind(tenant.as_str())
            .fetch_all(&self.database)
            .await
            .map_err(internal)
    }

    /// Counts a try of the PIN before it is looked at. `false` when there were too many.
    pub(super) async fn count_pin_try(
        &self,
        reference: &Reference,
        position: i64,
    ) -> Result<bool, ProviderError> {
        let counted = sqlx::query(
            "UPDATE desk_pins SET tries = tries + 1 WHERE envelope_id = $1 AND position = $2 AND tries < $3",
        )
        .bind(&reference.0)
        .bind(position)
        .bind(PIN_TRIES_MAX)
        .execute(&self.database)
        .await
        .map_err(internal)?;
        Ok(counted.rows_affected() == 1)
    }

    /// Notes the browser that gave the right PIN. `hash` is the one it was held against: a PIN that was replaced
    /// meanwhile stays to be given. When it was given is evidence of the signature, so nothing after that changes it.
    pub(super) async fn note_pin_given(
        &self,
        reference: &Reference,
        position: i64,
        hash: &str,
        browser: Digest,
    ) -> Result<(), ProviderError> {
        sqlx::query(
            "UPDATE desk_pins SET tries = 0, browser_sha256 = $2,
               given_ms = CASE WHEN EXISTS (SELECT 1 FROM desk_signers s
                 WHERE s.envelope_id = desk_pins.envelope_id AND s.position = desk_pins.position
                   AND s.signed_ms IS NOT NULL) THEN given_ms ELSE $1 END
             WHERE envelope_id = $3 AND position = $4 AND pin = $5",
        )
        .bind(now_ms())
        .bind(browser.to_string())
        .bind(&reference.0)
        .bind(position)
        .bind(hash)
        .execute(&self.database)
        .await
        .map_err(internal)?;
        Ok(())
    }

    /// Notes the browser that gave the right code; the code is used up. When it was given is evidence of the signature, so
    /// nothing after that changes it.
    pub(super) async fn note_proved(
        &self,
        reference: &Reference,
        position: i64,
        browser: Digest,
    ) -> Result<(), ProviderError> {
        sqlx::query(
            "UPDATE desk_signers SET browser_sha256 = $2, code_tag = NULL,
               proved_ms = CASE WHEN signed_ms IS NULL THEN $1 ELSE proved_ms END
             WHERE envelope_id = $3 AND position = $4",
        )
        .bind(now_ms())
        .bind(browser.to_string())
        .bind(&reference.0)
        .bind(position)
        .execute(&self.database)
        .await
        .map_err(internal)?;
        Ok(())
    }
}
