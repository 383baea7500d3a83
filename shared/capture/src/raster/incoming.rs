//! What becomes of a page of an incoming PDF: it stays as it is, or it is shown as a picture.

use platen_model::Incoming;

use crate::decode::Makeup;

/// The decision, by what the page is made of and whether it brings text that is what one sees.
pub(super) fn judged(makeup: Makeup, has_text: bool) -> Incoming {
    let (kept, reason) = match (makeup, has_text) {
        (Makeup::Bound(why), _) => (false, format!("It is shown as a picture, for {why}.")),
        (_, true) => (true, "Its own text is what one sees on it, so nothing was read anew.".to_owned()),
        (Makeup::Drawn, false) => {
            let reason = "It was drawn by a program and is kept; what was read on it is laid over it where it has no \
                          text of its own.";
            (true, reason.to_owned())
        }
        (Makeup::Scan, false) => {
            (false, "It is a scan, made of images, and was made upright, straight and read.".to_owned())
        }
    };
    Incoming { kept, reason }
}
