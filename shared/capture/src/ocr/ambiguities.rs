//! Ambiguities between characters, which the network does not use.
//!
//! Whenever Tesseract loads a language, it also parses a table of its own of what may be confused with what, and sorts
//! it into lists: most of the time that loading takes, and a twelfth of a call that reads one page. Only the recogniser of Tesseract 3 looks at that table; the network that reads our pages does not, nor
//! does the model of orientation. So the function that parses it does nothing here, and the table stays as it was
//! made: empty.
//!
//! The symbol's name holds the types of its arguments. A Tesseract that has another function would not find ours, call
//! its own, and lose only the time.

#![expect(unsafe_code, reason = "it stands in for a C++ method")]

use std::ffi::c_void;

/// Counts the languages, so that a test can tell whether Tesseract calls us.
#[cfg(test)]
pub(super) static LANGUAGES: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// Has the linker take the function along: it leaves out what no code of ours refers to.
pub(super) fn stand_in() {
    std::hint::black_box(load_universal as *const ());
}

/// `tesseract::UnicharAmbigs::LoadUniversal(UNICHARSET const&, UNICHARSET*)`
#[unsafe(export_name = "_ZN9tesseract13UnicharAmbigs13LoadUniversalERKNS_10UNICHARSETEPS1_")]
extern "C" fn load_universal(_this: *mut c_void, _encoder_set: *const c_void, _unichar_set: *mut c_void) {
    #[cfg(test)]
    LANGUAGES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
}
