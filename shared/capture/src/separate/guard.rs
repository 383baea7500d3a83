//! Separators that nobody found: what speaks for one.

use super::{Group, Separation};

/// With so many documents in a batch, its lengths can be compared.
const COMPARED_MIN: usize = 4;
/// A document so many times as long as is usual in its batch is doubted ...
const LONGER_TIMES: usize = 3;
/// ... if it has at least so many pages.
const LONG_PAGES: usize = 6;

/// Notes what is doubtful about the way these documents were parted by so many separators.
pub(super) fn doubt(groups: &mut [Group], separators: u32, separation: &Separation) {
    if let Some(expected) = separation.expected
        && expected != separators
    {
        let doubt = format!("{separators} separators were found in the batch, and {expected} were expected.");
        groups.iter_mut().for_each(|group| group.doubts.push(doubt.clone()));
    }
    let mut lengths: Vec<usize> = groups.iter().map(|group| group.pages.len()).collect();
    lengths.sort_unstable();
    let usual = lengths[lengths.len() / 2];
    let compared = lengths.len() >= COMPARED_MIN;
    for group in groups {
        let length = group.pages.len();
        if let Some(longest) = separation.longest
            && length > longest as usize
        {
            group.doubts.push(format!("It has {length} pages, and {longest} are the most (longest)."));
        } else if compared && length >= LONG_PAGES && length > usual * LONGER_TIMES {
            group.doubts.push(format!(
                "It has {length} pages, and {usual} are usual in its batch: a separator may be missing."
            ));
        }
    }
}
