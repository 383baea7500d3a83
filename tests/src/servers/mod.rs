//! Servers of others that Platen works with, each private to the test that starts it.

pub mod mail;
pub mod postgres;
pub mod s3;

pub use mail::Mail;
pub use postgres::Postgres;
pub use s3::S3;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

/// A program that `packaging/build-deps.sh --test` installed beside the build that this test is part of.
pub fn tool(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test is a program");
    let found = test.ancestors().map(|folder| folder.join("test-tools/bin").join(name)).find(|p| p.exists());
    found.unwrap_or_else(|| {
        panic!("{name} is a need of the tests: packaging/build-deps.sh --test installs it")
    })
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound")
}
