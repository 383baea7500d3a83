//! A line of samples across bars, as ink and paper.

/// The least difference of ink and paper, in levels.
const CONTRAST_MIN: u8 = 60;

/// A stretch of ink or of paper.
pub(super) struct Run {
    pub(super) is_ink: bool,
    pub(super) start: usize,
    /// Behind its last sample.
    pub(super) end: usize,
}

/// The runs of ink and paper; what is shorter than a speck belongs to what surrounds it.
pub(super) fn runs(line: &[u8], threshold: u8) -> Vec<Run> {
    const SPECK: usize = 3;
    let mut runs: Vec<Run> = Vec::new();
    for (at, &sample) in line.iter().enumerate() {
        let is_ink = sample < threshold;
        match runs.last_mut() {
            Some(run) if run.is_ink == is_ink => run.end = at + 1,
            _ => runs.push(Run { is_ink, start: at, end: at + 1 }),
        }
    }
    let mut whole: Vec<Run> = Vec::with_capacity(runs.len());
    for run in runs {
        match whole.last_mut() {
            Some(last) if run.end - run.start < SPECK || last.is_ink == run.is_ink => last.end = run.end,
            _ => whole.push(run),
        }
    }
    whole
}

/// How often a line changes between ink and paper.
pub(super) fn edges(line: &[u8], threshold: u8) -> usize {
    line.windows(2).filter(|pair| (pair[0] < threshold) != (pair[1] < threshold)).count()
}

/// Half-way between the ink and the paper of a line; `None` where it has no ink to speak of.
pub(super) fn threshold(line: &[u8]) -> Option<u8> {
    let mut counts = [0usize; 256];
    line.iter().for_each(|&sample| counts[usize::from(sample)] += 1);
    let at = |share: usize| {
        let mut left = line.len() * share / 100;
        counts.iter().position(|&count| {
            let reached = count > left;
            left = left.saturating_sub(count);
            reached
        })
    };
    let (dark, light) = (at(1)? as u8, at(80)? as u8);
    (light.saturating_sub(dark) >= CONTRAST_MIN).then(|| dark + (light - dark) / 2)
}

/// The line in black and white, without specks.
pub(super) fn hard(line: &[u8], threshold: u8) -> Vec<u8> {
    let mut hard = vec![u8::MAX; line.len()];
    for run in runs(line, threshold).iter().filter(|run| run.is_ink) {
        hard[run.start..run.end].fill(0);
    }
    hard
}
