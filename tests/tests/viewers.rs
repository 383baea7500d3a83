//! The invisible text layer, in the viewers that people use: what they find, select and copy is what stands on the page.
//!
//! The pages are made of words as a recogniser would answer them, so that no language data is needed for any script.

use std::io::Write as _;

use platen_capture::PdfA;
use platen_capture::inspection::{ImageCodec, PageImage};
use platen_capture::pdf::Binder;
use platen_capture::worker::protocol::BindInfo;
use platen_model::joining::is_right_to_left;
use platen_model::{Digest, PageRecord, Rect, Word};
use platen_tests::{Browser, viewers, wait};

const WIDTH: u32 = 1200;
const HEIGHT: u32 = 1600;
/// The height of a line's words, in pixels.
const LINE: u32 = 40;

/// A line of words in logical order: for each its text, left end and width, in pixels.
type Line = &'static [(&'static str, u32, u32)];

struct Script {
    name: &'static str,
    lines: &'static [Line],
    /// What must be found, as people type it, and the lines on which it stands.
    phrases: &'static [(&'static str, &'static [usize])],
    /// What poppler must read, line by line.
    reads: &'static [&'static str],
}

const SCRIPTS: &[Script] = &[
    Script {
        name: "english",
        lines: &[
            &[
                ("Both", 120, 90),
                ("parties", 230, 140),
                ("enter", 400, 100),
                ("this", 520, 70),
                ("agree-", 610, 130),
            ],
            &[("ment", 120, 100), ("at", 240, 40), ("their", 300, 90), ("own", 410, 80), ("risk.", 510, 90)],
            &[("A", 120, 26), ("well-known", 170, 220), ("risk", 410, 80)],
        ],
        phrases: &[
            ("Both parties enter", &[0]),
            ("agreement at", &[0, 1]),
            ("their own risk.", &[1]),
            ("well-known", &[2]),
        ],
        // The line whose end divides a word goes on with the next one.
        reads: &["Both parties enter this agreement at their own risk.", "A well-known risk"],
    },
    Script {
        name: "hebrew",
        lines: &[
            &[("הסכם", 960, 120), ("סודיות", 800, 140), ("2026", 680, 100), ("בין", 590, 70)],
            // Set wide, as justified lines are.
            &[("הצדדים", 940, 140), ("לחברת", 740, 130), ("Nordwind", 500, 200), ("בע״מ", 360, 90)],
        ],
        phrases: &[
            ("הסכם סודיות", &[0]),
            ("סודיות 2026 בין", &[0]),
            ("הצדדים לחברת", &[1]),
            ("Nordwind", &[1]),
        ],
        reads: &["הסכם סודיות 2026 בין", "הצדדים לחברת Nordwind בע״מ"],
    },
    Script {
        name: "arabic",
        lines: &[
            &[("اتفاقية", 940, 140), ("السرية", 790, 130), ("بين", 700, 70)],
            &[("الطرف", 950, 130), ("الأول", 810, 120), ("والعَقْد", 650, 140)],
        ],
        phrases: &[("اتفاقية السرية", &[0]), ("السرية بين", &[0]), ("الطرف الأول", &[1])],
        reads: &["اتفاقية السرية بين"],
    },
    Script {
        name: "chinese",
        lines: &[
            &[("保密", 120, 80), ("协议", 202, 80), ("书", 284, 40)],
            &[("甲方", 120, 80), ("：", 200, 40), ("北风", 242, 80), ("公司", 324, 80), ("v2", 424, 40)],
            // A title set wide, each character by itself.
            &[("合", 120, 40), ("同", 260, 40)],
        ],
        phrases: &[("保密协议书", &[0]), ("甲方：北风公司", &[1]), ("公司 v2", &[1])],
        reads: &["保密协议书", "甲方：北风公司 v2"],
    },
    Script {
        name: "japanese",
        lines: &[
            &[("秘密", 120, 80), ("保持", 202, 80), ("契約", 284, 80), ("書", 366, 40)],
            &[("当事者", 120, 120), ("は", 242, 40), ("、", 284, 40), ("ノルト", 326, 120), ("社", 448, 40)],
        ],
        phrases: &[("秘密保持契約書", &[0]), ("当事者は、ノルト社", &[1])],
        reads: &["秘密保持契約書", "当事者は、ノルト社"],
    },
];

fn top_of(line: usize) -> u32 {
    200 + 2 * LINE * line as u32
}

impl Script {
    fn words(&self) -> Vec<Word> {
        let lines = self.lines.iter().enumerate();
        let words = lines.flat_map(|(line, words)| words.iter().map(move |word| (line, *word)));
        words
            .map(|(line, (text, x, w))| Word {
                text: text.into(),
                confidence: 0.9,
                rect: Rect { x, y: top_of(line), w, h: LINE },
                line: line as u32,
                block: 0,
            })
            .collect()
    }

    /// A PDF of a white page with these words.
    fn pdf(&self) -> tempfile::NamedTempFile {
        let mut picture = tempfile::tempfile().expect("a file");
        let white = image::GrayImage::from_pixel(WIDTH, HEIGHT, image::Luma([255]));
        let mut jpeg = std::io::Cursor::new(Vec::new());
        white.write_to(&mut jpeg, image::ImageFormat::Jpeg).expect("a JPEG");
        picture.write_all(jpeg.get_ref()).expect("write");
        let bytes = jpeg.get_ref().len() as u64;
        let image = PageImage::plain(ImageCodec::Jpeg, (WIDTH, HEIGHT), 1, 8, bytes);
        let info = BindInfo {
            title: self.name.into(),
            pdfa: PdfA::A2b,
            languages: "eng".into(),
            copy_of_signed: false,
            sources: vec![Digest::of(self.name.as_bytes())],
        };
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut binder = Binder::begin(info, file.reopen().expect("open"));
        let record = PageRecord {
            width_px: WIDTH,
            height_px: HEIGHT,
            dpi: 150,
            words: self.words(),
            ..PageRecord::default()
        };
        binder.add_page(&image, &record, picture).expect("a page");
        binder.finish().expect("a PDF");
        file
    }

    /// The box around lines of words, as parts of the page: left, top, right, bottom.
    fn box_of(&self, lines: &[usize]) -> [f64; 4] {
        let words = || lines.iter().flat_map(|&line| self.lines[line].iter());
        let left = words().map(|(_, x, _)| *x).min().expect("a word");
        let right = words().map(|(_, x, w)| x + w).max().expect("a word");
        let (top, bottom) = (top_of(lines[0]), top_of(lines[lines.len() - 1]) + LINE);
        let (width, height) = (f64::from(WIDTH), f64::from(HEIGHT));
        [
            f64::from(left) / width,
            f64::from(top) / height,
            f64::from(right) / width,
            f64::from(bottom) / height,
        ]
    }
}

/// Whether a box lies within another, but for a hair.
fn lies_within(inner: &[f64], outer: [f64; 4]) -> bool {
    const HAIR: f64 = 0.012;
    inner[0] >= outer[0] - HAIR
        && inner[1] >= outer[1] - HAIR
        && inner[2] <= outer[2] + HAIR
        && inner[3] <= outer[3] + HAIR
}

/// Text without what differs in layout only.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn poppler_reads_the_words_in_logical_order_with_their_blanks() {
    for script in SCRIPTS {
        let text = viewers::poppler(script.pdf().path());
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for wanted in script.reads {
            // Beside a number in a right-to-left line poppler puts the blank on the wrong side, whoever wrote the PDF.
            let is_mixed = wanted.contains(is_right_to_left)
                && wanted.contains(|letter: char| letter.is_ascii_alphanumeric());
            let is_read = lines.iter().any(|line| match is_mixed {
                true => squeezed(line) == squeezed(wanted),
                false => line == wanted,
            });
            assert!(is_read, "{}: no {wanted:?} in {lines:?}", script.name);
        }
    }
}

#[test]
fn mupdf_finds_every_phrase_where_it_stands() {
    for script in SCRIPTS {
        let phrases: Vec<&str> = script.phrases.iter().map(|(phrase, _)| *phrase).collect();
        let found = viewers::mupdf(script.pdf().path(), &phrases);
        // MuPDF puts no divided word together, and takes right-to-left lines for turned round where the others turn them.
        let is_held = |phrase: &str, lines: &[usize]| lines.len() == 1 && !phrase.contains(is_right_to_left);
        for (phrase, lines) in script.phrases.iter().filter(|(phrase, lines)| is_held(phrase, lines)) {
            let boxes: Vec<Vec<f64>> = serde_json::from_value(found[phrase].clone()).expect("boxes");
            assert!(!boxes.is_empty(), "{}: no {phrase:?}", script.name);
            let (width, height) = (f64::from(WIDTH) * 0.48, f64::from(HEIGHT) * 0.48);
            for found in boxes {
                let found = [found[0] / width, found[1] / height, found[2] / width, found[3] / height];
                let wanted = script.box_of(lines);
                assert!(
                    lies_within(&found, wanted),
                    "{}: {phrase:?} at {found:?}, not {wanted:?}",
                    script.name
                );
            }
        }
    }
}

#[test]
fn pdfium_finds_every_phrase_where_it_stands() {
    for script in SCRIPTS {
        let phrases: Vec<&str> = script.phrases.iter().map(|(phrase, _)| *phrase).collect();
        let answer = viewers::pdfium(script.pdf().path(), &phrases);
        for (phrase, lines) in script.phrases {
            let found: Option<Vec<f64>> =
                serde_json::from_value(answer["found"][phrase].clone()).expect("a box or nothing");
            let found = found.unwrap_or_else(|| panic!("{}: no {phrase:?} in {answer}", script.name));
            let (width, height) = (f64::from(WIDTH) * 0.48, f64::from(HEIGHT) * 0.48);
            let found = [found[0] / width, found[1] / height, found[2] / width, found[3] / height];
            let wanted = script.box_of(lines);
            assert!(lies_within(&found, wanted), "{}: {phrase:?} at {found:?}, not {wanted:?}", script.name);
        }
        // Nothing is lost, whatever the order of mixed lines.
        let mut read: Vec<char> = squeezed(answer["text"].as_str().expect("text")).chars().collect();
        read.retain(|character| !['\u{FFFE}', '\u{2}', '-'].contains(character));
        let mut ours: Vec<char> =
            script.words().iter().flat_map(|word| word.text.chars().collect::<Vec<_>>()).collect();
        ours.retain(|character| *character != '-');
        read.sort_unstable();
        ours.sort_unstable();
        assert_eq!(read, ours, "{}", script.name);
    }
}

#[tokio::test]
async fn pdfjs_finds_selects_and_copies_what_stands_on_the_page() {
    let browser = Browser::start().await.expect("a browser");
    for script in SCRIPTS {
        let name = script.name;
        let pdf = std::fs::read(script.pdf().path()).expect("the PDF");
        browser.open(&viewers::serve_with_pdfjs(pdf)).await.expect("the viewer's page");
        let shown = wait::until("the text layer", std::time::Duration::from_secs(60), || async {
            (browser.evaluate("document.title").await.ok()? == "rendered").then_some(())
        });
        shown.await.unwrap_or_else(|error| panic!("{name}: {error}"));

        for (phrase, _) in script.phrases {
            let found = browser.evaluate(&format!("finds({phrase:?})")).await.expect("an answer");
            assert_eq!(found, true, "{name}: {phrase:?} is not found");
        }
        let missed = browser.evaluate("finds('this is not there')").await.expect("an answer");
        assert_eq!(missed, false, "{name}");

        let copied = browser.evaluate("selected()").await.expect("a text");
        let copied = copied.as_str().expect("a text").to_owned();
        for (phrase, lines) in script.phrases.iter().filter(|(_, lines)| lines.len() == 1) {
            assert!(copied.contains(phrase), "{name}: line {lines:?}: {phrase:?} is not in {copied:?}");
        }
        let pieces = browser.evaluate("pieces()").await.expect("pieces of text");
        for piece in pieces.as_array().expect("a list") {
            let found: Vec<f64> = serde_json::from_value(piece["box"].clone()).expect("a box");
            let on_a_line = (0..script.lines.len()).any(|line| lies_within(&found, script.box_of(&[line])));
            assert!(on_a_line, "{name}: {piece} is beside its line");
        }
    }
}
