//! The secrets of each tenant, kept in one folder of its own: the seal keys and one symmetric secret.
//!
//! `seal.pem`, `sandbox.pem` and `secret.key` in `<folder>/<tenant>/`, readable by their owner only. Keys for
//! single purposes are derived from the secret by the purpose's name, so that one cannot stand in for another.
//!
//! A key that is supplied ([`KeyRing::supply`]) takes the place of `seal.pem` in one step, and running servers see the
//! new file at their next seal. The certificate before it goes to `former/` first: seals that were made with it are
//! still the tenant's own. A crash between the two leaves a certificate there that is in use, which does no harm.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use platen_model::{Digest, TenantId, durable};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::{SealError, SealKey};
use crate::config;

/// Length of a tenant's secret in bytes.
const SECRET_BYTES: usize = 32;
/// The file of a tenant's seal.
const SEAL: &str = "seal.pem";
/// The folder of the certificates before it.
const FORMER: &str = "former";

/// All tenants' keys.
#[derive(Debug)]
pub struct KeyRing {
    folder: PathBuf,
    names: config::Desk,
    opened: Mutex<HashMap<TenantId, Opened>>,
}

/// Keys, and the file of the seal when it was read.
#[derive(Debug)]
struct Opened {
    keys: Arc<TenantKeys>,
    seal: Option<Seen>,
}

/// What tells one file from another under the same name: inode, length, and when it was written.
type Seen = (u64, u64, i64, i64);

/// One tenant's keys.
pub struct TenantKeys {
    /// The key its seals are made with.
    pub seal: SealKey,
    /// The key the sandbox makes its seals with; the certificate's name says so.
    pub sandbox_seal: SealKey,
    /// The certificates of seals before this one, as PEM.
    pub former: Vec<String>,
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

    /// The certificates that seals of this tenant can be by, as PEM: the one now, those it leads to, those before it.
    pub fn seal_certificates(&self) -> String {
        [self.seal.chain_pem(), &self.former.concat()].concat()
    }

    /// The certificates that only the tenant's own seals, the sandbox's among them, are by, as PEM.
    pub fn own_certificates(&self) -> String {
        [self.seal.certificate_pem(), self.sandbox_seal.certificate_pem(), &self.former.concat()].concat()
    }
}

impl KeyRing {
    /// The keys kept in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), names: config::Desk::default(), opened: Mutex::default() }
    }

    /// The same, where new certificates are made out to these names.
    pub fn with_names(self, names: config::Desk) -> Self {
        Self { names, ..self }
    }

    /// A tenant's keys; made when first asked for. Afterwards the disk is only asked whether the seal is the same.
    pub fn of(&self, tenant: &TenantId) -> Result<Arc<TenantKeys>, SealError> {
        // Held while keys are made, so that two callers cannot make two.
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = self.folder.join(tenant.as_str());
        let seal = seen(&folder.join(SEAL));
        if let Some(known) = opened.get(tenant) {
            // One that is away is not made anew while the old one is at hand.
            if seal.is_none() || seal == known.seal {
                return Ok(Arc::clone(&known.keys));
            }
        }
        let _making = hold(&folder)?;
        // Looked at before it is read: one that is replaced in between is read again.
        let seal = seen(&folder.join(SEAL));
        let path = folder.join("secret.key");
        let secret = secret(&path).map_err(failed(&path))?;
        let name = format!("Sandbox of {tenant} (no legal effect)");
        let sandbox_seal = SealKey::open(&folder.join("sandbox.pem"), &name)?;
        let path = folder.join(SEAL);
        let keys = TenantKeys {
            seal: SealKey::open(&path, &format!("{} (Platen)", self.names.name_of(tenant)))?,
            sandbox_seal,
            former: former(&folder)?,
            secret,
        };
        let keys = Arc::new(keys);
        let seal = seal.or_else(|| seen(&path));
        opened.insert(tenant.clone(), Opened { keys: Arc::clone(&keys), seal });
        Ok(keys)
    }

    /// Lets a tenant's seals be made with this key from now on: the text of its file, as [`super::supplied`] makes it.
    /// Answers the keys as they are then.
    ///
    /// # Errors
    ///
    /// Where the key does not sign for its certificate now, or a file cannot be read or written; then nothing changed.
    pub fn supply(&self, tenant: &TenantId, text: &str) -> Result<Arc<TenantKeys>, SealError> {
        let new = SealKey::from_text(text).map_err(SealError::Signature)?;
        new.sign(b"a seal key that is supplied")?;
        let folder = self.folder.join(tenant.as_str());
        let path = folder.join(SEAL);
        {
            let _making = hold(&folder)?;
            if path.exists() {
                // Where this cannot be read it stays: its certificate would be lost.
                let before = SealKey::open(&path, tenant.as_str())?;
                if before.certificate() != new.certificate() {
                    let name = format!("{}.pem", Digest::of(&before.certificate_der()?));
                    let kept = folder.join(FORMER).join(name);
                    durable::create_folder(&folder.join(FORMER)).map_err(failed(&kept))?;
                    durable::write_private(&kept, before.certificate_pem().as_bytes())
                        .map_err(failed(&kept))?;
                }
            }
            durable::write_private(&path, text.as_bytes()).map_err(failed(&path))?;
        }
        self.of(tenant)
    }
}

/// Keeps two nodes over one folder of keys from making or replacing keys at once: given back when it is dropped.
fn hold(folder: &Path) -> Result<File, SealError> {
    durable::create_folder(folder).map_err(failed(folder))?;
    let lock = folder.join("lock");
    File::create(&lock).and_then(|file| file.lock().map(|()| file)).map_err(failed(&lock))
}

fn seen(path: &Path) -> Option<Seen> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
}

/// The certificates of former seals, in the order of their names.
fn former(folder: &Path) -> Result<Vec<String>, SealError> {
    let folder = folder.join(FORMER);
    let files = match std::fs::read_dir(&folder) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(&folder)(error)),
    };
    let mut paths = Vec::new();
    for file in files {
        let path = file.map_err(failed(&folder))?.path();
        // Half-written ones have another ending in front.
        if path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.')) {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| std::fs::read_to_string(path).map_err(failed(path))).collect()
}

fn failed(path: &Path) -> impl Fn(io::Error) -> SealError {
    let path = path.to_owned();
    move |source| SealError::KeyFile { path: path.clone(), source }
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

    #[test]
    fn a_new_certificate_is_made_out_to_the_name_that_signers_see() {
        let folder = tempfile::tempdir().expect("a folder");
        let names = config::Desk { name: Some("Halden & Partners".into()), ..config::Desk::default() };
        let ring = KeyRing::new(folder.path()).with_names(names);
        let subject = |ring: &KeyRing| {
            let keys = ring.of(&"default".parse().expect("a tenant")).expect("keys");
            keys.seal.certificate().tbs_certificate.subject.to_string()
        };
        assert!(subject(&ring).contains("CN=Halden & Partners (Platen)"), "{}", subject(&ring));
        let later = KeyRing::new(folder.path());
        assert_eq!(subject(&later), subject(&ring), "one that is there stays as it is");
    }
}
