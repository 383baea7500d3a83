//! Servers of others that Platen works with, each private to the test that starts it.

pub mod postgres;
pub mod s3;

pub use postgres::Postgres;
pub use s3::S3;
