//! Room for a signature in a finished PDF.

use std::fs::File;

use platen_model::{Failure, FailureClass, Stage};
use serde::{Deserialize, Serialize};

use crate::worker::protocol::SealInfo;

/// Where the signature goes in a prepared PDF.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealRoom {
    /// The `/ByteRange`: offset and length of the bytes before and after the signature.
    pub byte_range: [u64; 4],
}

/// The PDF with an incremental update that holds an empty signature, and where to write it.
pub fn prepare_seal(_source: &File, _seal: &SealInfo) -> Result<(Vec<u8>, SealRoom), Failure> {
    Err(Failure::new(FailureClass::Unsupported, Stage::Seal, "no seal yet"))
}
