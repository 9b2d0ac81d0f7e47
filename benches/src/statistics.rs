//! Series of repeated measurements, and latencies.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// The same figure, measured several times.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Series(Vec<f64>);

impl Series {
    /// Adds a measurement.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// All of them.
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// The middle one; of an even number the mean of the middle two.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            count if count % 2 == 1 => sorted[count / 2],
            count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
        }
    }

    /// The least.
    pub fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::min)
    }

    /// The largest.
    pub fn max(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::max)
    }

    /// Each measurement divided by the baseline's of the same repeat.
    pub fn ratio(&self, baseline: &Self) -> Self {
        Self(self.0.iter().zip(&baseline.0).map(|(value, base)| value / base).collect())
    }
}

impl FromIterator<f64> for Series {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// Latencies from a microsecond to a minute, to three digits.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

const MICROS_MAX: u64 = 60_000_000;

impl Latencies {
    /// None yet.
    pub fn new() -> Self {
        Self(Histogram::new_with_bounds(1, MICROS_MAX, 3).expect("the bounds are constant and valid"))
    }

    /// Adds one; longer than a minute counts as a minute.
    pub fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(MICROS_MAX);
        self.0.saturating_record(micros.max(1));
    }

    /// Adds all of another.
    pub fn add(&mut self, other: &Self) {
        self.0 += &other.0;
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The value below which the given share (0 to 1) lies, in microseconds.
    pub fn micros(&self, share: f64) -> f64 {
        self.0.value_at_quantile(share) as f64
    }

    /// The same in milliseconds.
    pub fn millis(&self, share: f64) -> f64 {
        self.micros(share) / 1000.0
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_spread() {
        let odd: Series = [3.0, 1.0, 2.0].into_iter().collect();
        assert_eq!((odd.median(), odd.min(), odd.max()), (2.0, 1.0, 3.0));
        let even: Series = [4.0, 1.0].into_iter().collect();
        assert_eq!(even.median(), 2.5);
        assert_eq!(odd.ratio(&odd).values(), [1.0, 1.0, 1.0]);
    }

    #[test]
    fn latencies_keep_three_digits() {
        let mut latencies = Latencies::new();
        (1..=1000).for_each(|millis| latencies.record(Duration::from_millis(millis)));
        assert!((latencies.millis(0.99) - 990.0).abs() < 1.0);
    }
}
