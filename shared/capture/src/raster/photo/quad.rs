//! Four corners: hulls, the largest quadrilateral in one, and what a camera can make of a sheet.

/// A place in pixels.
pub(super) type Point = (f32, f32);
/// Corners, clockwise as they are seen, beginning at the top left.
pub(super) type Corners = [Point; 4];

/// Hulls are thinned to this many corners before the best four are looked for.
const HULL_MAX: usize = 28;
/// The sheet's angles as a camera may see them, in degrees.
const ANGLES_DEG: std::ops::RangeInclusive<f32> = 55.0..=125.0;
/// Opposite sides may differ by this factor.
const FORESHORTENING_MAX: f32 = 1.8;
/// A sheet longer than this many times its width is no sheet.
const ASPECT_MAX: f32 = 6.0;

/// The convex hull of points (Andrew's monotone chain), clockwise as it is seen: y grows downwards.
pub(super) fn hull(mut points: Vec<Point>) -> Vec<Point> {
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    points.dedup();
    if points.len() < 3 {
        return points;
    }
    let half = |points: &mut dyn Iterator<Item = Point>| {
        let mut chain: Vec<Point> = Vec::new();
        for point in points {
            while let [.., a, b] = chain[..]
                && cross(a, b, point) <= 0.0
            {
                chain.pop();
            }
            chain.push(point);
        }
        chain.pop();
        chain
    };
    let mut hull = half(&mut points.iter().copied());
    hull.extend(half(&mut points.iter().rev().copied()));
    hull
}

/// The largest quadrilateral whose corners are among a hull's.
pub(super) fn largest(hull: &[Point]) -> Option<Corners> {
    let hull = thinned(hull.to_vec());
    let count = hull.len();
    let mut best: Option<(f32, Corners)> = None;
    for a in 0..count {
        for b in a + 1..count {
            for c in b + 1..count {
                for d in c + 1..count {
                    let corners = [hull[a], hull[b], hull[c], hull[d]];
                    let area = area(&corners);
                    if best.is_none_or(|(most, _)| area > most) {
                        best = Some((area, corners));
                    }
                }
            }
        }
    }
    best.map(|(_, corners)| from_the_top_left(corners))
}

/// Drops the corners that matter least to the area until few are left.
fn thinned(mut hull: Vec<Point>) -> Vec<Point> {
    while hull.len() > HULL_MAX {
        let count = hull.len();
        let weight =
            |at: usize| cross(hull[(at + count - 1) % count], hull[at], hull[(at + 1) % count]).abs();
        let Some(least) = (0..count).min_by(|&a, &b| weight(a).total_cmp(&weight(b))) else { break };
        hull.remove(least);
    }
    hull
}

/// Begins with the corner nearest to the top left.
pub(super) fn from_the_top_left(mut corners: Corners) -> Corners {
    let first = (0..4).min_by(|&a, &b| {
        let reach = |at: usize| corners[at].0 + corners[at].1;
        reach(a).total_cmp(&reach(b))
    });
    corners.rotate_left(first.unwrap_or(0));
    corners
}

/// The area of a polygon.
pub(super) fn area(corners: &[Point]) -> f32 {
    let next = corners.iter().cycle().skip(1);
    corners.iter().zip(next).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum::<f32>().abs() / 2.0
}

/// The four sides, from each corner to the next.
pub(super) fn sides(corners: &Corners) -> [(Point, Point); 4] {
    std::array::from_fn(|at| (corners[at], corners[(at + 1) % 4]))
}

/// Whether a place lies within the four sides.
pub(super) fn holds(corners: &Corners, (x, y): Point) -> bool {
    sides(corners).iter().all(|&(from, to)| cross(from, to, (x, y)) >= 0.0)
}

/// Whether a camera can see a sheet of paper like this.
pub(super) fn is_a_sheet(corners: &Corners) -> bool {
    let angles = (0..4).map(|at| {
        let (before, here, after) = (corners[(at + 3) % 4], corners[at], corners[(at + 1) % 4]);
        let turn = direction(here, after) - direction(here, before);
        let turn = turn.to_degrees().rem_euclid(360.0);
        turn.min(360.0 - turn)
    });
    let [top, right, bottom, left] = sides(corners).map(length);
    let ratio = |a: f32, b: f32| a.max(b) / a.min(b).max(1.0);
    angles.into_iter().all(|angle| ANGLES_DEG.contains(&angle))
        && ratio(top, bottom) <= FORESHORTENING_MAX
        && ratio(left, right) <= FORESHORTENING_MAX
        && ratio(top.max(bottom), left.max(right)) <= ASPECT_MAX
}

/// How far the sheet is from a rectangle: the largest angle between opposite sides, in degrees. A scanner's glass
/// keeps them parallel.
pub(super) fn perspective_deg(corners: &Corners) -> f32 {
    let [top, right, bottom, left] = sides(corners).map(|(from, to)| direction(from, to));
    let between = |a: f32, b: f32| {
        let turn = (a - b).to_degrees().rem_euclid(180.0);
        turn.min(180.0 - turn)
    };
    between(top, bottom).max(between(left, right))
}

/// The length of a side.
pub(super) fn length((from, to): (Point, Point)) -> f32 {
    (to.0 - from.0).hypot(to.1 - from.1)
}

fn direction(from: Point, to: Point) -> f32 {
    (to.1 - from.1).atan2(to.0 - from.0)
}

fn cross(a: Point, b: Point, c: Point) -> f32 {
    (b.0 - a.0) * (c.1 - a.1) - (b.1 - a.1) * (c.0 - a.0)
}
