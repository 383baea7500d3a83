//! All contenders over the same pages, taking turns.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::accuracy::{self, Errors};
use super::contender::{Contender, Tools};
use super::cost::{self, Cost};
use super::figures::{Group, largest, median, ratio};
use super::pages::{Page, Pages};
use super::report::{Report, figure, per_cent};

/// What one contender did with one page; medians of the rounds.
#[derive(Clone, Copy, Debug)]
struct Reading {
    wall_s: f64,
    cpu_s: f64,
    peak_mb: f64,
    pdf_bytes: f64,
}

/// What one contender did with the pages, by their names.
type Readings = BTreeMap<String, Reading>;

/// What was measured.
#[derive(Debug, Default)]
pub struct Measured {
    readings: BTreeMap<Contender, Readings>,
    /// Platen over all files at once, as medians of the rounds.
    batch: Option<Reading>,
    errors: BTreeMap<Contender, BTreeMap<String, Errors>>,
    failures: Vec<String>,
    /// The records that Platen wrote.
    pub records: Vec<PathBuf>,
}

impl Measured {
    /// Lets the contenders read, `rounds` times. Texts and records stay in `scratch`.
    ///
    /// # Errors
    ///
    /// When Platen cannot read all files in one call, or the scorer fails. That a contender cannot read a page is a
    /// finding.
    pub fn read(pages: &Pages, tools: &Tools, rounds: u32, scratch: &Path) -> Result<Self, String> {
        let mut measured = Self::default();
        let mut costs: BTreeMap<(Contender, &str), Vec<(Cost, u64)>> = BTreeMap::new();
        let mut batches = Vec::new();
        for round in 1..=rounds {
            for (number, page) in (1..).zip(&pages.pages) {
                eprint!("\rround {round} of {rounds}, page {number} of {}  ", pages.pages.len());
                for contender in contenders(tools) {
                    let out = tempfile::tempdir_in(scratch).map_err(|error| error.to_string())?;
                    match contender.read(tools, page, out.path()) {
                        Ok(cost) => {
                            let bytes = pdf_bytes(out.path());
                            costs.entry((contender, &page.name)).or_default().push((cost, bytes));
                            keep_text(out.path(), &texts(scratch, contender), &page.name)?;
                        }
                        Err(error) if round == 1 => {
                            // The page is not named: its kind says what a reader of the tables can use.
                            let failure = format!("{}: {}: {error}", contender.name(), page.group.name());
                            measured
                                .failures
                                .push(failure.replace(&page.path.display().to_string(), "the page"));
                        }
                        Err(_) => {}
                    }
                }
            }
            eprint!("\rround {round} of {rounds}, all files in one call  ");
            let out = scratch.join(format!("batch-{round}"));
            batches.push(batch(pages, tools, &out)?);
            measured.records = files_of(&out, "json");
        }
        eprintln!();
        for ((contender, page), costs) in costs {
            let reading = median_of(&costs);
            measured.readings.entry(contender).or_default().insert(page.to_owned(), reading);
        }
        measured.batch = Some(median_of(&batches));
        if let Some(corpus) = &pages.corpus {
            for contender in measured.readings.keys() {
                let errors = accuracy::of_texts(&texts(scratch, *contender), corpus, tools)?;
                measured.errors.insert(*contender, errors);
            }
        }
        Ok(measured)
    }

    /// Processor time of a contender's pages, by their names.
    fn cpu(&self, contender: Contender) -> BTreeMap<&str, f64> {
        let readings = self.readings.get(&contender).into_iter().flatten();
        readings.map(|(page, reading)| (page.as_str(), reading.cpu_s)).collect()
    }

    /// Platen's processor time as a part of another's, one file a call, over the pages that both read.
    pub fn cpu_ratio(&self, other: Contender) -> Option<f64> {
        ratio(&self.cpu(Contender::Platen), &self.cpu(other))
    }

    /// Platen's processor time over all files in one call as a part of Tesseract's, one file a call.
    pub fn batch_ratio(&self) -> Option<f64> {
        let theirs: f64 = self.cpu(Contender::Tesseract).values().sum();
        self.batch.map(|batch| batch.cpu_s / theirs).filter(|ratio| ratio.is_finite())
    }

    /// Seconds of processor time for all files in one call.
    pub fn batch_cpu_s(&self) -> Option<f64> {
        self.batch.map(|batch| batch.cpu_s)
    }

    /// Mean errors of a contender in a group, over all pages.
    pub fn errors(&self, contender: Contender, pages: &Pages, group: Option<Group>) -> Option<Errors> {
        let pages: Vec<&Page> = pages.pages.iter().collect();
        accuracy::mean_of(self.errors.get(&contender)?, &pages, group)
    }

    /// Writes the tables.
    pub fn tell(&self, pages: &Pages, report: &mut Report) {
        let all: Vec<&Page> = pages.pages.iter().collect();
        let read: Vec<Contender> =
            Contender::ALL.into_iter().filter(|contender| self.readings.contains_key(contender)).collect();
        report.section("Side by side");
        let mut rows: Vec<Vec<String>> = read.iter().map(|&contender| self.row(contender, &all)).collect();
        if let Some(batch) = self.batch {
            let count = all.len() as f64;
            let full: f64 = self.cpu(Contender::OcrmypdfFull).values().sum();
            rows.insert(
                1,
                vec![
                    "Platen, all files in one call".into(),
                    figure(Some(60.0 * count / batch.wall_s), 1),
                    figure(Some(batch.cpu_s / count), 2),
                    figure(self.batch_ratio(), 2),
                    figure(Some(batch.cpu_s / full).filter(|ratio| ratio.is_finite()), 2),
                    figure(Some(batch.peak_mb), 0),
                    figure(Some(batch.pdf_bytes / count / 1e3), 0),
                ],
            );
        }
        report.table(COST_HEAD, &rows);
        self.tell_errors(&read, &all, report);
        if !read.contains(&Contender::OcrmypdfFull) {
            report.paragraph("OCRmyPDF is not installed: it was not measured.");
        }
        if !self.failures.is_empty() {
            report.paragraph("Pages that were not read, and count on neither side of a ratio:");
            report.list(&self.failures);
        }
    }

    fn row(&self, contender: Contender, pages: &[&Page]) -> Vec<String> {
        let readings = self.readings.get(&contender);
        let read: Vec<Reading> = pages.iter().filter_map(|page| readings?.get(&page.name)).copied().collect();
        let count = read.len() as f64;
        let sum =
            |part: fn(&Reading) -> f64| Some(read.iter().map(part).sum::<f64>()).filter(|_| !read.is_empty());
        let against = |other: Contender| figure(ratio(&self.cpu(contender), &self.cpu(other)), 2);
        let peaks: Vec<f64> = read.iter().map(|reading| reading.peak_mb).collect();
        vec![
            contender.name().to_owned(),
            figure(sum(|reading| reading.wall_s).map(|wall_s| 60.0 * count / wall_s), 1),
            figure(sum(|reading| reading.cpu_s).map(|cpu_s| cpu_s / count), 2),
            against(Contender::Tesseract),
            against(Contender::OcrmypdfFull),
            figure(largest(&peaks), 0),
            figure(sum(|reading| reading.pdf_bytes).map(|bytes| bytes / count / 1e3), 0),
        ]
    }

    fn tell_errors(&self, contenders: &[Contender], pages: &[&Page], report: &mut Report) {
        let present = |group: &Group| pages.iter().any(|page| page.group == *group);
        let groups: Vec<Option<Group>> =
            std::iter::once(None).chain(Group::ALL.into_iter().filter(present).map(Some)).collect();
        if self.errors.is_empty() {
            return;
        }
        report.paragraph("Mean error over the pages: characters / words.");
        let mut head = vec![""];
        head.extend(groups.iter().map(|group| group.map_or("all", Group::name)));
        let rows: Vec<Vec<String>> = contenders
            .iter()
            .map(|contender| {
                let of_group = |group: &Option<Group>| {
                    let errors = self
                        .errors
                        .get(contender)
                        .and_then(|errors| accuracy::mean_of(errors, pages, *group));
                    let characters = per_cent(errors.map(|errors| errors.characters), 2);
                    format!("{characters} / {}", per_cent(errors.map(|errors| errors.words), 2))
                };
                std::iter::once(contender.name().to_owned()).chain(groups.iter().map(of_group)).collect()
            })
            .collect();
        report.table(&head, &rows);
    }
}

const COST_HEAD: &[&str] = &[
    "",
    "pages / minute",
    "CPU s / page",
    "CPU, tesseract = 1",
    "CPU, OCRmyPDF with options = 1",
    "peak memory MB",
    "PDF KB / page",
];

fn contenders(tools: &Tools) -> Vec<Contender> {
    let is_there = |contender: &Contender| !contender.is_ocrmypdf() || tools.has_ocrmypdf();
    Contender::ALL.into_iter().filter(is_there).collect()
}

/// All files of each language in one call.
fn batch(pages: &Pages, tools: &Tools, out: &Path) -> Result<(Cost, u64), String> {
    let mut total = Cost { wall_s: 0.0, cpu_s: 0.0, peak_mb: 0.0 };
    for (languages, pages) in pages.by_language() {
        let files: Vec<&Path> = pages.iter().map(|page| page.path.as_path()).collect();
        let cost = cost::of(&mut tools.platen(&files, languages, out))?;
        total.wall_s += cost.wall_s;
        total.cpu_s += cost.cpu_s;
        total.peak_mb = total.peak_mb.max(cost.peak_mb);
    }
    Ok((total, pdf_bytes(out)))
}

fn median_of(rounds: &[(Cost, u64)]) -> Reading {
    let of = |part: fn(&(Cost, u64)) -> f64| {
        median(&rounds.iter().map(part).collect::<Vec<_>>()).unwrap_or_default()
    };
    Reading {
        wall_s: of(|(cost, _)| cost.wall_s),
        cpu_s: of(|(cost, _)| cost.cpu_s),
        peak_mb: of(|(cost, _)| cost.peak_mb),
        pdf_bytes: of(|(_, bytes)| *bytes as f64),
    }
}

fn texts(scratch: &Path, contender: Contender) -> PathBuf {
    scratch.join(format!("texts-{contender:?}"))
}

/// Keeps a page's text under the name by which the scorer finds it.
fn keep_text(out: &Path, texts: &Path, page: &str) -> Result<(), String> {
    let read = |path: &PathBuf| std::fs::read_to_string(path).map_err(|error| error.to_string());
    let text = files_of(out, "txt").iter().map(read).collect::<Result<Vec<_>, _>>()?.join("\u{c}");
    std::fs::create_dir_all(texts)
        .and_then(|()| std::fs::write(texts.join(format!("{page}.txt")), text))
        .map_err(|error| format!("{}: {error}", texts.display()))
}

fn pdf_bytes(out: &Path) -> u64 {
    let sizes = files_of(out, "pdf").into_iter().filter_map(|path| Some(path.metadata().ok()?.len()));
    sizes.sum()
}

fn files_of(folder: &Path, kind: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == kind))
        .collect();
    files.sort();
    files
}
