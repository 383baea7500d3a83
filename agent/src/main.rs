//! `platen-agent`: the table of contents.
//!
//! ```text
//! run                 the daemon: watch -> settle -> claim -> capture -> spool -> outbox -> deliver -> release
//! process             files in, searchable PDFs out; needs no daemon, no cloud, no configuration
//! worker              started by the two above: the only place where documents are parsed (INV-7)
//! status, doctor      how it stands; what is missing
//! outbox, quarantine  what is not yet the cloud's; what waits for a person
//! sheet               cover and separator sheets to print
//! rules               check classification rules, and try them on scans
//! enroll              a one-time code becomes a device identity
//! ```
//!
//! Exit status: 0 all done, 1 something failed and was named on standard error, 2 usage or configuration.

mod command_line;

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use command_line::{
    Choices, Command, CommandLine, ExportChoice, OutboxCommand, ProcessArguments, QuarantineCommand,
    RulesCommand, SheetArguments,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use platen_agent::config::Config;
use platen_agent::outbox::command::{self as outbox, Listed};
use platen_agent::process::{self, Order, Outcome};
use platen_agent::vault::Vault;
use platen_agent::{Complaint, doctor, enroll, quarantine, rules, run, sheet, status};
use platen_capture::classify::RuleSet;
use platen_capture::worker::{Pool, Program};
use platen_capture::{Options, Workshop, ocr};

/// Where the configuration is looked for when `--config` names no other place.
const CONFIG_FILE: &str = "/etc/platen/agent.toml";

/// How a command ends that did not do all it should.
enum Ended {
    /// Exit status 2: nothing was begun.
    Refused(Complaint),
    /// Exit status 1: it was tried.
    Failed(Complaint),
    /// Exit status 1: what failed is on standard error already.
    Told,
}

fn main() -> ExitCode {
    let CommandLine { config, command } = CommandLine::parse();
    let ended = match command {
        Command::Run { print_config } => run_daemon(config, print_config),
        Command::Process(arguments) => run_process(config, arguments),
        Command::Worker { memory_mb } => run_worker(memory_mb),
        Command::Status { json, watch } => show_status(config, json, watch),
        Command::Outbox(command) => run_outbox(config, command),
        Command::Quarantine(command) => run_quarantine(config, command),
        Command::Rules(command) => run_rules(config, command),
        Command::Doctor { json } => run_doctor(config, json),
        Command::Sheet(arguments) => run_sheet(config, arguments),
        Command::Enroll { url, code } => run_enroll(config, &url, &code),
    };
    let (complaint, status) = match ended {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Ended::Told) => return ExitCode::FAILURE,
        Err(Ended::Failed(complaint)) => (complaint, 1),
        Err(Ended::Refused(complaint)) => (complaint, 2),
    };
    eprintln!("platen-agent: {complaint}");
    ExitCode::from(status)
}

fn run_daemon(config: Option<PathBuf>, print_config: bool) -> Result<(), Ended> {
    let config = load(config)?;
    if print_config {
        return print(&config.to_toml());
    }
    log_to_stderr();
    let rules = rules::in_force(config.rules.as_deref()).map_err(Ended::Refused)?;
    match run::run(config, rules).map_err(Ended::Failed)? {
        run::Ended::Stopped => Ok(()),
        run::Ended::EnrolledAnew => begin_anew(),
    }
}

/// Puts this program, with the same arguments, in its own place. It needs no goodbye: what was cut off is repeated from
/// what is on disk, and the lock on the state folder goes with the old one.
fn begin_anew() -> Result<(), Ended> {
    // The very file that runs, though a newer one may have its name by now.
    let error = std::process::Command::new("/proc/self/exe").args(std::env::args_os().skip(1)).exec();
    Err(Ended::Failed(Complaint::new(
        format!("this device was enrolled anew, but the agent cannot begin anew: {error}"),
        "scans that were taken are in its spool, the others in their hot folders",
        "start it again",
    )))
}

fn run_process(config: Option<PathBuf>, arguments: ProcessArguments) -> Result<(), Ended> {
    let ProcessArguments { out, jobs, json, export, choices, dividing, files } = arguments;
    let mut workshop = workshop(config, choices, jobs.map(usize::from), None)?;
    workshop.separation = dividing.over(workshop.separation).map_err(|what| {
        Ended::Refused(Complaint::new(
            what,
            "nothing was begun",
            "platen-agent process --help explains the choices",
        ))
    })?;
    let exports = export.into_iter().map(ExportChoice::format).collect();
    match process::process(&Order { files, out, json, exports }, &workshop).map_err(Ended::Refused)? {
        Outcome::AllDone => Ok(()),
        Outcome::SomeFailed => Err(Ended::Told),
    }
}

fn run_sheet(config: Option<PathBuf>, arguments: SheetArguments) -> Result<(), Ended> {
    let config = config.map(|file| load(Some(file))).transpose()?.unwrap_or_default();
    let rules = rules::in_force(config.rules.as_deref()).map_err(Ended::Refused)?;
    sheet::write(arguments.sheet(), &rules).map_err(Ended::Refused)
}

fn run_worker(memory_mb: u64) -> Result<(), Ended> {
    platen_capture::worker::serve(memory_mb).map_err(|error| {
        // The supervisor keeps a worker's last line.
        eprintln!("{error}");
        Ended::Told
    })
}

fn show_status(config: Option<PathBuf>, json: bool, watch: bool) -> Result<(), Ended> {
    let vault = vault(&load(config)?)?;
    let state = vault.state();
    loop {
        let status = status::status(&vault).map_err(|error| {
            let help = "run as the user the agent runs as, for example with sudo -u platen";
            Ended::Failed(Complaint::new(
                format!("{}: {error}", state.display()),
                "nothing was changed",
                help,
            ))
        })?;
        let text = if json { to_json(&status) } else { status.to_text(Timestamp::now()) };
        if !watch {
            return print(&text);
        }
        // Clears the terminal; a reader of JSON gets one object a line instead.
        print(&if json { text } else { format!("\x1b[H\x1b[2J{text}") })?;
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn run_outbox(config: Option<PathBuf>, command: OutboxCommand) -> Result<(), Ended> {
    let vault = vault(&load(config)?)?;
    match command {
        OutboxCommand::List { json, limit } => {
            let entries = outbox::list(&vault, limit).map_err(Ended::Failed)?;
            let (now, zone) = (Timestamp::now(), TimeZone::system());
            let to_text = |entries: &[Listed]| entries.iter().map(|one| one.to_text(now, &zone)).collect();
            print(&if json { to_json(&entries) } else { to_text(&entries) })?;
            if entries.len() == limit {
                eprintln!("only the first {limit} are shown; see --limit");
            }
            Ok(())
        }
        OutboxCommand::Show { id } => print(&to_json(&outbox::show(&vault, id).map_err(Ended::Failed)?)),
        OutboxCommand::Retry { which } => {
            let count = outbox::retry(&vault, which.id).map_err(Ended::Failed)?;
            print(&format!("{count} will be tried now\n"))
        }
        OutboxCommand::Originals => {
            let count = outbox::originals(&vault).map_err(Ended::Failed)?;
            print(&format!("the originals of {count} documents are sent now\n"))
        }
        OutboxCommand::Export { id, dir } => {
            let folder = outbox::export(&vault, id, &dir).map_err(Ended::Failed)?;
            print(&format!("{}\n", folder.display()))
        }
        OutboxCommand::Rejoin { id } => {
            let capture = outbox::rejoin(&vault, id).map_err(Ended::Failed)?;
            print(&format!("capture {capture} has the whole batch; its document will go to a person\n"))
        }
        OutboxCommand::Restore { id } => {
            let capture = outbox::restore(&vault, id).map_err(Ended::Failed)?;
            print(&format!("capture {capture} keeps the blank pages; its document will go to a person\n"))
        }
        OutboxCommand::Verify => {
            let (count, damage) = outbox::verify(&vault).map_err(Ended::Failed)?;
            if damage.is_empty() {
                return print(&format!("{count} documents are as they were stored\n"));
            }
            damage.iter().for_each(|sentence| eprintln!("{sentence}"));
            Err(Ended::Told)
        }
    }
}

fn run_quarantine(config: Option<PathBuf>, command: QuarantineCommand) -> Result<(), Ended> {
    let vault = vault(&load(config)?)?;
    match command {
        QuarantineCommand::List { json } => {
            let list = quarantine::list(&vault).map_err(Ended::Failed)?;
            print(&if json { to_json(&list) } else { list.iter().map(|one| one.to_text()).collect() })
        }
        QuarantineCommand::Show { id } => {
            print(&to_json(&quarantine::show(&vault, id).map_err(Ended::Failed)?))
        }
        QuarantineCommand::Retry { which } => {
            let count = quarantine::retry(&vault, which.id).map_err(Ended::Failed)?;
            print(&format!("{count} will be tried again\n"))
        }
        QuarantineCommand::Discard { id } => quarantine::discard(&vault, id).map_err(Ended::Failed),
    }
}

fn run_rules(config: Option<PathBuf>, command: RulesCommand) -> Result<(), Ended> {
    match command {
        RulesCommand::Check { rules, examples } => {
            let rules = rules::in_force(rules.as_deref()).map_err(Ended::Failed)?;
            print(&rules::summary(&rules))?;
            let Some(examples) = examples else { return Ok(()) };
            let judged = rules::judged(&examples, &rules).map_err(Ended::Failed)?;
            print(&judged.text)?;
            if judged.wrong + judged.wrong_fields == 0 { Ok(()) } else { Err(Ended::Told) }
        }
        RulesCommand::Fit { examples, rules, write } => {
            let rules = rules::in_force(rules.as_deref().or(write.as_deref())).map_err(Ended::Refused)?;
            print(&rules::fitted(&examples, &rules, write.as_deref()).map_err(Ended::Failed)?)
        }
        RulesCommand::Example { scans, document_type, fields, to, choices } => {
            let workshop = workshop(config, choices, None, None)?;
            let said = rules::Said::new(document_type, &fields).map_err(Ended::Refused)?;
            let make =
                |scan: &PathBuf| print(&rules::example(scan, &said, &to, &workshop).map_err(Ended::Failed)?);
            scans.iter().try_for_each(make)
        }
        RulesCommand::Test { rules, on, choices } => {
            let rules = rules::load(&rules).map_err(Ended::Refused)?;
            let workshop = workshop(config, choices, None, Some(rules))?;
            on.iter().try_for_each(|scan| print(&rules::explain(scan, &workshop).map_err(Ended::Failed)?))
        }
    }
}

fn run_doctor(config: Option<PathBuf>, json: bool) -> Result<(), Ended> {
    let config = load(config)?;
    let findings = runtime()?.block_on(doctor::examine(&config));
    let lines = || findings.iter().map(|finding| format!("{}\n", finding.to_text())).collect();
    print(&if json { to_json(&findings) } else { lines() })?;
    if findings.iter().all(|finding| finding.works) { Ok(()) } else { Err(Ended::Told) }
}

fn run_enroll(config: Option<PathBuf>, url: &str, code: &str) -> Result<(), Ended> {
    let config = load(config)?;
    let enrolled = enroll::enroll(&config.state, &config.cloud, url, code);
    print(&runtime()?.block_on(enrolled).map_err(Ended::Failed)?.to_text())
}

fn load(config: Option<PathBuf>) -> Result<Config, Ended> {
    let file = config.as_deref().unwrap_or(Path::new(CONFIG_FILE));
    Config::load(file).map_err(Ended::Refused)
}

/// The state folder, and what opens it.
fn vault(config: &Config) -> Result<Vault, Ended> {
    Vault::open(config).map_err(Ended::Refused)
}

/// The workshop of a command that needs no configuration but heeds one that is named.
fn workshop(
    config: Option<PathBuf>,
    choices: Choices,
    jobs: Option<usize>,
    rules: Option<RuleSet>,
) -> Result<Workshop, Ended> {
    let config = match config {
        Some(_) => load(config)?,
        None => Config { capture: Options::default(), ..Config::default() },
    };
    let options = choices.over(config.capture);
    ocr::check_form(&options.languages).map_err(|what| {
        Ended::Refused(Complaint::new(
            format!("languages: {what}"),
            "nothing was begun",
            "name languages by their three letters, joined by `+`; `tesseract --list-langs` lists those installed",
        ))
    })?;
    let rules = match rules {
        Some(rules) => rules,
        None => rules::in_force(config.rules.as_deref()).map_err(Ended::Refused)?,
    };
    let limits = options.limits.clone();
    let workers = jobs.unwrap_or_else(|| config.workers.number());
    let pool = Pool::new(Program::this(&limits), workers, limits);
    let day = platen_capture::classify::day_of(jiff::Timestamp::now());
    Ok(Workshop { separation: config.separation, day, ..Workshop::new(pool, rules, options) })
}

fn runtime() -> Result<tokio::runtime::Runtime, Ended> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        let help = "check the limits on threads and open files of this user";
        Ended::Failed(Complaint::new(error.to_string(), "nothing was changed", help))
    })
}

fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("PLATEN_LOG");
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_writer(io::stderr).with_env_filter(filter).init();
}

fn to_json(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string(value).expect("plain values have a JSON form");
    text.push('\n');
    text
}

/// Prints to standard output; a reader that went away (`| head`) is no reason to complain.
fn print(text: &str) -> Result<(), Ended> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|_| Ended::Told)
}
