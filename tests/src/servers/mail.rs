//! A mail server for one test: aiosmtpd on a loopback port, which keeps what it gets in a Maildir.
//!
//! `packaging/build-deps.sh --test` installs it beside the build. It ends with the test.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{free_address, tool};

/// Longest time the server may take to answer.
const START: Duration = Duration::from_secs(60);

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
        let mut command = Command::new("setpriv");
        command.arg("--pdeathsig=KILL").arg(tool("python")).args([
            "-m",
            "aiosmtpd",
            "--nosetuid",
            "--listen",
        ]);
        command.arg(address.to_string()).args(["--class", "aiosmtpd.handlers.Mailbox"]);
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
