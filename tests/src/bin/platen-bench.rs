//! Benchmark tables. Everything is measured in one run on one machine, side by side, and told as ratios.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use platen_tests::{Programs, accuracy, table};

/// Prints the benchmark tables.
#[derive(Parser)]
struct Arguments {
    /// The folder with platen-agent and platen-cloud.
    #[arg(long)]
    programs: PathBuf,
    /// Rounds; the fastest of each side counts, because everything else a machine does only adds time.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// A folder of scans to read instead of the samples.
    #[arg(long)]
    scans: Option<PathBuf>,
    /// Also run the peers that are installed (ocrmypdf).
    #[arg(long, env = "PEERS", value_parser = clap::builder::BoolishValueParser::new(), default_value = "0")]
    peers: bool,
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

/// A contender: its name, and how it makes a searchable PDF of one image.
struct Contender {
    name: &'static str,
    read: fn(&Programs, &Path, &Path) -> Command,
}

const CONTENDERS: &[Contender] = &[
    Contender {
        name: "tesseract (pdf)",
        read: |_, scan, out| {
            let mut command = Command::new("tesseract");
            command.arg(scan).arg(out.join("page")).arg("pdf").env("OMP_THREAD_LIMIT", "1");
            command
        },
    },
    Contender {
        name: "platen-agent process",
        read: |programs, scan, out| {
            let mut command = programs.agent();
            command.args(["process", "--jobs", "1", "--out"]).arg(out).arg(scan);
            command
        },
    },
];

const PEER: Contender = Contender {
    name: "ocrmypdf --deskew --rotate-pages",
    read: |_, scan, out| {
        let mut command = Command::new("ocrmypdf");
        command.args(["--deskew", "--rotate-pages", "--jobs", "1", "--image-dpi", "300", "-q"]);
        command.arg(scan).arg(out.join("page.pdf")).env("OMP_THREAD_LIMIT", "1");
        command
    },
};

fn run(arguments: &Arguments) -> Result<(), String> {
    let programs = Programs::in_folder(&arguments.programs)?;
    let scans = scans(arguments)?;
    let mut contenders: Vec<&Contender> = CONTENDERS.iter().collect();
    if arguments.peers {
        contenders.push(&PEER);
    }
    println!(
        "One image in, one searchable PDF out, one core: {} scans, fastest of {} rounds.\n",
        scans.len(),
        arguments.rounds
    );
    let mut rows = Vec::new();
    let mut baseline = None;
    for contender in contenders {
        let mut total = Duration::ZERO;
        let mut bytes = 0;
        for scan in &scans {
            let (time, size) = fastest(contender, &programs, scan, arguments.rounds)?;
            total += time;
            bytes += size;
        }
        let baseline = *baseline.get_or_insert(total);
        rows.push(vec![
            contender.name.to_owned(),
            format!("{:.2} s", total.as_secs_f64()),
            format!("{:.2}", total.as_secs_f64() / baseline.as_secs_f64()),
            format!("{} KB", bytes / 1000),
        ]);
    }
    for line in table::lines(&["", "time", "ratio", "PDF bytes"], &rows) {
        println!("{line}");
    }
    println!();
    for line in accuracy::lines(&programs)? {
        println!("{line}");
    }
    Ok(())
}

fn scans(arguments: &Arguments) -> Result<Vec<PathBuf>, String> {
    let all: Vec<PathBuf> = match &arguments.scans {
        Some(folder) => {
            let entries =
                std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            entries.filter_map(Result::ok).map(|entry| entry.path()).collect()
        }
        None => {
            let samples = platen_testdata::samples();
            samples
                .iter()
                .filter(|sample| !sample.is_quarantined())
                .flat_map(|sample| sample.paths())
                .collect()
        }
    };
    // Tesseract reads images only.
    let image = |path: &PathBuf| {
        path.extension()
            .and_then(|kind| kind.to_str())
            .is_some_and(|kind| ["tif", "jpg", "png"].contains(&kind))
    };
    let mut scans: Vec<PathBuf> = all.into_iter().filter(image).collect();
    scans.sort();
    Ok(scans)
}

fn fastest(
    contender: &Contender,
    programs: &Programs,
    scan: &Path,
    rounds: u32,
) -> Result<(Duration, u64), String> {
    let mut best = Duration::MAX;
    let mut size = 0;
    for _ in 0..rounds {
        let out = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut command = (contender.read)(programs, scan, out.path());
        let start = Instant::now();
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        best = best.min(start.elapsed());
        let status = status.map_err(|error| format!("{}: {error}", contender.name))?;
        if !status.success() {
            return Err(format!("{} of {} ended with {status}", contender.name, scan.display()));
        }
        let written = std::fs::read_dir(out.path()).map_err(|error| error.to_string())?;
        let pdfs = written
            .filter_map(Result::ok)
            .filter(|entry| entry.path().extension().is_some_and(|kind| kind == "pdf"));
        size = pdfs.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum();
    }
    Ok((best, size))
}
