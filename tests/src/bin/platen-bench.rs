//! Makes the benchmark tables. Everything is measured in one run on one machine, side by side.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use platen_tests::Programs;
use platen_tests::bench::contender::{Contender, Tools};
use platen_tests::bench::figures::Group;
use platen_tests::bench::pages::Pages;
use platen_tests::bench::report::Report;
use platen_tests::bench::side_by_side::Measured;
use platen_tests::bench::skew::{self, Found};
use platen_tests::bench::stages::Stages;
use platen_tests::bench::targets::Targets;
use platen_tests::bench::{classify, delivery, folders, growth, machine, size};

/// Makes the benchmark tables.
#[derive(Parser)]
struct Arguments {
    /// The folder with platen-agent and platen-cloud.
    #[arg(long)]
    programs: PathBuf,
    /// The Python environment with OCRmyPDF and others, as `packaging/build-deps.sh --bench` makes it.
    #[arg(long, default_value = "target/bench/peers")]
    peers: PathBuf,
    /// How often the pages are read; medians count.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// A dozen pages and no files of a thousand: for daily use.
    #[arg(long)]
    quick: bool,
    /// Measure only this; may be given several times.
    #[arg(long)]
    only: Vec<Part>,
    /// Put the tables into this document, in the place of those that it has.
    #[arg(long, value_name = "DOCUMENT")]
    write: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The contenders over the same pages, and the stages of Platen's.
    Pages,
    /// Bytes a page.
    Size,
    /// Files of more and more pages.
    Growth,
    /// Skew and orientation.
    Skew,
    /// Naming documents, and reading their fields.
    Classify,
    /// The agent's claim, outbox and start, with a million documents waiting.
    Delivery,
    /// Hot folders with the real agent: time to a claim, ten thousand files at once, ten thousand that rest.
    Folders,
}

impl Arguments {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    /// The command that makes these tables again.
    fn command(&self) -> String {
        let mut flags = String::new();
        if self.quick {
            flags.push_str(" --quick");
        }
        if self.rounds != 1 {
            flags.push_str(&format!(" --rounds {}", self.rounds));
        }
        for part in self.only.iter().filter_map(Part::to_possible_value) {
            flags.push_str(&format!(" --only {}", part.get_name()));
        }
        match flags.trim() {
            "" => "make bench".into(),
            flags => format!("make bench BENCH_FLAGS='{flags}'"),
        }
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let absolute = |path: &PathBuf| std::path::absolute(path).map_err(|error| error.to_string());
    let programs = Programs::in_folder(&arguments.programs)?;
    let tools = Tools { programs, peers: absolute(&arguments.peers)? };
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let scratch = scratch.path();
    let mut report = Report::default();
    let mut targets = Targets::default();

    report.section("The run");
    let mut about = vec![format!("Command: `{}`", arguments.command())];
    about.extend(machine::lines(&tools));
    report.list(&about);

    // Before anything that takes much memory here: what a process held before it became another program counts as
    // the other's.
    if arguments.wants(Part::Pages) {
        let pages = Pages::choose(arguments.quick)?;
        let measured = Measured::read(&pages, &tools, arguments.rounds, scratch)?;
        let read = pages.pages.len();
        report.paragraph(&format!(
            "{read} pages, each an image file; rounds: {}; one core (`--jobs 1`, `OMP_THREAD_LIMIT=1`); contenders take \
             turns page by page. {}",
            arguments.rounds,
            pages.remarks.join(" ")
        ));
        measured.tell(&pages, &mut report);
        let stages = Stages::of_records(&measured.records)?;
        stages.tell(measured.batch_cpu_s(), &mut report);
        judge(&mut targets, &pages, &measured, &stages);
    }
    if arguments.wants(Part::Size) {
        let pages = Pages::choose(arguments.quick)?;
        let found = size::measure(&pages, &tools, scratch, &mut report)?;
        targets.at_most("bytes of compact against --optimize 1, colour pages", found.compact, 0.25, "");
        targets.at_most("character error lost by compact", found.lost_points, 0.5, " points");
    }
    if arguments.wants(Part::Growth) {
        growth::measure(&tools, arguments.quick, scratch, &mut report)?;
    }
    if arguments.wants(Part::Skew) {
        let found = skew::measure(&tools, arguments.quick, scratch, &mut report)?;
        judge_skew(&mut targets, found);
    }
    if arguments.wants(Part::Classify) {
        classify::measure(&tools, scratch, &mut report, &mut targets)?;
    }
    if arguments.wants(Part::Delivery) {
        delivery::measure(&tools, arguments.quick, scratch, &mut report, &mut targets)?;
    }
    if arguments.wants(Part::Folders) {
        folders::measure(&tools, arguments.quick, scratch, &mut report, &mut targets)?;
    }
    targets.tell(&mut report);
    match &arguments.write {
        Some(document) => report.write_into(document),
        None => Ok(()),
    }
}

/// Holds the reading of pages against its targets.
fn judge(targets: &mut Targets, pages: &Pages, measured: &Measured, stages: &Stages) {
    targets.at_most(
        "CPU against tesseract, one file a call",
        measured.cpu_ratio(Contender::Tesseract),
        0.85,
        "",
    );
    targets.at_most("CPU against tesseract, all files in one call", measured.batch_ratio(), 0.85, "");
    let full = measured.cpu_ratio(Contender::OcrmypdfFull);
    targets.at_most("CPU against OCRmyPDF with options, one file a call", full, 0.25, "");
    let characters = |contender: Contender, group: Group| {
        measured.errors(contender, pages, Some(group)).map(|errors| errors.characters)
    };
    for (group, most) in [(Group::Book, 1.0), (Group::Receipt, 0.85), (Group::Hard, 0.85)] {
        let theirs = characters(Contender::Tesseract, group).filter(|errors| *errors > 0.0);
        let against = theirs.and_then(|theirs| Some(characters(Contender::Platen, group)? / theirs));
        targets.at_most(&format!("character error against tesseract, {}", group.name()), against, most, "");
    }
    // Of two ways to count, the one that is worse for us.
    let of_call = measured.batch_cpu_s().and_then(|cpu_s| stages.share_of_the_call(cpu_s));
    let rest = [stages.share_of_the_rest(), of_call].into_iter().flatten().reduce(f64::max);
    targets.at_most("everything but recognition", rest.map(|rest| rest * 100.0), 10.0, " %");
}

fn judge_skew(targets: &mut Targets, found: Found) {
    targets.at_most("skew, mean error (made skew)", found.mean_deg, 0.05, "°");
    targets.at_most("skew, worst error (made skew)", found.worst_deg, 0.2, "°");
    targets.at_most("finding the skew of a page", found.ms, 15.0, " ms");
    let (right, turned) = found.put_right;
    if turned > 0 {
        targets.at_most("pages turned wrongly", Some(found.wrong_turns as f64), 0.0, "");
        targets.at_least("turned pages put right", Some(100.0 * right as f64 / turned as f64), 98.0, " %");
    }
}
