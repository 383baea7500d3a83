//! `platen-agent enroll`: a one-time code becomes a device identity.
//!
//! The key is durable before the code is sent, so that a lost answer costs nothing: the same command again
//! sends the same key, and the cloud answers the same.

use std::path::Path;
use std::time::Duration;

use platen_model::api::{EnrollRequest, EnrollResponse};
use platen_model::{DeviceId, durable};

use crate::Complaint;
use crate::config::Cloud;
use crate::deliver::Trouble;
use crate::deliver::trouble::of_another;
use crate::deliver::wire::{Method, Request, Wire};
use crate::identity::{self, Identity};
use crate::instance;

/// The longest time of the one request.
const REQUEST_SECONDS: u64 = 30;

/// Enrolls this device and keeps what the cloud answers.
///
/// # Errors
///
/// A complaint where the state folder cannot be written or the cloud does not accept the code.
pub async fn enroll(state: &Path, cloud: &Cloud, url: &str, code: &str) -> Result<DeviceId, Complaint> {
    let safe = "nothing was changed but the device's own new key; the same command may be repeated";
    let unwritable = |error: std::io::Error| {
        let failed = format!("cannot keep the device's identity in {}: {error}", state.display());
        Complaint::new(failed, safe, "run as the user the agent runs as, for example with sudo -u platen")
    };
    let url = url.trim_end_matches('/');
    durable::create_folder(state).and_then(|()| instance::require_owner(state)).map_err(unwritable)?;
    let key = identity::key(state).map_err(unwritable)?;
    let request = EnrollRequest { code: code.to_owned(), public_key: key.public(), name: host_name() };

    let answer = ask(cloud, url, &request).await.map_err(|trouble| {
        let help = "check the address and the code; a code works once and for a short time";
        Complaint::new(format!("cannot enroll at {url}: {trouble}"), safe, help)
    })?;
    let identity = Identity {
        url: url.to_owned(),
        device_id: answer.device_id,
        tenant_id: answer.tenant_id,
        receipt_key: answer.receipt_key,
    };
    identity.write(state).map_err(unwritable)?;
    Ok(identity.device_id)
}

async fn ask(cloud: &Cloud, url: &str, request: &EnrollRequest) -> Result<EnrollResponse, Trouble> {
    let wire = Wire::new(cloud, url, Duration::from_secs(REQUEST_SECONDS)).map_err(Trouble::Link)?;
    let unreadable = |error: serde_json::Error| Trouble::Later(format!("the answer cannot be read: {error}"));
    let request = Request {
        method: Method::Post,
        url: format!("{url}/v1/devices/enroll"),
        headers: vec![("content-type", "application/json".into())],
        body: serde_json::to_vec(request).map_err(unreadable)?,
    };
    let answer = wire.exchange(request).await?;
    if let Some(another) = of_another(&answer) {
        return Err(Trouble::Link(another));
    }
    if !answer.is_success() {
        return Err(Trouble::of_answer("the cloud refused", &answer));
    }
    serde_json::from_slice(&answer.body).map_err(unreadable)
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "agent".to_owned() } else { name.to_owned() }
}
