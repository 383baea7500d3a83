//! Boxes to tick, as characters: those that programs write, and what recognisers make of drawn ones where that is beyond
//! doubt.

/// Whether a box is ticked, and how certain that is.
type Found = (bool, f32);

const EMPTY: [&str; 9] = ["☐", "□", "◻", "❏", "❑", "▢", "[]", "()", "[_]"];
const TICKED: [&str; 16] =
    ["☑", "☒", "■", "◼", "✓", "✔", "✗", "✘", "🗹", "🗷", "[x]", "[v]", "[✓]", "[✔]", "(x)", "[*]"];
/// Certainty of a cross without its box: the lines of the box are not always read.
const BARE: f32 = 0.6;

/// A text that is a box and nothing else.
pub(super) fn whole(text: &str) -> Option<Found> {
    let bare = text.trim_end_matches([':', '.']).to_lowercase();
    match bare.as_str() {
        bare if EMPTY.contains(&bare) => Some((false, 1.0)),
        bare if TICKED.contains(&bare) => Some((true, 1.0)),
        "x" => Some((true, BARE)),
        _ => None,
    }
}

/// A box at the beginning of a text that goes on: `[x]Yes`.
pub(super) fn leading(text: &str) -> Option<Found> {
    let text = text.to_lowercase();
    let begins = |boxes: &[&str]| boxes.iter().any(|known| text.starts_with(known));
    match (begins(&TICKED), begins(&EMPTY)) {
        (true, _) => Some((true, 1.0)),
        (_, true) => Some((false, 1.0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_told_from_words() {
        let check = |text: &str, ticked: Option<bool>| {
            assert_eq!(whole(text).map(|found| found.0), ticked, "{text}");
        };
        for (text, ticked) in
            [("☒", true), ("[X]", true), ("☐", false), ("[]", false), ("(x):", true), ("X", true)]
        {
            check(text, Some(ticked));
        }
        for text in ["", "Yes", "[12]", "xx", "O", "(see)"] {
            check(text, None);
        }
        assert_eq!(leading("[x]Yes").map(|found| found.0), Some(true));
        assert_eq!(leading("☐No").map(|found| found.0), Some(false));
        assert_eq!(leading("Xavier"), None);
    }
}
