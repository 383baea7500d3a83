//! What was promised, beside what was measured.

use super::report::Report;

/// The targets in the order in which they were judged.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    rows: Vec<Vec<String>>,
}

impl Targets {
    /// A figure that must not be above `most`.
    pub fn at_most(&mut self, what: &str, measured: Option<f64>, most: f64, unit: &str) {
        self.add(what, measured, &format!("≤ {most}{unit}"), |measured| measured <= most, unit);
    }

    /// A figure that must not be below `least`.
    pub fn at_least(&mut self, what: &str, measured: Option<f64>, least: f64, unit: &str) {
        self.add(what, measured, &format!("≥ {least}{unit}"), |measured| measured >= least, unit);
    }

    fn add(
        &mut self,
        what: &str,
        measured: Option<f64>,
        target: &str,
        is_met: impl Fn(f64) -> bool,
        unit: &str,
    ) {
        let (measured, verdict) = match measured {
            Some(measured) => {
                let verdict = if is_met(measured) { "reached" } else { "**missed**" };
                (format!("{}{unit}", shown(measured)), verdict)
            }
            None => ("not measured".into(), "–"),
        };
        self.rows.push(vec![what.to_owned(), target.to_owned(), measured, verdict.to_owned()]);
    }

    /// Writes the table.
    pub fn tell(&self, report: &mut Report) {
        if !self.rows.is_empty() {
            report.section("Targets");
            report.table(&["", "target", "measured", ""], &self.rows);
        }
    }
}

/// Three significant digits are all that a run is good for.
fn shown(value: f64) -> String {
    match value.abs() {
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        0.0 => "0".into(),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_reached_at_its_very_limit_and_not_beyond() {
        let mut targets = Targets::default();
        targets.at_most("at", Some(0.85), 0.85, "");
        targets.at_most("above", Some(0.8501), 0.85, "");
        targets.at_least("below", Some(97.9), 98.0, " %");
        targets.at_most("unknown", None, 1.0, "");
        let verdicts: Vec<&str> = targets.rows.iter().map(|row| row[3].as_str()).collect();
        assert_eq!(verdicts, ["reached", "**missed**", "**missed**", "–"]);
    }
}
