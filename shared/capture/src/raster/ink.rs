//! The marks on a page: connected pieces of ink, on a reduced black and white copy.
//!
//! Everything that is measured about a page (which way it lies, how crooked it is, whether it is blank, how
//! large its text is) is measured on these marks, never on the page's own pixels. The threshold is local, so
//! that shadows, tinted paper and the inside of photographs and scanner borders leave no ink.

use image::GrayImage;

/// The longer side of the reduced copy is about this many pixels: 150 to 200 dots an inch for office paper.
const LONG_SIDE_PX: u32 = 1_700;
/// Ink is darker than this part of its neighbourhood's mean.
const DARKER_THAN_MEAN: f32 = 0.86;
/// Half the side of the neighbourhood, as a part of the longer side.
const NEIGHBOURHOOD: u32 = 48;
/// Marks of fewer pixels are dust.
const DUST_PX: u32 = 5;

/// A horizontal run of ink: row, first column, the column behind the last, and its mark.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) y: u32,
    pub(super) x0: u32,
    pub(super) x1: u32,
    pub(super) mark: u32,
}

/// One connected piece of ink, by its box in reduced pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) x0: u32,
    pub(super) y0: u32,
    /// Behind the last column.
    pub(super) x1: u32,
    /// Behind the last row.
    pub(super) y1: u32,
    /// Pixels of ink.
    pub(super) area: u32,
}

impl Mark {
    pub(super) fn width(&self) -> u32 {
        self.x1 - self.x0
    }

    pub(super) fn height(&self) -> u32 {
        self.y1 - self.y0
    }
}

/// The marks of a page.
#[derive(Debug)]
pub(super) struct Ink {
    /// Width of the reduced copy.
    pub(super) width: u32,
    /// Height of the reduced copy.
    pub(super) height: u32,
    /// Page pixels for each reduced pixel.
    pub(super) reduction: u32,
    pub(super) runs: Vec<Run>,
    pub(super) marks: Vec<Mark>,
}

impl Ink {
    /// Finds the marks of a page.
    pub(super) fn of(page: &GrayImage) -> Self {
        let long = page.width().max(page.height());
        let reduction = ((f64::from(long) / f64::from(LONG_SIDE_PX)).round() as u32).max(1);
        let reduced = reduced(page, reduction);
        let runs = runs(&reduced);
        let (runs, marks) = connected(runs);
        let (width, height) = reduced.dimensions();
        Self { width, height, reduction, runs, marks }
    }

    /// Marks that may be characters or words: neither dust nor rules, pictures or borders.
    pub(super) fn text_like(&self) -> impl Iterator<Item = (usize, &Mark)> {
        let long = self.width.max(self.height);
        let (tallest, widest) = (long / 18, long / 7);
        self.marks.iter().enumerate().filter(move |(_, mark)| {
            let (width, height) = (mark.width(), mark.height());
            mark.area >= DUST_PX
                && width.min(height) >= 2
                && width.max(height) >= 5
                && width.max(height) <= widest
                && width.min(height) <= tallest
                // Characters fill a good part of their box; the frame of a table does not.
                && mark.area * 12 >= width * height
        })
    }

    /// The typical height of a character in page pixels, where there are enough to say.
    pub(super) fn character_height_px(&self, lines_are_vertical: bool) -> Option<f32> {
        let height = |mark: &Mark| if lines_are_vertical { mark.width() } else { mark.height() };
        let mut heights: Vec<(u32, u32)> =
            self.text_like().map(|(_, mark)| (height(mark), mark.area)).collect();
        if heights.len() < 20 {
            return None;
        }
        // Weighed by ink: specks are many, but they are small.
        heights.sort_unstable();
        let half = heights.iter().map(|(_, area)| area).sum::<u32>() / 2;
        let mut seen = 0;
        let usual = heights.iter().find(|(_, area)| {
            seen += area;
            seen > half
        });
        usual.map(|(height, _)| (height * self.reduction) as f32)
    }
}

/// The page in smaller: each pixel the mean of a square.
fn reduced(page: &GrayImage, by: u32) -> GrayImage {
    if by == 1 {
        return page.clone();
    }
    let (width, height) = ((page.width() / by).max(1), (page.height() / by).max(1));
    let stride = page.width() as usize;
    let by = (by as usize).min(page.width() as usize).min(page.height() as usize);
    let samples = page.as_raw();
    let mut small = Vec::with_capacity(width as usize * height as usize);
    for y in 0..height as usize {
        for x in 0..width as usize {
            let rows = (0..by).map(|row| (y * by + row) * stride + x * by);
            let sum: u32 = rows.flat_map(|at| &samples[at..at + by]).map(|&sample| u32::from(sample)).sum();
            small.push((sum / (by * by) as u32) as u8);
        }
    }
    GrayImage::from_raw(width, height, small).expect("one sample for each pixel was made")
}

/// The runs of pixels that are darker than their neighbourhood.
fn runs(page: &GrayImage) -> Vec<Run> {
    let (width, height) = (page.width() as usize, page.height() as usize);
    let reach = (width.max(height) / NEIGHBOURHOOD as usize).max(8);
    let mut runs = Vec::new();
    // Sums of the columns over the rows in reach, kept up to date from row to row.
    let mut columns = vec![0u32; width];
    let row = |y: usize| &page.as_raw()[y * width..][..width];
    let (mut first, mut behind) = (0, 0);
    let mut prefix = vec![0u64; width + 1];
    for y in 0..height {
        while behind < (y + reach + 1).min(height) {
            columns.iter_mut().zip(row(behind)).for_each(|(sum, &sample)| *sum += u32::from(sample));
            behind += 1;
        }
        while first + reach < y {
            columns.iter_mut().zip(row(first)).for_each(|(sum, &sample)| *sum -= u32::from(sample));
            first += 1;
        }
        for (x, &sum) in columns.iter().enumerate() {
            prefix[x + 1] = prefix[x] + u64::from(sum);
        }
        let rows_in_reach = (behind - first) as f32;
        let mut start = None;
        for (x, &sample) in row(y).iter().enumerate() {
            let (left, right) = (x.saturating_sub(reach), (x + reach + 1).min(width));
            let mean = (prefix[right] - prefix[left]) as f32 / (rows_in_reach * (right - left) as f32);
            let ink = f32::from(sample) < mean * DARKER_THAN_MEAN;
            match (ink, start) {
                (true, None) => start = Some(x),
                (false, Some(from)) => {
                    runs.push(Run { y: y as u32, x0: from as u32, x1: x as u32, mark: 0 });
                    start = None;
                }
                _ => {}
            }
        }
        if let Some(from) = start {
            runs.push(Run { y: y as u32, x0: from as u32, x1: width as u32, mark: 0 });
        }
    }
    runs
}

/// Joins runs that touch, diagonals included, into marks.
fn connected(mut runs: Vec<Run>) -> (Vec<Run>, Vec<Mark>) {
    let mut parents: Vec<u32> = (0..runs.len() as u32).collect();
    let mut above = 0;
    for here in 0..runs.len() {
        let run = runs[here];
        while runs[above].y + 1 < run.y || (runs[above].y + 1 == run.y && runs[above].x1 < run.x0) {
            above += 1;
        }
        let mut other = above;
        while other < here && runs[other].y + 1 == run.y && runs[other].x0 <= run.x1 {
            let (a, b) = (root(&mut parents, other as u32), root(&mut parents, here as u32));
            parents[a.max(b) as usize] = a.min(b);
            other += 1;
        }
    }
    let mut marks: Vec<Mark> = Vec::new();
    let mut number = vec![u32::MAX; runs.len()];
    for (here, run) in (0u32..).zip(&mut runs) {
        let root = root(&mut parents, here) as usize;
        if number[root] == u32::MAX {
            number[root] = marks.len() as u32;
            marks.push(Mark { x0: run.x0, y0: run.y, x1: run.x1, y1: run.y + 1, area: 0 });
        }
        run.mark = number[root];
        let mark = &mut marks[run.mark as usize];
        mark.x0 = mark.x0.min(run.x0);
        mark.x1 = mark.x1.max(run.x1);
        mark.y1 = run.y + 1;
        mark.area += run.x1 - run.x0;
    }
    (runs, marks)
}

fn root(parents: &mut [u32], mut node: u32) -> u32 {
    while parents[node as usize] != node {
        parents[node as usize] = parents[parents[node as usize] as usize];
        node = parents[node as usize];
    }
    node
}
