//! `platen-agent enroll`: a one-time code becomes a device identity.
//!
//! The key is durable before the code is sent, so that a lost answer costs nothing: the same command again
//! sends the same key, and the cloud answers the same.

use std::io;
use std::path::Path;
use std::time::Duration;

use platen_model::api::{EnrollRequest, EnrollResponse};
use platen_model::keys::PublicKey;
use platen_model::{DeviceId, durable};

use crate::Complaint;
use crate::config::{Cloud, check_address};
use crate::deliver::Trouble;
use crate::deliver::trouble::of_another;
use crate::deliver::wire::{Method, Request, Wire};
use crate::identity::{self, Identity};
use crate::instance::{self, Ask};
use crate::spool::Spool;

/// How an enrolment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// Who this device is now.
    pub device_id: DeviceId,
    /// Whether it was another before.
    pub is_another: bool,
    /// Whether an agent runs that began before.
    pub is_running: bool,
    /// Documents that were captured under the other one, and that no cloud has.
    pub waiting: usize,
}

/// The longest time of the one request.
const REQUEST_SECONDS: u64 = 30;

/// Enrolls this device and keeps what the cloud answers.
///
/// # Errors
///
/// A complaint where the state folder cannot be written or the cloud does not accept the code.
pub async fn enroll(state: &Path, cloud: &Cloud, url: &str, code: &str) -> Result<Enrolled, Complaint> {
    let safe = "nothing was changed but the device's own new key; the same command may be repeated";
    let unwritable = |error: io::Error| {
        let failed = format!("cannot keep the device's identity in {}: {error}", state.display());
        Complaint::new(failed, safe, "run as the user the agent runs as, for example with sudo -u platen")
    };
    let url = url.trim_end_matches('/');
    if let Err(what) = check_address(url) {
        let help = "platen-agent enroll --url https://platen.example.org --code CODE";
        return Err(Complaint::new(format!("--url: {what}"), "nothing was changed", help));
    }
    durable::create_folder(state).and_then(|()| instance::require_owner(state)).map_err(unwritable)?;
    let key = identity::key(state).map_err(unwritable)?;
    let request = EnrollRequest { code: code.to_owned(), public_key: key.public(), name: host_name() };

    let answer = ask(cloud, url, &request).await.map_err(|trouble| {
        let help = "check the address and the code; a code works once and for a short time";
        Complaint::new(format!("cannot enroll at {url}: {trouble}"), safe, help)
    })?;
    // One that cannot be read is replaced: enrolling is how that is put right.
    let before = Identity::read(state).ok().flatten();
    let identity = Identity {
        url: url.to_owned(),
        device_id: answer.device_id,
        tenant_id: answer.tenant_id,
        earlier_receipt_keys: earlier_keys(before.as_ref(), &answer.receipt_key),
        receipt_key: answer.receipt_key,
    };
    identity.write(state).map_err(unwritable)?;
    let is_another = before.is_some_and(|before| before.device_id != identity.device_id);
    // It is enrolled: what cannot be counted is no reason to say otherwise.
    let waiting = if is_another { waiting(state).unwrap_or_default() } else { 0 };
    let is_running = matches!(instance::ask(state, &Ask::Status), Ok(Some(_)));
    Ok(Enrolled { device_id: identity.device_id, is_another, is_running, waiting })
}

/// The receipt keys that were in force before this one.
fn earlier_keys(before: Option<&Identity>, now: &PublicKey) -> Vec<PublicKey> {
    let known =
        before.iter().flat_map(|before| before.earlier_receipt_keys.iter().chain([&before.receipt_key]));
    known.filter(|key| *key != now).cloned().collect()
}

/// Documents in the spool without a receipt. Only their files are looked for, which needs no key.
fn waiting(state: &Path) -> io::Result<usize> {
    let spool = Spool::at(state);
    let mut waiting = 0;
    for id in spool.document_ids()? {
        waiting += usize::from(!spool.has_receipt(id)?);
    }
    Ok(waiting)
}

impl Enrolled {
    /// What came of it, for a person.
    pub fn to_text(&self) -> String {
        let waiting = match self.waiting {
            count if self.is_another && count > 0 => format!(
                "  documents that wait: {count}, captured under the enrolment before; they go as this device\n"
            ),
            _ => String::new(),
        };
        let running = match self.is_another && self.is_running {
            true => {
                "  the agent that runs begins anew as this device within seconds; if its log does not say so, restart \
                 it: sudo systemctl restart platen-agent\n"
            }
            false => "",
        };
        format!("enrolled as device {}\n{waiting}{running}", self.device_id)
    }
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
