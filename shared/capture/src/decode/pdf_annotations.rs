//! What lies over a page: annotations, as far as they are seen.
//!
//! A note, a stamp or a filled field is part of what a person sees; a link, a hidden field or a signature without a look
//! is not, and must not make a page anything else than it is.

use hayro_syntax::content::TypedIter;
use hayro_syntax::object::{Array, Dict, Name, Object, Stream};
use hayro_syntax::page::Page;

/// The flags of an annotation that is not shown: hidden, and not for viewing.
const NOT_SHOWN: u32 = 1 << 1 | 1 << 5;
/// The most annotations of a page that are looked at.
const ANNOTATIONS_MAX: usize = 10_000;

/// The annotations of a page that are not hidden.
pub(crate) fn unhidden<'p>(page: &Page<'p>) -> impl Iterator<Item = Dict<'p>> + use<'p> {
    let all = page.raw().get::<Array<'p>>("Annots");
    let all = all.into_iter().flat_map(|all| all.iter::<Dict<'p>>()).take(ANNOTATIONS_MAX);
    all.filter(|annotation| annotation.get::<u32>("F").unwrap_or(0) & NOT_SHOWN == 0)
}

/// Whether an annotation leaves ink on a page.
pub(super) fn any_is_seen(page: &Page<'_>) -> bool {
    unhidden(page).filter_map(|annotation| appearance(&annotation)).any(|([a, b, c, d, ..], form)| {
        let has_area = (a * d - b * c).abs() > f64::EPSILON;
        // Programs that sign give an invisible signature a look that is nothing but a comment.
        let draws = || form.decoded_data().map_or(true, |content| TypedIter::new(&content).next().is_some());
        has_area && draws()
    })
}

/// How an annotation looks, and the matrix by which its look stands in its rectangle (ISO 32000-1, 12.5.5).
pub(crate) fn appearance<'a>(annotation: &Dict<'a>) -> Option<([f64; 6], Stream<'a>)> {
    if annotation.get::<Name<'_>>("Subtype").is_some_and(|kind| &*kind == b"Popup") {
        return None;
    }
    let form = match annotation.get::<Dict<'_>>("AP")?.get::<Object<'_>>("N")? {
        Object::Stream(form) => form,
        Object::Dict(states) => {
            let state = annotation.get::<Name<'_>>("AS");
            state
                .and_then(|state| states.get::<Stream<'_>>(&*state))
                .or_else(|| states.get::<Stream<'_>>("Off"))?
        }
        _ => return None,
    };
    let [left, low, right, high] = sorted(form.dict().get::<[f64; 4]>("BBox")?);
    let [a, b, c, d, e, f] = form.dict().get::<[f64; 6]>("Matrix").unwrap_or([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    let corners = [(left, low), (right, low), (right, high), (left, high)];
    let corners = corners.map(|(x, y)| (a * x + c * y + e, b * x + d * y + f));
    let (xs, ys) = (corners.map(|(x, _)| x), corners.map(|(_, y)| y));
    let least = |values: [f64; 4]| values.into_iter().fold(f64::MAX, f64::min);
    let most = |values: [f64; 4]| values.into_iter().fold(f64::MIN, f64::max);
    let (width, height) = (most(xs) - least(xs), most(ys) - least(ys));
    let area = sorted(annotation.get::<[f64; 4]>("Rect")?);
    let (across, up) = ((area[2] - area[0]) / width, (area[3] - area[1]) / height);
    let matrix = [across, 0.0, 0.0, up, area[0] - across * least(xs), area[1] - up * least(ys)];
    matrix.iter().all(|number| number.is_finite()).then_some((matrix, form))
}

fn sorted([x0, y0, x1, y1]: [f64; 4]) -> [f64; 4] {
    [x0.min(x1), y0.min(y1), x0.max(x1), y0.max(y1)]
}
