use std::fs::File;

use proptest::prelude::*;

use super::*;
use crate::decode::Document;
use crate::ocr::Engines;
use crate::options::{Effort, Options};
use crate::raster::finish_page;

/// What is read of a page of the test data, and what is to be read.
fn read(name: &str) -> (String, String) {
    let (path, expected) = platen_testdata::page(name);
    let options = Options::default();
    let file = File::open(path).expect("it opens");
    let mut document = Document::open(file, &options.limits).expect("it is a picture");
    let page = finish_page(&mut document, 0, &options, Effort::Whole, &mut Engines::default());
    (page.expect("it is finished").record.text(), expected)
}

fn words_of(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

/// Checks that the page's words come in the order in which a person reads them, and lines where they are.
#[track_caller]
fn check(name: &str) {
    let (text, expected) = read(name);
    let (found, wanted) = (words_of(&text), words_of(&expected));
    // Words that are misread are no matter of order: at most one in thirty, each counted twice.
    let apart = edits(&found, &wanted);
    assert!(
        apart * 30 <= wanted.len(),
        "{name}: {apart} of {} words are wrong or elsewhere:\n{text}",
        wanted.len()
    );
    let lines: Vec<Vec<&str>> = text.lines().map(words_of).collect();
    let lost: Vec<&str> = expected.lines().filter(|line| !lines.contains(&words_of(line))).collect();
    assert!(lost.len() * 10 <= expected.lines().count(), "{name}: these are no lines: {lost:#?}\n{text}");
}

/// Levenshtein's distance over words.
fn edits(one: &[&str], other: &[&str]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, a) in one.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (place, b) in other.iter().enumerate() {
            let kept = diagonal + usize::from(a != b);
            diagonal = row[place + 1];
            row[place + 1] = kept.min(row[place] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[test]
fn a_table_with_rules_is_read_row_by_row() {
    check("ruled-table");
}

#[test]
fn a_table_without_rules_is_read_row_by_row() {
    check("plain-table");
}

#[test]
fn labels_and_their_values_stand_on_one_line() {
    check("pairs");
}

#[test]
fn two_columns_of_prose_are_read_one_after_the_other() {
    check("columns");
}

#[test]
fn addresses_side_by_side_are_read_one_by_one_and_a_bill_below_them_by_rows() {
    check("bill");
}

/// Lines at these places, in the order in which they were read: text, left, top. A letter is 10 wide, a line 20 high.
fn lines(read: &[(&str, u32, u32)]) -> Vec<Word> {
    let mut words = Vec::new();
    for (number, (text, left, top)) in (0..).zip(read) {
        let mut x = *left;
        for text in text.split(' ') {
            let width = text.chars().count() as u32 * 10;
            let rect = Rect { x, y: *top, w: width, h: 20 };
            words.push(Word { text: text.into(), confidence: 0.9, rect, line: number, block: number });
            x += width + 8;
        }
    }
    words
}

fn joined(read: &[(&str, u32, u32)]) -> Vec<String> {
    let mut words = lines(read);
    join(&mut words);
    let lines = words.chunk_by(|one, other| one.line == other.line);
    lines.map(|line| line.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn amounts_that_were_read_behind_all_labels_go_to_them_and_a_lone_one_stays_between() {
    let read = [
        ("Statement", 100, 40),
        ("Rent", 100, 100),
        ("Heating and water", 100, 130),
        ("Sum", 100, 190),
        ("Thank you for paying in time", 100, 260),
        ("900.00", 600, 100),
        ("120.50", 600, 130),
        ("14.00", 600, 160),
        ("1,034.50", 600, 190),
    ];
    let rows = [
        "Statement",
        "Rent 900.00",
        "Heating and water 120.50",
        "14.00",
        "Sum 1,034.50",
        "Thank you for paying in time",
    ];
    assert_eq!(joined(&read), rows);
}

#[test]
fn cells_of_three_columns_are_joined_though_they_are_words() {
    let mut read = Vec::new();
    for (column, cells) in (0..).zip([
        ["Pine", "Oak", "Ash", "Elm"],
        ["soft", "hard", "tough", "rare"],
        ["north", "south", "west", "none"],
    ]) {
        read.extend((0..).zip(cells).map(|(row, cell)| (cell, 100 + column * 300, 100 + row * 40)));
    }
    assert_eq!(joined(&read), ["Pine soft north", "Oak hard south", "Ash tough west", "Elm rare none"]);
}

#[test]
fn prose_in_columns_addresses_and_line_numbers_stay_as_they_were_read() {
    let left = [
        "the quick brown fox jumps over",
        "a lazy dog that sleeps in the",
        "sun beside a barn and never",
        "wakes before the evening comes",
    ];
    let right = [
        "while a cat walks along a wall",
        "and looks at both with contempt",
        "for it has seen foxes and dogs",
        "in great numbers all its life",
    ];
    let column =
        |cells: [&'static str; 4], x: u32| (0..).zip(cells).map(move |(row, cell)| (cell, x, 100 + row * 30));
    let numbers = column(["5", "10", "15", "20"], 40);
    let same = |read: Vec<(&str, u32, u32)>| {
        let texts: Vec<String> = read.iter().map(|line| line.0.to_owned()).collect();
        assert_eq!(joined(&read), texts);
    };
    same(column(left, 100).chain(column(right, 600)).collect());
    same(numbers.chain(column(left, 100)).collect());
    let (from, to) =
        (["Anna Berg", "Mill House", "Penryn", "Cornwall"], ["The Clerk", "Town Hall", "Truro", "Cornwall"]);
    same(column(from, 100).chain(column(to, 600)).collect());
}

proptest! {
    #[test]
    fn whatever_is_read_no_word_is_lost_or_made_and_lines_are_numbered_without_gaps(
        places in proptest::collection::vec((0u32..900, 0u32..900, 0usize..6), 0..60),
    ) {
        let texts = ["12.50", "Total:", "a few words of prose here", "Label", "3", "EUR 7"];
        let read: Vec<(&str, u32, u32)> = places.iter().map(|&(x, y, text)| (texts[text], x, y)).collect();
        let mut words = lines(&read);
        let mut before: Vec<String> = words.iter().map(|word| format!("{} {:?}", word.text, word.rect)).collect();
        join(&mut words);
        let mut after: Vec<String> = words.iter().map(|word| format!("{} {:?}", word.text, word.rect)).collect();
        prop_assert!(words.windows(2).all(|pair| pair[0].line <= pair[1].line && pair[1].line - pair[0].line <= 1));
        before.sort();
        after.sort();
        prop_assert_eq!(before, after);
    }
}
