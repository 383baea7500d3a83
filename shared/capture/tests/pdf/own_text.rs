//! Pages that bring their text in fonts of every kind: it stands in the PDF once, and exactly. `qpdf` and poppler judge.

use platen_capture::{Passwords, PdfA};
use platen_model::TextSource;

use crate::incoming::{
    HELVETICA, LETTER, LINES, Normalized, made_of, normalized, page, pdf, stream, text_of, words, written,
};

/// A font whose letters are instructions, and all look alike: object 5, and what it draws them by. A thousandth of its
/// size is so many units long, before the matrix.
fn type_3(unit: f64, matrix: f64) -> Vec<String> {
    let at = |thousandths: f64| format!("{:.3}", thousandths * unit);
    let names = |from: char, to: char| (from..=to).map(|name| format!("/{name}"));
    let drawn: String = names('A', 'Z').chain(names('a', 'z')).map(|name| format!("{name} 6 0 R")).collect();
    let (large, small): (String, String) = (names('A', 'Z').collect(), names('a', 'z').collect());
    let (advance, height) = (at(600.0), at(500.0));
    let font = format!(
        "<</Type/Font/Subtype/Type3/FontBBox[0 0 {advance} {height}]/FontMatrix[{matrix} 0 0 {matrix} 0 0]\
         /Encoding<</Type/Encoding/Differences[32/space 46/period 65{large} 97{small}]>>\
         /FirstChar 32/LastChar 122/Widths[{}]\
         /CharProcs<</space 7 0 R/period 6 0 R{drawn}>>/Resources<<>>>>",
        format!("{advance} ").repeat(122 - 32 + 1)
    );
    let boxes = [[0.0, 0.0, 100.0, 500.0], [300.0, 0.0, 100.0, 500.0], [100.0, 400.0, 200.0, 100.0]];
    let strokes: String = boxes.iter().map(|stroke| format!("{} re ", stroke.map(at).join(" "))).collect();
    let letter = format!("{advance} 0 0 0 {advance} {height} d1 {strokes}f");
    vec![font, stream("", &letter), stream("", &format!("{advance} 0 0 0 0 0 d1"))]
}

/// The page's words are those of the lines, and nothing was recognised.
#[track_caller]
fn check_exact(made: &Normalized) {
    assert_eq!(made.records[0].text_source, TextSource::Embedded);
    assert_eq!(words(&made.records[0].text()), words(&LINES.join(" ")));
}

#[test]
fn letters_that_are_drawn_by_instructions_are_letters() {
    let source = page("", LETTER, &written(&LINES), &type_3(1.0, 0.001));
    let made = normalized(source.path(), PdfA::Off, &Passwords::default());
    check_exact(&made);
    assert_eq!(words(&text_of(made.file.path())), words(&LINES.join(" ")));
    // Half as high as a font of fourteen points, at 300 dpi.
    let first = made.records[0].words[0].rect;
    assert!(first.h.abs_diff(29) < 4 && first.x.abs_diff(300) < 4, "{first:?}");
}

#[test]
fn letters_of_a_font_whose_unit_is_a_dot_are_put_together_to_words() {
    // Between letters there is a dot, and between words there are twenty.
    let shown = |line: &&str| {
        let letters = line.chars().map(|letter| match letter {
            ' ' => "-20000 ".to_owned(),
            letter => format!("({letter}) -1000 "),
        });
        format!("[{}] TJ T*\n", letters.collect::<String>())
    };
    let shown: String = LINES.iter().map(shown).collect();
    let instructions = format!("BT /F1 1 Tf 0.24 0 0 0.24 72 700 Tm 100 TL\n{shown}ET");
    let source = page("", LETTER, &instructions, &type_3(0.058, 1.0));
    check_exact(&made_of(source.path(), PdfA::Off, &Passwords::default()));
}

#[test]
fn bullets_of_a_font_of_signs_do_not_cost_the_page_its_words() {
    let listed: String = LINES
        .iter()
        .map(|line| format!("/F2 14 Tf (\\267) Tj /F1 14 Tf 20 0 Td ({line}) Tj -20 -24 Td\n"))
        .collect();
    let objects = [
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        "<</Type/Pages/Kids[3 0 R]/Count 1>>".to_owned(),
        format!(
            "<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F1 5 0 R/F2 6 0 R>>>>{LETTER}>>"
        ),
        stream("", &format!("BT 72 700 Td\n{listed}ET")),
        HELVETICA.to_owned(),
        "<</Type/Font/Subtype/Type1/BaseFont/Symbol/ToUnicode 7 0 R>>".to_owned(),
        to_unicode("1 beginbfchar <B7> <F0B7> endbfchar"),
    ];
    let made = made_of(pdf(&objects, "").path(), PdfA::Off, &Passwords::default());
    check_exact(&made);
    let text = text_of(made.file.path());
    let read: Vec<&str> =
        words(&text).into_iter().filter(|word| word.contains(char::is_alphabetic)).collect();
    assert_eq!(read, words(&LINES.join(" ")));
}

/// A table of what the codes of a font mean.
fn to_unicode(entries: &str) -> String {
    let table = format!(
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Told def /CMapType 2 def\n\
         1 begincodespacerange <00> <FF> endcodespacerange\n{entries}\n\
         endcmap CMapName currentdict /CMap defineresource pop end end"
    );
    stream("", &table)
}

/// A page that looks Latin, and says that its letters are those from this one on, has them once in the PDF: what is
/// read on it is not laid over them.
#[track_caller]
fn check_right_to_left(first: &str) {
    let table = to_unicode(&format!("2 beginbfrange <41> <5A> <{first}> <61> <7A> <{first}> endbfrange"));
    let font = HELVETICA.replace(">>", "/ToUnicode 6 0 R>>");
    let source = page("", LETTER, &written(&LINES), &[font, table]);
    let made = normalized(source.path(), PdfA::Off, &Passwords::default());
    // In which order they are read, their places do not tell.
    assert_eq!(made.records[0].text_source, TextSource::Recognised);
    let text = text_of(made.file.path());
    let letters = |text: &str| text.chars().filter(|letter| letter.is_alphabetic()).count();
    assert!(!text.contains(|letter: char| letter.is_ascii_alphabetic()), "{text}");
    assert_eq!(letters(&text), letters(&LINES.concat()), "{text}");
}

#[test]
fn letters_that_run_from_right_to_left_are_not_laid_over_a_page_that_has_them() {
    check_right_to_left("05D0");
}

#[test]
fn letters_of_arabic_in_the_forms_they_are_joined_in_are_not_certain_words() {
    check_right_to_left("FE80");
}
