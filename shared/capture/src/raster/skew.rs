//! How crooked a page is.
//!
//! The upper and lower edges of characters stand on common lines. Projected along the right angle they fall
//! into few bins, along a wrong one they spread: the sum of squares of the bins is largest at the page's skew
//! (after Postl's and Baird's projection profiles). Rules, frames, pictures and the scanner's black borders do
//! not take part where there is text, because they are straight by themselves and need not agree with it.

use super::ink::Ink;

/// Skews up to this many degrees are found.
const RANGE_DEG: f32 = 16.0;
const COARSE_STEP_DEG: f32 = 0.2;
/// Points beyond this number are thinned out for the first, coarse search.
const COARSE_POINTS: usize = 24_000;
/// Fewer points than this say nothing.
const POINTS_MIN: usize = 120;
/// From this contrast on an angle is believed.
pub(super) const TRUSTED: f32 = 1.12;

/// A point on the edge of a mark, in the coordinates of the lines of text: `along` and `across`.
#[derive(Clone, Copy, Debug)]
struct Point {
    along: f32,
    across: f32,
}

/// What the edges say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Lines {
    /// The clockwise rotation of the lines, in degrees.
    pub(super) skew_deg: f32,
    /// How much better this angle is than the others: 1 means not at all.
    pub(super) contrast: f32,
}

/// The lines of text when read as they lie.
pub(super) fn horizontal(ink: &Ink) -> Lines {
    Edges::horizontal(ink).lines()
}

/// The lines of text when the page lies on its side.
pub(super) fn vertical(ink: &Ink) -> Lines {
    Edges::vertical(ink).lines()
}

/// Near and far edges of the marks, seen across the lines.
struct Edges {
    sides: [Vec<Point>; 2],
}

impl Edges {
    /// Tops and bottoms.
    fn horizontal(ink: &Ink) -> Self {
        let wanted = wanted(ink);
        let mut sides = [Vec::new(), Vec::new()];
        for_each_edge(ink, |y, x0, x1, mark, below| {
            if wanted[mark as usize] {
                sides[usize::from(below)]
                    .extend((x0..x1).map(|x| Point { along: x as f32, across: y as f32 }));
            }
        });
        Self { sides }
    }

    /// Left and right edges, in coordinates turned a quarter clockwise.
    fn vertical(ink: &Ink) -> Self {
        let wanted = wanted(ink);
        let mut sides = [Vec::new(), Vec::new()];
        for run in ink.runs.iter().filter(|run| wanted[run.mark as usize]) {
            let along = -(run.y as f32);
            sides[0].push(Point { along, across: run.x0 as f32 });
            sides[1].push(Point { along, across: run.x1 as f32 });
        }
        Self { sides }
    }

    fn lines(&self) -> Lines {
        let count = self.sides[0].len() + self.sides[1].len();
        if count < POINTS_MIN {
            return Lines { skew_deg: 0.0, contrast: 1.0 };
        }
        let thin = count.div_ceil(COARSE_POINTS);
        let steps = (RANGE_DEG / COARSE_STEP_DEG).round() as i32;
        let coarse: Vec<(f32, f32)> = (-steps..=steps)
            .map(|step| step as f32 * COARSE_STEP_DEG)
            .map(|angle| (angle, self.concentration(angle, 2.5, thin)))
            .collect();
        let mut all: Vec<f32> = coarse.iter().map(|(_, score)| *score).collect();
        all.sort_by(f32::total_cmp);
        let usual = all[all.len() / 2].max(f32::MIN_POSITIVE);
        let (best, top) = peak(coarse);
        let mut angle = best;
        for (step, reach, bin) in [(0.05, 6, 1.5), (0.01, 7, 1.0)] {
            let near = (-reach..=reach).map(|offset| angle + offset as f32 * step);
            angle = peak(near.map(|near| (near, self.concentration(near, bin, 1))).collect()).0;
        }
        Lines { skew_deg: angle, contrast: top / usual }
    }

    /// The sum of squares of a histogram across lines at this angle.
    fn concentration(&self, angle_deg: f32, bin: f32, every: usize) -> f32 {
        let (sine, cosine) = angle_deg.to_radians().sin_cos();
        let (sine, cosine) = (sine / bin, cosine / bin);
        self.sides
            .iter()
            .map(|side| {
                let place = |point: &Point| point.across * cosine - point.along * sine;
                let places = || side.iter().step_by(every).map(place);
                let (least, most) = places()
                    .fold((f32::MAX, f32::MIN), |(least, most), place| (least.min(place), most.max(place)));
                if least > most {
                    return 0.0;
                }
                let mut bins = vec![0.0f32; (most - least) as usize + 3];
                for place in places() {
                    // Shared between two bins, so that the score changes smoothly with the angle.
                    let place = place - least;
                    let (bin, part) = (place as usize, place.fract());
                    bins[bin] += 1.0 - part;
                    bins[bin + 1] += part;
                }
                bins.iter().map(|bin| bin * bin).sum::<f32>()
            })
            .sum()
    }
}

/// Which marks take part: those of text, or all that do not touch the page's edge where there is little text.
fn wanted(ink: &Ink) -> Vec<bool> {
    let mut wanted = vec![false; ink.marks.len()];
    let mut count = 0;
    for (index, _) in ink.text_like() {
        wanted[index] = true;
        count += 1;
    }
    if count < 25 {
        let (right, bottom) = (ink.width - 1, ink.height - 1);
        for (wanted, mark) in wanted.iter_mut().zip(&ink.marks) {
            *wanted |= mark.x0 > 1 && mark.y0 > 1 && mark.x1 < right && mark.y1 < bottom && mark.area > 8;
        }
    }
    wanted
}

/// Calls `found(row, first, behind last, mark, is below)` for each stretch of a run that has no ink above or below.
fn for_each_edge(ink: &Ink, mut found: impl FnMut(u32, u32, u32, u32, bool)) {
    let rows = rows(ink);
    for (y, row) in rows.iter().enumerate() {
        for run in &ink.runs[row.clone()] {
            for below in [false, true] {
                let other = if below { rows.get(y + 1) } else { y.checked_sub(1).and_then(|y| rows.get(y)) };
                let other = other.map_or(&[][..], |row| &ink.runs[row.clone()]);
                let mut from = run.x0;
                for cover in other.iter().filter(|cover| cover.x1 > run.x0 && cover.x0 < run.x1) {
                    if cover.x0 > from {
                        found(run.y, from, cover.x0, run.mark, below);
                    }
                    from = from.max(cover.x1);
                }
                if from < run.x1 {
                    found(run.y, from, run.x1, run.mark, below);
                }
            }
        }
    }
}

/// Where each row's runs are in the list.
fn rows(ink: &Ink) -> Vec<std::ops::Range<usize>> {
    let mut rows = Vec::with_capacity(ink.height as usize);
    let mut at = 0;
    for y in 0..ink.height {
        let from = at;
        while at < ink.runs.len() && ink.runs[at].y == y {
            at += 1;
        }
        rows.push(from..at);
    }
    rows
}

fn peak(scores: Vec<(f32, f32)>) -> (f32, f32) {
    scores.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0.0, 0.0))
}
