use std::io::Write as _;
use std::process::{Command, Stdio};

use platen_model::{PageRecord, Rect, Word};

use super::*;

fn word(text: &str, [x, y]: [u32; 2], line: u32, block: u32) -> Word {
    let rect = Rect { x, y, w: 20 * text.chars().count() as u32, h: 30 };
    Word { text: text.into(), confidence: 0.914, rect, line, block }
}

/// Two pages: marks that XML must escape, a divided word, Chinese, and a page without words.
fn text() -> PageText {
    let words = vec![
        word("R&D", [100, 100], 0, 0),
        word("<agree-", [200, 100], 0, 0),
        word("ment>", [100, 150], 1, 0),
        word("\"quoted\"\u{1}", [240, 150], 1, 0),
        word("保密", [100, 300], 2, 1),
        word("协议", [150, 300], 2, 1),
        word("v2", [220, 300], 2, 1),
        word("שלום", [100, 400], 3, 2),
    ];
    let page = |words| PageRecord {
        width_px: 1000,
        height_px: 1400,
        dpi: 300,
        mean_confidence: 0.9,
        words,
        ..PageRecord::default()
    };
    PageText::new(vec![page(words), page(vec![])])
}

fn written(format: Format) -> String {
    let mut bytes = Vec::new();
    write(&text(), "scan <1> & 2.tif", format, &mut bytes).expect("memory takes it");
    String::from_utf8(bytes).expect("UTF-8")
}

/// What Python's own XML reader, which accepts no error, makes of it: for each element its name, `attribute`, and text.
fn read_by_another(xml: &str, attribute: &str) -> Vec<String> {
    let script = "import sys, xml.etree.ElementTree as t\n\
        for e in t.fromstring(sys.stdin.buffer.read()).iter():\n \
        print(e.tag.split('}')[1], e.get(sys.argv[1], ''), (e.text or '').strip(), sep='|')";
    asked(script, attribute, xml)
}

/// The lines that a Python script prints of XML.
fn asked(script: &str, argument: &str, xml: &str) -> Vec<String> {
    let mut reader = Command::new("python3")
        .args(["-c", script, argument])
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3, which packaging/build-deps.sh --test installs");
    reader.stdin.take().expect("piped").write_all(xml.as_bytes()).expect("it reads");
    let output = reader.wait_with_output().expect("it ends");
    assert!(output.status.success(), "the XML is not well-formed:\n{xml}");
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
}

#[test]
fn hocr_is_xhtml_whose_words_have_their_boxes_and_confidence() {
    let elements = read_by_another(&written(Format::Hocr), "title");
    let count = |name: &str| elements.iter().filter(|element| element.starts_with(name)).count();
    assert_eq!((count("span|bbox"), count("p|"), count("title|")), (8 + 4, 3, 1), "{elements:#?}");
    assert!(elements.contains(&"span|bbox 100 100 160 130; x_wconf 91|R&D".to_owned()), "{elements:#?}");
    assert!(elements.contains(&"span|bbox 200 100 340 130; x_wconf 91|<agree-".to_owned()), "{elements:#?}");
    let page = "div|image \"scan <1> & 2.tif\"; bbox 0 0 1000 1400; ppageno 1; scan_res 300 300|";
    assert!(elements.contains(&page.to_owned()), "{elements:#?}");
    assert!(written(Format::Hocr).contains(r#"dir="rtl""#));
}

#[test]
fn alto_has_every_word_and_puts_divided_ones_together() {
    let alto = written(Format::Alto);
    let strings: Vec<String> =
        read_by_another(&alto, "CONTENT").into_iter().filter(|one| one.starts_with("String|")).collect();
    let wanted = ["R&D", "<agree", "ment>", "\"quoted\"\u{FFFD}", "保密", "协议", "v2", "שלום"];
    assert_eq!(strings, wanted.map(|word| format!("String|{word}|")));
    assert_eq!(alto.matches(r#"SUBS_CONTENT="&lt;agreement&gt;""#).count(), 2, "{alto}");
    assert_eq!((alto.matches("<HYP ").count(), alto.matches("<SP/>").count()), (1, 3), "{alto}");
    let pages = read_by_another(&alto, "HEIGHT").iter().filter(|one| one.starts_with("Page|1400")).count();
    assert_eq!(pages, 2);
}

/// The elements of our ALTO as its schema has them: what may stand in each, in this order, and the attributes that it
/// must have. The schema itself comes with no package that a test could install.
const ALTO: [(&str, &str, &str); 12] = [
    ("alto", "Description Layout", "SCHEMAVERSION"),
    ("Description", "MeasurementUnit sourceImageInformation Processing", ""),
    ("MeasurementUnit", "", ""),
    ("sourceImageInformation", "fileName", ""),
    ("Processing", "processingSoftware", "ID"),
    ("processingSoftware", "softwareName softwareVersion", ""),
    ("Layout", "Page", ""),
    ("Page", "PrintSpace", "ID PHYSICAL_IMG_NR WIDTH HEIGHT PC"),
    ("PrintSpace", "TextBlock", "HPOS VPOS WIDTH HEIGHT"),
    ("TextBlock", "TextLine", "ID HPOS VPOS WIDTH HEIGHT"),
    ("TextLine", "String SP HYP", "ID HPOS VPOS WIDTH HEIGHT"),
    ("String", "", "ID HPOS VPOS WIDTH HEIGHT WC CONTENT"),
];

#[test]
fn alto_is_built_as_its_schema_demands() {
    let alto = written(Format::Alto);
    // The children of each element, and its attributes, by Python's XML reader.
    let script = "import sys, xml.etree.ElementTree as t\n\
        n = lambda e: e.tag.split('}')[1]\n\
        for e in t.fromstring(sys.stdin.buffer.read()).iter():\n \
        print(n(e), ' '.join(map(n, e)), ' '.join(e.attrib), e.get('ID', ''), sep='|')\n";
    let mut ids = std::collections::BTreeSet::new();
    for element in asked(script, "", &alto) {
        let [name, children, attributes, id] = element.split('|').collect::<Vec<_>>()[..] else {
            panic!("{element}")
        };
        if !id.is_empty() {
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
        }
        let Some((_, allowed, needed)) = ALTO.iter().find(|(known, ..)| *known == name) else {
            assert!(children.is_empty(), "{element}");
            continue;
        };
        for attribute in needed.split_whitespace() {
            assert!(attributes.split(' ').any(|one| one == attribute), "{element} lacks {attribute}");
        }
        let places: Vec<usize> = children
            .split_whitespace()
            .map(|child| {
                allowed.split(' ').position(|one| one == child).unwrap_or_else(|| panic!("{element}"))
            })
            .collect();
        // Only words and blanks take turns; a blank stands behind a word, and a hyphen at the end.
        match name {
            "TextLine" => assert!(
                children.starts_with("String")
                    && !children.contains("SP SP")
                    && children.matches("HYP").count() == usize::from(children.ends_with("HYP")),
                "{element}"
            ),
            _ => assert!(places.is_sorted(), "{element}"),
        }
    }
}

#[test]
fn alto_has_no_attribute_and_no_value_that_its_schema_forbids() {
    let script = "import sys, xml.etree.ElementTree as t\n\
        for e in t.fromstring(sys.stdin.buffer.read()).iter():\n \
        [print(e.tag.split('}')[1], k, v, sep='|') for k, v in e.attrib.items() if '}' not in k]\n";
    let places = ["HPOS", "VPOS", "WIDTH", "HEIGHT", "PHYSICAL_IMG_NR"];
    for attribute in asked(script, "", &written(Format::Alto)) {
        let [element, name, value] = attribute.splitn(3, '|').collect::<Vec<_>>()[..] else {
            panic!("{attribute}")
        };
        let needed = ALTO.iter().find(|(known, ..)| *known == element).map_or("", |(_, _, needed)| needed);
        let more = match element {
            "String" => "SUBS_TYPE SUBS_CONTENT",
            "HYP" => "CONTENT",
            _ => "",
        };
        assert!(needed.split(' ').chain(more.split(' ')).any(|known| known == name), "{attribute}");
        let is_allowed = match name {
            "ID" => {
                value.starts_with(|first: char| first.is_ascii_alphabetic())
                    && value.chars().all(|one| one.is_ascii_alphanumeric() || one == '_')
            }
            "WC" | "PC" => value.parse::<f32>().is_ok_and(|part| (0.0..=1.0).contains(&part)),
            "SUBS_TYPE" => ["HypPart1", "HypPart2"].contains(&value),
            "SCHEMAVERSION" => value == "4.4",
            _ if places.contains(&name) => value.parse::<u32>().is_ok(),
            _ => true,
        };
        assert!(is_allowed, "{attribute}");
    }
    // What divides a word says so on both its parts, and with what they are together.
    let alto = written(Format::Alto);
    assert_eq!(alto.matches("SUBS_TYPE=").count(), alto.matches("SUBS_CONTENT=").count());
}

#[test]
fn json_and_plain_text_are_the_page_text_itself() {
    let read: PageText = serde_json::from_str(&written(Format::Json)).expect("page text");
    assert_eq!(read, text());
    assert_eq!(written(Format::Txt), "R&D <agree-\nment> \"quoted\"\u{1}\n\n保密协议 v2\n\nשלום\n\u{c}");
    for format in Format::ALL {
        assert_eq!(Format::named(format.name()), Some(format));
    }
}
