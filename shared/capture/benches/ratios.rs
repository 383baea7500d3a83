//! A guard against slow mistakes in the steps that every page goes through, on any machine.
//!
//! A step's processor time is taken beside that of a plain pass over the same page, turn by turn in one run. The ratio of
//! the two hardly depends on the machine; where it passes the bound that stands here, the run fails and names the step.
//! `make bench-guard` runs it. The bounds are some three times what was measured: noise does not pass them, a step that goes over
//! the page several times more does.

mod pages;

use std::hint::black_box;
use std::process::ExitCode;

use image::GrayImage;
use pages::{BITONAL, JPEG, SKEW_DEG, as_gray, decoded, gray};
use platen_capture::decode::{Chroma, Samples};
use platen_capture::raster::encode;
use platen_capture::raster::measures::{Marks, rectified, turned_by_quarters};
use rustix::time::{ClockId, clock_gettime};

/// How often each step is taken; its fastest counts.
const ROUNDS: u32 = 15;

/// A step of page processing.
struct Step {
    name: &'static str,
    /// The page that it goes over.
    page: &'static str,
    /// It may take no longer than so many plain passes over that page.
    passes_max: f64,
    run: Box<dyn Fn()>,
}

fn steps() -> Vec<Step> {
    let step = |name, page, passes_max, run| Step { name, page, passes_max, run };
    let page = || (gray(BITONAL), Marks::of(&gray(BITONAL)));
    let (seen, cleaned, judged) = (page(), page(), page());
    let (marks, straight) = (page().1, page().1);
    let (skewed, turned) = (decoded(BITONAL).samples, as_gray(BITONAL));
    let (dots, shades, photo) = (decoded(BITONAL).samples, as_gray(BITONAL), decoded(JPEG));
    vec![
        step("decode", BITONAL, 2.0, Box::new(|| drop(black_box(decoded(BITONAL))))),
        step("decode", JPEG, 28.0, Box::new(|| drop(black_box(decoded(JPEG))))),
        step("find_marks", BITONAL, 4.0, Box::new(move || drop(black_box(Marks::of(&seen.0))))),
        step(
            "find_skew",
            BITONAL,
            3.5,
            Box::new(move || {
                black_box(marks.skew_deg());
            }),
        ),
        step(
            "judge_blank",
            BITONAL,
            0.2,
            Box::new(move || {
                black_box(judged.1.are_of_blank(&judged.0));
            }),
        ),
        step(
            "clean_for_reading",
            BITONAL,
            4.0,
            Box::new(move || drop(black_box(cleaned.1.cleaned(&cleaned.0)))),
        ),
        step(
            "tell_a_scan_from_a_photo",
            JPEG,
            3.5,
            Box::new(move || drop(black_box(rectified(photo.clone())))),
        ),
        step(
            "straighten",
            BITONAL,
            30.0,
            Box::new(move || drop(black_box(straight.straightened(skewed.clone(), SKEW_DEG)))),
        ),
        step(
            "turn_by_a_quarter",
            BITONAL,
            6.0,
            Box::new(move || drop(black_box(turned_by_quarters(turned.clone(), 90)))),
        ),
        step("encode_group_4", BITONAL, 9.0, Box::new(move || encoded(&dots))),
        step("encode_jpeg", BITONAL, 35.0, Box::new(move || encoded(&shades))),
        step("bind_a_page", BITONAL, 1.0, Box::new(pages::binding())),
    ]
}

fn encoded(samples: &Samples) {
    drop(black_box(encode::plain(samples, Chroma::Full).expect("it is coded")));
}

/// The plain pass: each pixel of the page is looked up in a table and put down.
fn pass(page: &GrayImage, table: &[u8; 256], target: &mut Vec<u8>) {
    target.clear();
    target.extend(page.as_raw().iter().map(|&sample| table[usize::from(sample)]));
    black_box(target);
}

/// Processor time that this takes, in nanoseconds.
fn time_ns(run: impl FnOnce()) -> i64 {
    let now = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec * 1_000_000_000 + time.tv_nsec
    };
    let begin = now();
    run();
    now() - begin
}

/// How many plain passes over its page a step takes.
fn passes(step: &Step) -> f64 {
    let (page, mut target) = (gray(step.page), Vec::new());
    let table: [u8; 256] = std::array::from_fn(|level| black_box(255 - level as u8));
    let mut least = (i64::MAX, i64::MAX);
    // Both once more than is counted: the first finds no memory and nothing in caches.
    for round in 0..=ROUNDS {
        let (one, other) = (time_ns(|| (step.run)()), time_ns(|| pass(&page, &table, &mut target)));
        if round > 0 {
            least = (least.0.min(one), least.1.min(other));
        }
    }
    least.0 as f64 / least.1.max(1) as f64
}

fn main() -> ExitCode {
    let mut slow = 0u32;
    for step in steps() {
        let passes = passes(&step);
        let is_slow = passes > step.passes_max;
        slow += u32::from(is_slow);
        let said = if is_slow { "  TOO SLOW" } else { "" };
        println!(
            "{:<26} {:<18} {passes:>8.1} of {:>6.1} passes{said}",
            step.name, step.page, step.passes_max
        );
    }
    if slow == 0 {
        return ExitCode::SUCCESS;
    }
    eprintln!("{slow} steps take longer than their bounds in benches/ratios.rs allow");
    ExitCode::FAILURE
}
