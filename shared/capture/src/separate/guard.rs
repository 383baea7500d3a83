//! Separators that nobody found: what speaks for one.
//!
//! Only what whoever scans has said of the batch counts: how many separators it has, how long a document may be. Comparing
//! a document with the others of its batch was tried and left: papers of most offices are of one page, two of them
//! together are not long, and no collection of real batches was there to find out what is.

use super::{Group, Separation};

/// Notes what is doubtful about the way these documents were parted by so many separators.
pub(super) fn doubt(groups: &mut [Group], separators: u32, separation: &Separation) {
    if let Some(expected) = separation.expected
        && expected != separators
    {
        let doubt = format!("{separators} separators were found in the batch, and {expected} were expected.");
        groups.iter_mut().for_each(|group| group.doubts.push(doubt.clone()));
    }
    let Some(longest) = separation.longest else { return };
    for group in groups.iter_mut().filter(|group| group.pages.len() > longest as usize) {
        let length = group.pages.len();
        group.doubts.push(format!("It has {length} pages, and {longest} are the most (longest)."));
    }
}
