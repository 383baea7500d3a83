//! A PostgreSQL server for one test: Debian's programs, a folder of its own, a Unix socket, no port.
//!
//! The server refuses to run as root, so there it runs as `nobody`. It ends with the test: when the value is
//! dropped, and by the kernel's hand (`PR_SET_PDEATHSIG`) when the test is killed. Its folder is a copy of one
//! that `initdb` made once beside the test program: that takes a tenth of the time.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use platen_model::durable;
use rustix::process::{Pid, Signal, kill_process};

/// The server's super user, who needs no password.
const USER: &str = "platen";
/// Longest time a server may take to answer.
const START: Duration = Duration::from_secs(60);

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    child: Child,
    folder: tempfile::TempDir,
}

impl Postgres {
    /// Starts a server and waits until it answers. Panics with the server's own words where it does not.
    pub fn start() -> Self {
        // Nothing here must outlive the test.
        Self::start_with(&["fsync=off", "full_page_writes=off", "shared_buffers=32MB"])
    }

    /// Starts one that commits to stable storage, with room for many rows: for benchmarks.
    pub fn start_durable() -> Self {
        Self::start_with(&["shared_buffers=512MB", "max_wal_size=2GB"])
    }

    fn start_with(more: &[&str]) -> Self {
        let programs = programs();
        let folder = tempfile::Builder::new().prefix("platen-pg-").tempdir().expect("a folder");
        copy(&template(&programs), &folder.path().join("data"));
        if is_root() {
            run(Command::new("chown").arg("nobody:nogroup").arg(folder.path()));
        }
        let log = File::create(folder.path().join("log")).expect("a log");
        let settings = ["listen_addresses=", "max_connections=100"];
        let mut command = as_server(&programs.join("postgres"));
        command.arg("-D").arg(folder.path().join("data")).arg("-k").arg(folder.path());
        for setting in settings.iter().chain(more) {
            command.args(["-c", setting]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().expect("setpriv is in util-linux");
        let mut server = Self { programs, child, folder };
        server.wait_until_it_answers();
        server
    }

    /// The address of the database that is there from the beginning, and empty.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The address of a new, empty database.
    pub fn new_database(&self, name: &str) -> String {
        run(Command::new(self.programs.join("createdb"))
            .args(["-U", USER, "-h"])
            .arg(self.folder.path())
            .arg(name));
        self.url_of(name)
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://{USER}@localhost/{database}?host={}", self.folder.path().display())
    }

    fn wait_until_it_answers(&mut self) {
        let end = Instant::now() + START;
        loop {
            let mut ask = Command::new(self.programs.join("pg_isready"));
            ask.arg("-q").arg("-h").arg(self.folder.path());
            if ask.status().expect("pg_isready is beside postgres").success() {
                return;
            }
            let ended = self.child.try_wait().expect("our child");
            if ended.is_some() || Instant::now() > end {
                let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                panic!("the database server does not answer ({ended:?}):\n{log}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // An immediate shutdown: what is in the folder is thrown away with it.
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process(pid, Signal::QUIT);
        }
        let status = self.child.wait().expect("our child");
        debug_assert!(status.success() || status.signal().is_some(), "{status}");
    }
}

/// Where Debian keeps the newest server's programs.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .expect("PostgreSQL is a need of the tests: packaging/build-deps.sh --test installs it");
    Path::new("/usr/lib/postgresql").join(newest.to_string()).join("bin")
}

/// A data folder as `initdb` leaves it, made by the first who asks.
fn template(programs: &Path) -> PathBuf {
    let program = std::env::current_exe().expect("a test is a program");
    let beside = program.parent().expect("in a folder");
    let template = beside.join("postgres-data");
    let lock = File::create(beside.join("postgres-data.lock")).expect("a lock file");
    lock.lock().expect("a lock");
    if !template.is_dir() {
        let making = tempfile::Builder::new().prefix("platen-pg-").tempdir().expect("a folder");
        if is_root() {
            run(Command::new("chown").arg("nobody:nogroup").arg(making.path()));
        }
        let data = making.path().join("data");
        run(as_server(&programs.join("initdb"))
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--wal-segsize=1"])
            .args(["-U", USER, "-D"])
            .arg(&data));
        let half = beside.join("postgres-data.half");
        run(Command::new("rm").arg("-rf").arg(&half));
        copy(&data, &half);
        durable::rename(&half, &template).expect("in one folder");
    }
    template
}

fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").arg("--archive").arg("--reflink=auto").arg(from).arg(to));
}

/// A command that may not be root, and that ends when its parent does.
fn as_server(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig=QUIT");
    if is_root() {
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]);
    }
    command.arg(program);
    command
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
