use image::Luma;
use imageproc::drawing::draw_filled_rect_mut;
use imageproc::rect::Rect as Area;
use proptest::prelude::*;

use super::*;

/// A page of made-up text: rows of boxes as large as letters.
fn page(paper: u8) -> GrayImage {
    let mut page = GrayImage::from_pixel(800, 1_000, Luma([paper]));
    for line in 0..20 {
        for letter in 0..30 {
            // One letter in seven is a blank.
            if (letter + line) % 7 != 0 {
                let area = Area::at(100 + letter * 20, 80 + line * 44).of_size(12, 20);
                draw_filled_rect_mut(&mut page, area, Luma([30]));
            }
        }
    }
    page
}

/// The page with a row of dashes between two of its lines.
fn dashed(width: u32) -> GrayImage {
    let mut page = page(250);
    for dash in 0..(600 / (width as i32 + 5)) {
        let area = Area::at(100 + dash * (width as i32 + 5), 111).of_size(width, 3);
        draw_filled_rect_mut(&mut page, area, Luma([40]));
    }
    page
}

fn cleaned(page: &GrayImage) -> Cow<'_, GrayImage> {
    for_reading(page, &Ink::of(page), Lay::as_scanned(page))
}

/// The greatest difference between two pages in any sample.
fn difference(a: &GrayImage, b: &GrayImage) -> u8 {
    a.iter().zip(b.iter()).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

#[test]
fn a_clean_page_is_read_as_it_is() {
    for paper in [255, 240, 200] {
        assert!(matches!(cleaned(&page(paper)), Cow::Borrowed(_)), "paper {paper}");
    }
}

#[test]
fn a_shadow_across_the_page_is_lifted_and_its_letters_stay() {
    let mut shaded = page(240);
    for (x, y, sample) in shaded.enumerate_pixels_mut() {
        // A soft shadow over the lower half, darker towards the right.
        let depth = ((y as f32 - 400.0) / 120.0).clamp(0.0, 1.0) * (0.3 + 0.3 * x as f32 / 800.0);
        sample.0[0] = (f32::from(sample.0[0]) * (1.0 - depth)) as u8;
    }
    let (lifted, clear) = (cleaned(&shaded), page(240));
    for (x, y, sample) in lifted.enumerate_pixels() {
        let (sample, paper) = (sample.0[0], clear.get_pixel(x, y).0[0] == 240);
        assert!(if paper { sample > 225 } else { sample < 60 }, "{sample} at {x}, {y}, paper: {paper}");
    }
}

#[test]
fn what_is_dark_on_purpose_stays_dark_under_even_light() {
    let mut shaded = page(240);
    shaded.enumerate_pixels_mut().for_each(|(_, y, sample)| {
        sample.0[0] = (f32::from(sample.0[0]) * (1.0 - 0.5 * y as f32 / 1_000.0)) as u8;
    });
    draw_filled_rect_mut(&mut shaded, Area::at(200, 300).of_size(400, 300), Luma([20]));
    let lifted = cleaned(&shaded);
    let picture = |x, y| lifted.get_pixel(x, y).0[0] < 60;
    assert!((220..580).step_by(20).all(|x| (320..580).step_by(20).all(|y| picture(x, y))));
}

#[test]
fn a_row_of_dashes_is_taken_out_and_nothing_else() {
    for width in [9, 14, 22] {
        assert!(difference(&cleaned(&dashed(width)), &page(250)) <= 2, "dashes {width} wide");
    }
}

#[test]
fn a_hyphen_and_a_solid_rule_stay() {
    let mut page = page(250);
    draw_filled_rect_mut(&mut page, Area::at(720, 90).of_size(10, 3), Luma([40]));
    draw_filled_rect_mut(&mut page, Area::at(100, 111).of_size(600, 3), Luma([40]));
    assert!(matches!(cleaned(&page), Cow::Borrowed(_)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn any_picture_of_any_size_keeps_its_size(width in 1u32..200, height in 1u32..200, seed: u64) {
        let noise = |x: u32, y: u32| (u64::from(x * 7 + y * 13).wrapping_mul(seed | 1) >> 40) as u8;
        let page = GrayImage::from_fn(width, height, |x, y| Luma([noise(x, y)]));
        prop_assert_eq!(cleaned(&page).dimensions(), (width, height));
    }
}

/// The page on a scanner with an open lid, its borders as deep as this: left, right, top, bottom.
fn with_borders(page: &GrayImage, [left, right, top, bottom]: [u32; 4]) -> GrayImage {
    let (width, height) = page.dimensions();
    let mut page = page.clone();
    for (x, y, sample) in page.enumerate_pixels_mut() {
        if x < left || x >= width - right || y < top || y >= height - bottom {
            sample.0[0] = 20;
        }
    }
    page
}

/// Punches the page: holes of this diameter with their middles at these places.
fn punched(page: &GrayImage, diameter: i32, places: &[(i32, i32)]) -> GrayImage {
    let mut page = page.clone();
    for &place in places {
        imageproc::drawing::draw_filled_circle_mut(&mut page, place, diameter / 2, Luma([25]));
    }
    page
}

/// How many samples of two pages differ by more than a shade.
fn unlike(a: &GrayImage, b: &GrayImage) -> usize {
    a.iter().zip(b.iter()).filter(|(a, b)| a.abs_diff(**b) > 12).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn black_borders_go_and_every_letter_stays(
        sides in proptest::array::uniform4(prop_oneof![Just(0u32), 8u32..55]),
        paper in 200u8..=255,
    ) {
        let clear = page(paper);
        let cleaned = cleaned(&with_borders(&clear, sides)).into_owned();
        prop_assert_eq!(unlike(&cleaned, &clear), 0, "borders {:?}", sides);
    }

    #[test]
    fn punch_holes_go_and_every_letter_stays(
        diameter in 17i32..=30,
        from_edge in 22i32..=50,
        top in 200i32..=400,
        apart in 200i32..=500,
        on_the_right: bool,
    ) {
        let clear = page(245);
        let x = if on_the_right { 799 - from_edge } else { from_edge };
        let holed = punched(&clear, diameter, &[(x, top), (x, top + apart)]);
        let cleaned = cleaned(&holed).into_owned();
        prop_assert_eq!(unlike(&cleaned, &clear), 0, "{} wide at {}, {} and {}", diameter, x, top, apart);
    }

    #[test]
    fn punch_holes_beside_a_black_border_go_with_it_and_every_letter_stays(
        border in 8u32..30,
        gap in 4i32..=16,
        diameter in 17i32..=28,
        top in 200i32..=400,
        apart in 200i32..=500,
        on_the_right: bool,
    ) {
        let clear = page(245);
        let from_edge = border as i32 + gap + diameter / 2;
        let x = if on_the_right { 799 - from_edge } else { from_edge };
        let holed = punched(&clear, diameter, &[(x, top), (x, top + apart)]);
        let sides = if on_the_right { [0, border, 0, 0] } else { [border, 0, 0, 0] };
        let cleaned = cleaned(&with_borders(&holed, sides)).into_owned();
        prop_assert_eq!(unlike(&cleaned, &clear), 0, "{} wide, {} from a border of {}", diameter, gap, border);
    }
}

#[test]
fn a_bar_of_colour_with_white_letters_and_a_picture_at_the_rim_are_no_border() {
    let mut bar = page(250);
    draw_filled_rect_mut(&mut bar, Area::at(0, 0).of_size(800, 60), Luma([30]));
    for letter in 0..30 {
        draw_filled_rect_mut(&mut bar, Area::at(100 + letter * 20, 20).of_size(12, 20), Luma([250]));
    }
    let mut picture = page(250);
    for y in 560..1_000 {
        let reach = 300 + (y - 560) * (y % 7) / 30;
        draw_filled_rect_mut(&mut picture, Area::at(0, y).of_size(reach as u32, 1), Luma([40]));
    }
    for (what, page) in [("a bar", bar), ("a picture", picture)] {
        assert_eq!(unlike(&cleaned(&page), &page), 0, "{what}");
    }
}

#[test]
fn letters_and_rules_that_touch_the_rim_stay() {
    let mut page = page(250);
    for line in 0..20 {
        draw_filled_rect_mut(&mut page, Area::at(0, 80 + line * 44).of_size(10, 14), Luma([30]));
    }
    draw_filled_rect_mut(&mut page, Area::at(0, 111).of_size(800, 3), Luma([30]));
    assert!(matches!(cleaned(&page), Cow::Borrowed(_)));
}

#[test]
fn a_single_disk_large_letters_and_rows_of_filled_circles_are_no_punch_holes() {
    let one = punched(&page(250), 22, &[(40, 500)]);
    let circles: Vec<(i32, i32)> = (0..8).map(|at| (40, 150 + at * 90)).collect();
    let form = punched(&page(250), 22, &circles);
    let mut letters = page(250);
    for y in [300, 600] {
        imageproc::drawing::draw_filled_circle_mut(&mut letters, (40, y), 12, Luma([25]));
        imageproc::drawing::draw_filled_circle_mut(&mut letters, (40, y), 7, Luma([250]));
    }
    for (what, page) in [("a disk", one), ("a form", form), ("letters", letters)] {
        assert_eq!(unlike(&cleaned(&page), &page), 0, "{what}");
    }
}

/// The page out of focus: each sample the mean of those in reach.
fn softened(page: &GrayImage, reach: u32) -> GrayImage {
    GrayImage::from_fn(page.width(), page.height(), |x, y| {
        let rows = y.saturating_sub(reach)..(y + reach + 1).min(page.height());
        let columns = x.saturating_sub(reach)..(x + reach + 1).min(page.width());
        let count = rows.len() as u32 * columns.len() as u32;
        let sum: u32 = rows
            .flat_map(|y| columns.clone().map(move |x| (x, y)))
            .map(|(x, y)| u32::from(page.get_pixel(x, y).0[0]))
            .sum();
        Luma([(sum / count) as u8])
    })
}

/// The page with another one shining through from the back: mirrored, soft, and paler by this factor.
fn seen_through(front: &GrayImage, paleness: f32) -> GrayImage {
    let other = page(240);
    let back = GrayImage::from_fn(800, 1_000, |x, y| *other.get_pixel(799 - x, (y + 22) % 1_000));
    let back = softened(&back, 3);
    let mut page = front.clone();
    for (sample, back) in page.iter_mut().zip(back.iter()) {
        let shade = 1.0 - (1.0 - f32::from(*back) / 240.0) * paleness;
        *sample = (*sample).min((f32::from(*sample) * shade) as u8).max(30);
    }
    page
}

#[test]
fn what_shines_through_is_lifted_and_the_print_stays() {
    for paleness in [0.3, 0.4] {
        let clear = softened(&page(240), 1);
        let thin = seen_through(&clear, paleness);
        let lifted = cleaned(&thin);
        // Paper with no letter near it.
        let is_white = |x: u32, y: u32| {
            let span = |at: u32, length: u32| at.saturating_sub(4)..(at + 5).min(length);
            span(y, 1_000).all(|y| span(x, 800).all(|x| clear.get_pixel(x, y).0[0] == 240))
        };
        let places = clear.enumerate_pixels().filter(|&(x, y, _)| is_white(x, y));
        let paper: Vec<usize> = places.map(|(x, y, _)| (y * 800 + x) as usize).collect();
        assert!(paper.len() > 100_000);
        let darkest = |page: &GrayImage| paper.iter().map(|&at| page.as_raw()[at]).min().unwrap_or(240);
        let (before, after) = (darkest(&thin), darkest(&lifted));
        assert!(240 - after <= (240 - before) / 2, "the darkest on the paper was {before}, and is {after}");
        let letters = (0..).zip(clear.iter()).filter(|(_, sample)| **sample == 30).map(|(at, _)| at);
        let palest = letters.map(|at: usize| lifted.as_raw()[at]).max();
        assert!(palest < Some(60), "the palest in the letters is {palest:?}");
        // Their soft edges are as pale as what shines through, and part of them.
        let edges = (0..).zip(clear.iter()).filter(|(_, sample)| (31..240).contains(*sample));
        let changed = edges.filter(|&(at, _): &(usize, _)| lifted.as_raw()[at] != thin.as_raw()[at]).count();
        assert_eq!(changed, 0, "of the letters' edges");
    }
}

#[test]
fn pale_print_stays_beside_what_shines_through_and_alone() {
    let mut clear = softened(&page(240), 1);
    // A note in gray, below the last line.
    let gray = |page: &mut GrayImage| {
        for letter in 0..30 {
            draw_filled_rect_mut(page, Area::at(100 + letter * 20, 960).of_size(12, 20), Luma([170]));
        }
    };
    let mut thin = seen_through(&clear, 0.35);
    gray(&mut clear);
    gray(&mut thin);
    for (what, page) in [("alone", clear), ("beside show-through", thin)] {
        let cleaned = cleaned(&page);
        for letter in 0..30 {
            let sample = cleaned.get_pixel(106 + letter * 20, 970).0[0];
            assert!(sample < 190, "{what}: {sample} in letter {letter}");
        }
    }
}

#[test]
fn the_shown_picture_is_cleaned_of_dirt_and_keeps_its_rows_of_dashes() {
    let clear = dashed(14);
    let dirty = punched(&with_borders(&clear, [30, 20, 12, 40]), 22, &[(65, 300), (65, 640)]);
    let check = |samples: Samples| {
        let mut picture = Picture::new(samples);
        let gray = picture.samples.to_gray();
        shown(&mut picture, &Ink::of(&gray), Lay::as_scanned(&gray));
        let wrong = unlike(&picture.samples.to_gray(), &clear);
        assert_eq!(wrong, 0, "samples differ");
    };
    check(Samples::Gray(dirty.clone()));
    let colour = image::DynamicImage::ImageLuma8(dirty.clone()).into_rgb8();
    check(Samples::Rgb(image::RgbImage::from_fn(800, 1_000, |x, y| {
        let [gray, ..] = colour.get_pixel(x, y).0;
        image::Rgb([gray, gray, gray.saturating_sub(6)])
    })));
    let bitonal =
        GrayImage::from_fn(800, 1_000, |x, y| Luma([if dirty.get_pixel(x, y).0[0] < 128 { 0 } else { 255 }]));
    let mut picture = Picture::new(Samples::Gray(bitonal));
    let gray = picture.samples.to_gray();
    shown(&mut picture, &Ink::of(&gray), Lay::as_scanned(&gray));
    assert!(matches!(picture.samples, Samples::Bitonal(_)), "black and white stays black and white");
    assert!(picture.samples.to_gray().iter().all(|sample| matches!(sample, 0 | 255)));
}
