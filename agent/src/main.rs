//! `platen-agent`: the table of contents.
//!
//! ```text
//! run         the daemon: watch, claim, capture, spool, deliver
//! process     files in, searchable PDFs out; needs no daemon
//! worker      started by the two above; the only place where documents are parsed
//! ```

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use platen_agent::Complaint;
use platen_agent::process::{self, Outcome};
use platen_capture::classify::RuleSet;
use platen_capture::worker::{Pool, Program};
use platen_capture::{Options, PdfA, Profile, Workshop};

/// Watches scanner hot folders and delivers every scan, once and unaltered.
#[derive(Parser)]
#[command(name = "platen-agent", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Turn files into searchable PDFs, text and records, here and now.
    Process(ProcessArguments),
    /// Parse documents for a supervisor, in a sandbox. Not for people.
    #[command(hide = true)]
    Worker {
        /// Address space, in MiB.
        #[arg(long)]
        memory_mb: u64,
    },
}

#[derive(Args)]
struct ProcessArguments {
    /// Where results go.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Workers at once; by default one per core.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Tesseract languages, for example eng+deu.
    #[arg(long)]
    lang: Option<String>,
    /// The archival standard.
    #[arg(long, value_enum)]
    pdfa: Option<PdfaChoice>,
    /// How page images are stored.
    #[arg(long, value_enum)]
    profile: Option<ProfileChoice>,
    /// Print one JSON object per document on standard output.
    #[arg(long)]
    json: bool,
    /// The scans.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum PdfaChoice {
    #[value(name = "2b")]
    A2b,
    #[value(name = "1b")]
    A1b,
    Off,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProfileChoice {
    Exact,
}

fn main() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Process(arguments) => run_process(arguments),
        Command::Worker { memory_mb } => run_worker(memory_mb),
    };
    match outcome {
        Ok(code) => code,
        Err(complaint) => {
            eprintln!("{complaint}");
            ExitCode::from(2)
        }
    }
}

fn run_worker(memory_mb: u64) -> Result<ExitCode, Complaint> {
    match platen_capture::worker::serve(memory_mb) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("worker: {error}");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn run_process(arguments: ProcessArguments) -> Result<ExitCode, Complaint> {
    let mut options = Options::default();
    if let Some(languages) = arguments.lang {
        options.languages = languages;
    }
    match arguments.pdfa {
        Some(PdfaChoice::A2b) => options.pdfa = PdfA::A2b,
        Some(PdfaChoice::A1b) => options.pdfa = PdfA::A1b,
        Some(PdfaChoice::Off) => options.pdfa = PdfA::Off,
        None => {}
    }
    if let Some(ProfileChoice::Exact) = arguments.profile {
        options.profile = Profile::Exact;
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = arguments.jobs.map_or(cores, usize::from);
    let pool = Pool::new(Program::this(&options.limits), jobs, options.limits.clone());
    let workshop = Workshop { pool, rules: RuleSet::shipped(), options };
    let order = process::Order { files: arguments.files, out: arguments.out, json: arguments.json };
    match process::process(&order, &workshop)? {
        Outcome::AllDone => Ok(ExitCode::SUCCESS),
        Outcome::SomeFailed => Ok(ExitCode::FAILURE),
    }
}
