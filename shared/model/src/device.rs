//! What a device tells of itself, and what it is asked to do in return.
//!
//! A device reports with `PUT /v1/devices/{id}/status`; the answer holds the orders that are open for it. It carries each
//! out and says so in its next report: an order that was not confirmed is given again, so each may be repeated.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::CaptureId;

/// Most captures in quarantine that one report names.
pub const QUARANTINE_NAMED: usize = 100;
/// Most hot folders that one report names.
pub const SOURCES_NAMED: usize = 200;
/// Most troubles that one report names.
pub const TROUBLES_NAMED: usize = 20;
/// Most orders that may be open for one device, and that one report confirms.
pub const ORDERS_OPEN: usize = 50;
/// The longest text in a report, in characters.
pub const TEXT_CHARACTERS: usize = 1_000;

/// How a device stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeviceReport {
    /// The agent's release.
    #[cfg_attr(feature = "openapi", schema(max_length = 100))]
    pub agent: String,
    /// Free space on the spool's disk, in bytes.
    #[cfg_attr(feature = "openapi", schema(maximum = 9007199254740991i64))]
    pub free_bytes: u64,
    /// What waits for the cloud.
    pub outbox: ReportedOutbox,
    /// The hot folders.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 200))]
    pub sources: Vec<ReportedSource>,
    /// How many captures are in quarantine.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(maximum = 9007199254740991i64))]
    pub quarantined: u64,
    /// The oldest of them.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub quarantine: Vec<ReportedCapture>,
    /// What keeps the agent as a whole from its work, each as a sentence.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 20))]
    pub troubles: Vec<String>,
    /// Orders that were carried out, or could not be, since the last report.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 50))]
    pub done: Vec<OrderDone>,
}

/// What waits for the cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReportedOutbox {
    /// Documents that wait.
    #[cfg_attr(feature = "openapi", schema(maximum = 9007199254740991i64))]
    pub waiting: u64,
    /// Of these, those that lack only their originals.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(maximum = 9007199254740991i64))]
    pub originals_owed: u64,
    /// Of these, those the cloud refused.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(maximum = 9007199254740991i64))]
    pub needs_person: u64,
    /// Age of the oldest, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(maximum = 9007199254740991i64))]
    pub oldest_s: Option<u64>,
    /// For how many days the disk will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(maximum = 9007199254740991i64))]
    pub disk_days: Option<u64>,
}

/// One hot folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReportedSource {
    /// Its name.
    #[cfg_attr(feature = "openapi", schema(max_length = 1000))]
    pub name: String,
    /// Files in it that are not taken yet.
    #[cfg_attr(feature = "openapi", schema(maximum = 9007199254740991i64))]
    pub files: u64,
    /// Files taken today (UTC).
    #[cfg_attr(feature = "openapi", schema(maximum = 9007199254740991i64))]
    pub taken_today: u64,
    /// It is silent when it never was, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 1000))]
    pub silence: Option<String>,
    /// What keeps its files from being taken, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 1000))]
    pub trouble: Option<String>,
}

/// A capture in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReportedCapture {
    /// The capture.
    pub capture_id: CaptureId,
    /// Its hot folder.
    #[cfg_attr(feature = "openapi", schema(max_length = 1000))]
    pub source: String,
    /// The names of its files.
    #[cfg_attr(feature = "openapi", schema(max_length = 1000))]
    pub files: String,
    /// The class of the failure.
    #[cfg_attr(feature = "openapi", schema(max_length = 100))]
    pub class: String,
    /// The stage it failed at.
    #[cfg_attr(feature = "openapi", schema(max_length = 100))]
    pub stage: String,
    /// What was wrong.
    #[cfg_attr(feature = "openapi", schema(max_length = 1000))]
    pub message: String,
    /// How often it was tried.
    #[cfg_attr(feature = "openapi", schema(maximum = 4294967295i64))]
    pub attempts: u32,
    /// What would help.
    #[cfg_attr(feature = "openapi", schema(max_length = 1000))]
    pub help: String,
    /// Since when it is there.
    pub at: Timestamp,
}

/// What a device can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "order", rename_all = "snake_case", deny_unknown_fields)]
pub enum OrderKind {
    /// Give a capture in quarantine another chance.
    RetryCapture {
        /// Which.
        capture_id: CaptureId,
    },
    /// Give all captures in quarantine another chance.
    RetryAllCaptures,
    /// Send the originals that wait for a cheap link now, whatever their bytes cost.
    SendOriginals,
}

/// An order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Order {
    /// Its id.
    pub order_id: Uuid,
    /// What is to be done.
    pub kind: OrderKind,
}

/// The orders that are open for a device, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Orders {
    /// The orders.
    pub orders: Vec<Order>,
}

/// How an order ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OrderDone {
    /// Which.
    pub order_id: Uuid,
    /// What came of it, in a sentence.
    #[cfg_attr(feature = "openapi", schema(max_length = 1000))]
    pub outcome: String,
}
