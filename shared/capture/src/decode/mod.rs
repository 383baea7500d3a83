//! Bytes of a file to pictures, one page at a time.

use std::fs::File;

use platen_model::{Failure, FailureClass, Stage};

use crate::inspection::Inspection;
use crate::options::Limits;

/// Finds out what a file is, from its bytes alone.
pub fn inspect(_file: &File, _limits: &Limits) -> Result<Inspection, Failure> {
    Err(Failure::new(FailureClass::Unsupported, Stage::Inspect, "no decoder yet"))
}
