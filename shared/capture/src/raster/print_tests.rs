//! Which way up pages lie that these tests print with Debian's fonts: in other scripts than Latin, and lists.

use ab_glyph::{FontVec, PxScale};
use image::{GrayImage, Luma, imageops};
use imageproc::drawing::draw_text_mut;

use super::skew::Glance;
use super::{Engines, Ink, turn, upright};

const SERIF: &str = "/usr/share/fonts/truetype/liberation/LiberationSerif-Regular.ttf";
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
        font: SERIF,
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
