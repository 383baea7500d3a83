//! Signed PDFs that come back: looked at before they are kept.
//!
//! A worker reads the PDF and says what its signatures are worth; here is only what it is told: which certificates are
//! trusted (the tenant's own seals, and those of `signature_roots`), and whether the provider only ever adds to what it
//! was sent. What is broken goes to a person ([`Examiner::examine`] only finds; the courier decides).

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use platen_capture::worker::pool::Pool;
use platen_capture::worker::protocol::{Reply, Request};
use platen_model::{SignatureFinding, TenantId};

use crate::seal::KeyRing;

/// Looks at what came back.
#[derive(Clone, Debug)]
pub struct Examiner {
    workers: Arc<Pool>,
    keys: Arc<KeyRing>,
    roots: Option<PathBuf>,
}

impl Examiner {
    /// An examiner with these workers, who trusts the tenants' seals and the certificates in this file.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read or holds no certificate.
    pub fn new(workers: Arc<Pool>, keys: Arc<KeyRing>, roots: Option<PathBuf>) -> Result<Self, String> {
        let examiner = Self { workers, keys, roots };
        let is_empty = !examiner.configured()?.contains("-----BEGIN CERTIFICATE-----");
        match &examiner.roots {
            Some(path) if is_empty => {
                Err(format!("`signature_roots`: {} holds no certificate", path.display()))
            }
            _ => Ok(examiner),
        }
    }

    fn configured(&self) -> Result<String, String> {
        let Some(path) = &self.roots else { return Ok(String::new()) };
        std::fs::read_to_string(path)
            .map_err(|error| format!("`signature_roots`: {}: {error}", path.display()))
    }

    /// What is found of a PDF that came back for what was sent.
    ///
    /// # Errors
    ///
    /// A failure of our own, as a sentence: what is wrong with the PDF is what was found.
    pub async fn examine(
        &self,
        tenant: &TenantId,
        returned: Vec<u8>,
        sent: Vec<u8>,
        incremental: bool,
        now: Timestamp,
    ) -> Result<SignatureFinding, String> {
        let (examiner, tenant) = (self.clone(), tenant.clone());
        // Whole seconds are what certificates go by.
        let at = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let found = tokio::task::spawn_blocking(move || {
            let keys = examiner.keys.of(&tenant).map_err(|error| error.to_string())?;
            let roots = [keys.own_certificates(), examiner.configured()?].concat();
            let (returned, sent) = (lay(&returned), lay(&sent));
            let failed = |error: io::Error| format!("cannot pass the PDF to a worker: {error}");
            find(
                &examiner.workers,
                &returned.map_err(failed)?,
                &sent.map_err(failed)?,
                &roots,
                at,
                incremental,
            )
        });
        found.await.map_err(|error| error.to_string())?
    }
}

/// Asks a worker what it finds of `returned`; `roots` is PEM.
///
/// # Errors
///
/// Why no worker could say, as a sentence.
pub fn find(
    workers: &Pool,
    returned: &File,
    sent: &File,
    roots: &str,
    at: Timestamp,
    incremental: bool,
) -> Result<SignatureFinding, String> {
    let request = Request::CheckSignatures { roots: roots.to_owned(), at, incremental };
    match workers.call(&request, &[returned.as_fd(), sent.as_fd()]) {
        Ok(Reply::Checked(finding)) => Ok(*finding),
        Ok(other) => Err(format!("the worker answered something else: {other:?}")),
        Err(failure) => Err(failure.to_string()),
    }
}

fn lay(bytes: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    Ok(file)
}

#[cfg(test)]
#[path = "returned_tests.rs"]
mod tests;
