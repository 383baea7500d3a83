//! Tesseract through leptess' raw interface.

/// Recognisers by language set, made once and reused.
#[derive(Debug, Default)]
pub struct Engines {}
