//! What a scenario found, as a table and as JSON.

use std::fmt;

use serde::Serialize;

use crate::arguments::BenchArguments;
use crate::machine::Machine;
use crate::statistics::Series;

/// Everything that a scenario found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Its name.
    pub scenario: &'static str,
    /// What was measured and against what, in a few sentences.
    pub about: String,
    /// How it was measured.
    pub settings: Vec<(String, String)>,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// What has to hold.
    pub targets: Vec<Target>,
    /// Where it was measured.
    pub machine: Machine,
}

/// One figure, measured several times.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// Of what.
    pub unit: &'static str,
    /// The middle one.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Each repeat.
    pub values: Vec<f64>,
}

/// A figure that has to hold.
#[derive(Clone, Debug, Serialize)]
pub struct Target {
    /// What must hold.
    pub name: String,
    /// The figure, a median unless the name says otherwise.
    pub value: f64,
    /// The bound.
    pub must_be: Bound,
    /// Whether it does.
    pub holds: bool,
}

/// A bound.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
    /// Exactly this, in every repeat.
    Exactly(f64),
}

impl Figure {
    /// A figure from its measurements.
    pub fn new(name: impl Into<String>, unit: &'static str, series: &Series) -> Self {
        Self {
            name: name.into(),
            unit,
            median: series.median(),
            min: series.min(),
            max: series.max(),
            values: series.values().to_vec(),
        }
    }
}

impl Target {
    /// Holds a median to a bound; with [`Bound::Exactly`] every measurement.
    pub fn new(name: impl Into<String>, series: &Series, must_be: Bound) -> Self {
        let value = series.median();
        let holds = match must_be {
            Bound::AtLeast(bound) => value >= bound,
            Bound::AtMost(bound) => value <= bound,
            Bound::Exactly(bound) => series.values().iter().all(|one| (one - bound).abs() < f64::EPSILON),
        };
        Self { name: name.into(), value, must_be, holds }
    }
}

impl Report {
    /// How many targets are missed.
    pub fn missed(&self) -> usize {
        self.targets.iter().filter(|target| !target.holds).count()
    }

    /// The settings that every scenario has.
    pub fn common_settings(arguments: &BenchArguments) -> Vec<(String, String)> {
        vec![
            (
                "measured for".into(),
                format!("{} s, after {} s of warm-up", seconds(arguments.duration), seconds(arguments.warmup)),
            ),
            ("repeats".into(), arguments.repeats.to_string()),
        ]
    }
}

fn seconds(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "bench {}\n{}\n", self.scenario, self.about)?;
        for (name, value) in &self.settings {
            writeln!(f, "  {name}: {value}")?;
        }
        let wide = self.figures.iter().map(|one| one.name.len()).chain(self.targets.iter().map(|one| one.name.len()));
        let wide = wide.max().unwrap_or(0).max(8);
        writeln!(f, "\n{:<wide$}  {:>11}  {:>11}  {:>11}", "figure", "median", "min", "max")?;
        for Figure { name, unit, median, min, max, .. } in &self.figures {
            writeln!(f, "{name:<wide$}  {:>11}  {:>11}  {:>11}  {unit}", short(*median), short(*min), short(*max))?;
        }
        writeln!(f, "\n{:<wide$}  {:>11}  {:>11}", "target", "measured", "must be")?;
        for Target { name, value, must_be, holds } in &self.targets {
            let bound = match must_be {
                Bound::AtLeast(bound) => format!(">= {}", short(*bound)),
                Bound::AtMost(bound) => format!("<= {}", short(*bound)),
                Bound::Exactly(bound) => format!("= {}", short(*bound)),
            };
            let verdict = if *holds { "holds" } else { "MISSED" };
            writeln!(f, "{name:<wide$}  {:>11}  {bound:>11}  {verdict}", short(*value))?;
        }
        let Machine { processors, model, kernel, load_before, load_after, others_share, others, versions } =
            &self.machine;
        writeln!(
            f,
            "\nmachine: {processors} x {model}, Linux {kernel}; load average {load_before:.2} before, {load_after:.2} after"
        )?;
        let versions: Vec<String> = versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        if !versions.is_empty() {
            writeln!(f, "versions: {}", versions.join(", "))?;
        }
        let others: Vec<String> = others.iter().map(|(name, share)| format!("{name} {:.0} %", share * 100.0)).collect();
        let named = if others.is_empty() { String::new() } else { format!("; still there: {}", others.join(", ")) };
        writeln!(f, "other processes took {:.0} % of one processor{named}", others_share * 100.0)
    }
}

/// Large numbers whole with thousands apart, small ones with the digits that matter.
fn short(value: f64) -> String {
    if !value.is_finite() {
        return "-".into();
    }
    if value.abs() < 1000.0 {
        let digits = if value.fract() == 0.0 {
            0
        } else if value.abs() < 10.0 {
            2
        } else {
            1
        };
        return format!("{value:.digits$}");
    }
    let whole = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(short(1_234_567.8), "1,234,568");
        assert_eq!(short(0.654), "0.65");
        assert_eq!(short(100.0), "100");
        assert_eq!(short(12.34), "12.3");
    }

    #[test]
    fn targets_are_held_to_the_median_or_to_all() {
        let series: Series = [1.0, 2.0, 3.0].into_iter().collect();
        assert!(Target::new("a", &series, Bound::AtLeast(2.0)).holds);
        assert!(!Target::new("a", &series, Bound::AtMost(1.5)).holds);
        assert!(!Target::new("a", &series, Bound::Exactly(2.0)).holds);
    }
}
