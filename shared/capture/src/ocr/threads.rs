//! Tesseract's parallel sections, one after the other.
//!
//! Tesseract divides its work among threads of OpenMP some hundred thousand times a page. A worker has one thread, on
//! purpose: several workers whose recognisers have threads wait for each other. But libgomp takes its locks for the
//! one thread all the same, which costs a fortieth of a page's time. So these six functions, all that Tesseract calls
//! of it, do the same here for one thread and no lock: they call what there is to be done, in order.
//!
//! They are exported by name (`build.rs` of each program that has workers sees to that). Where they are not found,
//! libgomp's own are called, and only time is lost.

#![expect(unsafe_code, reason = "it stands in for C functions")]

use std::cell::Cell;
use std::ffi::c_void;

/// Counts the calls, so that a test can tell whether Tesseract calls us.
#[cfg(test)]
pub(super) static CALLS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// What is done in parallel: a function and what it works on.
type Work = unsafe extern "C" fn(*mut c_void);

thread_local! {
    /// Of the sections that this thread is in: the next one, from 1, and how many there are.
    static SECTIONS: Cell<(u32, u32)> = const { Cell::new((1, 0)) };
}

/// Has the linker take the functions along: it leaves out what no code of ours refers to.
pub(super) fn stand_in() {
    std::hint::black_box([
        parallel as *const (),
        parallel_sections as *const (),
        next_section as *const (),
        end_of_sections as *const (),
        number_of_threads as *const (),
        number_of_this_thread as *const (),
    ]);
}

/// # Safety
///
/// As of `GOMP_parallel`: `work` may be called with `data`.
#[unsafe(export_name = "GOMP_parallel")]
unsafe extern "C" fn parallel(work: Work, data: *mut c_void, _threads: u32, _flags: u32) {
    #[cfg(test)]
    CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    // SAFETY: the caller promises it.
    unsafe { work(data) }
}

/// # Safety
///
/// As of `GOMP_parallel_sections`: `work` may be called with `data`, and asks for its sections by
/// `GOMP_sections_next`.
#[unsafe(export_name = "GOMP_parallel_sections")]
unsafe extern "C" fn parallel_sections(
    work: Work,
    data: *mut c_void,
    _threads: u32,
    count: u32,
    _flags: u32,
) {
    // Sections may lie within a section.
    let around = SECTIONS.replace((1, count));
    // SAFETY: the caller promises it.
    unsafe { work(data) }
    SECTIONS.set(around);
}

/// The number of the next section, from 1; 0 where there is none.
#[unsafe(export_name = "GOMP_sections_next")]
extern "C" fn next_section() -> u32 {
    let (next, count) = SECTIONS.get();
    if next > count {
        return 0;
    }
    SECTIONS.set((next + 1, count));
    next
}

#[unsafe(export_name = "GOMP_sections_end_nowait")]
extern "C" fn end_of_sections() {}

#[unsafe(export_name = "omp_get_num_threads")]
extern "C" fn number_of_threads() -> i32 {
    1
}

#[unsafe(export_name = "omp_get_thread_num")]
extern "C" fn number_of_this_thread() -> i32 {
    0
}
