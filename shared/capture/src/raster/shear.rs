//! Rotation by small angles, as three shears.
//!
//! A rotation is a shear along the rows, one along the columns and one along the rows again (Paeth, "A Fast
//! Algorithm for General Raster Rotation", 1986). Each shear only moves a row, or a column, by a fraction of
//! a pixel, and moving by a fraction is the same six multiplications for all its samples: the compiler makes
//! vector instructions of that, which it cannot do for a rotation that picks its samples one by one.
//!
//! The rotation happens in the picture's own memory, which grows by the slant of the first shear: a large
//! colour scan is not held twice. Rows that are finished wait in a queue until the rows that they replace
//! are needed no more.

use std::collections::VecDeque;
use std::f64::consts::PI;

use super::paper::Surroundings;

/// Samples that make up one interpolated sample: a Lanczos kernel of three lobes.
const TAPS: usize = 6;
/// The tap that lies on the sample before the place asked for.
const MIDDLE: usize = 2;
/// The taps of a kernel add up to this. Products and their sum fit 16 bits when samples count from -128 on.
const UNIT: i16 = 128;
/// Columns that are sheared together: one or two vector registers.
const LANES: usize = 16;
/// Taps of columns that move by at most one whole pixel more or less than their neighbours.
const USUAL_TAPS: usize = TAPS + 1;
/// Columns are sheared in tiles of this many lanes, so that their rows stay in the nearest cache.
const TILE: usize = 32;
/// Rows that are finished together.
const STRIP: usize = 32;
/// Pixels around a sheared row that only kernels reach.
const FRINGE: usize = 4;

/// Places between two samples that are told apart.
const PHASES: usize = 256;

type Kernel = [i16; TAPS];

/// Turns a picture of `N` samples a pixel counter-clockwise about its middle, into the middle of a picture
/// of the size `to`.
pub(super) fn rotated<const N: usize>(
    samples: Vec<u8>,
    from: (usize, usize),
    to: (usize, usize),
    counter_clockwise_deg: f32,
    surroundings: &Surroundings<N>,
) -> Vec<u8> {
    let angle = f64::from(counter_clockwise_deg).to_radians();
    let (along, across) = (-(angle / 2.0).tan(), angle.sin());
    let slant = (along.abs() * from.1.max(to.1) as f64).ceil() as usize;
    let width = (from.0.max(to.0) + slant + 2 * FRINGE).next_multiple_of(LANES);
    let kernels = Kernels::new();
    let upright = Shear { slope: along, width, from, to, kernels: &kernels };
    let mut samples = upright.slanted(samples, surroundings);
    let (above, below) = upright.beyond(surroundings);
    let columns = Columns::<N>::new(across, width, from.1, to.1, &kernels);

    let mut waiting = VecDeque::new();
    let mut written = 0;
    let mut strip = vec![0; STRIP * width * N];
    for first in (0..to.1).step_by(STRIP) {
        let rows = STRIP.min(to.1 - first);
        columns.sheared(&samples, &above, &below, first, &mut strip[..rows * width * N]);
        let mut finished = vec![0; rows * to.0 * N];
        for ((y, row), out) in
            (first..).zip(strip.chunks_exact(width * N)).zip(finished.chunks_exact_mut(to.0 * N))
        {
            upright.straightened::<N>(y, row, out);
        }
        waiting.push_back(finished);
        let still_needed = columns.first_row_needed(first + rows) * width * N;
        while waiting.front().is_some_and(|rows| written + rows.len() <= still_needed) {
            written += write(&mut samples[written..], waiting.pop_front().unwrap_or_default());
        }
    }
    for rows in waiting {
        written += write(&mut samples[written..], rows);
    }
    samples.truncate(written);
    samples
}

fn write(to: &mut [u8], rows: Vec<u8>) -> usize {
    to[..rows.len()].copy_from_slice(&rows);
    rows.len()
}

/// The shears along the rows.
struct Shear<'a> {
    kernels: &'a Kernels,
    slope: f64,
    /// Of the slanted picture, in pixels.
    width: usize,
    from: (usize, usize),
    to: (usize, usize),
}

impl Shear<'_> {
    /// How far to the right of the slanted picture's column 0 the source column 0 is sampled, in row `y`.
    fn first(&self, y: usize) -> f64 {
        middle(self.from.0) - middle(self.width) + self.slope * (y as f64 - middle(self.from.1))
    }

    /// The first shear, within the picture's own memory.
    fn slanted<const N: usize>(&self, mut samples: Vec<u8>, surroundings: &Surroundings<N>) -> Vec<u8> {
        let (width, height) = self.from;
        let (narrow, wide) = (width * N, self.width * N);
        let room = (wide * height).max(self.to.0 * self.to.1 * N);
        samples.reserve_exact(room - samples.len());
        samples.resize(room, 0);
        let lead = self.width + FRINGE;
        let mut row = vec![0; (2 * lead + width) * N];
        // From the last row up, because each row is longer than it was.
        for y in (0..height).rev() {
            row[..lead * N].as_chunks_mut::<N>().0.fill(surroundings.left[y]);
            row[lead * N..][..narrow].copy_from_slice(&samples[y * narrow..][..narrow]);
            row[lead * N + narrow..].as_chunks_mut::<N>().0.fill(surroundings.right[y]);
            let (whole, kernel) = self.kernels.split(self.first(y));
            let first = (lead as isize + whole) as usize - MIDDLE;
            moved::<N>(&row[first * N..], kernel, &mut samples[y * wide..][..wide]);
        }
        samples
    }

    /// The second shear along the rows.
    fn straightened<const N: usize>(&self, y: usize, row: &[u8], out: &mut [u8]) {
        let first = middle(self.width) - middle(self.to.0) + self.slope * (y as f64 - middle(self.to.1));
        let (whole, kernel) = self.kernels.split(first);
        moved::<N>(&row[(whole as usize - MIDDLE) * N..], kernel, out);
    }

    /// What lies above the first and below the last row of the slanted picture.
    fn beyond<const N: usize>(&self, surroundings: &Surroundings<N>) -> (Vec<u8>, Vec<u8>) {
        let row = |colours: &[[u8; N]], y: usize| {
            let first = self.first(y).round() as isize;
            let last = colours.len() as isize - 1;
            (0..self.width as isize).flat_map(|x| colours[(x + first).clamp(0, last) as usize]).collect()
        };
        (row(&surroundings.above, 0), row(&surroundings.below, self.from.1 - 1))
    }
}

/// The shear along the columns.
///
/// Neighbouring columns move by nearly the same distance. [`LANES`] of them are sheared together, with
/// kernels that are as much longer as their whole distances differ.
struct Columns<const N: usize> {
    blocks: Vec<Block>,
    /// Samples in a row.
    row: usize,
    /// Rows of the source.
    height: usize,
}

struct Block {
    /// The row under the first tap for the output's row 0.
    first: isize,
    taps: Vec<[i16; LANES]>,
}

impl<const N: usize> Columns<N> {
    fn new(slope: f64, width: usize, from_height: usize, to_height: usize, kernels: &Kernels) -> Self {
        let place = |sample: usize| {
            let x = (sample / N).min(width - 1) as f64;
            kernels.split(middle(from_height) - middle(to_height) + slope * (x - middle(width)))
        };
        let block = |block: usize| {
            let lanes: [(isize, Kernel); LANES] = std::array::from_fn(|lane| place(block * LANES + lane));
            let least = lanes.iter().map(|lane| lane.0).min().unwrap_or(0);
            let most = lanes.iter().map(|lane| lane.0).max().unwrap_or(0);
            let mut taps = vec![[0; LANES]; ((most - least) as usize + TAPS).max(USUAL_TAPS)];
            for (lane, (whole, kernel)) in lanes.iter().enumerate() {
                for (tap, weight) in kernel.iter().enumerate() {
                    taps[(whole - least) as usize + tap][lane] = *weight;
                }
            }
            Block { first: least - MIDDLE as isize, taps }
        };
        let row = width * N;
        Self { blocks: (0..row / LANES).map(block).collect(), row, height: from_height }
    }

    /// The first row of the source that the output's rows from `y` on need.
    fn first_row_needed(&self, y: usize) -> usize {
        let least = self.blocks.iter().map(|block| block.first).min().unwrap_or(0);
        (y as isize + least).clamp(0, self.height as isize) as usize
    }

    /// Makes the output's rows from `first` on.
    fn sheared(&self, samples: &[u8], above: &[u8], below: &[u8], first: usize, out: &mut [u8]) {
        let row = |y: isize| match usize::try_from(y) {
            Err(_) => above,
            Ok(y) if y < self.height => &samples[y * self.row..][..self.row],
            Ok(_) => below,
        };
        for (tile, blocks) in self.blocks.chunks(TILE).enumerate() {
            for (y, out) in (first..).zip(out.chunks_exact_mut(self.row)) {
                let out = out[tile * TILE * LANES..].as_chunks_mut::<LANES>().0;
                for ((block, out), number) in blocks.iter().zip(out).zip(tile * TILE..) {
                    let at = number * LANES;
                    let first = y as isize + block.first;
                    let end = first + block.taps.len() as isize;
                    let mut sums = [0i16; LANES];
                    if first >= 0 && end <= self.height as isize {
                        let rows = &samples[first as usize * self.row + at..];
                        match block.taps.first_chunk::<USUAL_TAPS>() {
                            // A loop of known length, which is twice as fast, does for skews up to 3 degrees.
                            Some(taps) if block.taps.len() == USUAL_TAPS => {
                                for (tap, taps) in taps.iter().enumerate() {
                                    add(&mut sums, taps, &rows[tap * self.row..]);
                                }
                            }
                            _ => {
                                for (tap, taps) in block.taps.iter().enumerate() {
                                    add(&mut sums, taps, &rows[tap * self.row..]);
                                }
                            }
                        }
                    } else {
                        for (taps, y) in block.taps.iter().zip(first..) {
                            add(&mut sums, taps, &row(y)[at..]);
                        }
                    }
                    *out = sums.map(sample);
                }
            }
        }
    }
}

fn add(sums: &mut [i16; LANES], taps: &[i16; LANES], samples: &[u8]) {
    let Some(samples) = samples.first_chunk::<LANES>() else { return };
    for lane in 0..LANES {
        sums[lane] = sums[lane].wrapping_add(taps[lane].wrapping_mul(i16::from(samples[lane])));
    }
}

/// A row, moved by a fraction of a pixel: `row` begins with the sample under the first tap.
fn moved<const N: usize>(row: &[u8], kernel: Kernel, out: &mut [u8]) {
    let taps: [&[u8]; TAPS] = std::array::from_fn(|tap| &row[tap * N..][..out.len()]);
    for (at, out) in out.iter_mut().enumerate() {
        let mut sum = 0i16;
        for tap in 0..TAPS {
            sum = sum.wrapping_add(kernel[tap].wrapping_mul(i16::from(taps[tap][at])));
        }
        *out = sample(sum);
    }
}

/// The sample that a sum of weighted samples comes to.
///
/// The sum of all samples may pass 16 bits and wrap around; counted from the middle gray it may not.
fn sample(sum: i16) -> u8 {
    let from_middle = sum.wrapping_sub(128 * UNIT - UNIT / 2) >> UNIT.trailing_zeros();
    (from_middle + 128).clamp(0, 255) as u8
}

/// The middle of so many pixels, counted from the middle of the first.
fn middle(length: usize) -> f64 {
    (length as f64 - 1.0) / 2.0
}

/// The kernels for moving by parts of a pixel.
struct Kernels([Kernel; PHASES]);

impl Kernels {
    fn new() -> Self {
        Self(std::array::from_fn(|phase| Self::kernel(phase as f64 / PHASES as f64)))
    }

    /// A distance as whole pixels, and the kernel for the rest.
    fn split(&self, distance: f64) -> (isize, Kernel) {
        let phases = (distance * PHASES as f64).round() as isize;
        (phases.div_euclid(PHASES as isize), self.0[phases.rem_euclid(PHASES as isize) as usize])
    }

    fn kernel(fraction: f64) -> Kernel {
        let lanczos = |x: f64| {
            if x.abs() < 1e-9 { 1.0 } else { 3.0 * (PI * x).sin() * (PI * x / 3.0).sin() / (PI * x).powi(2) }
        };
        let weights: [f64; TAPS] = std::array::from_fn(|tap| lanczos(tap as f64 - MIDDLE as f64 - fraction));
        let sum: f64 = weights.iter().sum();
        let mut kernel = weights.map(|weight| (weight / sum * f64::from(UNIT)).round() as i16);
        // What rounding lost goes to the nearer sample, so that flat areas keep their value.
        let nearer = if fraction < 0.5 { MIDDLE } else { MIDDLE + 1 };
        kernel[nearer] += UNIT - kernel.iter().sum::<i16>();
        kernel
    }
}
