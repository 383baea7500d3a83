//! What the cloud is told of this device, and the orders that it gives in return.
//!
//! A report every so often, and at once after an order was carried out. It is a courtesy to people who look at the
//! cloud's pages: nothing here waits for it, and a report that does not get through is followed by the next one.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use platen_model::device::{
    DeviceReport, ORDERS_OPEN, Order, OrderDone, OrderKind, Orders, QUARANTINE_NAMED, ReportedCapture,
    ReportedOutbox, ReportedSource, SOURCES_NAMED, TEXT_CHARACTERS, TROUBLES_NAMED,
};
use uuid::Uuid;

use super::{Floor, control};
use crate::deliver::wire::Wire;
use crate::deliver::{Tools, errand};
use crate::quarantine::QuarantineLine;
use crate::status::{SourceStatus, Status};

/// On a link whose bytes are dear reports are so many times as rare.
const RARER_WHEN_DEAR: u32 = 15;

/// Orders that were carried out, with what came of each: given again, they are not carried out again.
type Carried = BTreeMap<Uuid, String>;

/// Reports until the agent stops.
pub(super) async fn report_all(floor: Arc<Floor>, tools: Arc<Tools>, wire: Wire) -> io::Result<()> {
    let every = Duration::from_secs(floor.config.cloud.report_s);
    if every.is_zero() {
        floor.stop.cancelled().await;
        return Ok(());
    }
    let mut carried = Carried::new();
    // Those that the cloud has not confirmed to have heard of.
    let mut done: Vec<OrderDone> = Vec::new();
    loop {
        let mut wait = every;
        match report_once(&floor, &tools, &wire, &done).await {
            Ok((orders, is_dear)) => {
                done.clear();
                if is_dear {
                    wait = every.saturating_mul(RARER_WHEN_DEAR);
                }
                done.extend(carry_out(&floor, orders, &mut carried).await?);
                if !done.is_empty() {
                    continue;
                }
            }
            Err(why) => tracing::debug!(%why, "the cloud was not told how this device stands"),
        }
        tokio::select! {
            () = floor.stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Sends one report. Answers the orders that are open, and whether bytes are dear.
async fn report_once(
    floor: &Arc<Floor>,
    tools: &Arc<Tools>,
    wire: &Wire,
    done: &[OrderDone],
) -> Result<(Vec<Order>, bool), String> {
    let (inner, done) = (Arc::clone(floor), done.to_vec());
    let made = tokio::task::spawn_blocking(move || make(&inner, done)).await;
    let (report, is_dear) = made.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    let body = serde_json::to_vec(&report).map_err(|error| error.to_string())?;
    let path = format!("/v1/devices/{}/status", floor.device);
    let answer = errand::put(tools, wire, &path, body).await.map_err(|trouble| trouble.to_string())?;
    if !answer.is_success() {
        return Err(format!("{}{}", answer.status, answer.problem()));
    }
    let orders: Orders = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    Ok((orders.orders, is_dear))
}

/// The report, and whether bytes are dear.
fn make(floor: &Floor, done: Vec<OrderDone>) -> io::Result<(DeviceReport, bool)> {
    let Status { sources, captures, outbox, link, quarantined, free_bytes, sandbox_trouble, .. } =
        control::status(floor)?;
    let ids = floor.spool.quarantined_ids()?.into_iter().take(QUARANTINE_NAMED);
    // One that is just given another chance is not there any more.
    let quarantine = ids.filter_map(|id| floor.spool.quarantine_show(id).ok()).map(QuarantineLine::from);
    let database = outbox.database.trouble.map(|why| format!("the outbox's database cannot be used: {why}"));
    let waiting =
        captures.waiting_for.map(|why| format!("{} captures are tried again: {why}", captures.waiting));
    let troubles = sandbox_trouble.into_iter().chain(database).chain(waiting);
    let report = DeviceReport {
        agent: env!("CARGO_PKG_VERSION").into(),
        free_bytes,
        outbox: ReportedOutbox {
            waiting: outbox.waiting as u64,
            originals_owed: outbox.originals_owed as u64,
            needs_person: outbox.needs_person as u64,
            oldest_s: outbox.oldest_s.map(i64::unsigned_abs),
            disk_days: outbox.disk_days,
        },
        sources: sources.iter().take(SOURCES_NAMED).map(reported_source).collect(),
        quarantined: quarantined as u64,
        quarantine: quarantine.map(reported_capture).collect(),
        troubles: troubles.take(TROUBLES_NAMED).map(short).collect(),
        done,
    };
    Ok((report, link.metered.is_some()))
}

fn reported_source(source: &SourceStatus) -> ReportedSource {
    let files = &source.files;
    ReportedSource {
        name: short(source.name.clone()),
        files: (files.ready + files.growing + files.waiting + files.stalled + files.unfit) as u64,
        taken_today: source.taken_today.into(),
        silence: source.silence.clone().map(short),
        trouble: source.trouble.clone().map(short),
    }
}

fn reported_capture(line: QuarantineLine) -> ReportedCapture {
    ReportedCapture {
        capture_id: line.capture_id,
        source: short(line.source),
        files: short(line.files.join(", ")),
        class: line.class.to_owned(),
        stage: line.stage,
        message: short(line.message),
        attempts: line.attempts,
        help: short(line.help),
        at: line.at,
    }
}

fn short(text: String) -> String {
    if text.chars().count() <= TEXT_CHARACTERS { text } else { text.chars().take(TEXT_CHARACTERS).collect() }
}

/// Carries orders out, each once. Answers what came of them.
async fn carry_out(
    floor: &Arc<Floor>,
    orders: Vec<Order>,
    carried: &mut Carried,
) -> io::Result<Vec<OrderDone>> {
    carried.retain(|known, _| orders.iter().any(|order| order.order_id == *known));
    let mut done = Vec::new();
    for order in orders.into_iter().take(ORDERS_OPEN) {
        let outcome = match carried.get(&order.order_id) {
            Some(outcome) => outcome.clone(),
            None => {
                let inner = Arc::clone(floor);
                let work = tokio::task::spawn_blocking(move || obey(&inner, order.kind)).await;
                let outcome = match work.map_err(io::Error::other).and_then(|outcome| outcome) {
                    Ok(outcome) => outcome,
                    Err(error) => format!("it could not be done: {error}"),
                };
                tracing::info!(order = ?order.kind, %outcome, "asked for by the cloud");
                carried.insert(order.order_id, outcome.clone());
                outcome
            }
        };
        done.push(OrderDone { order_id: order.order_id, outcome: short(outcome) });
    }
    Ok(done)
}

fn obey(floor: &Arc<Floor>, kind: OrderKind) -> io::Result<String> {
    match kind {
        OrderKind::RetryCapture { capture_id } => {
            control::retry_capture(floor, capture_id)?;
            Ok("it is tried again".into())
        }
        OrderKind::RetryAllCaptures => {
            let ids = floor.spool.quarantined_ids()?;
            Ok(format!("{} are tried again", control::retry_captures(floor, &ids)?))
        }
        OrderKind::SendOriginals => {
            let count = control::send_originals(floor)?;
            Ok(format!("the originals of {count} documents are sent now"))
        }
    }
}
