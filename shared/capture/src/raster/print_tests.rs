//! Pages that these tests print with Debian's fonts: other scripts than Latin, lists, covers, columns of figures. Which way up
//! they lie, and what is read on them.

use ab_glyph::{Font, FontVec, PxScale};
use image::{GrayImage, Luma, imageops};
use imageproc::drawing::draw_text_mut;

use super::reading::{self, TextSize};
use super::skew::Glance;
use super::upright::Upright;
use super::{Engines, Ink, turn, upright};
use platen_model::Word;

const SERIF: &str = "/usr/share/fonts/truetype/liberation/LiberationSerif-Regular.ttf";
const HEBREW: &str = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";
const EAST_ASIAN: &str = "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc";
/// Dots an inch.
const DPI: u32 = 200;

/// Of the articles 1 to 3 of the Universal Declaration of Human Rights, in the lines in which they are printed.
struct Script {
    language: &'static str,
    font: &'static str,
    is_right_to_left: bool,
    lines: &'static [&'static str],
}

const SCRIPTS: &[Script] = &[
    Script {
        language: "rus",
        font: SERIF,
        is_right_to_left: false,
        lines: &[
            "Все люди рождаются свободными и равными в своем достоинстве",
            "и правах. Они наделены разумом и совестью и должны поступать",
            "в отношении друг друга в духе братства. Каждый человек должен",
            "обладать всеми правами и всеми свободами, провозглашенными",
            "настоящей Декларацией, без какого бы то ни было различия.",
            "Каждый человек имеет право на жизнь, на свободу и на личную",
            "неприкосновенность.",
        ],
    },
    Script {
        language: "ell",
        font: SERIF,
        is_right_to_left: false,
        lines: &[
            "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια",
            "και τα δικαιώματα. Είναι προικισμένοι με λογική και συνείδηση,",
            "και οφείλουν να συμπεριφέρονται μεταξύ τους με πνεύμα",
            "αδελφοσύνης. Κάθε άνθρωπος δικαιούται να επικαλείται όλα τα",
            "δικαιώματα και όλες τις ελευθερίες που προκηρύσσει η παρούσα",
            "Διακήρυξη, χωρίς καμία απολύτως διάκριση.",
        ],
    },
    Script {
        language: "heb",
        font: HEBREW,
        is_right_to_left: true,
        lines: &[
            "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. כולם",
            "חוננו בתבונה ובמצפון, לפיכך חובה עליהם לנהוג איש ברעהו ברוח",
            "של אחווה. כל אדם זכאי לזכויות ולחרויות שנקבעו בהכרזה זו ללא",
            "הפליה כלשהי מטעמי גזע, צבע, מין, לשון, דת, דעה פוליטית או",
            "דעה בבעיות אחרות. כל אדם יש לו הזכות לחיים, לחירות ולביטחון",
            "אישי.",
        ],
    },
    Script {
        language: "chi_sim",
        font: EAST_ASIAN,
        is_right_to_left: false,
        lines: &[
            "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，",
            "并应以兄弟关系的精神相对待。人人有资格享有本宣言所载的一切",
            "权利和自由，不分种族、肤色、性别、语言、宗教、政治或其他见",
            "解、国籍或社会出身、财产、出生或其他身分等任何区别。人人有",
            "权享有生命、自由和人身安全。任何人不得使为奴隶或奴役；一切",
            "形式的奴隶制度和奴隶买卖，均应予以禁止。",
        ],
    },
    Script {
        language: "jpn",
        font: EAST_ASIAN,
        is_right_to_left: false,
        lines: &[
            "すべての人間は、生まれながらにして自由であり、かつ、尊厳と",
            "権利とについて平等である。人間は、理性と良心とを授けられて",
            "おり、互いに同胞の精神をもって行動しなければならない。すべ",
            "て人は、人種、皮膚の色、性、言語、宗教、政治上その他の意見、",
            "国民的若しくは社会的出身、財産、門地その他の地位によるいか",
            "なる事由による差別をも受けることなく、権利を享有する。",
        ],
    },
    Script {
        language: "kor",
        font: EAST_ASIAN,
        is_right_to_left: false,
        lines: &[
            "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어",
            "동등하다. 인간은 천부적으로 이성과 양심을 부여받았으며 서로",
            "형제애의 정신으로 행동하여야 한다. 모든 사람은 인종, 피부색,",
            "성, 언어, 종교, 정치적 또는 기타의 견해, 민족적 또는 사회적",
            "출신, 재산, 출생 또는 기타의 신분과 같은 어떠한 종류의 차별이",
            "없이, 모든 권리와 자유를 향유할 자격이 있다.",
        ],
    },
];

fn font(path: &str) -> FontVec {
    let bytes = std::fs::read(path)
        .unwrap_or_else(|error| panic!("{path}: {error}; run packaging/build-deps.sh --test"));
    FontVec::try_from_vec_and_index(bytes, 0).expect("the file is a font")
}

/// A letter's page: three paragraphs, the last of two lines.
fn letter_in(script: &Script) -> GrayImage {
    let font = font(script.font);
    let mut page = GrayImage::from_pixel(1_654, 2_339, Luma([244]));
    let mut letters = script.lines.iter().flat_map(|line| line.chars());
    assert!(
        letters.all(|letter| font.glyph_id(letter).0 != 0),
        "{} lacks letters of {}",
        script.font,
        script.language
    );
    let paragraphs = [script.lines, script.lines, &script.lines[..2]];
    let mut y = 250;
    for paragraph in paragraphs {
        for line in paragraph {
            // What is drawn from left to right must lie as it is seen.
            let seen: String =
                if script.is_right_to_left { line.chars().rev().collect() } else { (*line).to_owned() };
            let scale = PxScale::from(36.0);
            let (width, _) = imageproc::drawing::text_size(scale, &font, &seen);
            let x = if script.is_right_to_left { 1_450 - width.cast_signed() } else { 200 };
            draw_text_mut(&mut page, Luma([30]), x, y, scale, &font, &seen);
            y += 50;
        }
        y += 40;
    }
    imageops::blur(&page, 0.7)
}

/// A price list: names that begin below each other, figures that end so, and nothing else.
fn price_list() -> GrayImage {
    const GOODS: &[&str] = &[
        "Oak board",
        "Glue",
        "Screws",
        "Hinge",
        "Walnut oil",
        "Brush",
        "Dowels",
        "Clamp",
        "Wax",
        "Chisel",
        "Sandpaper",
        "Plane",
        "Veneer",
        "Saw",
        "Drill",
        "Lacquer",
        "Felt pads",
        "Handle",
        "Lock",
        "Castor",
    ];
    let font = font(SERIF);
    let scale = PxScale::from(34.0);
    let mut page = GrayImage::from_pixel(1_654, 2_339, Luma([244]));
    for (row, name) in (0i32..).zip(GOODS) {
        let y = 260 + row * 80;
        draw_text_mut(&mut page, Luma([30]), 200, y, scale, &font, name);
        for (right, figure) in [(900, (row * 7) % 13 * 5 + 2), (1_300, (row * 11) % 17 * 100 + 1_240)] {
            let figure = format!("{}.{:02}", figure / 100, figure % 100);
            let (width, _) = imageproc::drawing::text_size(scale, &font, &figure);
            draw_text_mut(&mut page, Luma([30]), right - width.cast_signed(), y, scale, &font, &figure);
        }
    }
    imageops::blur(&page, 0.7)
}

/// Numbers without an order, the same in each run.
fn scattered(mut state: u32) -> impl FnMut() -> u32 {
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    }
}

/// Lays a page in all four ways, and checks that each is undone.
fn check_is_put_upright(what: &str, page: &GrayImage, languages: &str, engines: &mut Engines) {
    for quarters in 0..4 {
        let lies = turn::gray_by_quarters(page.clone(), quarters * 90);
        let found = upright::find(&lies, DPI, &Ink::of(&lies), languages, engines)
            .expect("the language's data are installed");
        let wanted = (4 - quarters) % 4 * 90;
        assert_eq!(found.rotation_deg, wanted, "{what}, turned by {quarters} quarters: {found:?}");
        assert!(found.skew_deg.abs() < 0.1, "{what}, turned by {quarters} quarters: {found:?}");
    }
}

#[test]
fn a_letter_in_another_script_is_put_upright_however_it_lies() {
    let mut engines = Engines::default();
    for script in SCRIPTS {
        check_is_put_upright(script.language, &letter_in(script), script.language, &mut engines);
    }
}

#[test]
fn a_list_whose_columns_stand_out_more_than_its_rows_is_put_upright_however_it_lies() {
    let page = price_list();
    let ink = Ink::of(&page);
    let across = Glance::across(&ink);
    let down = Glance::down(&ink, &across);
    assert!(down.contrast > across.contrast, "this list shows nothing: its rows stand out more");
    check_is_put_upright("a price list", &page, "eng", &mut Engines::default());
}

#[test]
fn the_grain_of_a_black_ground_around_a_page_turns_it_no_way() {
    let page = price_list();
    let mut random = scattered(7);
    let mut ground = GrayImage::from_fn(page.width() + 400, page.height() + 400, |_, _| {
        // About what a lid or a glass without one gives: black, with some levels of noise.
        Luma([8 + (random() % 7) as u8 + (random() % 7) as u8 - 6])
    });
    imageops::replace(&mut ground, &page, 200, 200);
    let marks = Ink::of(&ground).text_like().count();
    let of_the_page = Ink::of(&page).text_like().count();
    assert!(marks < of_the_page * 11 / 10, "{marks} marks, {of_the_page} of them print");
    check_is_put_upright("a price list on black", &ground, "eng", &mut Engines::default());
}

#[test]
fn a_page_of_figures_only_is_put_upright_however_it_lies() {
    let font = font(SERIF);
    let mut random = scattered(11);
    let mut page = GrayImage::from_pixel(1_654, 2_339, Luma([244]));
    for row in 0i32..30 {
        for column in 0i32..6 {
            let figure = (random() % 9_000 + 100).to_string();
            let (x, y) = (150 + column * 230, 200 + row * 62);
            draw_text_mut(&mut page, Luma([30]), x, y, PxScale::from(34.0), &font, &figure);
        }
    }
    check_is_put_upright("figures", &imageops::blur(&page, 0.7), "eng", &mut Engines::default());
}

const SANS: &str = "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf";

#[test]
fn a_receipt_on_the_glass_is_read_by_its_lines_wherever_it_lies() {
    const GOODS: [(&str, &str); 9] = [
        ("OAT MILK 1L", "2.49"),
        ("RYE BREAD", "3.15"),
        ("APPLES 1KG", "2.80"),
        ("BUTTER", "2.39"),
        ("SALT", "0.81"),
        ("COFFEE 500G", "8.10"),
        ("TEA", "1.95"),
        ("EGGS 10", "3.49"),
        ("TOTAL", "25.18"),
    ];
    const DASHES: &str = "- - - - - - - - - - - - - - - - - - - - - -";
    for left in [150, 1_300] {
        let mut lines = vec![(left, 400, 44.0, DASHES), (left, 1_010, 44.0, DASHES)];
        for ((goods, price), row) in GOODS.iter().zip(0..) {
            let y = 460 + row * 60;
            lines.extend([(left, y, 44.0, *goods), (left + 600, y, 44.0, *price)]);
        }
        let words = words_of(&print(300, &lines));
        for (goods, price) in GOODS {
            let first = goods.split(' ').next().expect("it has a word");
            assert_eq!(line_of(&words, first), format!("{goods} {price}"), "{left} pixels from the left");
        }
    }
}

/// Prints lines on an A4 page: the left edge, the upper edge, and the height of the type, in pixels.
pub(super) fn print(dpi: u32, lines: &[(u32, u32, f32, &str)]) -> GrayImage {
    print_in(SANS, dpi, lines)
}

fn print_in(typeface: &str, dpi: u32, lines: &[(u32, u32, f32, &str)]) -> GrayImage {
    let font = font(typeface);
    let mut page = GrayImage::from_pixel(dpi * 827 / 100, dpi * 1_169 / 100, Luma([255]));
    for &(x, y, height, text) in lines {
        let (x, y) = (x.cast_signed(), y.cast_signed());
        draw_text_mut(&mut page, Luma([0]), x, y, PxScale::from(height), &font, text);
    }
    page
}

pub(super) fn size_of(page: &GrayImage, dpi: u32) -> TextSize {
    TextSize::of(&Ink::of(page), Upright::AS_IT_LIES, Some(dpi))
}

fn words_of(page: &GrayImage) -> Vec<Word> {
    let text = size_of(page, 300);
    reading::read(page, text, "eng", &mut Engines::default()).expect("English is installed").words
}

fn line_of(words: &[Word], with: &str) -> String {
    let line = words.iter().find(|word| word.text == with).map(|word| word.line);
    let of_line = words.iter().filter(|word| Some(word.line) == line).map(|word| word.text.as_str());
    of_line.collect::<Vec<_>>().join(" ")
}

pub(super) const CLAUSES: [&str; 8] = [
    "This agreement is made between the parties named below and binds both of them",
    "from the day on which the second of them has signed it. The supplier delivers the",
    "goods to the place named in the order and bears the risk until they are accepted.",
    "Party of the first part: Halden Timber Works, Harbour Road 14, Port Merrow",
    "Party of the second part: Brightwater Joinery, Mill Lane 3, Old Carrow",
    "Number of the agreement: HB-20417. Amount of the order: 48,250.00 EUR",
    "Invoices are payable within thirty days of receipt without any deduction.",
    "Neither party may assign it without the consent of the other in writing.",
];

#[test]
fn the_copy_that_is_read_is_as_large_as_its_letters_want_it() {
    let page = |dpi: u32, points: f32| {
        let height = points * dpi as f32 / 72.0;
        let lines =
            (0..16).map(|row| (dpi / 2, dpi / 2 + row * dpi * 3 / 5, height, CLAUSES[row as usize % 8]));
        print(dpi, &lines.collect::<Vec<_>>())
    };
    let height = |dpi: u32, points: f32| size_of(&page(dpi, points), dpi).copy_size((1_000, 1_000)).1;
    let usual = height(300, 16.0);
    // Twice the resolution, or twice the type: half as large a copy.
    for (dpi, points, part) in [(600, 16.0, 0.5), (300, 32.0, 0.5), (400, 16.0, 0.75), (300, 20.0, 0.8)] {
        let found = f64::from(height(dpi, points)) / f64::from(usual);
        assert!((found - part).abs() < 0.07, "{points} points at {dpi} dots an inch: {found} of {usual}");
    }
    assert!(height(100, 8.0) > 1_000, "small letters are enlarged");
}

#[test]
fn the_small_print_below_a_large_title_is_read() {
    let mut lines =
        vec![(250, 300, 250.0, "FRAMEWORK"), (250, 600, 250.0, "AGREEMENT"), (250, 900, 250.0, "FOR GOODS")];
    lines.extend(CLAUSES.iter().zip(0..).map(|(clause, row)| (250, 1_500 + row * 70, 42.0, *clause)));
    let words = words_of(&print(300, &lines));
    for wanted in ["FRAMEWORK", "Merrow", "HB-20417.", "48,250.00", "consent", "thirty"] {
        let read: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        assert!(read.contains(&wanted), "{wanted} is not among {read:?}");
    }
}

#[test]
fn a_column_of_figures_is_read_with_its_rows() {
    const ROWS: [(&str, &str, &str); 8] = [
        ("Blue steel pipe", "1", "42.00"),
        ("Copper elbow", "8", "13.50"),
        ("Pressure valve", "6", "97.00"),
        ("Sealing tape", "4", "11.25"),
        ("Assembly hours", "2", "67.50"),
        ("Travel expenses", "9", "99.00"),
        ("Gate hinges", "7", "23.40"),
        ("Brass fitting", "5", "18.75"),
    ];
    // From one row to the next, in pixels.
    for (typeface, pitch) in [(SANS, 54), (SERIF, 62), (SANS, 62), (SERIF, 75), (SANS, 90), (SERIF, 110)] {
        let mut lines: Vec<(u32, u32, f32, &str)> =
            CLAUSES.iter().zip(0..).map(|(clause, row)| (250, 300 + row * 52, 44.0, *clause)).collect();
        for ((goods, quantity, amount), row) in ROWS.iter().zip(0..) {
            let y = 900 + row * pitch;
            lines.extend([(250, y, 44.0, *goods), (1_300, y, 44.0, *quantity), (1_900, y, 44.0, *amount)]);
        }
        let words = words_of(&print_in(typeface, 300, &lines));
        for (goods, quantity, amount) in ROWS {
            let last = goods.rsplit(' ').next().expect("it has a word");
            let row = format!("{goods} {quantity} {amount}");
            assert_eq!(line_of(&words, last), row, "{typeface}, {pitch} pixels from row to row");
        }
    }
}
