//! What a PDF holds beside its pages, and whether its own table of objects leads to them.
//!
//! Only the names of things are read here: no script is run, no attached file is opened.

use hayro_syntax::Pdf;
use hayro_syntax::object::{Array, Dict, Name};

use super::pdf_fields;
use crate::inspection::Feature;

/// The most nodes of a name tree that are looked at.
const NODES_MAX: u32 = 10_000;
/// The most pages whose annotations are looked at.
const PAGES_MAX: usize = 1_000;
/// The most layers whose automatic states are looked at.
const LAYERS_MAX: usize = 10_000;
/// How far from its end a file may say where its table of objects stands.
const TAIL_BYTES: usize = 8_192;

/// What stands in the document's catalog and among its annotations.
pub(super) fn features(pdf: &Pdf) -> Vec<Feature> {
    let mut features = Vec::new();
    let Some(root) = pdf.xref().get::<Dict<'_>>(pdf.xref().root_id()) else { return features };
    let form = root.get::<Dict<'_>>("AcroForm");
    let names = root.get::<Dict<'_>>("Names");
    let fields = form.as_ref().and_then(|form| form.get::<Array<'_>>("Fields"));
    let has_fields = fields.is_some_and(|fields| fields.raw_iter().next().is_some());
    let needs_rendering = root.get::<bool>("NeedsRendering").unwrap_or(false);
    let unseen = form.as_ref().map_or(0, |form| pdf_fields::unseen(pdf, form));
    if needs_rendering || form.is_some_and(|form| form.contains_key("XFA")) {
        // A form with PDF fields too is the kind that every viewer shows.
        features.push(Feature::Xfa { dynamic: needs_rendering || !has_fields });
    } else if has_fields && unseen == 0 {
        features.push(Feature::Form);
    }
    if unseen > 0 {
        features.push(Feature::UnseenEntries { count: unseen });
    }
    if root.contains_key("Collection") {
        features.push(Feature::Portfolio);
    }
    let embedded = names.as_ref().and_then(|names| names.get::<Dict<'_>>("EmbeddedFiles"));
    let mut left = NODES_MAX;
    let embedded = embedded.map_or(0, |tree| leaves(&tree, 0, &mut left));
    match embedded.saturating_add(attached_to_pages(pdf)) {
        0 => {}
        count => features.push(Feature::Attachments { count }),
    }
    let scripted = |action: Dict<'_>| action.get::<Name<'_>>("S").is_some_and(|kind| &*kind == b"JavaScript");
    if names.is_some_and(|names| names.contains_key("JavaScript"))
        || root.get::<Dict<'_>>("OpenAction").is_some_and(scripted)
        || root.contains_key("AA")
    {
        features.push(Feature::Scripts);
    }
    features
}

/// The deepest that a name tree is followed: one that leads back into itself has no bottom.
const TREE_DEPTH: u32 = 32;

/// The entries of a name tree (ISO 32000-1, 7.9.6).
fn leaves(node: &Dict<'_>, depth: u32, left: &mut u32) -> u32 {
    if *left == 0 || depth > TREE_DEPTH {
        return 0;
    }
    *left -= 1;
    let own = node.get::<Array<'_>>("Names").map_or(0, |names| names.raw_iter().count() / 2);
    let kids = node.get::<Array<'_>>("Kids");
    let below: u32 =
        kids.map_or(0, |kids| kids.iter::<Dict<'_>>().map(|kid| leaves(&kid, depth + 1, left)).sum());
    below.saturating_add(u32::try_from(own).unwrap_or(u32::MAX))
}

fn attached_to_pages(pdf: &Pdf) -> u32 {
    let is_attachment = |annotation: &Dict<'_>| {
        annotation.get::<Name<'_>>("Subtype").is_some_and(|kind| &*kind == b"FileAttachment")
    };
    let on_page = |annotations: Array<'_>| annotations.iter::<Dict<'_>>().filter(is_attachment).count();
    let pages = pdf.pages().iter().take(PAGES_MAX);
    let count: usize = pages.filter_map(|page| page.raw().get::<Array<'_>>("Annots")).map(on_page).sum();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Whether some layer of the document is hidden when it is opened. Without the catalog's settings it would be shown.
pub(super) fn hides_layers(pdf: &Pdf) -> bool {
    let root = pdf.xref().get::<Dict<'_>>(pdf.xref().root_id());
    let settings = root.and_then(|root| root.get::<Dict<'_>>("OCProperties"));
    let Some(settings) = settings.and_then(|all| all.get::<Dict<'_>>("D")) else { return false };
    let off = settings.get::<Array<'_>>("OFF").is_some_and(|off| off.raw_iter().next().is_some());
    let base = settings.get::<Name<'_>>("BaseState").is_some_and(|state| &*state != b"ON");
    let automatic = settings.get::<Array<'_>>("AS").is_some_and(|states| {
        let layers = states.iter::<Dict<'_>>().filter_map(|state| state.get::<Array<'_>>("OCGs"));
        layers.flat_map(|layers| layers.iter::<Dict<'_>>()).take(LAYERS_MAX).any(|layer| may_hide(&layer))
    });
    off || base || automatic
}

/// Whether a layer with an automatic state is hidden on the screen or in print, or at some enlargement or for readers
/// of some language. Programs give layers that are always shown such states, too.
fn may_hide(layer: &Dict<'_>) -> bool {
    let Some(usage) = layer.get::<Dict<'_>>("Usage") else { return false };
    let is_off = |of: &str, state: &str| {
        let state = usage.get::<Dict<'_>>(of).and_then(|of| of.get::<Name<'_>>(state));
        state.is_some_and(|state| &*state == b"OFF")
    };
    is_off("View", "ViewState")
        || is_off("Print", "PrintState")
        || ["Zoom", "Language"].iter().any(|name| usage.contains_key(name))
}

/// Whether what the end of the file says of its table of objects is wrong, so that it was found by searching.
pub(super) fn is_broken(file: &[u8]) -> bool {
    let tail = &file[file.len().saturating_sub(TAIL_BYTES)..];
    let Some(at) = tail.windows(9).rposition(|bytes| bytes == b"startxref") else { return true };
    let digits: Vec<u8> = tail[at + 9..]
        .iter()
        .copied()
        .skip_while(u8::is_ascii_whitespace)
        .take_while(u8::is_ascii_digit)
        .collect();
    let offset = std::str::from_utf8(&digits).ok().and_then(|digits| digits.parse::<usize>().ok());
    // What stands before the header may or may not be counted.
    let lead = file.windows(5).take(1_024).position(|bytes| bytes == b"%PDF-").unwrap_or(0);
    !offset.is_some_and(|offset| {
        begins_a_table(file, offset) || offset.checked_add(lead).is_some_and(|at| begins_a_table(file, at))
    })
}

/// Whether a table of objects, or an object that can hold one, stands here.
fn begins_a_table(file: &[u8], offset: usize) -> bool {
    let here = file.get(offset..).unwrap_or_default().trim_ascii_start();
    let number = here.iter().take_while(|byte| byte.is_ascii_digit()).count();
    here.starts_with(b"xref")
        || (number > 0 && here[number..].trim_ascii_start().first().is_some_and(u8::is_ascii_digit))
}
