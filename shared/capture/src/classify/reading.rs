//! A document as the rules see it: words in order, lines, and where everything stands.
//!
//! Positions are those of [`Reading::words`], counted through all pages. A reading borrows the page text and
//! never changes it. Of long documents the first and the last pages are looked at: a book does not become an invoice on
//! page 90, but a contract is signed on its last page, and an invoice of many pages has its total there.

use platen_model::{Barcode, CheckBox, PageRecord, PageText, Rect, Word};

use super::fuzzy;

/// Pages looked at from the beginning.
const FIRST_PAGES: usize = 8;
/// Pages looked at from the end.
const LAST_PAGES: usize = 2;
/// A gap between two words wider than so many heights of type parts what they say.
const WIDE_GAP: u32 = 1;
/// Words of one page that are looked at; a page of dense print has about 1,500.
const PAGE_WORDS: usize = 6_000;

/// One recognised word with its page.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadWord<'t> {
    pub(super) page: usize,
    pub(super) word: &'t Word,
}

/// A comparable word; a recognised word such as `Non-Disclosure:` yields two.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// Its shape, see [`fuzzy::skeleton`].
    pub(super) shape: String,
    /// The word it comes from.
    pub(super) word: usize,
}

/// A line of text.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) page: usize,
    /// Its words, as a range of positions.
    pub(super) words: std::ops::Range<usize>,
    /// Height of its tallest word in pixels.
    height: u32,
}

/// A document as the rules see it.
#[derive(Debug)]
pub(super) struct Reading<'t> {
    text: &'t PageText,
    /// All words of the pages looked at.
    pub(super) words: Vec<ReadWord<'t>>,
    /// All comparable words.
    pub(super) tokens: Vec<Token>,
    /// All lines.
    pub(super) lines: Vec<Line>,
    line_of: Vec<usize>,
    usual_height: Vec<u32>,
}

impl<'t> Reading<'t> {
    /// Takes a document apart.
    pub(super) fn new(text: &'t PageText) -> Self {
        let mut reading = Self {
            text,
            words: Vec::new(),
            tokens: Vec::new(),
            lines: Vec::new(),
            line_of: Vec::new(),
            usual_height: vec![0; text.pages.len()],
        };
        for (number, page) in pages_read(text) {
            let first_line = reading.lines.len();
            let mut previous: Option<&Word> = None;
            for word in page.words.iter().take(PAGE_WORDS) {
                let position = reading.words.len();
                let continues =
                    previous.is_some_and(|last| (last.line, last.block) == (word.line, word.block));
                if !continues {
                    reading.lines.push(Line { page: number, words: position..position, height: 0 });
                }
                if let Some(line) = reading.lines.last_mut() {
                    line.words.end = position + 1;
                    line.height = line.height.max(word.rect.h);
                }
                reading.line_of.push(reading.lines.len() - 1);
                reading.words.push(ReadWord { page: number, word });
                let divided = !continues && previous.is_some_and(|last| is_divided(&last.text, &word.text));
                for folded in fuzzy::words(&word.text) {
                    reading.join_or_push(divided, fuzzy::skeleton(&folded), position);
                }
                previous = Some(word);
            }
            let mut heights: Vec<u32> = reading.lines[first_line..].iter().map(|line| line.height).collect();
            heights.sort_unstable();
            reading.usual_height[number] = heights.get(heights.len() / 2).copied().unwrap_or(0);
        }
        reading
    }

    /// Adds a token, or lengthens the last one where a word was divided at the end of a line.
    fn join_or_push(&mut self, divided: bool, shape: String, word: usize) {
        match self.tokens.last_mut() {
            Some(last) if divided && last.word + 1 == word => last.shape.push_str(&shape),
            _ => self.tokens.push(Token { shape, word }),
        }
    }

    /// Number of pages, including those not looked at.
    pub(super) fn page_count(&self) -> usize {
        self.text.pages.len()
    }

    /// Whether all pages are looked at.
    pub(super) fn is_whole(&self) -> bool {
        self.page_count() <= FIRST_PAGES + LAST_PAGES
    }

    /// The bar codes of the pages looked at, each with its page.
    pub(super) fn barcodes(&self) -> impl Iterator<Item = (usize, &'t Barcode)> {
        pages_read(self.text).flat_map(|(number, page)| page.barcodes.iter().map(move |code| (number, code)))
    }

    /// The boxes to tick that are drawn on a page.
    pub(super) fn check_boxes(&self, page: usize) -> &'t [CheckBox] {
        self.text.pages.get(page).map_or(&[], |page| &page.check_boxes)
    }

    /// Width and height of a page in pixels; 0 where there is none.
    pub(super) fn page_size(&self, page: usize) -> (u32, u32) {
        self.text.pages.get(page).map_or((0, 0), |page| (page.width_px, page.height_px))
    }

    /// The number of the line a word stands on, counted through all pages.
    pub(super) fn line_number(&self, word: usize) -> usize {
        self.line_of[word]
    }

    /// The line a word stands on.
    pub(super) fn line(&self, word: usize) -> &Line {
        &self.lines[self.line_of[word]]
    }

    /// The words of a range as they were read, with blanks between.
    pub(super) fn text_of(&self, words: std::ops::Range<usize>) -> String {
        let words: Vec<&str> = self.words[words].iter().map(|read| read.word.text.as_str()).collect();
        words.join(" ")
    }

    /// Some words with blanks between, and tabs where a wide gap or the end of a line is: what stands apart is no one
    /// number. As long as with blanks alone.
    pub(super) fn spaced_text(&self, words: impl IntoIterator<Item = usize>) -> String {
        let mut text = String::new();
        let mut last: Option<usize> = None;
        for word in words {
            if let Some(last) = last {
                text.push(if self.is_apart(last, word) { '\t' } else { ' ' });
            }
            text.push_str(&self.words[word].word.text);
            last = Some(word);
        }
        text
    }

    /// Whether a wide gap or the end of a row is between two words that follow each other.
    pub(super) fn is_apart(&self, word: usize, next: usize) -> bool {
        let (one, other) = (self.words[word], self.words[next]);
        let (one_rect, other_rect) = (one.word.rect, other.word.rect);
        let height = one_rect.h.max(other_rect.h);
        let gap = other_rect.x.saturating_sub(one_rect.x.saturating_add(one_rect.w));
        let other_row = one_rect.y.abs_diff(other_rect.y) > height || other_rect.x < one_rect.x;
        one.page != other.page || other_row || gap > height.saturating_mul(WIDE_GAP)
    }

    /// The box around some words of one page.
    pub(super) fn rect_of(&self, words: impl IntoIterator<Item = usize>) -> Rect {
        let mut rects = words.into_iter().map(|word| self.words[word].word.rect);
        let Some(first) = rects.next() else { return Rect::default() };
        rects.fold(first, |sum, next| {
            let (x, y) = (sum.x.min(next.x), sum.y.min(next.y));
            let right = sum.x.saturating_add(sum.w).max(next.x.saturating_add(next.w));
            let bottom = sum.y.saturating_add(sum.h).max(next.y.saturating_add(next.h));
            Rect { x, y, w: right - x, h: bottom - y }
        })
    }

    /// How far down its page a word stands: 0 at the top edge, 1 at the bottom.
    pub(super) fn depth(&self, word: usize) -> f32 {
        let read = self.words[word];
        let height = self.text.pages[read.page].height_px.max(1);
        read.word.rect.y as f32 / height as f32
    }

    /// The height of a word's line as a multiple of the page's usual one.
    pub(super) fn size(&self, word: usize) -> f32 {
        let line = self.line(word);
        line.height as f32 / self.usual_height[line.page].max(1) as f32
    }
}

/// The pages that are looked at, each with its number.
fn pages_read(text: &PageText) -> impl Iterator<Item = (usize, &PageRecord)> {
    let count = text.pages.len();
    text.pages.iter().enumerate().filter(move |(number, _)| is_read(*number, count))
}

/// Whether a page is looked at, by its number from 0 and the number of pages.
pub(super) fn is_read(page: usize, count: usize) -> bool {
    page < FIRST_PAGES || page >= count.saturating_sub(LAST_PAGES)
}

/// Whether a word was divided with a hyphen between two lines.
fn is_divided(end: &str, begin: &str) -> bool {
    end.len() > 2 && end.ends_with('-') && begin.starts_with(char::is_lowercase)
}
