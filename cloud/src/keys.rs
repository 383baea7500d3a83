//! The site's own keys: a file each in the folder of keys, made at the first start.
//!
//! The keys of receipts and of checkpoints can be renewed. What a former key of checkpoints signed is told by its public half,
//! which is kept. Devices know only the key of receipts of their enrolment; so a former one signs the one after it
//! ([`Succession`]), and receipts carry those links.

use std::fmt::Display;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use platen_model::durable;
use platen_model::keys::{PublicKey, SigningKey};
use platen_model::succession::Succession;

use crate::config::Config;

/// The name of the key checkpoints are signed with, in the folder of keys.
const CHECKPOINT: &str = "checkpoint";
/// The name of the key receipts are signed with.
const RECEIPT: &str = "receipt";
/// The name of the key that the secrets of webhooks are made of.
const WEBHOOKS: &str = "webhooks";

/// What receipts are signed with.
#[derive(Debug)]
pub struct ReceiptKey {
    /// The key.
    pub key: SigningKey,
    /// The links from former keys to it.
    pub successions: Vec<Succession>,
}

/// All keys of a site.
#[derive(Debug)]
pub struct SiteKeys {
    /// For receipts.
    pub receipt: ReceiptKey,
    /// For checkpoints.
    pub checkpoint: SigningKey,
    /// For the secrets of webhooks.
    pub webhooks: SigningKey,
}

impl SiteKeys {
    /// Reads them; makes those that are missing.
    pub fn open(folder: &Path) -> Result<Self, String> {
        let key = open(folder, RECEIPT)?;
        let successions = Succession::leading_to(&successions(folder)?, &key.public());
        Ok(Self {
            receipt: ReceiptKey { key, successions },
            checkpoint: open(folder, CHECKPOINT)?,
            webhooks: open(folder, WEBHOOKS)?,
        })
    }
}

/// The public halves of the key checkpoints are signed with and of those before it; none where there is none yet.
pub fn public_checkpoint_keys(config: &Config) -> Result<Vec<PublicKey>, String> {
    let mut keys = former_checkpoint_keys(&config.keys)?;
    if config.keys.join(format!("{CHECKPOINT}.pk8")).exists() {
        keys.push(open(&config.keys, CHECKPOINT)?.public());
    }
    Ok(keys)
}

/// Makes a new key for checkpoints and answers its public half. The one before is noted among the former ones first: what it
/// signed stays good. A server takes the new one at its next start.
pub fn renew_checkpoint_key(config: &Config) -> Result<PublicKey, String> {
    let folder = &config.keys;
    let _lock = lock(folder)?;
    let before = open(folder, CHECKPOINT)?.public();
    let mut former = former_checkpoint_keys(folder)?;
    if !former.contains(&before) {
        former.push(before);
    }
    let list: String = former.iter().map(|key| format!("{}\n", key.0)).collect();
    let path = folder.join(format!("{CHECKPOINT}.former"));
    durable::write(&path, list.as_bytes()).map_err(failed(&path))?;
    let key = SigningKey::generate().map_err(failed(folder))?;
    put(folder, CHECKPOINT, &key)?;
    Ok(key.public())
}

/// Makes a new key for receipts and answers its public half. The link from the key before is kept first: a stop in between
/// leaves a link that leads nowhere. A server takes the new key at its next start.
pub fn renew_receipt_key(config: &Config) -> Result<PublicKey, String> {
    let folder = &config.keys;
    let _lock = lock(folder)?;
    let before = open(folder, RECEIPT)?;
    let key = SigningKey::generate().map_err(failed(folder))?;
    let mut links = successions(folder)?;
    links.push(Succession::new(&before, key.public()));
    let path = folder.join(format!("{RECEIPT}.successions"));
    let text = serde_json::to_vec_pretty(&links).map_err(failed(&path))?;
    durable::write(&path, &text).map_err(failed(&path))?;
    put(folder, RECEIPT, &key)?;
    Ok(key.public())
}

/// Held while a key is renewed: of two renewals at once, one's link would lead to the other's key.
fn lock(folder: &Path) -> Result<File, String> {
    durable::create_folder(folder).map_err(failed(folder))?;
    let path = folder.join("renewal.lock");
    let file = File::options().create(true).append(true).open(&path).map_err(failed(&path))?;
    file.lock().map_err(failed(&path))?;
    Ok(file)
}

/// A key by its name: made at the first start.
fn open(folder: &Path, name: &str) -> Result<SigningKey, String> {
    let path = folder.join(format!("{name}.pk8"));
    match std::fs::read(&path) {
        Ok(bytes) => SigningKey::from_pkcs8(&bytes).map_err(failed(&path)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            durable::create_folder(folder).map_err(failed(folder))?;
            let key = SigningKey::generate().map_err(failed(folder))?;
            put(folder, name, &key)?;
            Ok(key)
        }
        Err(error) => Err(failed(&path)(error)),
    }
}

fn put(folder: &Path, name: &str, key: &SigningKey) -> Result<(), String> {
    let path = folder.join(format!("{name}.pk8"));
    durable::write_private(&path, key.to_pkcs8()).map(drop).map_err(failed(&path))
}

/// The keys that checkpoints were signed with before: a line each in `checkpoint.former`.
fn former_checkpoint_keys(folder: &Path) -> Result<Vec<PublicKey>, String> {
    let path = folder.join(format!("{CHECKPOINT}.former"));
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.split_whitespace().map(|key| PublicKey(key.to_owned())).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(&path)(error)),
    }
}

/// The links between the keys of receipts: JSON in `receipt.successions`.
fn successions(folder: &Path) -> Result<Vec<Succession>, String> {
    let path = folder.join(format!("{RECEIPT}.successions"));
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(failed(&path)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(&path)(error)),
    }
}

fn failed<E: Display>(path: &Path) -> impl Fn(E) -> String {
    move |error| format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use platen_model::manifest::SignedReceipt;

    use super::*;

    /// A receipt as a site of this folder signs it now.
    fn receipt(folder: &Path) -> SignedReceipt {
        let ReceiptKey { key, successions } = SiteKeys::open(folder).expect("keys").receipt;
        let receipt = "{}".to_owned();
        let signature = key.sign(receipt.as_bytes());
        SignedReceipt { receipt, signature, successions }
    }

    #[test]
    fn a_device_that_knows_any_key_before_believes_receipts_of_a_renewed_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config { keys: folder.path().to_owned(), ..Config::default() };
        let mut known = vec![SiteKeys::open(folder.path()).expect("keys").receipt.key.public()];
        for _ in 0..3 {
            // A stop between the link and the key leaves one that nobody has.
            let links = successions(folder.path()).expect("readable");
            let before = open(folder.path(), RECEIPT).expect("a key");
            let lost = Succession::new(&before, SigningKey::generate().expect("randomness").public());
            let links: Vec<Succession> = links.into_iter().chain([lost]).collect();
            let path = folder.path().join("receipt.successions");
            std::fs::write(path, serde_json::to_vec(&links).expect("plain data")).expect("written");

            known.push(renew_receipt_key(&config).expect("renewed"));
            let receipt = receipt(folder.path());
            for key in &known {
                receipt.verify(key).expect("one follows on the other");
            }
            let stranger = SigningKey::generate().expect("randomness").public();
            receipt.verify(&stranger).expect_err("it knows none of them");
        }
    }
}
