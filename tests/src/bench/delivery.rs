//! What the agent's side of delivery costs: a claim until it is durable, the outbox among few and among a million, and
//! a start of the real agent over a million documents that wait.
//!
//! Everything is fsynced as in the product, so the figures are those of the disk that `--scratch` or the temporary folder
//! lies on. A document of the million is an empty folder: at a start none is opened.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use platen_agent::claim::{Ledger, NoStop, Release, claim};
use platen_agent::config::Source;
use platen_agent::identity::{self, Identity};
use platen_agent::outbox::{Arrival, Delivered, Lane, Outbox};
use platen_agent::spool::Spool;
use platen_agent::watch::{Offer, Scope, listing};
use platen_model::keys::SigningKey;
use platen_model::{CaptureId, DeviceId, Digest, durable};

use super::contender::Tools;
use super::cost::high_water_mb;
use super::report::{Report, figure};
use super::targets::Targets;
use crate::random::Sequence;

/// Documents that wait when the outbox is measured.
const WAITING: [usize; 3] = [1, 1_000, 1_000_000];
/// In a quick run no more than this.
const QUICK_MAX: usize = 1_000;
/// Operations that are timed at each of them.
const OPERATIONS: usize = 300;
/// Files that are claimed of each size, and their sizes in bytes.
const CLAIMS: [(usize, usize); 3] = [(300, 100_000), (100, 1_000_000), (20, 40_000_000)];
/// The longest a start may take before it counts as failed.
const START_MAX: Duration = Duration::from_secs(300);
/// How often it is looked whether the agent answers.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Times in milliseconds.
struct Times(Vec<f64>);

impl Times {
    /// The time that so much of them, from 0 to 1, do not pass.
    fn quantile(&mut self, part: f64) -> Option<f64> {
        self.0.sort_by(f64::total_cmp);
        let last = self.0.len().checked_sub(1)?;
        self.0.get((last as f64 * part).round() as usize).copied()
    }
}

fn timed<T, E: ToString>(times: &mut Times, work: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    let begun = Instant::now();
    let done = work().map_err(|error| error.to_string())?;
    times.0.push(begun.elapsed().as_secs_f64() * 1_000.0);
    Ok(done)
}

/// Measures all of it, writes the tables and judges them.
///
/// # Errors
///
/// When a part fails, as a sentence.
pub fn measure(
    tools: &Tools,
    quick: bool,
    scratch: &Path,
    report: &mut Report,
    targets: &mut Targets,
) -> Result<(), String> {
    report.section("Delivery: from claim to durable");
    report.paragraph(
        "A file is copied from its hot folder into the spool, digested, fsynced, renamed, compared with its source again, \
         noted in the ledger and removed from the folder. Milliseconds, one after the other.",
    );
    report.table(&["bytes", "files", "median ms", "p99 ms", "slowest ms"], &claims(scratch)?);

    report.section("Delivery: the outbox among few and among many");
    report.paragraph(&format!(
        "{OPERATIONS} documents are put in, then leased, noted as delivered and forgotten, one by one, while so many others \
         wait. Each of the three changes is flushed and fsynced before it counts."
    ));
    let mut rows = Vec::new();
    let (mut first, mut last) = (None, None);
    for waiting in WAITING.into_iter().filter(|waiting| !quick || *waiting <= QUICK_MAX) {
        let found = outbox(scratch, waiting)?;
        rows.push(vec![
            waiting.to_string(),
            figure(Some(found.enqueued_per_s), 0),
            figure(Some(found.drained_per_s), 0),
            figure(Some(found.lease_us), 1),
            figure(Some(found.database_mb), 1),
        ]);
        first = first.or(Some(found));
        last = Some(found);
    }
    let head = ["waiting", "put in / s", "drained / s", "lease µs (median)", "database MB"];
    report.table(&head, &rows);
    if let (Some(first), Some(last)) = (first, last) {
        let slower = |few: f64, many: f64| Some(few / many);
        let (put_in, drained) = (
            slower(first.enqueued_per_s, last.enqueued_per_s),
            slower(first.drained_per_s, last.drained_per_s),
        );
        targets.at_most("putting in among the most against among one (must stay flat)", put_in, 1.5, "");
        targets.at_most("draining among the most against among one (must stay flat)", drained, 1.5, "");
    }
    if !quick {
        let found = start(tools, scratch)?;
        report.section("Delivery: a start with a million documents waiting");
        report.paragraph(
            "`platen-agent run` over a spool of a million folders, until it answers `status`. Once with its database, once \
             with the database gone, so that it is made anew from the spool. Peak memory is the kernel's (`VmHWM`).",
        );
        let row = |name: &str, one: &Start| {
            vec![name.to_owned(), figure(Some(one.seconds), 1), figure(Some(one.peak_mb), 0)]
        };
        let (with, without) = &found;
        let rows = [row("with its database", with), row("without it", without)];
        report.table(&["a start", "seconds", "peak MB"], &rows);
        targets.at_most("start with a million waiting", Some(with.seconds), 10.0, " s");
        targets.at_most("memory with a million waiting", Some(with.peak_mb), 200.0, " MB");
    }
    Ok(())
}

fn claims(scratch: &Path) -> Result<Vec<Vec<String>>, String> {
    let folder = tempfile::tempdir_in(scratch).map_err(|error| error.to_string())?;
    let inbox = folder.path().join("inbox");
    durable::create_folder(&inbox).map_err(|error| error.to_string())?;
    let spool = Spool::open(folder.path()).map_err(|error| error.to_string())?;
    let ledger = Ledger::open(folder.path()).map_err(|error| error.to_string())?;
    let source = Source::new("bench", &inbox);
    let mut random = Sequence::new(7);
    let mut rows = Vec::new();
    for (files, bytes) in CLAIMS {
        let mut times = Times(Vec::new());
        for _ in 0..files {
            let scan: Vec<u8> = (0..bytes / 8).flat_map(|_| random.below(u64::MAX).to_le_bytes()).collect();
            let path = inbox.join("scan.tif");
            let mut file = std::fs::File::create(&path).map_err(|error| error.to_string())?;
            file.write_all(&scan).map_err(|error| error.to_string())?;
            drop(file);
            let listed =
                listing::list(&inbox, &Scope::of(&source), |_| false).map_err(|error| error.to_string())?;
            let offer = Offer { files: listed.files, markers: Vec::new(), stack: None, why: "the benchmark" };
            let released = timed(&mut times, || {
                let claimed = claim(&spool, &source, &offer)?.ok_or(std::io::Error::other("it changed"))?;
                match claimed.release(&ledger, &NoStop) {
                    Release::Done(released) => Ok(released),
                    other => Err(std::io::Error::other(format!("{other:?}"))),
                }
            })?;
            durable::remove_folder(&released.folder).map_err(|error| error.to_string())?;
        }
        rows.push(vec![
            bytes.to_string(),
            files.to_string(),
            figure(times.quantile(0.5), 1),
            figure(times.quantile(0.99), 1),
            figure(times.quantile(1.0), 1),
        ]);
    }
    Ok(rows)
}

#[derive(Clone, Copy, Debug)]
struct Among {
    enqueued_per_s: f64,
    drained_per_s: f64,
    lease_us: f64,
    database_mb: f64,
}

fn arrivals(count: usize) -> Vec<Arrival> {
    (0..count).map(|_| Arrival { bytes: 100_000, ..Arrival::plain(CaptureId::new().document(0)) }).collect()
}

fn outbox(scratch: &Path, waiting: usize) -> Result<Among, String> {
    eprintln!("the outbox with {waiting} waiting");
    let text = |error: std::io::Error| error.to_string();
    let folder = tempfile::tempdir_in(scratch).map_err(text)?;
    let outbox = Outbox::open(folder.path()).map_err(text)?;
    let now = Timestamp::now();
    // Put in before those that are timed, so these go first only where age does not count: their priority does.
    outbox.enqueue(&arrivals(waiting), now).map_err(text)?;
    let timed_ones: Vec<Arrival> =
        arrivals(OPERATIONS).into_iter().map(|arrival| Arrival { priority: 1, ..arrival }).collect();
    let begun = Instant::now();
    for arrival in &timed_ones {
        outbox.enqueue(std::slice::from_ref(arrival), now).map_err(text)?;
    }
    let enqueued_per_s = OPERATIONS as f64 / begun.elapsed().as_secs_f64();
    let mut leases = Times(Vec::new());
    let begun = Instant::now();
    for _ in 0..OPERATIONS {
        let lease = timed(&mut leases, || outbox.lease(Lane::Documents, true, now))?;
        let lease = lease.ok_or("nothing is due")?;
        let id = lease.id();
        // As the delivery does with a receipt, which only a cloud can give.
        let delivered = Delivered { receipt_sha256: Digest::of(b"receipt"), at: now };
        outbox.change(id, now, |entry| entry.delivered = Some(delivered)).map_err(text)?;
        drop(lease);
        outbox.forget(id, now).map_err(text)?;
    }
    let drained_per_s = OPERATIONS as f64 / begun.elapsed().as_secs_f64();
    if outbox.counts().waiting != waiting {
        return Err(format!("{:?} where {waiting} should wait", outbox.counts()));
    }
    let database_mb = outbox.health().map_err(text)?.bytes_on_disk as f64 / 1e6;
    let lease_us = leases.quantile(0.5).unwrap_or_default() * 1_000.0;
    Ok(Among { enqueued_per_s, drained_per_s, lease_us, database_mb })
}

/// A start of the agent.
#[derive(Clone, Copy, Debug)]
struct Start {
    seconds: f64,
    peak_mb: f64,
}

/// Ends its process.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the agent over a million documents: with its database, and without.
fn start(tools: &Tools, scratch: &Path) -> Result<(Start, Start), String> {
    let text = |error: std::io::Error| error.to_string();
    let waiting = WAITING[WAITING.len() - 1];
    eprintln!("a spool of {waiting} documents");
    let folder = tempfile::tempdir_in(scratch).map_err(text)?;
    let state = folder.path().join("state");
    for made in [&state, &folder.path().join("inbox")] {
        durable::create_folder(made).map_err(text)?;
    }
    let spool = Spool::open(&state).map_err(text)?;
    let arrivals = arrivals(waiting);
    for arrival in &arrivals {
        std::fs::create_dir(spool.document(arrival.document_id)).map_err(text)?;
    }
    let outbox = Outbox::open(&state).map_err(text)?;
    outbox.enqueue(&arrivals, Timestamp::now()).map_err(text)?;
    drop(outbox);
    drop(arrivals);
    let receipt_key = SigningKey::generate().map_err(|error| error.to_string())?.public();
    let tenant_id = "bench".parse().map_err(|_| "no name of a tenant")?;
    let url = "http://127.0.0.1:9".to_owned();
    Identity { url, device_id: DeviceId::new(), tenant_id, receipt_key, earlier_receipt_keys: Vec::new() }
        .write(&state)
        .map_err(text)?;
    identity::key(&state).map_err(text)?;
    let config = folder.path().join("agent.toml");
    // Nothing is sent meanwhile: what is measured is the start.
    let yesterday = Timestamp::now() - jiff::SignedDuration::from_hours(24);
    let day = yesterday.to_zoned(jiff::tz::TimeZone::system()).strftime("%a").to_string();
    let written = format!(
        "state = \"{}\"\n[outbox]\nwindows = [\"{day} 00:00-00:01\"]\n[[source]]\nname = \"inbox\"\nfolder = \"{}\"\n",
        state.display(),
        folder.path().join("inbox").display()
    );
    durable::write(&config, written.as_bytes()).map_err(text)?;
    let with = one_start(tools, &config, waiting)?;
    durable::remove_folder(&state.join("outbox")).map_err(text)?;
    let without = one_start(tools, &config, waiting)?;
    Ok((with, without))
}

fn one_start(tools: &Tools, config: &Path, waiting: usize) -> Result<Start, String> {
    let mut command = tools.programs.agent();
    command.args(["run", "--config"]).arg(config).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::null());
    let begun = Instant::now();
    let running = Running(command.spawn().map_err(|error| error.to_string())?);
    loop {
        let mut ask = tools.programs.agent();
        let asked = ask.args(["status", "--json", "--config"]).arg(config).output();
        let asked = asked.map_err(|error| error.to_string())?;
        let status: serde_json::Value = serde_json::from_slice(&asked.stdout).unwrap_or_default();
        if status["running"] == true {
            let seconds = begun.elapsed().as_secs_f64();
            if status["outbox"]["waiting"] != waiting {
                return Err(format!("{waiting} should wait: {}", status["outbox"]));
            }
            let process = format!("/proc/{}", running.0.id());
            let peak_mb = high_water_mb(&process).ok_or("the agent has ended")?;
            return Ok(Start { seconds, peak_mb });
        }
        if begun.elapsed() > START_MAX {
            return Err(format!("it did not answer within {} s", START_MAX.as_secs()));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_by_their_rank() {
        let mut times = Times((1..=100).rev().map(f64::from).collect());
        assert_eq!(times.quantile(0.0), Some(1.0));
        assert_eq!(times.quantile(0.99), Some(99.0));
        assert_eq!(times.quantile(1.0), Some(100.0));
        assert_eq!(Times(Vec::new()).quantile(0.5), None);
    }

    #[test]
    fn the_outbox_is_drained_as_it_was_filled() {
        let folder = tempfile::tempdir().expect("a folder");
        let found = outbox(folder.path(), 10).expect("measured");
        assert!(found.enqueued_per_s > 0.0 && found.drained_per_s > 0.0, "{found:?}");
    }

    #[test]
    fn ids_are_of_their_own() {
        let ids: std::collections::BTreeSet<platen_model::DocumentId> =
            arrivals(1_000).iter().map(|it| it.document_id).collect();
        assert_eq!(ids.len(), 1_000);
    }
}
