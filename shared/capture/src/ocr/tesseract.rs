//! One Tesseract recogniser, and the one place that talks to its C interface.
//!
//! leptess' own wrapper hands out text, but no words with boxes and confidences in one pass (its TSV output
//! costs another fifth of a second a page), and keeps its handle to itself. So this module holds a handle of
//! its own, made through leptess' bindings, and offers a safe face: whatever this module returns owns its
//! data, and every handle and iterator is freed where it goes out of scope.

#![expect(unsafe_code, reason = "Tesseract has a C interface; see the module's documentation")]

use std::ffi::{CStr, CString, c_int};
use std::path::Path;
use std::ptr::{self, NonNull};

use image::GrayImage;
use leptess::capi;
use platen_model::{Rect, Word};

use super::shortage;

/// How many bytes Tesseract's copy of a picture may be longer than the picture.
const COPY_MORE_BYTES: usize = 256 << 10;

/// A page's orientation, as Tesseract's model sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    /// The clockwise turn that makes the page upright: 0, 90, 180 or 270 degrees.
    pub clockwise_deg: u32,
    /// How sure it is: the margin to the next best, in its own unit. Above 2 or so it is usually right.
    pub margin: f32,
}

/// How the text of a picture is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// In columns, with headings and pictures: Tesseract finds out.
    Page,
    /// In lines from edge to edge, from top to bottom.
    Lines,
}

/// Why a picture could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// There was no memory left for it.
    ForMemory,
    /// Tesseract does not say.
    ForNoReason,
}

/// A Tesseract instance with its languages loaded.
#[derive(Debug)]
pub struct Recogniser {
    handle: NonNull<capi::TessBaseAPI>,
    /// Whether a picture is set, so that recognition may be asked for.
    shown: bool,
}

// SAFETY: an instance has no ties to the thread that made it; `&mut self` keeps two threads from using it at once.
unsafe impl Send for Recogniser {}

impl Recogniser {
    /// A recogniser for `languages` (joined by `+`), with its data from `folder`.
    ///
    /// # Errors
    ///
    /// When Tesseract cannot load the data.
    pub fn new(folder: &Path, languages: &str) -> Result<Self, String> {
        let refused = || format!("Tesseract cannot load `{languages}` from {}", folder.display());
        let path = folder.to_str().and_then(|path| CString::new(path).ok()).ok_or_else(refused)?;
        let names = CString::new(languages).map_err(|_| refused())?;
        super::stand_in();
        shortage::watch();
        // SAFETY: no preconditions; a null answer is checked.
        let handle = NonNull::new(unsafe { capi::TessBaseAPICreate() }).ok_or_else(refused)?;
        let mut recogniser = Self { handle, shown: false };
        // SAFETY: the handle is live, both strings outlive the call, which copies them.
        let status = unsafe { capi::TessBaseAPIInit3(handle.as_ptr(), path.as_ptr(), names.as_ptr()) };
        if status != 0 {
            return Err(refused());
        }
        // Tesseract's remarks about single pages say nothing that the words' confidences do not.
        recogniser.set(c"debug_file", c"/dev/null");
        recogniser.expect(Layout::Page);
        Ok(recogniser)
    }

    /// Says how the next picture's text is laid out.
    pub fn expect(&mut self, layout: Layout) {
        let mode = match layout {
            Layout::Page => capi::TessPageSegMode_PSM_AUTO,
            Layout::Lines => capi::TessPageSegMode_PSM_SINGLE_BLOCK,
        };
        // SAFETY: the handle is live and initialised.
        unsafe { capi::TessBaseAPISetPageSegMode(self.handle.as_ptr(), mode) }
    }

    fn set(&mut self, name: &CStr, value: &CStr) {
        // SAFETY: the handle is live, both strings outlive the call, which copies them. A name that this
        // version does not know is refused and changes nothing.
        unsafe { capi::TessBaseAPISetVariable(self.handle.as_ptr(), name.as_ptr(), value.as_ptr()) };
    }

    /// Sets the picture that is read next. Without a resolution Tesseract estimates it from the size of the text.
    pub fn show(&mut self, page: &GrayImage, dpi: Option<u32>) {
        let (width, height) = page.dimensions();
        let (Ok(columns), Ok(rows), Ok(resolution)) =
            (c_int::try_from(width), c_int::try_from(height), c_int::try_from(dpi.unwrap_or(0)))
        else {
            self.shown = false;
            return;
        };
        // Of the picture before.
        let _ = shortage::was();
        // A picture without pixels makes Tesseract exit the process, and a copy that it has no memory for crash.
        self.shown = columns > 0 && rows > 0 && shortage::has_room(page.as_raw().len() + COPY_MORE_BYTES);
        if !self.shown {
            return;
        }
        // SAFETY: the handle is live; a `GrayImage` holds `width * height` bytes in rows without padding, and
        // Tesseract copies them before it returns.
        unsafe {
            capi::TessBaseAPISetImage(
                self.handle.as_ptr(),
                page.as_raw().as_ptr(),
                columns,
                rows,
                1,
                columns,
            );
            capi::TessBaseAPISetSourceResolution(self.handle.as_ptr(), resolution);
        }
    }

    /// Restricts what is read next to a part of the picture.
    pub fn look_at(&mut self, part: Rect) {
        let number = |value: u32| c_int::try_from(value).unwrap_or(c_int::MAX);
        // SAFETY: the handle is live; Tesseract clips the rectangle to the picture.
        unsafe {
            capi::TessBaseAPISetRectangle(
                self.handle.as_ptr(),
                number(part.x),
                number(part.y),
                number(part.w),
                number(part.h),
            );
        }
    }

    /// Which way up the picture is.
    pub fn orientation(&mut self) -> Option<Turn> {
        if !self.shown {
            return None;
        }
        let (mut degrees, mut margin, mut script_margin) = (0, 0.0, 0.0);
        let mut script = ptr::null();
        // SAFETY: the handle is live and has a picture; the pointers are to locals. The script's name is not used.
        let found = unsafe {
            capi::TessBaseAPIDetectOrientationScript(
                self.handle.as_ptr(),
                &mut degrees,
                &mut margin,
                &mut script,
                &mut script_margin,
            )
        };
        // It answers how far the text is turned clockwise; to make it upright takes the rest of the circle.
        let degrees = u32::try_from(degrees).ok()?;
        (found != 0).then_some(Turn { clockwise_deg: (360 - degrees % 360) % 360, margin })
    }

    /// Reads the picture: its words in reading order.
    ///
    /// # Errors
    ///
    /// When Tesseract gives up, or had no memory for some of it: what it read then is not all that there is.
    pub fn recognise(&mut self) -> Result<Vec<Word>, GivenUp> {
        if !self.shown {
            return if shortage::was() { Err(GivenUp::ForMemory) } else { Ok(Vec::new()) };
        }
        // SAFETY: the handle is live and has a picture; no monitor is passed.
        let status = unsafe { capi::TessBaseAPIRecognize(self.handle.as_ptr(), ptr::null_mut()) };
        if shortage::was() {
            return Err(GivenUp::ForMemory);
        }
        if status != 0 {
            return Err(GivenUp::ForNoReason);
        }
        let mut words = Vec::new();
        if let Some(mut results) = Results::of(self) {
            let mut counter = Counter::default();
            loop {
                counter.notice(&results);
                words.extend(results.word(&counter));
                if !results.next() {
                    break;
                }
            }
        }
        Ok(words)
    }
}

impl Drop for Recogniser {
    fn drop(&mut self) {
        // SAFETY: the handle is live and not used again.
        unsafe { capi::TessBaseAPIDelete(self.handle.as_ptr()) }
    }
}

/// Counts blocks and lines while the words go by.
#[derive(Default)]
struct Counter {
    blocks: u32,
    lines: u32,
}

impl Counter {
    /// Columns and table cells are blocks; a new paragraph begins a new one too, as the text shows an empty
    /// line there.
    fn notice(&mut self, results: &Results<'_>) {
        self.blocks += u32::from(results.begins(capi::TessPageIteratorLevel_RIL_PARA));
        self.lines += u32::from(results.begins(capi::TessPageIteratorLevel_RIL_TEXTLINE));
    }
}

/// The result iterator, at a word. It borrows the recogniser: setting another picture would invalidate it.
struct Results<'r> {
    iterator: NonNull<capi::TessResultIterator>,
    _recogniser: &'r mut Recogniser,
}

impl<'r> Results<'r> {
    fn of(recogniser: &'r mut Recogniser) -> Option<Self> {
        // SAFETY: the handle is live and its picture was recognised; null means that there is no text.
        let iterator = unsafe { capi::TessBaseAPIGetIterator(recogniser.handle.as_ptr()) };
        Some(Self { iterator: NonNull::new(iterator)?, _recogniser: recogniser })
    }

    fn next(&mut self) -> bool {
        // SAFETY: the iterator is live, and the recogniser it reads from is borrowed.
        unsafe {
            capi::TessResultIteratorNext(self.iterator.as_ptr(), capi::TessPageIteratorLevel_RIL_WORD) != 0
        }
    }

    fn begins(&self, level: capi::TessPageIteratorLevel) -> bool {
        // SAFETY: as above; the page iterator is another view of the same object and not freed.
        unsafe {
            let page = capi::TessResultIteratorGetPageIteratorConst(self.iterator.as_ptr());
            capi::TessPageIteratorIsAtBeginningOf(page, level) != 0
        }
    }

    /// The word here; `None` for what holds no text, such as a picture.
    fn word(&self, counter: &Counter) -> Option<Word> {
        let level = capi::TessPageIteratorLevel_RIL_WORD;
        let (mut left, mut top, mut right, mut bottom) = (0, 0, 0, 0);
        // SAFETY: the iterator is live, the pointers are to locals; the text is freed below by its own function.
        let (text, confidence, boxed) = unsafe {
            let text = capi::TessResultIteratorGetUTF8Text(self.iterator.as_ptr(), level);
            if text.is_null() {
                return None;
            }
            // Tesseract gives a word's characters in logical order, whatever direction the line has.
            let owned = CStr::from_ptr(text).to_string_lossy().trim().to_owned();
            capi::TessDeleteText(text);
            let page = capi::TessResultIteratorGetPageIteratorConst(self.iterator.as_ptr());
            let boxed =
                capi::TessPageIteratorBoundingBox(page, level, &mut left, &mut top, &mut right, &mut bottom);
            (owned, capi::TessResultIteratorConfidence(self.iterator.as_ptr(), level), boxed)
        };
        if text.is_empty() || boxed == 0 {
            return None;
        }
        let at = |value: c_int| u32::try_from(value).unwrap_or(0);
        let rect = Rect { x: at(left), y: at(top), w: at(right - left), h: at(bottom - top) };
        Some(Word {
            text,
            confidence: (confidence / 100.0).clamp(0.0, 1.0),
            rect,
            line: counter.lines.saturating_sub(1),
            block: counter.blocks.saturating_sub(1),
        })
    }
}

impl Drop for Results<'_> {
    fn drop(&mut self) {
        // SAFETY: the iterator is live and not used again; its recogniser still lives.
        unsafe { capi::TessResultIteratorDelete(self.iterator.as_ptr()) }
    }
}
