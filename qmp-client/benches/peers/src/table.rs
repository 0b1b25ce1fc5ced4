//! The table of ratios and the goals.

use std::collections::BTreeMap;

use crate::measure::{Cost, median};

/// Measurements by what was done and by whom, one value a round.
#[derive(Default)]
pub struct Table {
    cells: BTreeMap<(&'static str, &'static str), Vec<Cost>>,
    goals: Vec<(&'static str, f64, Limit)>,
}

/// What a goal demands.
#[derive(Clone, Copy)]
pub enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

impl Table {
    pub fn add(&mut self, what: &'static str, who: &'static str, cost: Cost) {
        self.cells.entry((what, who)).or_default().push(cost);
    }

    /// The median over the rounds of the ratio of two clients within a round.
    pub fn ratio(
        &self,
        (what, who): (&'static str, &'static str),
        base: (&'static str, &'static str),
        value: impl Fn(&Cost) -> f64,
    ) -> f64 {
        let none = Vec::new();
        let mine = self.cells.get(&(what, who)).unwrap_or(&none);
        let theirs = self.cells.get(&base).unwrap_or(&none);
        median(mine.iter().zip(theirs).map(|(mine, theirs)| value(mine) / value(theirs)).collect())
    }

    pub fn goal(&mut self, name: &'static str, value: f64, limit: Limit) {
        self.goals.push((name, value, limit));
    }

    /// Prints all of it. True: every goal is met.
    pub fn print(&self) -> bool {
        println!(
            "{:<22} {:<22} {:>10} {:>8} {:>10} {:>8}",
            "what", "client", "per second", "× floor", "CPU µs", "× floor"
        );
        for (&(what, who), costs) in &self.cells {
            let floor = (what, "floor");
            let rate = median(costs.iter().map(|cost| cost.rate).collect());
            let cpu = median(costs.iter().map(|cost| cost.cpu_us).collect());
            println!(
                "{what:<22} {who:<22} {rate:>10.0} {:>8.2} {cpu:>10.1} {:>8.2}",
                self.ratio((what, who), floor, |cost| cost.rate),
                self.ratio((what, who), floor, |cost| cost.cpu_us),
            );
        }
        let mut all = true;
        for &(name, value, limit) in &self.goals {
            let (met, limit) = match limit {
                Limit::AtLeast(limit) => (value >= limit, format!(">={limit}")),
                Limit::AtMost(limit) => (value <= limit, format!("<={limit}")),
            };
            all &= met;
            println!("goal {name} {value:.2} {limit} {}", if met { "met" } else { "missed" });
        }
        all
    }
}
