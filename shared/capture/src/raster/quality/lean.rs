//! Skew that is left on a page, by the words that were read on it.
//!
//! The page's own measure of skew looks at its marks before it is straightened. What the recogniser made lines of is a
//! second witness, and one that sees what the first was wrong about: a page whose pictures or rules lean another way
//! than its text, or a sheet that is bent, so that no turn makes it straight.

use platen_model::Word;

/// Lines of fewer words, or shorter than so many of their heights, say little.
const WORDS_MIN: usize = 3;
const LENGTH_HEIGHTS: f32 = 8.0;
/// Fewer lines than this say little of a page.
const LINES_MIN: usize = 5;

/// How the lines of a page lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lean {
    /// The clockwise skew of the usual line, in degrees.
    pub(super) skew_deg: f32,
    /// How far the skew of lines is from that, in degrees: the median.
    pub(super) spread_deg: f32,
}

impl Lean {
    /// How the lines lie, where there are enough to say.
    pub(super) fn of(words: &[Word]) -> Option<Self> {
        let lines = words.chunk_by(|a, b| a.line == b.line);
        let mut skews: Vec<f32> = lines.filter_map(skew_deg).collect();
        if skews.len() < LINES_MIN {
            return None;
        }
        let skew = middle(&mut skews);
        let mut off: Vec<f32> = skews.iter().map(|line| (line - skew).abs()).collect();
        Some(Self { skew_deg: skew, spread_deg: middle(&mut off) })
    }
}

/// The slope of the straight line through the middles of a line's words that fits them best.
fn skew_deg(line: &[Word]) -> Option<f32> {
    let places: Vec<(f32, f32)> = line
        .iter()
        .map(|Word { rect, .. }| (rect.x as f32 + rect.w as f32 / 2.0, rect.y as f32 + rect.h as f32 / 2.0))
        .collect();
    let mut heights: Vec<f32> = line.iter().map(|word| word.rect.h as f32).collect();
    let count = places.len() as f32;
    if places.len() < WORDS_MIN {
        return None;
    }
    let left = places.iter().map(|(x, _)| *x).fold(f32::MAX, f32::min);
    let right = places.iter().map(|(x, _)| *x).fold(f32::MIN, f32::max);
    if right - left < middle(&mut heights) * LENGTH_HEIGHTS {
        return None;
    }
    let (x_mean, y_mean) =
        places.iter().fold((0.0, 0.0), |(x_sum, y_sum), (x, y)| (x_sum + x / count, y_sum + y / count));
    let (together, square) = places.iter().fold((0.0, 0.0), |(together, square), (x, y)| {
        let x = x - x_mean;
        (together + x * (y - y_mean), square + x * x)
    });
    (square > 0.0).then(|| (together / square).atan().to_degrees())
}

fn middle(values: &mut [f32]) -> f32 {
    let at = values.len() / 2;
    *values.select_nth_unstable_by(at, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use platen_model::Rect;
    use proptest::prelude::*;

    use super::*;

    /// Ten lines of words of several heights, each turned by what `skew_deg` says of it.
    fn words(skew_deg: impl Fn(u32) -> f32) -> Vec<Word> {
        let mut words = Vec::new();
        for line in 0..10 {
            for place in 0..9 {
                let x = 200 + place * 180;
                // Every other word has a letter that reaches down.
                let h = if (place + line) % 2 == 0 { 30 } else { 38 };
                let y = 600.0 + line as f32 * 60.0 + x as f32 * skew_deg(line).to_radians().tan();
                let rect = Rect { x, y: y.round() as u32, w: 150, h };
                words.push(Word { text: "word".into(), confidence: 0.5, rect, line, block: 0 });
            }
        }
        words
    }

    proptest! {
        #[test]
        fn the_lines_own_skew_is_found(skew in -10.0f32..10.0) {
            let lean = Lean::of(&words(|_| skew)).expect("ten lines");
            prop_assert!((lean.skew_deg - skew).abs() < 0.3 && lean.spread_deg < 0.3, "{:?}", lean);
        }
    }

    #[test]
    fn lines_that_fan_out_are_told_from_lines_that_lean() {
        let lean = Lean::of(&words(|line| line as f32 - 4.5)).expect("ten lines");
        assert!(lean.skew_deg.abs() <= 1.0 && lean.spread_deg > 1.5, "{lean:?}");
    }

    #[test]
    fn a_few_words_say_nothing() {
        assert_eq!(Lean::of(&words(|_| 2.0)[..36]), None, "four lines");
        assert_eq!(Lean::of(&[]), None);
    }
}
