//! What an event may cost: measured figures, and how far a run may stray from them.

/// One figure of the run and its limit.
#[derive(Clone, Copy)]
pub(crate) struct Bound {
    name: &'static str,
    /// What it is called in `bounds.rs`.
    constant: &'static str,
    unit: &'static str,
    /// What was measured when it was written down.
    measured: f64,
    /// How much more a run may bring: renewed leases and when a batch happened to close.
    slack: f64,
}

macro_rules! bound {
    ($constant:ident, $name:literal, $unit:literal, $measured:literal + $slack:literal) => {
        pub(crate) const $constant: Bound =
            Bound { name: $name, constant: stringify!($constant), unit: $unit, measured: $measured, slack: $slack };
    };
}

// Measured with Redis 7.0; the bytes of another release may differ.
bound!(APPEND_COMMANDS, "appending, in pages of 100", "commands an event", 1.05 + 0.03);
bound!(NORMALISE_COMMANDS, "the normaliser, with a backlog", "commands an event", 1.84 + 0.1);
bound!(LEDGER_COMMANDS, "the ledger, with a backlog", "commands an event", 3.35 + 0.2);
bound!(COMMANDS, "all three stages, with a backlog", "commands an event", 6.24 + 0.3);
bound!(COMMANDS_ALONE, "all three stages, one event at a time", "commands an event", 40.15 + 0.7);
bound!(WAITING_BYTES, "waiting to be normalised (300-byte payload)", "bytes an event", 440.0 + 6.0);
bound!(SETTLED_BYTES, "settled, and held for the retention time", "bytes an event", 148.0 + 8.0);

impl Bound {
    fn limit(&self) -> f64 {
        self.measured + self.slack
    }

    pub(crate) fn says(&self, figure: f64) -> String {
        format!("{}: {figure:.2} {} (at most {:.2})", self.name, self.unit, self.limit())
    }

    /// What is wrong, and what to do.
    pub(crate) fn broken(&self, figure: f64) -> Option<String> {
        let Self { constant, measured, .. } = self;
        let what_to_do = format!(
            "Look for what an event costs now that it did not cost before. If it is worth it, write {figure:.2} for \
             {measured:.2} at {constant} in services/tributary/tests/counts/bounds.rs, and say in the commit why."
        );
        (figure > self.limit()).then(|| format!("{}.\n  {what_to_do}", self.says(figure)))
    }
}
