//! Loss scaling (Micikevicius et al. 2018): small gradients are 0 in f16, so all are
//! computed as those of a multiple of the loss. The numbers are PyTorch's `GradScaler`'s.

use tch::{Kind, Tensor};

/// Steps without an overflow after which the scale doubles.
const PATIENCE: i64 = 2000;

/// The factor of the loss, and when to change it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossScale {
    exponent: i64,
    steps: i64,
}

impl Default for LossScale {
    fn default() -> Self {
        LossScale {
            exponent: 16,
            steps: 0,
        }
    }
}

impl LossScale {
    /// The factor, a power of 2.
    pub fn factor(&self) -> f64 {
        2f64.powi(self.exponent.clamp(-1074, 1023) as i32)
    }

    /// Adapts the factor after a step; `finite`: whether all gradients were finite.
    pub fn note(&mut self, finite: bool) {
        self.steps = if finite { self.steps + 1 } else { 0 };
        if !finite {
            self.exponent -= 1;
        } else if self.steps >= PATIENCE {
            (self.exponent, self.steps) = (self.exponent + 1, 0);
        }
    }

    /// The state for a checkpoint: i64 (2).
    pub fn state(&self) -> Tensor {
        Tensor::from_slice(&[self.exponent, self.steps])
    }

    /// Restores the state from a checkpoint; `None` if the tensor is not such a state.
    pub fn restore(state: &Tensor) -> Option<LossScale> {
        let numbers = (state.kind() == Kind::Int64 && state.size() == [2]).then_some(state)?;
        Some(LossScale {
            exponent: numbers.int64_value(&[0]),
            steps: numbers.int64_value(&[1]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_at_an_overflow_and_doubles_after_long_peace() {
        let mut scale = LossScale::default();
        assert_eq!(scale.factor(), 65536.0);
        scale.note(false);
        assert_eq!(scale.factor(), 32768.0);
        (1..PATIENCE).for_each(|_| scale.note(true));
        assert_eq!(scale.factor(), 32768.0);
        scale.note(true);
        assert_eq!(scale.factor(), 65536.0);
        assert_eq!(LossScale::restore(&scale.state()), Some(scale));
        assert_eq!(LossScale::restore(&Tensor::from(1.0)), None);
    }
}
