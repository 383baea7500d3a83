//! Whose device signed a document's manifest, and with which key.
//!
//! The manifest names its device, and the document's first event names the manifest by its digest. The device's signature
//! of it stands in a row beside, with the key: anybody can make such a row with a key of their own, therefore the key must
//! be one that the device had. A device that never replaced its key has the one in its row. Of one that did, the audit
//! tells each key but the first, which nothing tells: it is taken to be that of most of the manifests that none of the
//! others signed, so that one row with a stranger's key stands out among several.

use std::collections::{BTreeMap, BTreeSet};

use platen_model::keys::PublicKey;
use platen_model::{DeviceId, TenantId};
use sqlx::{AnyConnection, Row as _};

use crate::evidence::DeviceSignature;
use crate::store::{DbRow, StoreError};

/// Keys by the ids of their devices.
type ByDevice = BTreeMap<String, BTreeSet<String>>;

/// The keys that each device of a tenant is known to have had.
pub(super) struct Keys(ByDevice);

impl Keys {
    /// Reads them. Whoever asks about a document must have seen it before: its device had its key by then.
    pub(super) async fn of(reading: &mut AnyConnection, tenant: &TenantId) -> Result<Self, StoreError> {
        let rows = sqlx::query("SELECT device_id, public_key FROM devices WHERE tenant_id = $1")
            .bind(tenant.as_str())
            .fetch_all(&mut *reading)
            .await?;
        let mut known = ByDevice::new();
        note(&mut known, &rows, ["device_id", "public_key"]);
        known.extend(replaced(reading, tenant).await?);
        Ok(Self(known))
    }

    fn has(&self, device: DeviceId, key: &PublicKey) -> bool {
        self.0.get(&device.to_string()).is_some_and(|keys| keys.contains(&key.0))
    }

    /// What is wrong with the signature that is kept of a document's manifest, as a sentence. `device` is the one that the
    /// manifest names: one that was made here, of a file that came without, names none and is not signed.
    pub(super) fn fault(
        &self,
        device: Option<DeviceId>,
        manifest: &[u8],
        kept: Result<Option<DeviceSignature>, StoreError>,
    ) -> Option<String> {
        let (device, kept) = match (device, kept) {
            (_, Err(error)) => return Some(format!("the device's signature of its manifest: {error}")),
            (None, Ok(None)) => return None,
            (None, Ok(Some(_))) => {
                return Some("a signature of its manifest was added: no device sent it".into());
            }
            (Some(_), Ok(None)) => return Some("the device's signature of its manifest is missing".into()),
            (Some(device), Ok(Some(kept))) => (device, kept),
        };
        if kept.device_id != device {
            return Some(format!(
                "the signature of its manifest is kept as that of device {}; device {device} sent it",
                kept.device_id
            ));
        }
        if kept.public_key.verify(manifest, &kept.signature).is_err() {
            return Some("the device's signature of its manifest does not hold".into());
        }
        (!self.has(device, &kept.public_key)).then(|| {
            format!("its manifest is signed with a key that device {device} is not known to have had")
        })
    }
}

/// The keys of the devices that replaced theirs: those they took, and the one they had first.
async fn replaced(reading: &mut AnyConnection, tenant: &TenantId) -> Result<ByDevice, StoreError> {
    let rows =
        sqlx::query("SELECT subject, detail FROM audit WHERE tenant_id = $1 AND action = 'device.key'")
            .bind(tenant.as_str())
            .fetch_all(&mut *reading)
            .await?;
    let mut known = ByDevice::new();
    note(&mut known, &rows, ["subject", "detail"]);
    if known.is_empty() {
        return Ok(known);
    }
    let rows = sqlx::query(
        "SELECT device_id, public_key FROM manifest_signatures WHERE tenant_id = $1
         GROUP BY device_id, public_key ORDER BY COUNT(*) DESC, MIN(document_id)",
    )
    .bind(tenant.as_str())
    .fetch_all(reading)
    .await?;
    let mut with_first = BTreeSet::new();
    for row in rows {
        let (device, key): (String, String) = (canonical(row.get("device_id")), row.get("public_key"));
        let Some(keys) = known.get_mut(&device) else { continue };
        if !keys.contains(&key) && with_first.insert(device) {
            keys.insert(key);
        }
    }
    Ok(known)
}

/// Adds keys from rows; the columns are those of device and key.
fn note(known: &mut ByDevice, rows: &[DbRow], [device, key]: [&str; 2]) {
    for row in rows {
        known.entry(canonical(row.get(device))).or_default().insert(row.get(key));
    }
}

/// A device's id as ids are written. Old entries of the audit have it as the device itself wrote it, perhaps with capitals.
fn canonical(id: &str) -> String {
    id.parse::<DeviceId>().map_or_else(|_| id.to_owned(), |id| id.to_string())
}

#[cfg(test)]
#[path = "devices_tests.rs"]
mod tests;
