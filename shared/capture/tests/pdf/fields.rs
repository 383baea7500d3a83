//! Forms: what is filled in is kept as it looks, and where it looks empty, that is said.

use platen_capture::Passwords;
use platen_capture::inspection::Feature;

use crate::incoming::{HELVETICA, LETTER, LINES, inspection, page, stream, written};

/// What is said of a form with one field of these entries, whose look draws this. `form` stands in the form itself.
fn features(form: &str, field: &str, look: &str) -> Vec<Feature> {
    let objects = [
        HELVETICA.to_owned(),
        format!("<</Type/Annot/Subtype/Widget/T(name){field}>>"),
        stream("/Type/XObject/Subtype/Form/BBox[0 0 200 20]", look),
        "<</FT/Tx/T(whole)/V(Miller)/Kids[6 0 R]>>".to_owned(),
    ];
    let catalog = format!("/AcroForm<</Fields[6 0 R]{form}>>");
    let source = page(&catalog, &format!("{LETTER}/Annots[6 0 R]"), &written(&LINES), &objects);
    inspection(source.path(), &Passwords::default()).expect("it opens").features
}

#[test]
fn a_field_that_is_filled_in_and_looks_empty_is_said_and_one_that_shows_it_is_kept() {
    let place = "/Rect[72 72 272 92]";
    let check = |form: &str, field: &str, look: &str, unseen: bool| {
        let expected = if unseen { Feature::UnseenEntries { count: 1 } } else { Feature::Form };
        let found = features(form, &format!("{field}{place}"), look);
        assert_eq!(found, [expected], "{form} {field} {look}");
    };
    let (anew, written, empty) = ("/NeedAppearances true", "/Tx BMC BT (Miller) Tj ET EMC", "/Tx BMC EMC");
    let text = "/FT/Tx/V(Miller)";
    let look = format!("{text}/AP<</N 7 0 R>>");
    for form in ["", anew] {
        check(form, text, "", true);
        check(form, "/Parent 8 0 R", "", true);
        check(form, "/FT/Ch/V[(one)]", "", true);
        check(form, "/FT/Btn/V/Yes", "", true);
        check(form, &look, written, false);
        check(form, "/FT/Tx", "", false);
        check(form, "/FT/Tx/V( )", "", false);
        check(form, "/FT/Tx/V<FEFF>", "", false);
        check(form, "/FT/Btn/V/Off", "", false);
        check(form, "/FT/Btn/V/Yes/AS/Off", "", false);
        check(form, "/FT/Btn/V/Yes/AS/Yes/AP<</N<</Yes 7 0 R>>>>", "0 0 9 9 re f", false);
        check(form, "/FT/Sig/V<</Type/Sig>>", "", false);
        check(form, &format!("{text}/F 2"), "", false);
    }
    // A look that is older than what stands in the field is drawn anew by those who can.
    check(anew, &look, empty, true);
    check("", &look, empty, false);
    assert_eq!(features("", &format!("{text}/Rect[72 72 72 72]"), ""), [Feature::Form]);
}

#[test]
fn a_person_looks_at_a_form_that_looks_empty() {
    let feature = Feature::UnseenEntries { count: 2 };
    assert!(feature.holds_content() && !Feature::Form.holds_content());
    assert!(feature.remark().contains("2 fields") && feature.remark().contains("not shown here"));
}
