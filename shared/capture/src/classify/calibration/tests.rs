use proptest::prelude::*;

use super::*;

#[test]
fn strength_grows_with_evidence_and_shrinks_with_rivals_and_poor_reading() {
    let sure = |best, second, words| Calibration::default().confidence(strength(best, second, words));
    assert!(sure(6.0, 0.0, 1.0) > sure(4.0, 0.0, 1.0));
    assert!(sure(6.0, 5.5, 1.0) < sure(6.0, 1.0, 1.0));
    assert!(sure(6.0, 0.0, 0.3) < 0.5);
    assert!(sure(100.0, 0.0, 1.0) < 1.0);
    assert!(sure(1.0, 0.0, 1.0) < 0.1);
}

/// A calibration by the method for so many examples.
fn fit(examples: &[(f32, bool)]) -> Result<Calibration, FitError> {
    super::fit(examples, Method::of(examples.len()))
}

/// Examples whose true share at a strength is known.
fn drawn(count: usize, seed: u64, share: impl Fn(f32) -> f32) -> Vec<(f32, bool)> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..count)
        .map(|_| {
            let strength = next() * 8.0 - 4.0;
            (strength, next() < share(strength))
        })
        .collect()
}

/// How far the fitted confidences are from the true shares, at worst.
fn worst_miss(calibration: &Calibration, share: impl Fn(f32) -> f32) -> f32 {
    (-35..=35)
        .map(|at| at as f32 / 10.0)
        .fold(0.0f32, |worst, at| worst.max((calibration.confidence(at) - share(at)).abs()))
}

fn logistic(scale: f32, shift: f32) -> impl Fn(f32) -> f32 {
    move |strength| 1.0 / (1.0 + (-(scale * strength + shift)).exp())
}

#[test]
fn a_curve_is_found_again_from_documents_drawn_by_it() {
    let check = |scale: f32, shift: f32, seed: u64| {
        let truth = logistic(scale, shift);
        let fitted = fit(&drawn(390, seed, &truth)).expect("it fits");
        assert!(matches!(fitted, Calibration::Platt { examples: 390, .. }), "{fitted:?}");
        let miss = worst_miss(&fitted, truth);
        assert!(miss < 0.12, "{scale} {shift}: {fitted:?} misses by {miss}");
    };
    check(1.0, 0.0, 1);
    check(0.6, 1.0, 2);
    check(1.8, -1.5, 3);
}

#[test]
fn many_examples_are_followed_where_no_logistic_curve_could() {
    let stairs = |strength: f32| match strength {
        ..-1.0 => 0.2,
        -1.0..2.0 => 0.5,
        _ => 0.97,
    };
    let fitted = fit(&drawn(20_000, 4, stairs)).expect("it fits");
    assert!(matches!(fitted, Calibration::Isotonic { .. }), "{fitted:?}");
    for at in [-3.0, 0.5, 3.0] {
        let miss = (fitted.confidence(at) - stairs(at)).abs();
        assert!(miss < 0.06, "at {at}: {miss}");
    }
}

#[test]
fn examples_of_one_strength_are_one_measurement_in_whatever_order_they_come() {
    let examples = |right_first: bool| {
        let at = |strength: f32, right: usize, wrong: usize| {
            let (mut one, other) =
                (vec![(strength, right_first); right], vec![(strength, !right_first); wrong]);
            one.extend(other);
            one
        };
        if right_first {
            [at(-1.0, 10, 90), at(1.0, 60, 40), at(3.0, 190, 10)].concat()
        } else {
            [at(-1.0, 90, 10), at(1.0, 40, 60), at(3.0, 10, 190)].concat()
        }
    };
    let (one, other) = (fit(&examples(true)).expect("it fits"), fit(&examples(false)).expect("it fits"));
    assert_eq!(one, other);
    for (strength, share) in [(-1.0, 0.1), (1.0, 0.6), (3.0, 0.95)] {
        assert!((one.confidence(strength) - share).abs() < 0.01, "{one:?} at {strength}");
    }
}

#[test]
fn examples_that_carry_no_confidence_are_refused_with_the_reason() {
    let check = |examples: Vec<(f32, bool)>, says: &str| {
        let error = fit(&examples).expect_err("nothing can be fitted").to_string();
        assert!(error.contains(says), "{error}");
    };
    check(vec![(1.0, true); 19], "at least 20");
    check(vec![(1.0, true); 40], "add documents that the rules get wrong");
    check(vec![(1.0, false); 40], "add documents that the rules get right");
    check((0..60).map(|at| (at as f32 / 10.0 - 3.0, at < 30)).collect(), "stronger evidence");
}

#[test]
fn a_few_documents_that_are_all_right_make_no_certainty() {
    let mut examples = vec![(4.0, true); 30];
    examples.extend(vec![(-3.0, false); 5]);
    let confidence = fit(&examples).expect("it fits").confidence(4.0);
    assert!((0.9..0.998).contains(&confidence), "{confidence}");
}

proptest! {
    #[test]
    fn a_fitted_confidence_never_falls_with_strength(seed: u64, count in 20usize..900, scale in 0.3f32..2.0, shift in -2.0f32..2.0) {
        let examples = drawn(count, seed, logistic(scale, shift));
        if let Ok(calibration) = fit(&examples) {
            prop_assert_eq!(calibration.check(), Ok(()));
            let confidences: Vec<f32> = (-60..=60).map(|at| calibration.confidence(at as f32 / 10.0)).collect();
            prop_assert!(confidences.windows(2).all(|pair| pair[0] <= pair[1]));
            prop_assert!(confidences.iter().all(|share| (0.0..=1.0).contains(share)));
        }
    }
}
