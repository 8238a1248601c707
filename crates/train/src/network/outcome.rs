//! What came of a batch, for the metrics.

/// What came of a batch.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The value of the objective, which is minimised.
    pub total: f64,
    /// Further values by their names in the metrics. The first one is reported for epochs:
    /// `cross_entropy`, or `reward` in a training by reward.
    pub values: Vec<(&'static str, f64)>,
}

impl Outcome {
    /// Adds `share` times another outcome of the same objective, to form a weighted mean.
    pub fn add(&mut self, other: Outcome, share: f64) {
        self.total += share * other.total;
        self.values.resize(other.values.len(), ("", 0.0));
        for (sum, (name, value)) in self.values.iter_mut().zip(other.values) {
            *sum = (name, sum.1 + share * value);
        }
    }

    /// The value that is reported for epochs.
    pub fn headline(&self) -> f64 {
        self.values.first().map_or(self.total, |(_, value)| *value)
    }

    /// A further value; 0 if it was not computed.
    pub fn value(&self, name: &str) -> f64 {
        let found = self.values.iter().find(|(other, _)| *other == name);
        found.map_or(0.0, |(_, value)| *value)
    }
}
