//! Who this device is: its key, and what the cloud said at enrolment.
//!
//! The key never leaves this machine and is readable by its owner only.

use std::io;
use std::path::{Path, PathBuf};

use platen_model::keys::{PublicKey, SigningKey};
use platen_model::{DeviceId, TenantId, durable};
use serde::{Deserialize, Serialize};

use crate::Complaint;

/// The private key, PKCS#8.
const KEY_FILE: &str = "device.key";
/// What the cloud said.
const IDENTITY_FILE: &str = "identity.json";

/// What the cloud said at enrolment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The cloud's address.
    pub url: String,
    /// Our id.
    pub device_id: DeviceId,
    /// Our tenant.
    pub tenant_id: TenantId,
    /// The key the cloud signs receipts with.
    pub receipt_key: PublicKey,
    /// The keys of clouds that this device was enrolled with before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_receipt_keys: Vec<PublicKey>,
}

impl Identity {
    /// The identity in a state folder; `None` before enrolment.
    pub fn read(state: &Path) -> io::Result<Option<Self>> {
        match std::fs::read(state.join(IDENTITY_FILE)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps it, durably.
    pub fn write(&self, state: &Path) -> io::Result<()> {
        durable::write(&state.join(IDENTITY_FILE), &serde_json::to_vec_pretty(self)?).map(drop)
    }
}

/// The device's key, made at the first call and durable before it is used: an enrolment that was cut off is
/// repeated with the same key, and the cloud answers with the same identity.
pub fn key(state: &Path) -> io::Result<SigningKey> {
    let path = key_file(state);
    match std::fs::read(&path) {
        Ok(bytes) => SigningKey::from_pkcs8(&bytes).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = SigningKey::generate().map_err(io::Error::other)?;
            durable::write_private(&path, key.to_pkcs8())?;
            Ok(key)
        }
        Err(error) => Err(error),
    }
}

/// Where the key lies.
pub fn key_file(state: &Path) -> PathBuf {
    state.join(KEY_FILE)
}

/// Identity and key of an enrolled device.
///
/// # Errors
///
/// A complaint where the device is not enrolled or its files cannot be read.
pub fn require(state: &Path) -> Result<(Identity, SigningKey), Complaint> {
    let safe = "scans stay in their hot folders; nothing was taken";
    let unreadable = |error: io::Error| {
        Complaint::new(
            format!("cannot read the device's identity in {}: {error}", state.display()),
            safe,
            "run as the user who enrolled the device, or enroll it again",
        )
    };
    match Identity::read(state).map_err(unreadable)? {
        Some(identity) => Ok((identity, key(state).map_err(unreadable)?)),
        None => Err(Complaint::new(
            "this device is not enrolled",
            safe,
            "platen-agent enroll --url URL --code CODE, with a code from the cloud's administrator",
        )),
    }
}
