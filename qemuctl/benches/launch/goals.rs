//! Goals, and the median.

use std::time::Duration;

/// Prints goals, and knows whether one was missed.
#[derive(Default)]
pub struct Goals {
    missed: usize,
}

impl Goals {
    /// One line: `goal NAME VALUE LIMIT met|missed`.
    pub fn at_most(&mut self, name: &str, value: f64, limit: f64) {
        let met = value <= limit;
        self.missed += usize::from(!met);
        println!("goal {name} {value:.3} {limit} {}", if met { "met" } else { "missed" });
    }

    pub fn are_met(&self) -> bool {
        self.missed == 0
    }
}

/// The middle of some times, in milliseconds.
pub fn median_ms(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
}
