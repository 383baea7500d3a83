//! Which way lines of text run, by what stands next to what.
//!
//! The letters of a word stand closer to each other than to the lines above and below, in every script that is written in
//! lines and however few lines there are. The sums that [`skew`](super::skew) takes over whole rows and columns do not
//! know that: the aligned columns of a price list stand out more clearly in them than its rows. So those sums say how
//! crooked lines are, and neighbours have a say in which way they run.
//!
//! The pairs are those of O'Gorman, *The document spectrum for page layout analysis* (1993).

use super::ink::{Ink, Mark};

/// So many letters are asked, spread over the page.
const ASKED: usize = 500;
/// With fewer answers nothing is known.
const ANSWERS_MIN: usize = 24;
/// A neighbour is no farther away than this part of the usual size of a letter.
const REACH: f32 = 0.9;
/// What is so many times as large as a usual letter is none.
const LARGE: u32 = 4;

/// The part of the letters whose nearest neighbour stands beside them on the page, not above or below; `None` where too
/// few have one.
pub(super) fn beside(ink: &Ink) -> Option<f32> {
    let mut letters: Vec<&Mark> = ink.text_like().map(|(_, mark)| mark).collect();
    let mut sizes: Vec<u32> = letters.iter().map(|letter| size(letter)).collect();
    let middle = sizes.len().checked_sub(1)? / 2;
    let usual = *sizes.select_nth_unstable(middle).1;
    letters.retain(|letter| size(letter) <= usual * LARGE);
    let reach = (usual as f32 * REACH) as u32;
    let asked = letters.iter().step_by(letters.len().div_ceil(ASKED).max(1));
    let asked: Vec<&Mark> = asked.copied().collect();

    let across = nearest(&asked, &mut letters, reach, |mark| [mark.x0, mark.x1, mark.y0, mark.y1]);
    let down = nearest(&asked, &mut letters, reach, |mark| [mark.y0, mark.y1, mark.x0, mark.x1]);
    let (mut beside, mut stacked) = (0usize, 0usize);
    for (across, down) in across.into_iter().zip(down) {
        let far = u32::MAX;
        match across.unwrap_or(far).cmp(&down.unwrap_or(far)) {
            std::cmp::Ordering::Less => beside += 1,
            std::cmp::Ordering::Greater => stacked += 1,
            std::cmp::Ordering::Equal => {}
        }
    }
    let answers = beside + stacked;
    (answers >= ANSWERS_MIN).then(|| beside as f32 / answers as f32)
}

fn size(mark: &Mark) -> u32 {
    mark.width().max(mark.height())
}

/// For each letter that is asked, how far away the nearest one is before or behind it, where one is in reach. `seen` tells
/// where a mark begins and ends along the way that is looked, and where across it.
fn nearest(
    asked: &[&Mark],
    letters: &mut [&Mark],
    reach: u32,
    seen: impl Fn(&Mark) -> [u32; 4],
) -> Vec<Option<u32>> {
    letters.sort_unstable_by_key(|letter| seen(letter)[0]);
    let longest =
        letters.iter().map(|letter| seen(letter)).map(|[from, to, ..]| to - from).max().unwrap_or(0);
    let of = |mark: &&Mark| {
        let [from, to, low, high] = seen(mark);
        let first = letters.partition_point(|letter| seen(letter)[0] + longest + reach < from);
        let near =
            letters[first..].iter().map(|letter| seen(letter)).take_while(|other| other[0] <= to + reach);
        let gap = |[other_from, other_to, other_low, other_high]: [u32; 4]| {
            let both = high.min(other_high).saturating_sub(low.max(other_low));
            // Half of the smaller one lies beside the other: letters of one line do, those of two lines do not.
            let is_level = both * 2 >= (high - low).min(other_high - other_low);
            // One of the two is zero: what overlaps both ways is part of a letter, as a dot within a bow is.
            let gap = other_from.checked_sub(to).or_else(|| from.checked_sub(other_to))?;
            (is_level && gap <= reach).then_some(gap)
        };
        near.filter_map(gap).min()
    };
    asked.iter().map(of).collect()
}
