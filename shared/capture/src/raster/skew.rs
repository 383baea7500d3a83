//! How crooked a page is.
//!
//! The upper and lower edges of characters stand on common lines. Projected along the right angle they fall
//! into few bins, along a wrong one they spread: the sum of squares of the bins is largest at the page's skew
//! (after Postl's and Baird's projection profiles). Rules, frames, pictures and the scanner's black borders do
//! not take part where there is text, because they are straight by themselves and need not agree with it. Where there is
//! little text, they do; but hatching, wood and blur are straight as well, in one direction. So what letters do not show
//! there must show in two directions, at right angles, as it does in frames, forms and staves.
//!
//! The search goes from coarse to fine: a few thousand edges find the angle to a quarter of a degree, all of
//! them find it to a hundredth.

use std::borrow::Cow;

use super::ink::{Ink, Mark};

/// Skews up to this many degrees are found.
const RANGE_DEG: f32 = 20.0;
/// The first, coarse search.
const COARSE: Search = Search { step_deg: 0.25, bin_px: 4.0, edges_per_side: 2_500 };
/// A look that only tells whether there may be lines at all.
const QUICK: Search = Search { step_deg: 0.5, bin_px: 4.0, edges_per_side: 800 };
/// Lines that are this much clearer than a quick look finds others are clearer than a better look would find them.
const FAR_CLEARER: f32 = 1.7;
/// The searches around what the one before found: each reaches two steps of the one before.
const FINER: [Search; 3] = [
    Search { step_deg: 0.1, bin_px: 2.0, edges_per_side: 6_000 },
    Search { step_deg: 0.04, bin_px: 1.3, edges_per_side: 12_000 },
    Search { step_deg: 0.02, bin_px: 1.0, edges_per_side: usize::MAX },
];
/// The most bins of a histogram. On a strip of paper they are wider, so that places, in 65,536ths of a bin, fit 31 bits.
const BINS_MAX: f32 = 30_000.0;
/// Fewer pixels of edges than this say nothing.
const EDGES_MIN_PX: u64 = 120;
/// An edge counts as one point; longer ones are cut, so that they have a slope.
const EDGE_MAX_PX: u32 = 8;
/// With fewer marks of text than this, all other marks within the page have a say.
const TEXT_MARKS_MIN: usize = 120;
/// So many letters may show the angle of a page with little text, if they show it clearly...
const LETTERS_MIN: usize = 8;
/// ...and this is the longest that a letter, or a few that touch, is, as a part of its other side.
const LETTER_LONG: u32 = 6;
/// Below this contrast no angle is believed.
const TRUSTED: f32 = 1.15;
/// From this contrast on an angle is believed even if only a part of the page shows it.
const CLEAR: f32 = 1.6;
/// The halves of a page are searched so far around the angle of the whole.
const HALVES_RANGE_DEG: f32 = 3.0;
/// And must not be further apart from it.
const HALVES_APART_DEG: f32 = 0.6;
/// A half with less than this part of the edges has no say.
const HALF_MIN: usize = 8;

/// One pass over a range of angles.
#[derive(Clone, Copy, Debug)]
struct Search {
    step_deg: f32,
    bin_px: f32,
    /// How many edges of each side take part, evenly picked.
    edges_per_side: usize,
}

/// A piece of the edge of a mark, in the coordinates of the lines of text.
#[derive(Clone, Copy, Debug)]
struct Edge {
    /// Twice the place of its middle along the lines.
    along_twice: i32,
    across: i32,
    /// Its length in pixels.
    length: u32,
}

/// What a close look finds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Lines {
    /// The clockwise rotation of the lines, in degrees; 0 where there is no telling.
    pub(super) skew_deg: f32,
    /// How sharp a line the upper edges of the marks make at this angle.
    pub(super) upper: f32,
    /// And the lower edges.
    pub(super) lower: f32,
}

/// A first, coarse look along the lines that a page would have.
#[derive(Debug)]
pub(super) struct Glance {
    edges: Edges,
    angle_deg: f32,
    /// How much better its angle is than the others: 1 means not at all.
    pub(super) contrast: f32,
    /// What else there is, where there is too little text to go by.
    others: Option<Others>,
}

/// What must agree with an angle that is not that of many lines of text.
#[derive(Debug)]
struct Others {
    /// The edges of letters alone, if there are some.
    letters: Option<Edges>,
    /// Those of all marks, in the other direction.
    crosswise: Edges,
}

impl Others {
    /// Of a page with little text.
    fn of(ink: &Ink, wanted: &Wanted, down: bool) -> Option<Self> {
        let letters = wanted.letters.as_ref()?;
        let enough = letters.iter().filter(|letter| **letter).count() >= LETTERS_MIN;
        let letters = enough.then(|| Edges::of(ink, letters, down));
        Some(Self { letters, crosswise: Edges::of(ink, &wanted.marks, !down) })
    }

    /// Whether letters, or else the lines at a right angle, show this angle.
    fn agree_on(&self, angle_deg: f32) -> bool {
        let shows = |edges: &Edges, contrast: f32| {
            let seen = edges.clone().glance(COARSE);
            seen.contrast >= contrast && (seen.angle_deg - angle_deg).abs() < HALVES_APART_DEG
        };
        self.letters.as_ref().is_some_and(|letters| shows(letters, CLEAR)) || shows(&self.crosswise, TRUSTED)
    }
}

impl Glance {
    /// Takes the lines of text as they lie.
    pub(super) fn across(ink: &Ink) -> Self {
        let wanted = Wanted::of(ink);
        let others = Others::of(ink, &wanted, false);
        Self { others, ..Edges::horizontal(ink, &wanted.marks).glance(COARSE) }
    }

    /// Takes the page for one that lies on its side. Where the lines `across` it are far clearer than a quick look finds
    /// those down it, that is enough.
    pub(super) fn down(ink: &Ink, across: &Self) -> Self {
        let wanted = Wanted::of(ink);
        let edges = Edges::vertical(ink, &wanted.marks);
        let quick = edges.picked(QUICK).into_owned().glance(QUICK);
        let glance =
            if across.contrast > quick.contrast * FAR_CLEARER { quick } else { edges.glance(COARSE) };
        Self { others: Others::of(ink, &wanted, true), ..glance }
    }

    /// A close look: the angle to a hundredth of a degree.
    pub(super) fn lines(&self) -> Lines {
        let is_believed = match &self.others {
            None => self.contrast >= CLEAR || self.halves_agree(),
            Some(others) => self.halves_agree() && others.agree_on(self.angle_deg),
        };
        if self.contrast < TRUSTED || !is_believed {
            return Lines::default();
        }
        let mut bins = Vec::new();
        let (mut angle, mut step_deg) = (self.angle_deg, COARSE.step_deg);
        for search in FINER {
            let reach = (step_deg * 1.5 / search.step_deg).ceil() as i32;
            angle = peak(&self.edges.scores(search, angle, reach, &mut bins)).0;
            step_deg = search.step_deg;
        }
        let finest = FINER[FINER.len() - 1];
        let [upper, lower] = self.edges.picked(finest).concentrations(finest, angle, &mut bins);
        Lines { skew_deg: angle, upper, lower }
    }

    /// Whether both halves of the page say the same, as far as there is something on them: a picture, or chance,
    /// seldom does.
    fn halves_agree(&self) -> bool {
        let steps = (HALVES_RANGE_DEG / COARSE.step_deg) as i32;
        [false, true].into_iter().all(|far| {
            let half = self.edges.half(far);
            let scores = half.scores(COARSE, self.angle_deg, steps, &mut Vec::new());
            let apart = (peak(&scores).0 - self.angle_deg).abs();
            apart < HALVES_APART_DEG || half.count() < self.edges.count() / HALF_MIN
        })
    }
}

/// Near and far edges of the marks, seen across the lines.
#[derive(Clone, Debug)]
struct Edges {
    sides: [Vec<Edge>; 2],
    /// The greatest `along_twice` and `across`, which are never negative.
    along_twice_max: i32,
    across_max: i32,
    /// How many pages long a strip is: so many times the edges take part, or each line would have one.
    pages: usize,
}

impl Edges {
    /// Those of lines across the page, or down it.
    fn of(ink: &Ink, wanted: &[bool], down: bool) -> Self {
        if down { Self::vertical(ink, wanted) } else { Self::horizontal(ink, wanted) }
    }

    /// Tops and bottoms.
    fn horizontal(ink: &Ink, wanted: &[bool]) -> Self {
        let mut sides = [Vec::new(), Vec::new()];
        for_each_edge(ink, |y, x0, x1, mark, below| {
            if wanted[mark as usize] {
                let side = &mut sides[usize::from(below)];
                let mut from = x0;
                while from < x1 {
                    let to = x1.min(from + EDGE_MAX_PX);
                    side.push(Edge {
                        along_twice: (from + to - 1) as i32,
                        across: y as i32,
                        length: to - from,
                    });
                    from = to;
                }
            }
        });
        Self {
            sides,
            along_twice_max: 2 * ink.width as i32,
            across_max: ink.height as i32,
            pages: pages(ink),
        }
    }

    /// Left and right edges, in coordinates turned a quarter clockwise.
    fn vertical(ink: &Ink, wanted: &[bool]) -> Self {
        let mut sides = [Vec::new(), Vec::new()];
        for run in ink.runs.iter().filter(|run| wanted[run.mark as usize]) {
            let along_twice = 2 * (ink.height - 1 - run.y) as i32;
            sides[0].push(Edge { along_twice, across: run.x0 as i32, length: 1 });
            sides[1].push(Edge { along_twice, across: run.x1 as i32, length: 1 });
        }
        Self {
            sides,
            along_twice_max: 2 * ink.height as i32,
            across_max: ink.width as i32,
            pages: pages(ink),
        }
    }

    fn glance(self, search: Search) -> Glance {
        let length: u64 = self.sides.iter().flatten().map(|edge| u64::from(edge.length)).sum();
        if length < EDGES_MIN_PX {
            return Glance { edges: self, angle_deg: 0.0, contrast: 1.0, others: None };
        }
        let steps = (RANGE_DEG / search.step_deg) as i32;
        let coarse = self.scores(search, 0.0, steps, &mut Vec::new());
        let mut sorted: Vec<f32> = coarse.iter().map(|(_, score)| *score).collect();
        sorted.sort_by(f32::total_cmp);
        let usual = sorted[sorted.len() / 2].max(f32::MIN_POSITIVE);
        let (angle_deg, top) = peak(&coarse);
        Glance { edges: self, angle_deg, contrast: top / usual, others: None }
    }

    /// The edges in one half of the page, across the lines.
    fn half(&self, far: bool) -> Self {
        let is_wanted = |edge: &&Edge| (edge.across * 2 > self.across_max) == far;
        let sides = self.sides.each_ref().map(|side| side.iter().filter(is_wanted).copied().collect());
        Self { sides, ..*self }
    }

    fn count(&self) -> usize {
        self.sides.iter().map(Vec::len).sum()
    }

    /// The angles around `middle_deg` with their scores: the sums of squares of histograms across lines at these angles.
    fn scores(&self, search: Search, middle_deg: f32, reach: i32, bins: &mut Bins) -> Vec<(f32, f32)> {
        let picked = self.picked(search);
        (-reach..=reach)
            .map(|step| middle_deg + step as f32 * search.step_deg)
            .map(|angle_deg| (angle_deg, picked.concentrations(search, angle_deg, bins).iter().sum()))
            .collect()
    }

    /// The edges that take part in a search.
    fn picked(&self, search: Search) -> Cow<'_, Self> {
        let most = search.edges_per_side.saturating_mul(self.pages);
        if self.sides.iter().all(|side| side.len() <= most) {
            return Cow::Borrowed(self);
        }
        let sides = self.sides.each_ref().map(|side| {
            let every = side.len().div_ceil(most).max(1);
            side.iter().step_by(every).copied().collect()
        });
        Cow::Owned(Self { sides, ..*self })
    }

    /// The sum of squares of a histogram across lines at this angle, for each side.
    fn concentrations(&self, search: Search, angle_deg: f32, bins: &mut Bins) -> [f32; 2] {
        const ONE: f32 = 65_536.0;
        // The mean of `part² + (256 - part)²`.
        const OWN: f32 = 2.0 / 3.0 * 65_536.0;
        let (sine, cosine) = angle_deg.to_radians().sin_cos();
        let reach = self.across_max as f32 + self.along_twice_max as f32 / 2.0;
        let bin_px = search.bin_px.max(reach / BINS_MAX);
        let across = (cosine / bin_px * ONE).round() as i32;
        let along = (sine / bin_px * ONE / 2.0).round() as i32;
        let least = (along * self.along_twice_max).max(0);
        let most = least + across * self.across_max + (-along * self.along_twice_max).max(0);
        let count = (most >> 16) as usize + 2;
        self.sides.each_ref().map(|side| {
            bins.clear();
            bins.resize(count, [0; 2]);
            put(side, [least, across, along], bins);
            // What each edge has in common with itself is no concentration.
            let own: u64 = side.iter().map(|edge| u64::from(edge.length * edge.length)).sum();
            squares(bins) as f32 - own as f32 * OWN
        })
    }
}

/// Puts edges into the bins of their places: in 65,536ths of a bin the first number, and so much for each pixel across the
/// lines and less for each half along them.
fn put(edges: &[Edge], [least, across, along]: [i32; 3], bins: &mut [[u64; 2]]) {
    let mut put = |edge: &Edge, half: usize| {
        // Shared between two bins, so that the score changes smoothly with the angle.
        let place = (least + edge.across * across - edge.along_twice * along) as u32;
        let part = u64::from(place >> 8 & 0xff);
        bins[(place >> 16) as usize][half] += u64::from(edge.length) * (part << 32 | 256);
    };
    let (pairs, rest) = edges.as_chunks::<2>();
    for [one, other] in pairs {
        put(one, 0);
        put(other, 1);
    }
    rest.iter().for_each(|edge| put(edge, 0));
}

/// A histogram in two halves, for edges that follow each other fall into one bin, and adding to what was just written
/// takes its time. Each bin holds 256 times what fell into it, and in its upper 32 bits how much of that belongs to the
/// next bin.
type Bins = Vec<[u64; 2]>;

/// The sum of the bins' squares.
fn squares(bins: &[[u64; 2]]) -> u64 {
    let mut from_before = 0;
    let square = |[one, other]: &[u64; 2]| {
        let both = one + other;
        let onward = both >> 32;
        let bin = (both & 0xffff_ffff) - onward + from_before;
        from_before = onward;
        bin * bin
    };
    bins.iter().map(square).sum()
}

/// How many pages long a strip is.
fn pages(ink: &Ink) -> usize {
    ink.width.max(ink.height).div_ceil(ink.long_side().max(1)) as usize
}

/// Which marks take part.
struct Wanted {
    /// Those of text, or all that do not touch the page's edge where there is little text.
    marks: Vec<bool>,
    /// Where there is little text: those that may be letters.
    letters: Option<Vec<bool>>,
}

impl Wanted {
    fn of(ink: &Ink) -> Self {
        let mut marks = vec![false; ink.marks.len()];
        let mut count = 0;
        for (index, _) in ink.text_like() {
            marks[index] = true;
            count += 1;
        }
        if count >= TEXT_MARKS_MIN {
            return Self { marks, letters: None };
        }
        let letter = |(&is_text, mark): (&bool, &Mark)| {
            let (short, long) = (mark.width().min(mark.height()), mark.width().max(mark.height()));
            is_text && long <= short * LETTER_LONG
        };
        let letters = marks.iter().zip(&ink.marks).map(letter).collect();
        let (right, bottom) = (ink.width - 1, ink.height - 1);
        for (wanted, mark) in marks.iter_mut().zip(&ink.marks) {
            *wanted |= mark.x0 > 1 && mark.y0 > 1 && mark.x1 < right && mark.y1 < bottom && mark.area > 8;
        }
        Self { marks, letters: Some(letters) }
    }
}

/// Calls `found(row, first, behind last, mark, is below)` for each stretch of a run that has no ink above or below.
fn for_each_edge(ink: &Ink, mut found: impl FnMut(u32, u32, u32, u32, bool)) {
    let rows = rows(ink);
    for (y, row) in rows.iter().enumerate() {
        for below in [false, true] {
            let other = if below { rows.get(y + 1) } else { y.checked_sub(1).and_then(|y| rows.get(y)) };
            let covers = other.map_or(&[][..], |row| &ink.runs[row.clone()]);
            let mut first = 0;
            for run in &ink.runs[row.clone()] {
                while covers.get(first).is_some_and(|cover| cover.x1 <= run.x0) {
                    first += 1;
                }
                let mut from = run.x0;
                for cover in covers[first..].iter().take_while(|cover| cover.x0 < run.x1) {
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

/// The angle of the best score, between the steps by the parabola through its neighbours, and that score.
fn peak(scores: &[(f32, f32)]) -> (f32, f32) {
    let best = (0..scores.len()).max_by(|&a, &b| scores[a].1.total_cmp(&scores[b].1)).unwrap_or(0);
    let (angle, score) = scores[best];
    if best == 0 || best + 1 == scores.len() {
        return (angle, score);
    }
    let ((before_angle, before), (_, after)) = (scores[best - 1], scores[best + 1]);
    let bend = before - 2.0 * score + after;
    let offset = if bend < 0.0 { 0.5 * (before - after) / bend } else { 0.0 };
    (angle + offset * (angle - before_angle), score)
}
