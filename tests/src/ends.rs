//! Which end each sample must reach under the demonstration's routing policy, and how it got there.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use platen_model::api::Document;
use platen_model::event::Status;
use platen_testdata::{Outcome, Sample};
use serde_json::Value;

use crate::person::Person;
use crate::signer::Signer;
use crate::site::Site;

/// The routing policy these ends belong to.
pub const ROUTING: &str = include_str!("../demo/routing.toml");

/// Where a sample comes to rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// In the cloud, in this state.
    Document(Status),
    /// In the agent's quarantine, in this class.
    Quarantined(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document(status) => status.fmt(f),
            Self::Quarantined(class) => write!(f, "quarantined: {class}"),
        }
    }
}

/// The end a sample must reach: what it is decides its route, and the route its end.
pub fn expected(sample: &Sample) -> End {
    match &sample.expected.outcome {
        Outcome::Quarantined { class } => End::Quarantined(class.clone()),
        Outcome::Document { verdict } if verdict == "review" => End::Document(Status::InReview),
        Outcome::Document { .. } => End::Document(match sample.expected.document_type.as_str() {
            "invoice" if total(sample) >= 10_000.0 => Status::Declined,
            "receipt" => Status::Expired,
            _ => Status::Archived,
        }),
    }
}

fn total(sample: &Sample) -> f64 {
    let total = sample.expected.fields.get("total").and_then(|total| total.split(' ').next()?.parse().ok());
    total.unwrap_or(0.0)
}

/// One sample on its way.
#[derive(Clone, Debug)]
pub struct Followed {
    /// The sample.
    pub sample: Sample,
    /// When the last of its files was put into the hot folder.
    pub scanned_at: Timestamp,
    /// It as the cloud shows it, once it is there. More than one is a defect, and is kept to be seen.
    pub documents: Vec<Document>,
    /// The class it is quarantined in, where it is.
    pub quarantined: Option<String>,
}

impl Followed {
    /// The end it has reached, if its state is one.
    pub fn end(&self) -> Option<End> {
        if let Some(class) = &self.quarantined {
            return Some(End::Quarantined(class.clone()));
        }
        let status = self.documents.first()?.status;
        let resting = [
            Status::Archived,
            Status::InReview,
            Status::Declined,
            Status::Expired,
            Status::Voided,
            Status::Rejected,
            Status::Quarantined,
        ];
        resting.contains(&status).then_some(End::Document(status))
    }

    /// Whether it is where it must be, once.
    pub fn arrived(&self) -> bool {
        self.documents.len() <= 1 && self.end().as_ref() == Some(&expected(&self.sample))
    }
}

/// All samples on their way.
#[derive(Clone, Debug)]
pub struct Procession {
    /// The samples, by the order they were scanned in.
    pub followed: Vec<Followed>,
}

impl Procession {
    /// Puts every sample into the site's hot folder.
    pub fn scan(site: &Site, samples: Vec<Sample>) -> Result<Self, String> {
        let mut followed = Vec::new();
        for sample in samples {
            for path in sample.paths() {
                site.scan(&path)?;
            }
            let scanned_at = Timestamp::now();
            followed.push(Followed { sample, scanned_at, documents: Vec::new(), quarantined: None });
        }
        Ok(Self { followed })
    }

    /// Looks where everything is now. A cloud that does not answer leaves the last known state.
    pub async fn look(&mut self, site: &Site, person: &Person) {
        if let Ok(documents) = person.documents().await {
            for followed in &mut self.followed {
                let ours =
                    |document: &&Document| followed.sample.expected.files.contains(&document.file_name);
                followed.documents = documents.iter().filter(ours).cloned().collect();
            }
        }
        if let Ok(quarantine) = site.quarantine() {
            for followed in &mut self.followed {
                let files = &followed.sample.expected.files;
                let ours =
                    |entry: &&Value| files.iter().any(|file| entry.to_string().contains(file.as_str()));
                let class = quarantine.iter().find(ours).and_then(|entry| entry["class"].as_str());
                followed.quarantined = class.map(str::to_owned);
            }
        }
    }

    /// Whether everything is where it must be.
    pub fn arrived(&self) -> bool {
        self.followed.iter().all(Followed::arrived)
    }

    /// Follows the samples until all have arrived, signing what comes to the desk meanwhile.
    ///
    /// # Errors
    ///
    /// After `deadline`, naming every sample that is not where it must be.
    pub async fn follow(
        &mut self,
        site: &Site,
        person: &Person,
        signer: &mut Signer,
        deadline: Duration,
        mut tell: impl FnMut(&Self),
    ) -> Result<(), String> {
        let start = Instant::now();
        loop {
            signer.sign_what_arrived().await;
            self.look(site, person).await;
            tell(self);
            if self.arrived() {
                return Ok(());
            }
            if start.elapsed() > deadline {
                return Err(self.laggards());
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// A sentence for each sample that is not where it must be.
    pub fn laggards(&self) -> String {
        let late = self.followed.iter().filter(|followed| !followed.arrived()).map(|followed| {
            let states: Vec<String> =
                followed.documents.iter().map(|document| document.status.to_string()).collect();
            format!(
                "{} should end as \"{}\", but is {:?} in the cloud, {:?} in quarantine",
                followed.sample.name,
                expected(&followed.sample),
                states,
                followed.quarantined
            )
        });
        late.collect::<Vec<_>>().join("\n")
    }

    /// The table of what happened: file, type, confidence, pages, status, time to durable, time to signed.
    pub async fn table(&self, person: &Person) -> Vec<String> {
        let mut rows = Vec::new();
        for followed in &self.followed {
            let mut row = vec![followed.sample.expected.files.join(", ")];
            match followed.documents.first() {
                Some(document) => {
                    let events = person.events(document.document_id).await.unwrap_or_default();
                    let times = event_times(&events);
                    let since = |event: &str| match times.get(event) {
                        Some(at) => seconds(followed.scanned_at, *at),
                        None => "-".into(),
                    };
                    row.push(document.document_type.to_string());
                    row.push(format!("{:.2}", document.confidence));
                    row.push(document.page_count.to_string());
                    row.push(document.status.to_string());
                    row.push(since("received"));
                    row.push(since("signed"));
                }
                None => {
                    let end = followed.end().map_or("not there".into(), |end| end.to_string());
                    row.extend(["-".into(), "-".into(), "-".into(), end, "-".into(), "-".into()]);
                }
            }
            rows.push(row);
        }
        crate::table::lines(
            &["file", "type", "confidence", "pages", "status", "to durable", "to signed"],
            &rows,
        )
    }
}

/// When each kind of event first happened.
fn event_times(events: &[Value]) -> BTreeMap<String, Timestamp> {
    let mut times = BTreeMap::new();
    for event in events {
        if let (Some(name), Some(at)) = (event["event"].as_str(), event["at"].as_str())
            && let Ok(at) = at.parse::<Timestamp>()
        {
            times.entry(name.to_owned()).or_insert(at);
        }
    }
    times
}

fn seconds(from: Timestamp, to: Timestamp) -> String {
    format!("{:.1} s", (to.as_millisecond() - from.as_millisecond()) as f64 / 1000.0)
}
