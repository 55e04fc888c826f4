//! One figure, its goal, and what plain streams would come to.

use std::fmt;

use serde_json::{Value, json};

/// What a figure is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

pub(super) fn at_least(bar: f64) -> Goal {
    Goal::AtLeast(bar)
}

pub(super) fn at_most(bar: f64) -> Goal {
    Goal::AtMost(bar)
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bar) => value >= bar,
            Self::AtMost(bar) => value <= bar,
        }
    }
}

/// A figure.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// What it is called in JSON.
    pub(super) name: String,
    pub(super) label: String,
    pub(super) value: f64,
    /// Digits after the point that mean something.
    pub(super) digits: usize,
    pub(super) goal: Option<Goal>,
    /// What the plain streams of the same run come to, where they have such a figure.
    pub(super) ceiling: Option<f64>,
    pub(super) note: String,
}

/// A figure without a goal.
pub(super) fn row(name: impl Into<String>, label: impl Into<String>, value: f64, digits: usize) -> Row {
    Row { name: name.into(), label: label.into(), value, digits, goal: None, ceiling: None, note: String::new() }
}

impl Row {
    pub(super) fn goal(self, goal: Goal) -> Self {
        Self { goal: Some(goal), ..self }
    }

    pub(super) fn ceiling(self, ceiling: f64) -> Self {
        Self { ceiling: Some(ceiling), ..self }
    }

    /// Its name, goal and whether that is met.
    pub(super) fn judged(&self) -> Option<(String, Value)> {
        let goal = self.goal?;
        let (which, bar) = match goal {
            Goal::AtLeast(bar) => ("at_least", bar),
            Goal::AtMost(bar) => ("at_most", bar),
        };
        let judged = json!({which: bar, "ceiling": self.ceiling, "met": goal.is_met(self.value)});
        Some((self.name.clone(), judged))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { label, value, digits, .. } = self;
        // A bar has no more digits than it needs; a whole one shows none.
        let bar = |sign: &str, bar: f64| {
            if bar.fract() == 0.0 || bar > 100.0 { format!("{sign} {bar:.0}") } else { format!("{sign} {bar}") }
        };
        let (goal, verdict) = match self.goal {
            Some(goal) => {
                let text = match goal {
                    Goal::AtLeast(least) => bar("≥", least),
                    Goal::AtMost(most) => bar("≤", most),
                };
                (text, if goal.is_met(*value) { "yes" } else { "NO" })
            }
            None => (String::new(), ""),
        };
        let ceiling = self.ceiling.map(|ceiling| format!("{ceiling:.digits$}")).unwrap_or_default();
        let line = format!("{label:<54} {value:>10.digits$} {goal:>11} {verdict:<3} {ceiling:>9}  {}", self.note);
        f.write_str(line.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_stands_beside_its_goal_and_says_whether_it_is_met() {
        let met = row("a", "a figure", 29.96, 1).goal(at_most(30.0)).ceiling(12.0);
        let missed = row("b", "another", 0.31, 3).goal(at_least(0.4));
        let words = |row: &Row| row.to_string().split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
        assert_eq!(words(&met), "a figure 30.0 ≤ 30 yes 12.0");
        assert_eq!(words(&missed), "another 0.310 ≥ 0.4 NO");
        assert_eq!(words(&row("c", "neither", 1.0, 0)), "neither 1");
        let (name, judged) = missed.judged().unwrap();
        assert_eq!((name.as_str(), &judged["at_least"], &judged["met"]), ("b", &json!(0.4), &json!(false)));
        assert_eq!(met.judged().unwrap().1["met"], json!(true));
    }
}
