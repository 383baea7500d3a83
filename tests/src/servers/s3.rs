//! An S3-speaking server for one test: moto's, on a loopback port, forgetting everything at its end.
//!
//! `packaging/build-deps.sh --test` installs it beside the build. It ends with the test: when the value is
//! dropped, and by the kernel's hand when the test is killed.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{free_address, tool};

/// Longest time the server may take to answer.
const START: Duration = Duration::from_secs(60);

/// A running server.
#[derive(Debug)]
pub struct S3 {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl S3 {
    /// Starts a server. Panics with its own words where it does not answer.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("platen-s3-").tempdir().expect("a folder");
        let log = folder.path().join("log");
        let address = free_address();
        let mut command = Command::new("setpriv");
        command.arg("--pdeathsig=KILL").arg(tool("moto_server"));
        command.args(["--host", "127.0.0.1", "--port", &address.port().to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log).expect("a log"));
        let mut child = command.spawn().expect("setpriv is in util-linux");
        let end = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            if child.try_wait().expect("our child").is_some() || Instant::now() > end {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                panic!("the S3 server does not answer:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, address, _folder: folder }
    }

    /// Where it is: `http://127.0.0.1:…`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What a program that uses it finds in its environment.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT", self.url()),
            ("AWS_ALLOW_HTTP", "true".into()),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_ACCESS_KEY_ID", "platen".into()),
            ("AWS_SECRET_ACCESS_KEY", "platen".into()),
        ]
    }

    /// Makes an empty bucket.
    pub fn make_bucket(&self, name: &str) {
        // A request without a signature is enough for this server.
        let status = Command::new("curl")
            .args(["--silent", "--fail", "--output", "/dev/null", "--request", "PUT"])
            .arg(format!("{}/{name}", self.url()))
            .status();
        assert!(status.is_ok_and(|status| status.success()), "cannot make the bucket {name}");
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
