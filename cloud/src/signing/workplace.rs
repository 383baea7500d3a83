//! What the two built-in providers work with: the database, the blobs, the workers, the keys.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use platen_capture::worker::pool::Pool;
use platen_capture::worker::protocol::SealInfo;
use platen_model::{Digest, FailureClass, TenantId};
use sqlx::AnyPool;

use super::courier::LedgerError;
use super::provider::ProviderError;
use super::revocation;
use crate::checkpoints::timestamps;
use crate::seal::{KeyRing, SealError, Stamper, add_validation, revocation_questions, seal_pdf};
use crate::webhooks::guard::Guard;

/// Blobs by digest, each reachable by its tenant only (INV-12).
pub trait Shelf: Send + Sync + std::fmt::Debug {
    /// Keeps bytes; they are durable once this answers.
    fn put<'a>(&'a self, tenant: &'a TenantId, bytes: Vec<u8>) -> BoxFuture<'a, Result<Digest, LedgerError>>;

    /// The bytes of a digest.
    fn get<'a>(&'a self, tenant: &'a TenantId, sha256: Digest)
    -> BoxFuture<'a, Result<Vec<u8>, LedgerError>>;
}

/// What the built-in providers share.
#[derive(Clone, Debug)]
pub struct Workplace {
    /// The database.
    pub database: AnyPool,
    /// The blobs.
    pub shelf: Arc<dyn Shelf>,
    /// The workers, for preparing PDFs.
    pub workers: Arc<Pool>,
    /// The tenants' keys.
    pub keys: Arc<KeyRing>,
    /// A time-stamp authority, where there is one: seals of tenants then carry its word.
    pub timestamp_url: Option<String>,
    /// The certificates that are trusted besides our own, as a file of PEM.
    pub roots: Option<PathBuf>,
    /// Where answers about revocation may be fetched from.
    pub guard: Guard,
    /// Where people and callbacks reach us, without a slash at the end: `https://office.example`.
    pub public_url: String,
}

/// Which of a tenant's seals to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealOf {
    /// The tenant's own.
    Tenant,
    /// One whose name says "Sandbox".
    Sandbox,
}

impl Workplace {
    /// Seals a kept PDF and keeps the result.
    pub async fn seal(
        &self,
        tenant: &TenantId,
        pdf: Digest,
        whose: SealOf,
        seal: SealInfo,
    ) -> Result<Digest, ProviderError> {
        let authority = self.timestamp_url.clone().filter(|_| whose == SealOf::Tenant);
        let bytes = self.shelf.get(tenant, pdf).await?;
        let (workers, keys) = (Arc::clone(&self.workers), Arc::clone(&self.keys));
        let tenant_of_keys = tenant.clone();
        let sealed = tokio::task::spawn_blocking(move || {
            let keys = keys.of(&tenant_of_keys)?;
            let key = match whose {
                SealOf::Tenant => &keys.seal,
                SealOf::Sandbox => &keys.sandbox_seal,
            };
            // On a thread of its own, where waiting for an answer is allowed.
            let network = tokio::runtime::Handle::current();
            let stamper = authority.as_ref().map(|url| {
                let network = network.clone();
                move |digest| network.block_on(timestamps::ask(url, digest))
            });
            let stamper = stamper.as_ref().map(|stamper| stamper as &Stamper<'_>);
            seal_pdf(&workers, key, &bytes, seal, stamper)
        });
        let sealed = sealed.await.map_err(internal)?.map_err(not_sealed)?;
        Ok(self.shelf.put(tenant, sealed).await?)
    }

    /// Adds the means to check its seals later to a kept PDF, and keeps the result. Answers what of them could not be
    /// had as well, a sentence each: that makes no seal wait.
    pub async fn add_validation(
        &self,
        tenant: &TenantId,
        pdf: Digest,
    ) -> Result<(Digest, Vec<String>), ProviderError> {
        let bytes = self.shelf.get(tenant, pdf).await?;
        let roots = match &self.roots {
            Some(path) => std::fs::read_to_string(path).map_err(internal)?,
            None => String::new(),
        };
        let (workers, asked_of, trusted) = (Arc::clone(&self.workers), bytes.clone(), roots.clone());
        let questions = move || revocation_questions(&workers, &asked_of, &trusted);
        let questions =
            tokio::task::spawn_blocking(questions).await.map_err(internal)?.map_err(not_sealed)?;
        let answers = revocation::fetch(&self.guard, &questions).await.map_err(internal)?;
        let workers = Arc::clone(&self.workers);
        let added = move || add_validation(&workers, &bytes, &answers, &roots);
        let added = tokio::task::spawn_blocking(added).await.map_err(internal)?.map_err(not_sealed)?;
        let (completed, lacking) = added;
        let completed = self.shelf.put(tenant, completed).await?;
        Ok((completed, lacking))
    }
}

/// A document that cannot be sealed today cannot be sealed tomorrow; whatever else failed may go better later.
fn not_sealed(error: SealError) -> ProviderError {
    use FailureClass as F;
    let for_good = match &error {
        SealError::Document(failure) => matches!(
            failure.class,
            F::Empty | F::Truncated | F::Corrupt | F::Locked | F::Unsupported | F::TooLarge | F::NoPages
        ),
        SealError::Unfit(_) => true,
        _ => false,
    };
    if for_good {
        ProviderError::Refused(format!("the PDF cannot be sealed: {error}"))
    } else {
        internal(error)
    }
}

/// A failure of our own machine: nothing was done that a repetition would do twice.
pub(super) fn internal(error: impl std::fmt::Display) -> ProviderError {
    ProviderError::NotTaken(error.to_string())
}

/// Now, in milliseconds since 1970: how times are kept in the database.
pub(super) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// A time from the database.
pub(super) fn from_ms(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}
