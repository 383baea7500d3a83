//! The demonstration: one office, its samples, and what became of them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use platen_model::durable;
use platen_tests::ends::{Procession, ROUTING};
use platen_tests::site::{PASSWORD, Part, USER};
use platen_tests::{Programs, Signer, Site};

/// The port the demonstration's pages are at.
const PORT: u16 = 8460;
/// How long all samples together may take.
const DEADLINE: Duration = Duration::from_secs(600);

/// Carries sample scans from a hot folder to a completed signature.
#[derive(Parser)]
struct Arguments {
    /// The folder with platen-agent and platen-cloud.
    #[arg(long)]
    programs: PathBuf,
    /// The folder everything is kept in. What an earlier demonstration left there is replaced.
    #[arg(long)]
    state: PathBuf,
    /// End by itself: exit status 0 only if every sample reached its expected end.
    #[arg(long)]
    once: bool,
    /// The port of the pages; 0 takes any free one.
    #[arg(long, default_value_t = PORT)]
    port: u16,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the demonstration failed:\n{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), String> {
    let programs = Programs::in_folder(&arguments.programs)?;
    make_room(&arguments.state)?;
    eprintln!("starting cloud and agent under {}", arguments.state.display());
    let mut site = Site::found(&arguments.state, programs, arguments.port, ROUTING).await?;
    site.start(Part::Agent)?;
    let person = site.person().await?;
    let mut signer = Signer::reading(&site.mail())?;

    let samples = platen_testdata::samples();
    eprintln!("scanning {} samples into {}", samples.len(), site.inbox().display());
    let mut procession = Procession::scan(&site, samples)?;
    let mut told = usize::MAX;
    let outcome = procession
        .follow(&site, &person, &mut signer, DEADLINE, |procession| {
            let arrived = procession.followed.iter().filter(|followed| followed.arrived()).count();
            if arrived != told {
                told = arrived;
                eprintln!("{arrived} of {} have reached their end", procession.followed.len());
            }
        })
        .await;

    println!();
    for line in procession.table(&person).await {
        println!("{line}");
    }
    println!("\n{}  (user {USER}, password \"{PASSWORD}\")", site.url());
    outcome.map_err(|error| {
        format!("{error}\n--- agent\n{}\n--- cloud\n{}", site.last_lines("agent"), site.last_lines("cloud"))
    })?;

    if !arguments.once {
        println!(
            "Drop a scan into {}; letters to signers are in {}; Ctrl-C ends.",
            site.inbox().display(),
            site.mail().display()
        );
        tokio::signal::ctrl_c().await.map_err(|error| error.to_string())?;
    }
    site.stop(Part::Agent)?;
    site.stop(Part::Cloud)
}

/// Removes what an earlier demonstration left, and nothing that is not one.
fn make_room(state: &Path) -> Result<(), String> {
    if state.join("routing.toml").exists() {
        return durable::remove_folder(state).map_err(|error| format!("{}: {error}", state.display()));
    }
    let empty = std::fs::read_dir(state).map_or(true, |mut entries| entries.next().is_none());
    if empty {
        Ok(())
    } else {
        Err(format!("{} holds something that is not a demonstration; name another folder", state.display()))
    }
}
