//! Where a page's time goes, by the times that Platen's records tell.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::records::Record;
use super::report::{Report, figure, per_cent};

/// The stage that is Tesseract's work; all the others are ours.
const RECOGNITION: &str = "recognise";

/// Milliseconds in each stage, over all pages.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    pages: usize,
    total_ms: BTreeMap<String, f64>,
}

impl Stages {
    /// Adds up the records that Platen wrote.
    ///
    /// # Errors
    ///
    /// When a record cannot be read.
    pub fn of_records(records: &[PathBuf]) -> Result<Self, String> {
        let mut stages = Self::default();
        for path in records {
            for page in Record::read(path)?.pages {
                stages.add(&page.timings_ms);
            }
        }
        Ok(stages)
    }

    fn add(&mut self, timings_ms: &BTreeMap<String, f64>) {
        self.pages += 1;
        for (stage, ms) in timings_ms {
            *self.total_ms.entry(stage.clone()).or_default() += ms;
        }
    }

    fn sum_ms(&self) -> f64 {
        self.total_ms.values().sum()
    }

    /// All stages but recognition, as a part of all stages.
    pub fn share_of_the_rest(&self) -> Option<f64> {
        let sum = self.sum_ms();
        (sum > 0.0).then(|| 1.0 - self.total_ms.get(RECOGNITION).unwrap_or(&0.0) / sum)
    }

    /// Everything but recognition, starting and binding too, as a part of the processor time of the whole call.
    pub fn share_of_the_call(&self, cpu_s: f64) -> Option<f64> {
        let recognition_s = self.total_ms.get(RECOGNITION)? / 1e3;
        (cpu_s > 0.0).then(|| (1.0 - recognition_s / cpu_s).max(0.0))
    }

    /// Writes the table. `cpu_s` is the processor time of the call that made the pages.
    pub fn tell(&self, cpu_s: Option<f64>, report: &mut Report) {
        report.section("Where a page's time goes");
        let pages = self.pages.max(1) as f64;
        let mut stages: Vec<(&String, &f64)> = self.total_ms.iter().collect();
        stages.sort_by(|one, other| other.1.total_cmp(one.1));
        let row = |name: &str, ms: f64| {
            vec![name.to_owned(), figure(Some(ms / pages), 1), per_cent(Some(ms / self.sum_ms()), 1)]
        };
        let mut rows: Vec<Vec<String>> = stages.into_iter().map(|(name, &ms)| row(name, ms)).collect();
        rows.push(row("all stages", self.sum_ms()));
        report.table(&["stage", "CPU ms / page", "share"], &rows);
        report.paragraph(&format!(
            "Everything but recognition: {} of the stages; {} of the processor time of the call, with starting, loading \
             the model, classifying, binding and making durable.",
            per_cent(self.share_of_the_rest(), 1),
            per_cent(cpu_s.and_then(|cpu_s| self.share_of_the_call(cpu_s)), 1),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_recognition_is_a_share_of_all_stages_and_of_the_whole_call() {
        let mut stages = Stages::default();
        for _ in 0..2 {
            stages.add(&BTreeMap::from([("decode".to_owned(), 50.0), (RECOGNITION.to_owned(), 450.0)]));
        }
        let share = |value: Option<f64>| value.map(|value| (value * 1e3).round());
        assert_eq!(share(stages.share_of_the_rest()), Some(100.0));
        assert_eq!(share(stages.share_of_the_call(1.2)), Some(250.0));
        assert_eq!(Stages::default().share_of_the_rest(), None);
    }
}
