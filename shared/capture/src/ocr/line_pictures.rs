//! How Tesseract keeps the picture of a line.
//!
//! Tesseract 5.3 cuts each line of text out of the page, writes it as a PNG into memory and reads that PNG again
//! a moment later: about a tenth of the time a page takes, for nothing. (Later releases can be built to keep
//! the picture instead.) It does so through Leptonica's `pixWriteMem`, and a program's own function of
//! that name comes before a library's. Ours writes Leptonica's uncompressed `spix` format, which `pixReadMem`
//! knows by its first bytes: the same samples, without the compression. Were the function not found, the
//! library's own would be called, and only time would be lost.

#![expect(unsafe_code, reason = "it stands in for a C function")]

use leptess::capi;

/// Counts the pictures, so that a test can tell whether Tesseract calls us.
#[cfg(test)]
pub(super) static KEPT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// Has the linker take the function along: it leaves out what no code of ours refers to.
pub(super) fn stand_in() {
    std::hint::black_box(pixWriteMem as *const ());
}

/// Keeps a picture in memory, uncompressed, whatever `_format` is asked for. Tesseract asks for PNG, here and
/// nowhere else, and nothing else in a worker writes pictures through Leptonica.
///
/// # Safety
///
/// As of `pixWriteMem`: `data` and `size` point to places to write to, and `picture` to a live picture.
#[unsafe(no_mangle)]
unsafe extern "C" fn pixWriteMem(
    data: *mut *mut u8,
    size: *mut usize,
    picture: *mut capi::Pix,
    _format: i32,
) -> i32 {
    #[cfg(test)]
    KEPT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    // SAFETY: the caller keeps the same promises that this function asks for.
    unsafe { capi::pixWriteMemSpix(data, size, picture) }
}
