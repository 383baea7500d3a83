//! Fitting a calibration to examples.

use super::Calibration;

/// Fewest examples a curve is fitted to.
pub const EXAMPLES_FEWEST: usize = 20;
/// The number of examples from which the measured shares are trusted more than a curve.
pub const ISOTONIC_FROM: usize = 400;
/// Most steps of Newton's method; it needs about six.
const STEPS: usize = 100;
/// A step smaller than this ends it.
const CLOSE: f64 = 1e-9;
/// Bounds of the curve's steepness: outside of them the examples say nothing about confidence.
const SCALES: (f64, f64) = (0.05, 5.0);
/// How strongly the curve is held to the uncalibrated one, as a number of examples: a few tens of documents that are all
/// right, or all wrong beyond one strength, would otherwise ask for an infinitely steep curve.
const PRIOR: f64 = 1.0;
/// What is added to the right ones and to the wrong ones, as a number of examples (Platt's targets add one): however many
/// were right, one more might not be.
const DOUBT: f64 = 0.25;

/// Why examples give no calibration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// Too few.
    #[error("{0} examples are too few to fit a confidence to; at least {EXAMPLES_FEWEST} are needed")]
    TooFew(usize),
    /// All were right, or all wrong: nothing tells where one turns into the other.
    #[error("all {0} examples end the same way; add documents that the rules get {1}")]
    OneSided(usize, &'static str),
    /// Stronger evidence is not righter.
    #[error(
        "documents with stronger evidence are not right more often: mend the rules before their confidence"
    )]
    Contradiction,
}

/// The two ways of fitting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A logistic curve.
    Platt,
    /// A rising line through the measured shares.
    Isotonic,
}

impl Method {
    /// The one for so many examples.
    pub fn of(examples: usize) -> Self {
        if examples >= ISOTONIC_FROM { Self::Isotonic } else { Self::Platt }
    }
}

/// Fits a calibration to strengths, each with whether the best type was the right one.
///
/// # Errors
///
/// Where the examples do not carry one.
pub fn fit(examples: &[(f32, bool)], method: Method) -> Result<Calibration, FitError> {
    if examples.len() < EXAMPLES_FEWEST {
        return Err(FitError::TooFew(examples.len()));
    }
    match examples.iter().filter(|(_, right)| *right).count() {
        0 => return Err(FitError::OneSided(examples.len(), "right")),
        all if all == examples.len() => return Err(FitError::OneSided(examples.len(), "wrong")),
        _ => {}
    }
    match method {
        Method::Isotonic => Ok(isotonic(examples)),
        Method::Platt => platt(examples),
    }
}

/// Platt's logistic curve, by Newton's method with his targets (J. Platt, 1999; the numerics of Lin, Lin and Weng, 2007).
fn platt(examples: &[(f32, bool)]) -> Result<Calibration, FitError> {
    let right = examples.iter().filter(|(_, right)| *right).count() as f64;
    let wrong = examples.len() as f64 - right;
    let (high, low) = ((right + DOUBT) / (right + 2.0 * DOUBT), DOUBT / (wrong + 2.0 * DOUBT));
    let (mut scale, mut shift) = (1.0f64, 0.0f64);
    for _ in 0..STEPS {
        // The prior holds scale to 1 and shift to 0.
        let (mut g_scale, mut g_shift) = (PRIOR * (scale - 1.0), PRIOR * 0.1 * shift);
        let (mut h_scale, mut h_both, mut h_shift) = (PRIOR, 0.0, PRIOR * 0.1);
        for (strength, right) in examples {
            let strength = f64::from(*strength);
            let share = 1.0 / (1.0 + (-(scale * strength + shift)).exp());
            let off = share - if *right { high } else { low };
            let spread = (share * (1.0 - share)).max(1e-12);
            g_scale += off * strength;
            g_shift += off;
            h_scale += spread * strength * strength;
            h_both += spread * strength;
            h_shift += spread;
        }
        let determinant = h_scale * h_shift - h_both * h_both;
        let by_scale = (h_shift * g_scale - h_both * g_shift) / determinant;
        let by_shift = (h_scale * g_shift - h_both * g_scale) / determinant;
        // A step is at most 1: far from the end the curve is too flat for Newton's guess.
        let brake = (1.0 / by_scale.abs().max(by_shift.abs()).max(1.0)).min(1.0);
        scale -= brake * by_scale;
        shift -= brake * by_shift;
        if by_scale.abs().max(by_shift.abs()) < CLOSE {
            break;
        }
    }
    if !(SCALES.0..=SCALES.1).contains(&scale) || !shift.is_finite() {
        return Err(FitError::Contradiction);
    }
    let rounded = |value: f64| ((value * 1e4).round() / 1e4) as f32;
    Ok(Calibration::Platt { scale: rounded(scale), shift: rounded(shift), examples: examples.len() as u32 })
}

/// Pools neighbours until the shares rise (the pool-adjacent-violators algorithm; Ayer and others, 1955).
fn isotonic(examples: &[(f32, bool)]) -> Calibration {
    let mut sorted = examples.to_vec();
    sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
    // Examples of one strength are one measurement, in whatever order they come.
    let measured = sorted.chunk_by(|one, other| one.0 == other.0).map(|equal| {
        let count = equal.len() as f64;
        let right = equal.iter().filter(|(_, right)| *right).count() as f64;
        (f64::from(equal[0].0) * count, right, count)
    });
    // Sum of strengths, number right, number.
    let mut pools: Vec<(f64, f64, f64)> = Vec::new();
    for measurement in measured {
        pools.push(measurement);
        while let [.., one, other] = pools[..] {
            if one.1 / one.2 < other.1 / other.2 {
                break;
            }
            pools.truncate(pools.len() - 2);
            pools.push((one.0 + other.0, one.1 + other.1, one.2 + other.2));
        }
    }
    // A pool of few that were all right proves no certainty: half a document counts either way.
    let point = |(strengths, right, count): (f64, f64, f64)| {
        ((strengths / count) as f32, ((right + 0.5) / (count + 1.0)) as f32)
    };
    let mut points: Vec<(f32, f32)> = pools.into_iter().map(point).collect();
    points.dedup_by(|next, kept| next.0 <= kept.0);
    let mut highest = 0.0f32;
    for (_, share) in &mut points {
        highest = highest.max(*share);
        *share = highest;
    }
    Calibration::Isotonic { points, examples: examples.len() as u32 }
}
