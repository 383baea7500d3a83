//! placeholder

pub mod seal;
