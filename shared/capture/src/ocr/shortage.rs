//! Whether Leptonica was refused memory.
//!
//! It makes the pictures that Tesseract works on, and answers null where there is no memory for one. Tesseract then gives
//! up, reads less than there is, or crashes, and never says why. So memory for pictures is taken here, which is noted where
//! there is none: for who asks after it, and among the last words of a worker that dies of it.

#![expect(unsafe_code, reason = "it allocates for a C library")]

use std::cell::Cell;
use std::ffi::c_void;
use std::sync::Once;

use leptess::capi;

thread_local! {
    /// Whether memory was refused since that was last asked.
    static WAS_REFUSED: Cell<bool> = const { Cell::new(false) };
}

/// Has Leptonica take its memory here. What it took before is given back in the same way.
pub(super) fn watch() {
    static WATCHED: Once = Once::new();
    // SAFETY: both functions do what their names in C promise; done once, before any other call of ours.
    WATCHED.call_once(|| unsafe { capi::setPixMemoryManager(Some(allocate), Some(free)) });
}

/// Whether memory was refused to this thread since this was last called.
pub(super) fn was() -> bool {
    WAS_REFUSED.replace(false)
}

/// Whether there is room for so many bytes; it is noted where there is none.
pub(super) fn has_room(bytes: usize) -> bool {
    let has_room = Vec::<u8>::new().try_reserve_exact(bytes).is_ok();
    if !has_room {
        note(bytes);
    }
    has_room
}

fn note(bytes: usize) {
    WAS_REFUSED.set(true);
    // Whoever finds out what a worker died of knows these words.
    eprintln!("Cannot allocate memory: {bytes} bytes for a picture");
}

/// # Safety
///
/// None: it is `unsafe` for its type.
unsafe extern "C" fn allocate(bytes: usize) -> *mut c_void {
    // SAFETY: it has no preconditions.
    let memory = unsafe { libc::malloc(bytes) };
    if memory.is_null() {
        note(bytes);
    }
    memory
}

/// # Safety
///
/// As of `free`.
unsafe extern "C" fn free(memory: *mut c_void) {
    // SAFETY: the caller promises it.
    unsafe { libc::free(memory) }
}
