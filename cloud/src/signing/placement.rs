//! Where recipients sign: anchors in the page text turned into coordinates, by us and before anything is sent.
//!
//! Providers can look for anchors themselves, each in its own way, and most fail on scans or white out the words
//! they found. So words are looked for in our page text, and every provider is given points from the page's top left
//! corner. The k-th recipient signs at the k-th anchor. Where a label stands before an empty line ("Signature:",
//! "By ____") the place is right of it; where it stands below a line, above it. What has no anchor stands at its
//! fallback, and at the bottom of the last page where there is none; why is said with each place, for people.

use platen_model::{Blank, BlankKind, PageRecord, PageText, Recipient, Role, Word};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::provider::PageSize;

/// Points in a millimetre.
const POINTS_IN_MM: f32 = 72.0 / 25.4;
/// The words that label places to sign, where a route names none: the longest match counts.
const ANCHORS: [&str; 12] = [
    "{{SIGN_HERE}}",
    "authorised signature",
    "authorized signature",
    "signature of",
    "signature",
    "signed by",
    "signed",
    "unterschrift",
    "firma",
    "signé par",
    "signatur",
    "by:",
];
/// Room for a signature, in millimetres.
const SIGNATURE_MM: [f32; 2] = [55.0, 14.0];
/// Room between a label and its place, in millimetres.
const GAP_MM: f32 = 2.0;
/// The most words of a line that is a caption.
const CAPTION_WORDS: usize = 4;
/// Room left at the edges of a page, in millimetres.
const MARGIN_MM: f32 = 12.0;

/// A place as a route describes it. Lengths are millimetres.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceRule {
    /// Which recipient of the route, from 1.
    pub recipient: u32,
    /// What is filled in.
    #[serde(default)]
    pub fill: BlankKind,
    /// The words to look for, in any case.
    #[serde(default)]
    pub anchor: Option<String>,
    /// Which of several places with these words, from 1; -1 is the last.
    #[serde(default = "first")]
    pub occurrence: i32,
    /// Right and down from the anchor's top left corner; where absent it is right of or above the words.
    #[serde(default)]
    pub offset: Option<[f32; 2]>,
    /// Width and height.
    #[serde(default)]
    pub size: Option<[f32; 2]>,
    /// Where it stands if the words are not found.
    #[serde(default)]
    pub fallback: Option<Fallback>,
}

/// A place by coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// The page, from 1; -1 is the last.
    pub page: i32,
    /// From the left edge.
    pub x: f32,
    /// From the top edge.
    pub y: f32,
}

fn first() -> i32 {
    1
}

impl PlaceRule {
    /// What is wrong with the rule, whatever the document.
    pub fn check(&self, recipients: usize) -> Result<(), String> {
        let lengths = self.offset.iter().flatten().chain(self.size.iter().flatten());
        if self.recipient == 0 || self.recipient as usize > recipients {
            Err(format!("`recipient = {}`: the route has {recipients}, counted from 1", self.recipient))
        } else if self.anchor.as_deref().is_some_and(|anchor| folded(anchor).is_empty()) {
            Err("`anchor` has no letters to look for".into())
        } else if self.anchor.is_none() && self.fallback.is_none() {
            Err("a place needs an `anchor`, a `fallback`, or both".into())
        } else if self.occurrence == 0 || self.fallback.is_some_and(|fallback| fallback.page == 0) {
            Err("`occurrence` and `page` count from 1, or from -1 backwards".into())
        } else if lengths.into_iter().any(|length| !length.is_finite() || length.abs() > 2_000.0) {
            Err("lengths are millimetres, at most 2000".into())
        } else if self.size.is_some_and(|[w, h]| w < 3.0 || h < 3.0) {
            Err("a place is at least 3 by 3 millimetres".into())
        } else {
            Ok(())
        }
    }
}

/// The places of an envelope with these recipients, over this page text. Every signer has one at least.
pub fn place(rules: &[PlaceRule], recipients: &[Recipient], text: &PageText) -> Vec<Blank> {
    let paper = Paper { text };
    let mut blanks: Vec<Blank> = rules.iter().filter_map(|rule| paper.by_rule(rule)).collect();
    let unplaced: Vec<u32> = (0u32..)
        .zip(recipients)
        .filter(|(index, recipient)| {
            let signs = |blank: &Blank| blank.recipient == *index && blank.kind == BlankKind::Signature;
            recipient.role == Role::Signer && !blanks.iter().any(signs)
        })
        .map(|(index, _)| index)
        .collect();
    let mut anchors = paper.usual_anchors().into_iter().filter(|anchor| {
        let place = paper.beside(anchor, SIGNATURE_MM);
        !blanks.iter().any(|blank| overlap(blank, &place))
    });
    let found: Vec<(u32, Option<Anchor>)> =
        unplaced.into_iter().map(|recipient| (recipient, anchors.next())).collect();
    let mut without = 0;
    for (recipient, anchor) in found {
        let mut blank = match anchor {
            Some(anchor) => paper.beside(&anchor, SIGNATURE_MM),
            None => {
                without += 1;
                paper.at_the_foot(without - 1)
            }
        };
        blank.recipient = recipient;
        blanks.push(blank);
    }
    blanks
}

/// Words that label a place.
#[derive(Clone, Debug)]
struct Anchor {
    page: u32,
    text: String,
    /// In points.
    x: f32,
    y: f32,
    w: f32,
    h: f32,
    /// An empty line, or a colon, follows them.
    leads: bool,
    /// They begin a short line: a caption, and not words of a sentence.
    captions: bool,
}

struct Paper<'a> {
    text: &'a PageText,
}

impl Paper<'_> {
    fn size(&self, page: u32) -> PageSize {
        self.text.pages.get(page as usize).map_or(PageSize { w: 595.28, h: 841.89 }, PageSize::of)
    }

    fn page_of(&self, counted: i32) -> Option<u32> {
        let count = i32::try_from(self.text.pages.len()).ok()?;
        let index = if counted < 0 { count + counted } else { counted - 1 };
        (0..count).contains(&index).then(|| index.unsigned_abs())
    }

    fn by_rule(&self, rule: &PlaceRule) -> Option<Blank> {
        let size = rule.size.unwrap_or(match rule.fill {
            BlankKind::Signature => SIGNATURE_MM,
            BlankKind::Initials => [20.0, 10.0],
            BlankKind::Date => [30.0, 7.0],
            BlankKind::Name | BlankKind::Text => [60.0, 7.0],
            BlankKind::Checkbox => [5.0, 5.0],
        });
        let anchor = rule.anchor.as_deref().and_then(|wanted| {
            let all = self.anchors(&[wanted]);
            let count = i32::try_from(all.len()).ok()?;
            let at = if rule.occurrence < 0 { count + rule.occurrence } else { rule.occurrence - 1 };
            all.into_iter().nth(usize::try_from(at).ok()?)
        });
        let mut blank = match (anchor, rule.fallback) {
            (Some(anchor), _) => match rule.offset {
                None => self.beside(&anchor, size),
                Some([right, down]) => self.within(Blank {
                    recipient: 0,
                    kind: rule.fill,
                    page: anchor.page,
                    x: anchor.x + right * POINTS_IN_MM,
                    y: anchor.y + down * POINTS_IN_MM,
                    w: size[0] * POINTS_IN_MM,
                    h: size[1] * POINTS_IN_MM,
                    why: format!("beside \"{}\"", anchor.text),
                }),
            },
            (None, Some(fallback)) => {
                let wanted = rule.anchor.as_deref();
                let why = match wanted {
                    Some(wanted) => format!("\"{wanted}\" was not found: at its fallback"),
                    None => "at the place the route names".into(),
                };
                // A document with fewer pages than the route expects is signed on its last one.
                let page = self.page_of(fallback.page).or_else(|| self.page_of(-1)).unwrap_or(0);
                self.within(Blank {
                    recipient: 0,
                    kind: rule.fill,
                    page,
                    x: fallback.x * POINTS_IN_MM,
                    y: fallback.y * POINTS_IN_MM,
                    w: size[0] * POINTS_IN_MM,
                    h: size[1] * POINTS_IN_MM,
                    why,
                })
            }
            (None, None) => return None,
        };
        blank.kind = rule.fill;
        blank.recipient = rule.recipient - 1;
        Some(blank)
    }

    /// Where the usual labels stand, in reading order; marks that somebody set for programs come first.
    fn usual_anchors(&self) -> Vec<Anchor> {
        // In a sentence the same words label nothing.
        let labels = self.anchors(&ANCHORS).into_iter().filter(|anchor| anchor.leads || anchor.captions);
        let mut labels: Vec<Anchor> = labels.collect();
        labels.sort_by_key(|anchor| !anchor.text.starts_with("{{"));
        labels
    }

    /// Where any of these words stand, in reading order; each word belongs to one anchor only.
    fn anchors(&self, wanted: &[&str]) -> Vec<Anchor> {
        let mut wanted: Vec<Vec<String>> = wanted.iter().map(|text| folded(text)).collect();
        wanted.sort_by_key(|words| std::cmp::Reverse(words.len()));
        let mut anchors = Vec::new();
        for (index, page) in (0u32..).zip(&self.text.pages) {
            let mut at = 0;
            while at < page.words.len() {
                let rest = &page.words[at..];
                let found = wanted.iter().find(|words| begins_with(rest, words));
                match found {
                    Some(words) => {
                        anchors.push(anchor(index, page, &rest[..words.len()], rest.get(words.len())));
                        at += words.len();
                    }
                    None => at += 1,
                }
            }
        }
        anchors
    }

    /// The place right of a label that leads to it, or above one that stands below a line.
    fn beside(&self, anchor: &Anchor, [w, h]: [f32; 2]) -> Blank {
        let (w, h, gap) = (w * POINTS_IN_MM, h * POINTS_IN_MM, GAP_MM * POINTS_IN_MM);
        let has_room = anchor.x + anchor.w + gap + w <= self.size(anchor.page).w - MARGIN_MM * POINTS_IN_MM;
        let (x, y, side) = if anchor.leads && has_room {
            (anchor.x + anchor.w + gap, anchor.y + anchor.h - h, "right of")
        } else {
            (anchor.x, anchor.y - gap - h, "above")
        };
        let why = format!("{side} \"{}\"", anchor.text);
        let kind = BlankKind::Signature;
        self.within(Blank { recipient: 0, kind, page: anchor.page, x, y, w, h, why })
    }

    /// A place at the bottom of the last page; the next ones stand beside and above it.
    fn at_the_foot(&self, number: u32) -> Blank {
        let page = u32::try_from(self.text.pages.len().saturating_sub(1)).unwrap_or(0);
        let size = self.size(page);
        let [w, h] = SIGNATURE_MM.map(|length| length * POINTS_IN_MM);
        let (margin, gap) = (MARGIN_MM * POINTS_IN_MM, GAP_MM * POINTS_IN_MM);
        let columns = ((size.w - 2.0 * margin + gap) / (w + gap)).floor().max(1.0) as u32;
        let (column, row) = ((number % columns) as f32, (number / columns) as f32);
        let why = "no words were found that label a place to sign: at the foot of the last page".into();
        self.within(Blank {
            recipient: 0,
            kind: BlankKind::Signature,
            page,
            x: margin + column * (w + gap),
            y: size.h - margin - h - row * (h + gap),
            w,
            h,
            why,
        })
    }

    /// The same place, moved and cut so that it lies on its page; in hundredths of a point.
    fn within(&self, mut blank: Blank) -> Blank {
        let size = self.size(blank.page);
        let round = |length: f32| (length * 100.0).round() / 100.0;
        blank.w = round(blank.w.min(size.w));
        blank.h = round(blank.h.min(size.h));
        blank.x = round(blank.x.clamp(0.0, size.w - blank.w));
        blank.y = round(blank.y.clamp(0.0, size.h - blank.h));
        blank
    }
}

fn anchor(index: u32, page: &PageRecord, words: &[Word], next: Option<&Word>) -> Anchor {
    let scale = 72.0 / page.dpi.max(1) as f32;
    let first = &words[0].rect;
    let (mut left, mut top, mut right, mut bottom) = (first.x, first.y, first.x + first.w, first.y + first.h);
    for word in words {
        (left, top) = (left.min(word.rect.x), top.min(word.rect.y));
        right = right.max(word.rect.x + word.rect.w);
        bottom = bottom.max(word.rect.y + word.rect.h);
    }
    let text: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let text = text.join(" ");
    let is_rule = |word: &Word| word.line == words[0].line && word.text.chars().all(|c| "_.-—".contains(c));
    let line = || page.words.iter().filter(|word| word.line == words[0].line);
    let begins = line().next().is_some_and(|word| word.rect == words[0].rect);
    let captions = begins && line().count() <= CAPTION_WORDS && text.chars().count() > 3;
    let leads = text.ends_with([':', '_']) || text.ends_with("}}") || next.is_some_and(is_rule);
    Anchor {
        page: index,
        text,
        x: left as f32 * scale,
        y: top as f32 * scale,
        w: (right - left) as f32 * scale,
        h: (bottom - top) as f32 * scale,
        leads,
        captions,
    }
}

/// Whether words of one line begin with these.
fn begins_with(words: &[Word], wanted: &[String]) -> bool {
    words.len() >= wanted.len()
        && words.iter().zip(wanted).all(|(word, wanted)| {
            word.line == words[0].line && fold(&word.text).is_some_and(|word| word == *wanted)
        })
}

/// The words of a text without case and without what stands around them.
fn folded(text: &str) -> Vec<String> {
    text.split_whitespace().filter_map(fold).collect()
}

fn fold(word: &str) -> Option<String> {
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    (!bare.is_empty()).then(|| bare.to_lowercase())
}

fn overlap(a: &Blank, b: &Blank) -> bool {
    a.page == b.page && a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
}

#[cfg(test)]
mod tests {
    use super::*;
    use platen_model::Rect;

    /// A4 at 72 dpi, so that pixels are points. Words as (text, x, y, line).
    fn page(words: &[(&str, u32, u32, u32)]) -> PageRecord {
        let word = |&(text, x, y, line): &(&str, u32, u32, u32)| Word {
            text: text.into(),
            confidence: 0.9,
            rect: Rect { x, y, w: 6 * text.chars().count() as u32, h: 10 },
            line,
            block: 0,
        };
        let words = words.iter().map(word).collect();
        PageRecord { width_px: 595, height_px: 842, dpi: 72, words, ..PageRecord::default() }
    }

    fn two_signers() -> Vec<Recipient> {
        vec![Recipient::signer("ada@example.com", 1), Recipient::signer("bob@example.com", 2)]
    }

    fn rule(text: &str) -> PlaceRule {
        toml::from_str(text).expect("a rule")
    }

    #[test]
    fn the_second_signer_signs_at_the_second_label() {
        let text = PageText::new(vec![
            page(&[("Signature", 60, 100, 0), ("is", 120, 100, 0)]),
            page(&[
                ("Signature:", 60, 700, 0),
                ("Signature", 60, 780, 1),
                ("of", 118, 780, 1),
                ("tenant", 140, 780, 1),
            ]),
        ]);
        let blanks = place(&[], &two_signers(), &text);
        let seen: Vec<(u32, u32, &str)> =
            blanks.iter().map(|blank| (blank.recipient, blank.page, blank.why.as_str())).collect();
        assert_eq!(seen, [(0, 0, "above \"Signature\""), (1, 1, "right of \"Signature:\"")]);
        assert!(blanks[1].x > 120.0 && blanks[1].y + blanks[1].h <= 710.01, "{blanks:?}");
    }

    #[test]
    fn the_same_words_in_a_sentence_label_nothing() {
        let sentence = ["made", "by", "and", "between", "signed", "parties"];
        let words: Vec<(&str, u32, u32, u32)> =
            (0..).zip(sentence).map(|(at, word): (u32, _)| (word, 60 + 60 * at, 100, 0)).collect();
        let blanks = place(&[], &two_signers()[..1], &PageText::new(vec![page(&words)]));
        assert!(blanks[0].why.contains("no words were found"), "{blanks:?}");
        let blanks = place(&[], &two_signers()[..1], &PageText::new(vec![page(&[("By:", 60, 500, 0)])]));
        assert_eq!(blanks[0].why, "right of \"By:\"");
    }

    #[test]
    fn a_mark_for_programs_is_a_place_to_sign_wherever_it_stands() {
        let text = PageText::new(vec![
            page(&[
                ("Signature", 60, 100, 0),
                ("of", 120, 100, 0),
                ("the", 140, 100, 0),
                ("seller", 170, 100, 0),
            ]),
            page(&[
                ("Signed", 60, 300, 0),
                ("here:", 110, 300, 0),
                ("{{SIGN_HERE}}", 150, 300, 0),
                ("today", 300, 300, 0),
            ]),
        ]);
        let found = place(&[], &two_signers(), &text);
        let mark = &found[0];
        assert_eq!((mark.page, mark.why.as_str()), (1, "right of \"{{SIGN_HERE}}\""));
        assert!(mark.x >= 228.0 && (mark.y + mark.h - 310.0).abs() < 0.1, "{mark:?}");
    }

    #[test]
    fn without_labels_places_stand_side_by_side_at_the_foot_of_the_last_page() {
        let text = PageText::new(vec![page(&[]), page(&[("Dear", 60, 60, 0)])]);
        let mut recipients = two_signers();
        recipients.push(Recipient { role: Role::Cc, ..Recipient::signer("cc@example.com", 3) });
        let blanks = place(&[], &recipients, &text);
        assert_eq!(blanks.len(), 2);
        assert!(blanks.iter().all(|blank| blank.page == 1 && blank.y > 700.0), "{blanks:?}");
        assert!(!overlap(&blanks[0], &blanks[1]), "{blanks:?}");
    }

    #[test]
    fn a_rule_finds_its_words_and_falls_back_where_they_are_not() {
        let text = PageText::new(vec![page(&[("Der", 60, 300, 0), ("Mieter:", 90, 300, 0)]), page(&[])]);
        let tenant = rule("recipient = 2\nanchor = \"der mieter\"\noffset = [0, 10]\nsize = [50, 10]");
        let date = rule(
            "recipient = 1\nfill = \"date\"\nanchor = \"Datum\"\nfallback = {page = -1, x = 20, y = 250}",
        );
        let blanks = place(&[tenant, date], &two_signers(), &text);
        assert_eq!((blanks[0].recipient, blanks[0].page, blanks[0].x), (1, 0, 60.0));
        assert!((blanks[0].y - 328.35).abs() < 0.01, "{blanks:?}");
        assert_eq!((blanks[1].kind, blanks[1].page), (BlankKind::Date, 1));
        assert_eq!(blanks[1].why, "\"Datum\" was not found: at its fallback");
        // The first signer has a date only: a signature is found for it all the same.
        assert_eq!((blanks[2].recipient, blanks[2].kind), (0, BlankKind::Signature));
    }

    #[test]
    fn every_place_lies_on_its_page() {
        let text = PageText::new(vec![page(&[("Signature", 560, 2, 0)])]);
        let far = rule("recipient = 1\nfallback = {page = 7, x = 1000, y = 1000}\nsize = [300, 400]");
        for blank in place(&[far], &two_signers(), &text) {
            assert!(blank.x >= 0.0 && blank.y >= 0.0, "{blank:?}");
            assert!(blank.x + blank.w <= 595.01 && blank.y + blank.h <= 842.01, "{blank:?}");
        }
    }

    #[test]
    fn rules_that_can_place_nothing_are_refused() {
        for (text, part) in [
            ("recipient = 3\nanchor = \"a\"", "counted from 1"),
            ("recipient = 0\nanchor = \"a\"", "counted from 1"),
            ("recipient = 1\nanchor = \"__\"", "no letters"),
            ("recipient = 1", "needs an `anchor`"),
            ("recipient = 1\nanchor = \"a\"\noccurrence = 0", "count from 1"),
            ("recipient = 1\nanchor = \"a\"\nsize = [1, 1]", "at least 3"),
            ("recipient = 1\nanchor = \"a\"\noffset = [1e9, 1]", "millimetres"),
        ] {
            let error = rule(text).check(2).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
        rule("recipient = 2\nanchor = \"a\"").check(2).expect("fits");
    }
}
