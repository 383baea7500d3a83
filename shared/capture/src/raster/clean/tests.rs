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
    for_reading(page, &Ink::of(page), 0)
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
