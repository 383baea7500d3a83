//! A mail server for one test: aiosmtpd on a loopback port, which keeps what it gets in a Maildir.
//!
//! It refuses every `refused@…` for good and every `later@…` for now. `packaging/build-deps.sh --test` installs it
//! beside the build. It ends with the test.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{free_address, tool};

/// Longest time the server may take to answer.
const START: Duration = Duration::from_secs(60);

/// What it does with a letter.
const HANDLER: &str = "
from aiosmtpd.handlers import Mailbox

class Office(Mailbox):
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith('refused@'):
            return '550 5.1.1 There is no such mailbox'
        if address.startswith('later@'):
            return '451 4.3.0 Not now'
        envelope.rcpt_tos.append(address)
        return '250 OK'
";

/// A running server.
#[derive(Debug)]
pub struct Mail {
    child: Child,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Mail {
    /// Starts a server.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("platen-mail-").tempdir().expect("a folder");
        let address = free_address();
        std::fs::write(folder.path().join("office.py"), HANDLER).expect("written");
        let mut command = Command::new("setpriv");
        command.env("PYTHONPATH", folder.path());
        command.arg("--pdeathsig=KILL").arg(tool("python")).args([
            "-m",
            "aiosmtpd",
            "--nosetuid",
            "--listen",
        ]);
        command.arg(address.to_string()).args(["--class", "office.Office"]);
        command.arg(folder.path().join("box")).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.spawn().expect("setpriv is in util-linux");
        let end = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            let ended = child.try_wait().expect("our child");
            assert!(ended.is_none() && Instant::now() < end, "the mail server does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, address, folder }
    }

    /// Where it is: `smtp://127.0.0.1:…`.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// The messages it took, whole.
    pub fn letters(&self) -> Vec<String> {
        let folder: PathBuf = self.folder.path().join("box/new");
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        entries.map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).expect("text")).collect()
    }
}

impl Drop for Mail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
