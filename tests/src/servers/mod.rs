//! Servers of others that Platen works with, each private to the test that starts it.

pub mod postgres;

pub use postgres::Postgres;
