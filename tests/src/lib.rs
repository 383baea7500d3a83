//! What the end-to-end tests, the demo and the benchmarks share.
//!
//! A [`Site`] is one office: a cloud and an agent as real processes over real files in one folder. People
//! are played over HTTP ([`Person`], [`Signer`]) or in a real browser ([`Browser`]). Nothing here knows how
//! the programs work inside; it uses what users use. (The benchmarks of single steps are the exception.)

pub mod bench;
pub mod browser;
pub mod desk;
pub mod ends;
pub mod link;
pub mod lossy_disk;
pub mod person;
pub mod programs;
pub mod random;
pub mod scans;
pub mod servers;
pub mod signer;
pub mod site;
pub mod table;
pub mod viewers;
pub mod wait;
pub mod writers;

pub use browser::Browser;
pub use link::{Link, Weather};
pub use lossy_disk::LossyDisk;
pub use person::Person;
pub use programs::Programs;
pub use signer::Signer;
pub use site::Site;
