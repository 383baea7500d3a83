//! The page of the devices: what each told last, what it holds back for a person, and what is wrong.

use askama::Template;
use jiff::Timestamp;
use platen_model::FailureClass;
use platen_model::device::{DeviceReport, OrderKind, ReportedCapture, ReportedSource};

use super::frame::Frame;
use super::words;
use crate::store::devices::{KeptOrder, Reported};
use crate::store::from_ms;
use crate::store::people::DeviceRow;

/// A device that has not reported for so long is not heard of: the agent reports every few minutes.
const SILENT_SECONDS: i64 = 30 * 60;
/// Orders that ended and are shown of each device.
const ENDED_SHOWN: usize = 5;

/// The page, ready to be rendered.
#[derive(Debug, Template)]
#[template(path = "devices.html")]
pub(super) struct DevicesPage {
    frame: Frame,
    devices: Vec<DeviceView>,
    may_order: bool,
}

#[derive(Debug)]
struct DeviceView {
    id: String,
    name: String,
    state: &'static str,
    tone: &'static str,
    heard: String,
    report: Option<ReportView>,
    orders: Vec<OrderView>,
    /// It still takes orders.
    serves: bool,
}

#[derive(Debug)]
struct ReportView {
    agent: String,
    /// What a person should know first, each as a sentence.
    alarms: Vec<String>,
    outbox: String,
    disk: String,
    originals_owed: u64,
    sources: Vec<ReportedSource>,
    quarantined: u64,
    /// Those in quarantine that are not named.
    more: u64,
    quarantine: Vec<CaptureView>,
    /// A retry can help some of them.
    retryable: bool,
}

#[derive(Debug)]
struct CaptureView {
    id: String,
    files: String,
    source: String,
    class: String,
    stage: String,
    message: String,
    help: String,
    attempts: u32,
    since: String,
    /// A retry of it is asked for and not yet confirmed.
    asked: bool,
    /// The same bytes would fail again, however often.
    hopeless: bool,
}

#[derive(Debug)]
struct OrderView {
    what: String,
    who: String,
    at: String,
    outcome: String,
}

/// What the page is made of.
#[derive(Debug)]
pub(super) struct Material {
    /// The devices.
    pub(super) devices: Vec<DeviceRow>,
    /// What they told last.
    pub(super) reports: Vec<Reported>,
    /// What they are asked to do, oldest first.
    pub(super) orders: Vec<KeptOrder>,
    /// The reader may ask them for something.
    pub(super) may_order: bool,
    /// The time.
    pub(super) now: Timestamp,
}

impl DevicesPage {
    /// The page of these devices; those with an alarm first.
    pub(super) fn new(frame: Frame, material: Material) -> Self {
        let Material { devices, reports, orders, may_order, now } = material;
        let view = |device: &DeviceRow| {
            let reported = reports.iter().find(|one| one.device_id == device.device_id);
            let orders: Vec<&KeptOrder> =
                orders.iter().filter(|kept| kept.device_id == device.device_id).collect();
            device_view(device, reported, &orders, now)
        };
        let mut devices: Vec<DeviceView> = devices.iter().map(view).collect();
        devices.sort_by_key(|device| match device.tone {
            "bad" => 0,
            "person" => 1,
            _ => 2,
        });
        Self { frame, devices, may_order }
    }
}

fn device_view(
    device: &DeviceRow,
    reported: Option<&Reported>,
    orders: &[&KeptOrder],
    now: Timestamp,
) -> DeviceView {
    let silent = |at: Timestamp| now.duration_since(at).as_secs() > SILENT_SECONDS;
    let heard = reported.map(|one| from_ms(one.received_ms));
    let report = reported.map(|one| report_view(&one.report, orders));
    let wants_somebody =
        report.as_ref().is_some_and(|report| !report.alarms.is_empty() || report.quarantined > 0);
    let (state, tone) = match heard {
        _ if device.revoked_ms != 0 => ("revoked", "ended"),
        None => ("never heard of", "wait"),
        Some(at) if silent(at) => ("not heard of", "bad"),
        Some(_) if wants_somebody => ("needs somebody", "person"),
        Some(_) => ("works", "good"),
    };
    let open = orders.iter().filter(|kept| kept.done_ms == 0);
    let ended = orders.iter().rev().filter(|kept| kept.done_ms != 0).take(ENDED_SHOWN);
    DeviceView {
        id: device.device_id.to_string(),
        name: device.name.clone(),
        state,
        tone,
        heard: heard
            .map_or("It has not reported yet.".into(), |at| format!("Last report {}", words::second(at))),
        report,
        serves: device.revoked_ms == 0,
        orders: open.chain(ended).map(|kept| order_view(kept)).collect(),
    }
}

fn report_view(report: &DeviceReport, orders: &[&KeptOrder]) -> ReportView {
    let of_source = |source: &ReportedSource| {
        let said = source.silence.iter().chain(&source.trouble);
        said.map(|what| format!("{}: {what}", source.name)).collect::<Vec<_>>()
    };
    let alarms = report.troubles.iter().cloned().chain(report.sources.iter().flat_map(of_source));
    let outbox = &report.outbox;
    let mut waits = vec![format!("{} waiting", outbox.waiting)];
    waits.extend(outbox.oldest_s.map(|seconds| format!("the oldest for {} min", seconds / 60)));
    if outbox.originals_owed > 0 {
        waits.push(format!("{} of them only with originals", outbox.originals_owed));
    }
    if outbox.needs_person > 0 {
        waits.push(format!(
            "{} refused by the cloud (beside the device, `platen-agent outbox list` names them)",
            outbox.needs_person
        ));
    }
    let days = outbox.disk_days.map(|days| format!(", enough for {days} days")).unwrap_or_default();
    let named = report.quarantine.len() as u64;
    let quarantine: Vec<CaptureView> =
        report.quarantine.iter().map(|capture| capture_view(capture, orders)).collect();
    let more = report.quarantined.saturating_sub(named);
    ReportView {
        agent: report.agent.clone(),
        alarms: alarms.collect(),
        outbox: waits.join(", "),
        disk: format!("{} MiB free{days}", report.free_bytes >> 20),
        originals_owed: outbox.originals_owed,
        sources: report.sources.clone(),
        quarantined: report.quarantined,
        more,
        retryable: more > 0 || quarantine.iter().any(|capture| !capture.hopeless),
        quarantine,
    }
}

fn capture_view(capture: &ReportedCapture, orders: &[&KeptOrder]) -> CaptureView {
    let asks_for_it = |kept: &&KeptOrder| {
        kept.done_ms == 0
            && match kept.order.kind {
                OrderKind::RetryAllCaptures => true,
                OrderKind::RetryCapture { capture_id } => capture_id == capture.capture_id,
                OrderKind::SendOriginals => false,
            }
    };
    CaptureView {
        id: capture.capture_id.to_string(),
        files: capture.files.clone(),
        source: capture.source.clone(),
        class: capture.class.clone(),
        stage: capture.stage.clone(),
        message: capture.message.clone(),
        help: capture.help.clone(),
        attempts: capture.attempts,
        since: words::minute(capture.at),
        asked: orders.iter().any(asks_for_it),
        hopeless: FailureClass::named(&capture.class).is_some_and(FailureClass::wants_another_file),
    }
}

fn order_view(kept: &KeptOrder) -> OrderView {
    let what = match kept.order.kind {
        OrderKind::RetryCapture { capture_id } => format!("Retry capture {capture_id}"),
        OrderKind::RetryAllCaptures => "Retry all captures".to_owned(),
        OrderKind::SendOriginals => "Send the originals now".to_owned(),
    };
    let outcome = match kept.done_ms {
        0 => "asked for; the device takes it with its next report".to_owned(),
        done => format!("{} ({})", kept.outcome, words::second(from_ms(done))),
    };
    OrderView { what, who: kept.asked_by.clone(), at: words::second(from_ms(kept.created_ms)), outcome }
}
