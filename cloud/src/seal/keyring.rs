//! The secrets of each tenant, kept in one folder of its own: the seal keys and one symmetric secret.
//!
//! `seal.pem`, `sandbox.pem` and `secret.key` in `<folder>/<tenant>/`, readable by their owner only. Keys for
//! single purposes are derived from the secret by the purpose's name, so that one cannot stand in for another.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use platen_model::{TenantId, durable};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::{SealError, SealKey};

/// Length of a tenant's secret in bytes.
const SECRET_BYTES: usize = 32;

/// All tenants' keys.
#[derive(Debug)]
pub struct KeyRing {
    folder: PathBuf,
    opened: Mutex<HashMap<TenantId, Arc<TenantKeys>>>,
}

/// One tenant's keys.
pub struct TenantKeys {
    /// The key its seals are made with.
    pub seal: SealKey,
    /// The key the sandbox makes its seals with; the certificate's name says so.
    pub sandbox_seal: SealKey,
    secret: hmac::Key,
}

impl std::fmt::Debug for TenantKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TenantKeys").field("seal", &self.seal).finish_non_exhaustive()
    }
}

impl TenantKeys {
    /// A key for one purpose, always the same for the same purpose.
    pub fn derive(&self, purpose: &str) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&self.secret, purpose.as_bytes()).as_ref())
    }
}

impl KeyRing {
    /// The keys kept in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), opened: Mutex::default() }
    }

    /// A tenant's keys; made when first asked for. Touches the disk the first time only.
    pub fn of(&self, tenant: &TenantId) -> Result<Arc<TenantKeys>, SealError> {
        // Held while keys are made, so that two callers cannot make two.
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = opened.get(tenant) {
            return Ok(Arc::clone(keys));
        }
        let folder = self.folder.join(tenant.as_str());
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source: io::Error| SealError::KeyFile { path, source }
        };
        durable::create_folder(&folder).map_err(failed(&folder))?;
        // And so that two nodes over one folder of keys cannot: given back when this function ends.
        let lock = folder.join("lock");
        let making = File::create(&lock).and_then(|file| file.lock().map(|()| file));
        let _making = making.map_err(failed(&lock))?;
        let path = folder.join("secret.key");
        let secret = secret(&path).map_err(failed(&path))?;
        let seal = SealKey::open(&folder.join("seal.pem"), &format!("{tenant} (Platen)"))?;
        let name = format!("Sandbox of {tenant} (no legal effect)");
        let sandbox_seal = SealKey::open(&folder.join("sandbox.pem"), &name)?;
        let keys = Arc::new(TenantKeys { seal, sandbox_seal, secret });
        opened.insert(tenant.clone(), Arc::clone(&keys));
        Ok(keys)
    }
}

fn secret(path: &Path) -> io::Result<hmac::Key> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) if bytes.len() == SECRET_BYTES => bytes,
        Ok(bytes) => {
            let message = format!("it holds {} bytes instead of {SECRET_BYTES}", bytes.len());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut bytes = vec![0u8; SECRET_BYTES];
            let no_randomness = |_| io::Error::other("the operating system gave no randomness");
            SystemRandom::new().fill(&mut bytes).map_err(no_randomness)?;
            durable::write_private(path, &bytes)?;
            bytes
        }
        Err(error) => return Err(error),
    };
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_same_after_a_restart_and_differ_between_tenants_and_purposes() {
        let folder = tempfile::tempdir().expect("a folder");
        let tag = |ring: &KeyRing, tenant: &str, purpose: &str| {
            let keys = ring.of(&tenant.parse().expect("a tenant")).expect("keys");
            hmac::sign(&keys.derive(purpose), b"x").as_ref().to_vec()
        };
        let ring = KeyRing::new(folder.path());
        let first = tag(&ring, "office", "desk");
        assert_eq!(first, tag(&KeyRing::new(folder.path()), "office", "desk"));
        assert_ne!(first, tag(&ring, "office", "sandbox"));
        assert_ne!(first, tag(&ring, "harbour", "desk"));
    }
}
