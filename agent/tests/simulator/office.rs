//! One office: a scanner that writes into a hot folder, an agent that may lose power at any operation, a cloud, a clock.
//!
//! The hot folder and the ledger are real files in memory: they are other people's, and lose nothing. The claim copies
//! from there into the spool of the simulated disk, and takes the source away: whatever happens, one of the two is there
//! (INV-1). In every fourth life the spool is encrypted.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use platen_agent::claim::{Claimed, Ledger, NoStop, Release, Released, claim_as, recover};
use platen_agent::config::Source;
use platen_agent::deliver::access::Badge;
use platen_agent::deliver::dispatch::Policy;
use platen_agent::deliver::journey::Next;
use platen_agent::deliver::pace::Bandwidth;
use platen_agent::deliver::windows::Windows;
use platen_agent::deliver::wire::{Answer, Cut};
use platen_agent::deliver::{Dispatcher, Journey, Tools};
use platen_agent::outbox::ledger::{Priorities, Rotation};
use platen_agent::outbox::{Arrival, Outbox};
use platen_agent::spool::Spool;
use platen_agent::vault::{Key, SealedDisk};
use platen_agent::watch::{Offer, Scope, listing};
use platen_capture::{CapturedDocument, Inspection, Kind};
use platen_model::disk::Disk;
use platen_model::keys::SigningKey;
use platen_model::{
    CaptureId, Decision, DeviceId, Digest, DocumentId, DocumentType, PageRecord, PageText, PolicyRef,
    Verdict, durable,
};
use uuid::{Builder, Uuid};

use crate::cloud::{Cloud, URL};
use crate::database::LogEngine;
use crate::disk::SimDisk;
use crate::network::{Network, Weather};
use crate::random::Random;

const STATE: &str = "/state";
/// When the life begins.
const BEGIN_MS: i64 = 1_700_000_000_000;
/// Turns of a storm.
const STORM_TURNS: u64 = 250;
/// Turns after which whatever is not done is stuck.
const TURNS_MAX: u64 = 6_000;

/// What is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    pub(crate) seed: u64,
    /// Whether the network, the clock and the disk misbehave, and the power goes again and again.
    pub(crate) storm: bool,
    /// The one operation at which the power goes.
    pub(crate) dies_at: Option<u64>,
}

pub(crate) struct Office {
    random: Random,
    disk: SimDisk,
    /// The key of the spool, where it is encrypted.
    key: Option<Arc<Key>>,
    /// What is real: the hot folder, and the state folder's ledger.
    real: tempfile::TempDir,
    source: Source,
    faults: Arc<Mutex<Option<Random>>>,
    network: Network,
    cloud: Cloud,
    scans: Vec<Scan>,
    device: DeviceId,
    device_key: Vec<u8>,
    cloud_key: Vec<u8>,
    agent: Option<Agent>,
    /// Time that passed, and how far the agent's clock is off.
    passed_ms: i64,
    clock_off_ms: i64,
    keep: SignedDuration,
    /// Whether bytes are cheap now, so that originals are sent with the rest.
    cheap: bool,
}

/// A scan, and what the cloud must hold in the end.
struct Scan {
    capture: CaptureId,
    original: Vec<u8>,
    pdf: Vec<u8>,
    documents: u32,
    /// Its file in the hot folder.
    file: PathBuf,
}

struct Agent {
    spool: Spool,
    outbox: Outbox,
    tools: Tools,
    dispatcher: Dispatcher,
    ledger: Ledger,
    /// Captures to work on.
    released: BTreeMap<CaptureId, Released>,
    /// Captures whose sources could not be taken away yet.
    unreleased: BTreeMap<CaptureId, Claimed>,
    behind: bool,
    under_way: Vec<UnderWay>,
}

struct UnderWay {
    journey: Journey,
    answer: Option<(Result<Answer, Cut>, i64)>,
}

impl Office {
    /// Lives through a trial. Answers how many operations it took.
    pub(crate) fn run(trial: Trial) -> Result<u64, String> {
        let mut office = Self::new(trial);
        office.disk.die_after(trial.dies_at);
        let mut turn = 0;
        let mut storm = trial.storm;
        office.weather(storm);
        while !office.is_done() {
            turn += 1;
            if turn > TURNS_MAX {
                return Err(format!("it is stuck after {turn} turns: {}", office.state()));
            }
            if storm && turn > STORM_TURNS {
                storm = false;
                office.calm_down();
            }
            if storm {
                office.mischief();
            }
            office.turn(storm);
            if office.disk.is_dead() {
                office.power_cut(storm)?;
            }
            if let Some(violation) = office.cloud.violations.first() {
                return Err(violation.clone());
            }
        }
        office.check_cloud()?;
        if !trial.storm && office.cloud.deferred == 0 {
            return Err("no originals were left for later".into());
        }
        Ok(office.disk.operations())
    }

    fn new(trial: Trial) -> Self {
        let mut random = Random::new(trial.seed);
        let fork = |random: &mut Random| Random::new(random.next());
        let disk = SimDisk::new(fork(&mut random));
        durable::on(&disk).create_folder(Path::new(STATE)).expect("a healthy disk");
        let device = DeviceId::from_uuid(Uuid::from_u128(7));
        let new_key = || SigningKey::generate().expect("randomness");
        let (device_key, cloud_key) = (new_key(), new_key());
        let count = if trial.storm { 1 + random.below(5) } else { 3 };
        let memory = Path::new("/dev/shm");
        let mut folder = tempfile::Builder::new();
        folder.prefix("platen-simulator-");
        let real = if memory.is_dir() { folder.tempdir_in(memory) } else { folder.tempdir() };
        let real = real.expect("a folder");
        let source = Source::new("desk", real.path().join("inbox"));
        durable::create_folder(&source.folder).expect("a hot folder");
        let scans = (0..count).map(|number| Scan::new(&mut random, number, &source.folder)).collect();
        let key = |key: &SigningKey| key.to_pkcs8().to_vec();
        let public = device_key.public();
        let keep = SignedDuration::from_secs(i64::try_from(random.below(3) * 20).expect("small"));
        let (faults, network) = (fork(&mut random), Network::new(fork(&mut random)));
        let is_encrypted = trial.seed % 4 == 3;
        Self {
            disk,
            key: is_encrypted.then(|| Arc::new(Key::from_bytes(&[7; 32]))),
            real,
            source,
            faults: Arc::new(Mutex::new(trial.storm.then_some(faults))),
            network,
            device,
            device_key: key(&device_key),
            cloud_key: key(&cloud_key),
            cloud: Cloud::new(cloud_key, device, public),
            scans,
            agent: None,
            passed_ms: 0,
            clock_off_ms: 0,
            keep,
            // In a calm life everything goes without its originals first.
            cheap: trial.storm,
            random,
        }
    }

    fn true_time(&self) -> Timestamp {
        Timestamp::from_millisecond(BEGIN_MS + self.passed_ms).expect("a time")
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(BEGIN_MS + self.passed_ms + self.clock_off_ms).expect("a time")
    }

    fn weather(&mut self, storm: bool) {
        self.network.weather = Weather::default();
        if storm {
            let mut often = |most: u64| if self.random.chance(600) { self.random.below(most) } else { 0 };
            self.network.weather = Weather {
                refused: often(300),
                cut: often(200),
                doubled: often(200),
                corrupted: often(100),
                in_between: often(100),
                server_error: often(200),
                slow: often(200),
            };
        }
    }

    /// Everything heals, but for the clock.
    fn calm_down(&mut self) {
        self.weather(false);
        self.disk.set_full(false);
        self.disk.die_after(None);
        self.cheap = true;
        *self.faults.lock().expect("no panic") = None;
    }

    fn mischief(&mut self) {
        if self.random.chance(40) {
            let after = self.random.below(300);
            self.disk.die_after(Some(1 + after));
        }
        if self.random.chance(20) {
            let full = self.random.chance(400);
            self.disk.set_full(full);
        }
        if self.random.chance(20) {
            let two_years = 2 * 365 * 24 * 3_600_000u64;
            let off =
                i64::try_from(self.random.below(2 * two_years)).expect("small") - two_years.cast_signed();
            self.clock_off_ms = if self.random.chance(300) { 0 } else { off };
        }
        if self.random.chance(30) {
            self.cheap = self.random.chance(400);
        }
        if self.random.chance(20) {
            self.cloud.restart();
        }
        if self.random.chance(30) {
            self.weather(true);
        }
    }

    /// The power went: the disk keeps what it keeps, and nothing that was claimed may be missing.
    fn power_cut(&mut self, storm: bool) -> Result<(), String> {
        self.agent = None;
        self.disk.come_back();
        if storm && self.random.chance(500) {
            let after = self.random.below(400);
            self.disk.die_after(Some(1 + after));
        }
        // For the names alone.
        let spool = Spool::at(Path::new(STATE));
        for scan in self.scans.iter().filter(|scan| !scan.file.exists()) {
            let capture = self.disk.is_folder(&spool.capture(scan.capture));
            let safe = |id| self.cloud.has_whole(id) || self.disk.is_folder(&spool.document(id));
            if !capture && !scan.ids().all(safe) {
                return Err(format!("a scan that left its hot folder is lost: {:?}", scan.capture));
            }
        }
        Ok(())
    }

    fn turn(&mut self, storm: bool) {
        let now = self.now();
        if self.agent.is_none() {
            match self.boot(now) {
                Ok(agent) => self.agent = Some(agent),
                Err(_) => {
                    self.passed_ms += 5_000;
                    return;
                }
            }
        }
        let Some(mut agent) = self.agent.take() else { return };
        if self.random.chance(300) {
            self.hand_in(&mut agent, now);
        }
        if !self.cheap && !storm && self.all_received() {
            self.cheap = true;
        }
        let looked = agent.look(self.cheap, now);
        if agent.under_way.is_empty() {
            let idle = agent.dispatcher.idle_ms(&agent.outbox, self.cheap, now).unwrap_or(30_000);
            let idle = if looked.is_err() { 5_000 } else { idle.clamp(50, 30_000) };
            self.passed_ms += i64::try_from(idle).expect("small");
        } else {
            let index = self.random.index(agent.under_way.len());
            self.step(&mut agent, index, now);
        }
        self.agent = Some(agent);
    }

    /// One step of one journey: what came back is taken in, or the next request goes out.
    fn step(&mut self, agent: &mut Agent, index: usize, now: Timestamp) {
        let mut under_way = agent.under_way.swap_remove(index);
        if let Some((answer, delay)) = under_way.answer.take() {
            self.passed_ms += delay;
            under_way.journey.answered(&agent.tools, answer, self.now());
        }
        match under_way.journey.next(&agent.tools, now) {
            Next::Send(request) => {
                if self.disk.step().is_ok() {
                    let true_time = self.true_time();
                    let carried = self.network.carry(&mut self.cloud, &request, true_time);
                    under_way.answer = Some(carried);
                } else {
                    under_way.answer = Some((Err(Cut("the power is gone".into())), 0));
                }
                agent.under_way.push(under_way);
            }
            Next::Ended(outcome) => {
                let lease = under_way.journey.into_lease();
                // What cannot be noted is found in the spool.
                let _ = agent.dispatcher.ended(&agent.outbox, lease, outcome, now);
            }
        }
    }

    /// Starts the agent as `run` does.
    fn boot(&mut self, now: Timestamp) -> io::Result<Agent> {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let under_spool: Arc<dyn Disk> = match &self.key {
            Some(key) => Arc::new(SealedDisk::over(Arc::clone(&disk), Arc::clone(key))),
            None => Arc::clone(&disk),
        };
        let spool = Spool::open_on(under_spool, Path::new(STATE))?;
        let ledger = Ledger::open(self.real.path())?;
        let recovered = recover(&spool, &ledger)?;
        let released = recovered.released.into_iter().map(|one| (one.record.capture_id, one)).collect();
        let unreleased =
            recovered.unreleased.into_iter().map(|(one, _)| (one.record().capture_id, one)).collect();
        let engine = LogEngine { disk: self.disk.clone(), faults: Arc::clone(&self.faults) };
        let rotation = Rotation { from_bytes: 4, weighed_every: 7 };
        let outbox = Outbox::open_on(disk, Arc::new(engine), Path::new(STATE), rotation, now)?;
        let key = |bytes: &[u8]| SigningKey::from_pkcs8(bytes).expect("our own key");
        let receipt_key = key(&self.cloud_key).public();
        outbox.reconcile(&spool, &receipt_key, &Priorities::new(), now)?;
        let badge = Badge { url: URL.into(), device: self.device, key: key(&self.device_key), receipt_key };
        let tools = Tools::new(spool.clone(), outbox.clone(), badge, 700, Bandwidth::new(None));
        let policy = Policy { at_once: 3, keep: self.keep, windows: Windows::always() };
        let dispatcher = Dispatcher::new(policy);
        let (behind, under_way) = (false, Vec::new());
        Ok(Agent { spool, outbox, tools, dispatcher, ledger, released, unreleased, behind, under_way })
    }

    /// The scanner's next scan is claimed, or a claimed one is captured.
    fn hand_in(&mut self, agent: &mut Agent, now: Timestamp) {
        let index = self.random.index(self.scans.len());
        let scan = &self.scans[index];
        let claimed = match agent.unreleased.remove(&scan.capture) {
            Some(claimed) => Some(claimed),
            None if scan.file.exists() => scan.claim(&agent.spool, &self.source, now).ok().flatten(),
            None => None,
        };
        if let Some(claimed) = claimed {
            match claimed.release(&agent.ledger, &NoStop) {
                Release::Done(released) => drop(agent.released.insert(scan.capture, *released)),
                Release::Stuck(claimed, _) => drop(agent.unreleased.insert(scan.capture, *claimed)),
                other => panic!("{other:?}"),
            }
            return;
        }
        let Some(released) = agent.released.get(&scan.capture) else { return };
        let stored = match agent.spool.finish_storing(scan.capture) {
            Ok(Some(ids)) => Ok(ids),
            Ok(None) => scan.store(&agent.spool, released, self.device, now),
            Err(error) => Err(error),
        };
        if let Ok(ids) = stored {
            agent.released.remove(&scan.capture);
            let arrivals: Vec<Arrival> = ids.into_iter().map(Arrival::plain).collect();
            agent.behind |= agent.outbox.enqueue(&arrivals, now).is_err();
        }
    }

    /// Whether nothing is left to do: everything claimed, delivered, and removed.
    fn is_done(&self) -> bool {
        let Some(agent) = &self.agent else { return false };
        let counts = agent.outbox.counts();
        self.all_received()
            && agent.under_way.is_empty()
            && (counts.waiting, counts.delivered) == (0, 0)
            && agent.spool.document_ids().is_ok_and(|ids| ids.is_empty())
            && agent.spool.capture_ids().is_ok_and(|ids| ids.is_empty())
    }

    /// Whether the cloud knows every document, though perhaps not its originals.
    fn all_received(&self) -> bool {
        let received = |id| self.cloud.documents.contains_key(&id);
        self.scans.iter().all(|scan| scan.ids().all(received))
    }

    fn state(&mut self) -> String {
        let Some(agent) = &mut self.agent else { return "the agent does not start".into() };
        format!(
            "link {:?}, {:?}, {:?}, documents {:?}, captures {:?}, trouble {:?}",
            agent.dispatcher.breaker().down(),
            agent.outbox.counts(),
            agent.outbox.entries(3),
            agent.spool.document_ids(),
            agent.spool.capture_ids(),
            agent.outbox.trouble(),
        )
    }

    fn check_cloud(&self) -> Result<(), String> {
        let expected: usize = self.scans.iter().map(|scan| scan.ids().count()).sum();
        if self.cloud.documents.len() != expected {
            return Err(format!("{} documents arrived of {expected}", self.cloud.documents.len()));
        }
        for scan in &self.scans {
            for id in scan.ids() {
                let parts = &self.cloud.documents[&id].parts;
                let bytes = |index: usize| self.cloud.blobs.get(&parts[index]);
                if bytes(0) != Some(&scan.original) || bytes(1) != Some(&scan.pdf) {
                    return Err(format!("{id} arrived with other bytes"));
                }
                if let Some((digest, _)) =
                    self.cloud.blobs.iter().find(|(digest, it)| Digest::of(it) != **digest)
                {
                    return Err(format!("blob {digest} has other bytes than its name says"));
                }
            }
        }
        Ok(())
    }
}

impl Agent {
    /// What the delivery loop does at each look.
    fn look(&mut self, cheap: bool, now: Timestamp) -> io::Result<()> {
        let receipt_key = self.tools.badge.receipt_key.clone();
        let broken = self.outbox.trouble().is_some();
        if broken {
            self.outbox.begin_anew()?;
        }
        if std::mem::take(&mut self.behind) || broken {
            let made_good = self.outbox.reconcile(&self.spool, &receipt_key, &Priorities::new(), now);
            if let Err(error) = made_good {
                self.behind = true;
                return Err(error);
            }
        }
        self.dispatcher.remove_expired(&self.spool, &self.outbox, &receipt_key, now)?;
        for (lease, load) in self.dispatcher.begin(&self.outbox, cheap, now)? {
            self.under_way.push(UnderWay { journey: Journey::begin(lease, load), answer: None });
        }
        Ok(())
    }
}

impl Scan {
    fn new(random: &mut Random, number: u64, inbox: &Path) -> Self {
        let bytes: [u8; 10] = random.bytes(10).try_into().expect("ten bytes");
        let at = u64::try_from(BEGIN_MS).expect("after 1970") + number;
        let capture = CaptureId::from_uuid(Builder::from_unix_timestamp_millis(at, &bytes).into_uuid());
        let (original, pdf) = (random.below(3_000), random.below(1_500));
        let mut some = |length| random.bytes(usize::try_from(length).expect("small"));
        let (mut original, pdf) = (some(original), some(pdf));
        // Equal bytes would be one scan twice.
        original.push(u8::try_from(number).expect("few scans"));
        let file = inbox.join(format!("scan-{number}.tif"));
        write_source(&file, &original).expect("a file in memory");
        Self { capture, original, pdf, documents: 1 + u32::from(number % 3 == 1), file }
    }

    fn ids(&self) -> impl Iterator<Item = DocumentId> + use<> {
        let capture = self.capture;
        (0..self.documents).map(move |index| capture.document(index))
    }

    /// The claim as the agent makes it.
    fn claim(&self, spool: &Spool, source: &Source, now: Timestamp) -> io::Result<Option<Claimed>> {
        let listed = listing::list(&source.folder, &Scope::of(source), |_| false)?;
        let name = self.file.file_name().expect("a name");
        let files = listed.files.into_iter().filter(|sight| sight.name == name).collect();
        let offer = Offer { files, markers: Vec::new(), stack: None, why: "the simulator" };
        claim_as(spool, source, &offer, self.capture, now)
    }

    /// What a capture's reading gives, stored.
    fn store(
        &self,
        spool: &Spool,
        released: &Released,
        device: DeviceId,
        now: Timestamp,
    ) -> io::Result<Vec<DocumentId>> {
        let work = released.folder.join("work");
        spool.durably().remove_folder(&work)?;
        spool.durably().create_folder(&work)?;
        let mut documents = Vec::new();
        for number in 0..self.documents {
            let pdf = work.join(format!("document-{number}.pdf"));
            let written = spool.durably().write(&pdf, &self.pdf)?;
            documents.push(CapturedDocument {
                copy_of_signed: false,
                pdfa: platen_capture::PdfA::A2b,
                pdfa_breaches: Vec::new(),
                department: None,
                batch: None,
                text: PageText::new(vec![PageRecord::default()]),
                blank_pages: 0,
                decision: decision(),
                pdf,
                pdf_sha256: written.sha256(),
                pdf_bytes: written.bytes(),
            });
        }
        let inspection = Inspection::plain(Kind::Tiff, 1);
        spool.store_documents(&released.record, &[inspection], &documents, device, now)
    }
}

/// Writes a file into the hot folder. A record of a claim names inode and time of its file; so that a life depends on
/// its seed alone, the two have the same number of digits together in each.
fn write_source(path: &Path, bytes: &[u8]) -> io::Result<()> {
    const DIGITS: usize = 24;
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    let digits = DIGITS - file.metadata()?.ino().to_string().len().min(DIGITS - 10);
    let nanoseconds = 10u128.pow(u32::try_from(digits).expect("few") - 1);
    let after_1970 = Duration::from_secs(u64::try_from(nanoseconds / 1_000_000_000).expect("small"));
    file.set_modified(SystemTime::UNIX_EPOCH + after_1970)
}

fn decision() -> Decision {
    Decision {
        document_type: DocumentType::unknown(),
        confidence: 0.0,
        verdict: Verdict::Review,
        reasons: Vec::new(),
        fields: BTreeMap::new(),
        line_items: Vec::new(),
        policy: PolicyRef { name: "none".into(), version: "1".into(), sha256: Digest::of(b"") },
    }
}
