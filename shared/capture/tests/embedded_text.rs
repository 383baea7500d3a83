//! What becomes of the words that a PDF brings with it: they stand where they are what one sees.

use std::io::Write as _;

use platen_capture::decode::Document;
use platen_capture::ocr::Engines;
use platen_capture::{Effort, Options, raster};
use platen_model::{PageRecord, TextSource};

const LINES: [&str; 6] = [
    "The office confirms that the first figures were filed.",
    "Kerned words such as AVATAR or Two are not parted.",
    "An efficient affiliate pays 1,234.50 on 31 March.",
    "Item 17     Description of a part     13.50",
    "Please sign below and return one copy to us.",
    "Nobody has to recognise what is known already.",
];

/// A letter-size PDF with these lines of text in Helvetica, each drawn by these instructions.
fn pdf(lines: &[(&str, &str)]) -> Vec<u8> {
    let mut content = String::from("BT /F1 12 Tf 1 0 0 1 72 720 Tm 20 TL\n");
    for (instructions, line) in lines {
        content.push_str(&format!("{instructions} ({line}) Tj T*\n"));
    }
    content.push_str("ET");
    let font =
        "/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>>>>>";
    format!(
        "%PDF-1.5\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n\
         2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n\
         3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R{font}>>\nendobj\n\
         4 0 obj\n<</Length {}>>\nstream\n{content}\nendstream\nendobj\n\
         trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n0\n%%EOF\n",
        content.len()
    )
    .into_bytes()
}

fn read(lines: &[(&str, &str)]) -> PageRecord {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&pdf(lines)).expect("written");
    let options = Options::default();
    let mut document = Document::open(file, &options.limits).expect("it opens");
    raster::finish_page(&mut document, 0, &options, Effort::Whole, &mut Engines::default())
        .expect("it is finished")
        .record
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[test]
fn a_page_made_by_a_program_keeps_its_words_exactly() {
    let record = read(&LINES.map(|line| ("0 g", line)));
    assert_eq!(record.text_source, TextSource::Embedded);
    assert_eq!(words(&record.text()), words(&LINES.join(" ")));
    assert_eq!(record.words.iter().map(|word| word.line).max(), Some(5));
    // 72 points from the left, and 72 from the top to the first baseline, at 300 dpi.
    let first = record.words[0].rect;
    assert!(first.x.abs_diff(300) < 8 && (first.y + first.h).abs_diff(300) < 8, "{first:?}");
    assert!((20..50).contains(&first.h) && (60..110).contains(&first.w), "{first:?}");
}

#[test]
fn words_that_nobody_sees_do_not_stand_for_the_page() {
    let mut lines: Vec<(&str, &str)> = LINES.map(|line| ("0 g", line)).to_vec();
    lines.push(("1 g", "White on white are the words that nobody sees"));
    let record = read(&lines);
    assert_eq!(record.text_source, TextSource::Embedded);
    assert_eq!(words(&record.text()), words(&LINES.join(" ")));
    // Where a part of the words is nowhere to be seen, none is believed.
    lines.extend(["Nor does anybody see these", "or any of those words at all"].map(|line| ("1 g", line)));
    let record = read(&lines);
    assert_eq!(record.text_source, TextSource::Recognised);
    assert!(record.text().contains("confirms") && !record.text().contains("White"), "{}", record.text());
}

/// Instructions that go on behind a text, draw this, and leave a text begun.
fn beside(drawing: &str) -> String {
    format!("ET {drawing} BT /F1 12 Tf 1 0 0 1 72 60 Tm")
}

#[test]
fn a_line_too_pale_to_be_seen_for_certain_does_not_cost_the_others_their_exactness() {
    let mut lines: Vec<(&str, &str)> = LINES.map(|line| ("0 g", line)).to_vec();
    lines.push(("0 g", "Order 4711-X0O1l is yours."));
    lines.push(("0.87 g", "Draft copy printed by accounts"));
    let record = read(&lines);
    assert_eq!(record.text_source, TextSource::Embedded);
    let exact = format!("{} Order 4711-X0O1l is yours.", LINES.join(" "));
    assert!(words(&record.text()).starts_with(&words(&exact)), "{}", record.text());
}

#[test]
fn the_dots_of_a_chart_do_not_cost_a_page_its_words_and_become_none() {
    // An octagon is as round as a dot of four points needs to be.
    let dot = |at: u32| {
        let (x, y) = (90 + at * 97 % 430, 150 + at * 61 % 370);
        let corners = [(3, 1), (1, 3), (-1, 3), (-3, 1), (-3, -1), (-1, -3), (1, -3), (3, -1)];
        let corners = corners.map(|(across, up)| (x.cast_signed() + across, y.cast_signed() + up));
        let [(x, y), rest @ ..] = corners;
        let rest: String = rest.iter().map(|(x, y)| format!("{x} {y} l ")).collect();
        format!("{x} {y} m {rest}f ")
    };
    let chart = beside(&(0..200).map(dot).collect::<String>());
    let mut lines: Vec<(&str, &str)> = LINES.map(|line| ("0 g", line)).to_vec();
    lines.push((&chart, "Figure 1"));
    let record = read(&lines);
    assert_eq!(record.text_source, TextSource::Embedded);
    assert_eq!(words(&record.text()), words(&format!("{} Figure 1", LINES.join(" "))));
}

#[test]
fn what_is_drawn_as_shapes_beside_words_is_read_beside_them() {
    // Capitals of straight strokes, as a plotter writes them.
    let strokes = |letter: char| match letter {
        'E' => "1 0 m 0 0 l 0 2 l 1 2 l 0 1 m .8 1 l",
        'H' => "0 0 m 0 2 l 1 0 m 1 2 l 0 1 m 1 1 l",
        'I' => "0 0 m 0 2 l",
        'L' => "0 2 m 0 0 l 1 0 l",
        'M' => "0 0 m 0 2 l .6 .8 l 1.2 2 l 1.2 0 l",
        'N' => "0 0 m 0 2 l 1 0 l 1 2 l",
        'T' => "0 2 m 1.2 2 l .6 2 m .6 0 l",
        'A' => "0 0 m .6 2 l 1.2 0 l .2 .7 m 1 .7 l",
        'F' => "0 0 m 0 2 l 1 2 l 0 1 m .8 1 l",
        other => panic!("no strokes for {other}"),
    };
    let drawn: String =
        ["THE LIFT IN THE MAIN HALL", "THE MAIN LINE IN THE FINAL HALL", "ALL MEN ATE IN THE TEA HALL"]
            .iter()
            .enumerate()
            .map(|(line, text)| {
                let letters = text.chars().enumerate().filter(|(_, letter)| *letter != ' ');
                let shown = letters.map(|(at, letter)| {
                    format!(
                        "q 8 0 0 8 {} {} cm .28 w {} S Q ",
                        72 + at * 14,
                        400 - line * 36,
                        strokes(letter)
                    )
                });
                shown.collect::<String>()
            })
            .collect();
    let drawn = beside(&drawn);
    let mut lines: Vec<(&str, &str)> = LINES.map(|line| ("0 g", line)).to_vec();
    lines.push((&drawn, "Figure 1"));
    let record = read(&lines);
    assert_eq!(record.text_source, TextSource::Embedded);
    let text = record.text();
    let own = format!("{} Figure 1", LINES.join(" "));
    assert!(words(&text).starts_with(&words(&own)), "{text}");
    assert!(text.contains("HALL") && text.contains("MAIN"), "{text}");
}

#[test]
fn a_page_of_a_few_letters_is_not_blank_and_one_of_letters_that_nobody_sees_is() {
    for line in ["Annex A", "Page 3", "II."] {
        assert!(!read(&[("0 g", line)]).blank, "{line}");
    }
    assert!(!read(&[("0.8 g", "Annex A")]).blank, "it is pale, and seen");
    assert!(read(&[("1 g", "Annex A")]).blank && read(&[("3 Tr", "Annex A")]).blank);
    assert!(read(&[]).blank);
}

#[test]
fn a_word_that_was_painted_over_does_not_come_back() {
    // Enough lines for one word not to matter, and a black box over the name on the last of them.
    let many: Vec<(&str, &str)> = LINES.iter().cycle().take(24).map(|line| ("0 g", *line)).collect();
    let mut lines = many.clone();
    lines.push(("0 g", "Harbinger"));
    let box_over_it = "ET 0 g 70 236 62 16 re f BT /F1 12 Tf 1 0 0 1 72 200 Tm";
    lines.push((box_over_it, "Nothing was said of it - nor of 7."));
    let record = read(&lines);
    assert_eq!(record.text_source, TextSource::Embedded);
    let text = record.text();
    assert!(!text.contains("Harbinger"), "{text}");
    assert!(text.contains("Nothing was said of it - nor of 7."), "{text}");
    let as_many = words(&many.iter().map(|(_, line)| format!("{line} ")).collect::<String>()).len() + 9;
    assert_eq!(record.words.len(), as_many, "{text}");
}

#[test]
fn an_invisible_layer_is_not_taken_for_the_words_of_the_page() {
    let invisible = LINES.map(|line| ("3 Tr", line));
    let mut lines = vec![("0 Tr", "A heading that one sees, and nothing else of the page")];
    lines.extend(invisible);
    let record = read(&lines);
    assert!(!record.text().contains("affiliate"), "{}", record.text());
}
