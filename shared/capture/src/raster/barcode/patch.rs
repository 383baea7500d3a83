//! Patch codes: four parallel bars, two of them wide, by which scanners and programs part documents.
//!
//! A bar or a space is 0.08 inches wide, a wide bar 0.20, and the whole code 0.80: ten units of which each space and
//! each narrow bar takes one. The scan lines look for that proportion at any size from a half to double. Ink that
//! spreads makes bars wider and spaces narrower by the same amount, so it is the whole that gives the unit.
//!
//! T and 3 are each other's mirror image, as are 1 and 6: the direction of reading matters. Sheets carry their codes
//! along their edges, to be read from the edge inward whichever edge goes first, and so they are read here.

use image::GrayImage;
use platen_model::{Barcode, Rect};

use super::scan_line;
use crate::separate::Patch;

/// Units in a code.
const UNITS: f32 = 10.0;
/// How long the four bars may be taken together, in inches; 0.8 by the standard.
const LENGTH_INCHES: std::ops::RangeInclusive<f32> = 0.4..=1.7;
/// The distance between scan lines, in inches.
const LINE_INCHES: f32 = 0.25;
/// So many neighbouring lines must read the same: bars are at least two inches long, three quarters by some makers.
const LINES_MIN: usize = 3;
/// How far a code may shift from line to line, in units: a skew of some ten degrees.
const SHIFT_UNITS: f32 = 1.0;
/// Units before and behind a code in which there is no other bar.
const QUIET_UNITS: f32 = 2.8;

/// A code on one scan line: where it begins and ends along it.
#[derive(Clone, Copy, Debug)]
struct Hit {
    wide: [bool; 4],
    start: f32,
    end: f32,
}

/// The codes of a page.
pub(super) fn find(page: &GrayImage, dpi: u32) -> Vec<Barcode> {
    let step = ((dpi as f32 * LINE_INCHES) as u32).max(4);
    let lengths = (*LENGTH_INCHES.start() * dpi as f32, *LENGTH_INCHES.end() * dpi as f32);
    let (width, height) = page.dimensions();
    let row = |y: u32| -> Vec<u8> { page.as_raw()[(y * width) as usize..][..width as usize].to_vec() };
    let column =
        |x: u32| -> Vec<u8> { page.as_raw()[x as usize..].iter().step_by(width as usize).copied().collect() };
    let places = |most: u32| (step / 2..most).step_by(step as usize);
    let across: Vec<(u32, Vec<Hit>)> = places(height).map(|y| (y, hits(&row(y), lengths))).collect();
    let down: Vec<(u32, Vec<Hit>)> = places(width).map(|x| (x, hits(&column(x), lengths))).collect();

    let mut codes = Vec::new();
    for track in tracks(&across) {
        let (start, end) = (track.start as u32, track.end as u32);
        let rect = Rect { x: start, y: track.first, w: end - start, h: track.last - track.first };
        codes.push(code(&track, width, rect));
    }
    for track in tracks(&down) {
        let (start, end) = (track.start as u32, track.end as u32);
        let rect = Rect { x: track.first, y: start, w: track.last - track.first, h: end - start };
        codes.push(code(&track, height, rect));
    }
    codes
}

/// The code of a track on lines of this length.
fn code(track: &Track, length: u32, rect: Rect) -> Barcode {
    let mut wide = track.wide;
    // Read from the nearer edge inward.
    if (track.start + track.end) / 2.0 > length as f32 / 2.0 {
        wide.reverse();
    }
    let name = Patch::ALL.iter().find(|patch| patch.wide_bars() == wide).map_or("", |patch| patch.name());
    Barcode { symbology: "patch".into(), text: name.into(), rect }
}

/// The same code on neighbouring lines.
#[derive(Clone, Copy, Debug)]
struct Track {
    wide: [bool; 4],
    /// Along the lines.
    start: f32,
    end: f32,
    /// The lines, by their places.
    first: u32,
    last: u32,
    /// Where it was on the last line.
    latest: Hit,
    lines: usize,
}

fn tracks(lines: &[(u32, Vec<Hit>)]) -> Vec<Track> {
    let (mut open, mut done): (Vec<Track>, Vec<Track>) = (Vec::new(), Vec::new());
    for (place, hits) in lines {
        let mut next = Vec::new();
        for &hit in hits {
            let shift = (hit.end - hit.start) / UNITS * SHIFT_UNITS;
            let same = open.iter().position(|track| {
                track.wide == hit.wide && (track.latest.start - hit.start).abs() <= shift.max(2.0)
            });
            next.push(match same.map(|at| open.swap_remove(at)) {
                Some(track) => Track {
                    start: track.start.min(hit.start),
                    end: track.end.max(hit.end),
                    last: *place,
                    latest: hit,
                    lines: track.lines + 1,
                    ..track
                },
                None => Track {
                    wide: hit.wide,
                    start: hit.start,
                    end: hit.end,
                    first: *place,
                    last: *place,
                    latest: hit,
                    lines: 1,
                },
            });
        }
        done.append(&mut open);
        open = next;
    }
    done.append(&mut open);
    done.retain(|track| track.lines >= LINES_MIN);
    done
}

/// The codes on one scan line.
fn hits(line: &[u8], (shortest, longest): (f32, f32)) -> Vec<Hit> {
    let Some(threshold) = scan_line::threshold(line) else { return Vec::new() };
    let runs = scan_line::runs(line, threshold);
    // Each run of ink with the three that follow it; paper, or the edge of the page, before and behind.
    let bars: Vec<(f32, f32)> =
        runs.iter().filter(|run| run.is_ink).map(|run| (run.start as f32, run.end as f32)).collect();
    let mut hits = Vec::new();
    for (at, four) in bars.windows(4).enumerate() {
        let (start, end) = (four[0].0, four[3].1);
        if !(shortest..=longest).contains(&(end - start)) {
            continue;
        }
        let unit = (end - start) / UNITS;
        let before = bars[..at].last().filter(|bar| start - bar.1 < QUIET_UNITS * unit);
        let behind = bars.get(at + 4).filter(|bar| bar.0 - end < QUIET_UNITS * unit);
        // A thin line may come near, as the frame of a sheet does; another bar makes it another code.
        let is_bar = |bar: &(f32, f32)| bar.1 - bar.0 >= 0.4 * unit;
        if before.into_iter().chain(behind).any(is_bar) {
            continue;
        }
        let spaces_fit = four.windows(2).all(|pair| {
            let space = (pair[1].0 - pair[0].1) / unit;
            (0.5..=1.5).contains(&space)
        });
        let widths = [0, 1, 2, 3].map(|bar| (four[bar].1 - four[bar].0) / unit);
        let bars_fit =
            widths.iter().all(|&width| (0.5..=1.55).contains(&width) || (1.9..=3.1).contains(&width));
        let wide = widths.map(|width| width > 1.7);
        if spaces_fit && bars_fit && wide.iter().filter(|&&wide| wide).count() == 2 {
            hits.push(Hit { wide, start, end });
        }
    }
    hits
}
