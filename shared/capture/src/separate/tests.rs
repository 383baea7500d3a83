use platen_model::Barcode;
use proptest::prelude::*;

use super::*;

/// A page by one letter: `a` has text, `.` is blank, `T` bears patch T, `P` patch T in Code 39, `S` a cover sheet of type
/// nda, `?` one whose values cannot be read, `C` the code C-7, `1` patch 1.
fn page(letter: char) -> PageRecord {
    let code = |symbology: &str, text: &str| Barcode {
        symbology: symbology.into(),
        text: text.into(),
        rect: Rect::default(),
    };
    let barcodes = match letter {
        'T' => vec![code("patch", "T")],
        '1' => vec![code("patch", "1")],
        'P' => vec![code("code-39", "PATCHT")],
        'S' => vec![
            code("patch", "T"),
            code("qr", "platen:sheet?type=nda&number=7"),
            code("code-128", ANY_SHEET),
        ],
        '?' => vec![code("code-128", ANY_SHEET)],
        'C' => vec![code("code-128", "C-7")],
        _ => vec![],
    };
    PageRecord { blank: letter == '.', barcodes, ..PageRecord::default() }
}

fn part(letters: &str, separation: &Separation) -> Result<Vec<Group>, NothingButSheets> {
    let pages: Vec<PageRecord> = letters.chars().map(page).collect();
    separate(&pages, false, separation)
}

/// The documents as their letters; after a `-` what was set aside: `s` a sheet, `b` its back, `.` a blank page.
fn shown(letters: &str, groups: &[Group]) -> String {
    let letters: Vec<char> = letters.chars().collect();
    let show = |group: &Group| {
        let pages: String = group.pages.iter().map(|&page| letters[page]).collect();
        let aside: String = group
            .aside
            .iter()
            .map(|(_, why)| match why {
                Aside::Blank => '.',
                Aside::Sheet => 's',
                Aside::SheetBack => 'b',
            })
            .collect();
        if aside.is_empty() { pages } else { format!("{pages}-{aside}") }
    };
    groups.iter().map(show).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(letters: &str, separation: &Separation, expected: &str) {
    let groups = part(letters, separation).expect("documents");
    assert_eq!(shown(letters, &groups), expected, "{letters}");
}

fn with_code(page: Fate) -> Separation {
    let text = r"^C-(?<number>\d+)$".into();
    Separation { codes: vec![CodeRule { text, kinds: Vec::new(), page }], ..Separation::default() }
}

#[test]
fn blank_pages_are_set_aside_unless_nothing_else_is_there() {
    let usual = Separation::default();
    check("a.a", &usual, "aa-.");
    check("..", &usual, "..");
    check("..", &Separation { blank: true, ..usual.clone() }, "..");
    check("a", &usual, "a");
    let kept = separate(&[page('a'), page('.')], true, &usual).expect("a document");
    assert_eq!(shown("a.", &kept), "a.");
}

#[test]
fn sheets_part_documents_and_are_dropped() {
    let usual = Separation::default();
    check("aaTaaPa", &usual, "aa aa-s a-s");
    check("TaTa", &usual, "a-s a-s");
    check("aSa?a", &usual, "a a-s a-s");
    check("a1a", &usual, "a1a");
    check("a1a", &Separation { patch: vec![Patch::P1], ..usual.clone() }, "a a-s");
    check("aTaSa", &Separation::off(), "aTaSa");
}

#[test]
fn two_sheets_in_a_row_a_blank_back_and_a_sheet_at_the_end_make_no_document() {
    let usual = Separation::default();
    check("aTTa", &usual, "a a-ss");
    check("a.T.a.", &usual, "a-. a-sb.");
    check("T.T.a", &usual, "a-sbsb");
    check("aT.", &usual, "a-sb");
    check("aT..a", &usual, "a a-sb.");
    let blank = Separation { blank: true, ..usual };
    check("a.aa.a", &blank, "a aa-s a-s");
    check("a..a.", &blank, "a a-sss");
}

#[test]
fn a_blank_back_of_a_sheet_goes_even_where_blank_pages_are_kept() {
    let pages: Vec<PageRecord> = "aT.a.".chars().map(page).collect();
    let groups = separate(&pages, true, &Separation::default()).expect("documents");
    assert_eq!(shown("aT.a.", &groups), "a a.-sb");
}

#[test]
fn sheets_alone_are_no_document_and_said_to_be_none() {
    assert_eq!(part("T", &Separation::default()), Err(NothingButSheets));
    assert_eq!(part("TS..", &Separation::default()), Err(NothingButSheets));
}

#[test]
fn a_sheet_is_kept_where_the_rule_says_so() {
    check("aTa", &Separation { page: Fate::Keep, ..Separation::default() }, "a Ta");
    check("CaCa", &with_code(Fate::Keep), "Ca Ca");
    check("aCC", &with_code(Fate::Keep), "a C C");
    check("aCa", &with_code(Fate::Drop), "a a-s");
    check("aCa", &with_code(Fate::Within), "aCa");
}

#[test]
fn every_so_many_pages_as_scanned_make_a_document() {
    let every = |count| Separation { every: Some(count), ..Separation::default() };
    check("aaaaa", &every(2), "aa aa a");
    check("a.a.", &every(2), "a-. a-.");
    check("aaTaaa", &every(2), "aa aa-s a");
}

#[test]
fn what_a_code_says_becomes_values_of_its_document() {
    let groups = part("SaC", &with_code(Fate::Within)).expect("a document");
    let values: Vec<(&str, &str, usize)> = groups[0]
        .values
        .iter()
        .map(|(name, value)| (name.as_str(), value.value.as_str(), value.page))
        .collect();
    // The code within the document came later than the sheet's.
    assert_eq!(values, [("number", "7", 2), ("type", "nda", 0)]);
    assert_eq!(groups[0].values["number"].code, "C-7");
}

#[test]
fn a_rule_for_one_kind_of_code_leaves_others_alone() {
    let mut separation = with_code(Fate::Drop);
    separation.codes[0].kinds = vec!["qr".into()];
    check("aCa", &separation, "aCa");
}

#[test]
fn a_sheet_whose_values_are_lost_sends_its_document_to_a_person() {
    let groups = part("aS a?a".replace(' ', "").as_str(), &Separation::default()).expect("documents");
    let doubts: Vec<usize> = groups.iter().map(|group| group.doubts.len()).collect();
    assert_eq!(doubts, [0, 0, 1]);
}

#[test]
fn a_batch_with_another_number_of_separators_than_expected_is_doubted() {
    let expect = |expected| Separation { expected: Some(expected), ..Separation::default() };
    for (letters, separators) in [("TaTa", 2), ("aTTa", 1), ("aT.Ta", 1), ("aa", 0), ("aTaT", 2)] {
        let right = part(letters, &expect(separators)).expect("documents");
        assert!(right.iter().all(|group| group.doubts.is_empty()), "{letters}: {right:?}");
        let wrong = part(letters, &expect(separators + 1)).expect("documents");
        assert!(wrong.iter().all(|group| group.doubts.len() == 1), "{letters}: {wrong:?}");
    }
}

#[test]
fn a_document_that_is_longer_than_allowed_is_doubted_and_no_other() {
    let doubted = |letters: &str, longest: Option<u32>| -> Vec<usize> {
        let separation = Separation { longest, ..Separation::default() };
        let groups = part(letters, &separation).expect("documents");
        (0..groups.len()).filter(|&group| !groups[group].doubts.is_empty()).collect()
    };
    assert_eq!(doubted("aTaTaaaaaaTa", Some(5)), [2]);
    assert_eq!(doubted("aTaTaaaaaaTa", Some(6)), [0usize; 0]);
    assert_eq!(doubted("aTaTaaaaaaTa", None), [0usize; 0], "what is long is the site's to say");
    assert_eq!(doubted("aaTaaaTa", Some(2)), [1]);
}

proptest! {
    #[test]
    fn every_page_is_in_one_document_in_order_and_none_is_empty(
        letters in "[a.TPS?C1]{1,30}",
        keep in any::<bool>(),
        blank in any::<bool>(),
        keep_sheets in any::<bool>(),
        every in proptest::option::of(1u32..4),
    ) {
        let pages: Vec<PageRecord> = letters.chars().map(page).collect();
        let page = if keep_sheets { Fate::Keep } else { Fate::Drop };
        let separation = Separation { blank, every, page, ..with_code(Fate::Keep) };
        let Ok(groups) = separate(&pages, keep, &separation) else {
            prop_assert!(!letters.contains(['a', 'C', '1']), "{} has content", letters);
            return Ok(());
        };
        let mut seen: Vec<usize> = Vec::new();
        for group in &groups {
            prop_assert!(!group.pages.is_empty(), "{}: {:?}", letters, groups);
            prop_assert!(group.pages.is_sorted());
            seen.extend(&group.pages);
            seen.extend(group.aside.iter().map(|(page, _)| *page));
        }
        let kept: Vec<usize> = groups.iter().flat_map(|group| group.pages.clone()).collect();
        prop_assert!(kept.is_sorted(), "{}: {:?}", letters, groups);
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..pages.len()).collect::<Vec<_>>());
    }
}
