//! placeholder

pub mod evidence;
pub mod seal;
pub mod signing;
pub mod ui;
