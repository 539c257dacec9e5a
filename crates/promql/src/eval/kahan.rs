//! Summing many numbers without losing the small ones (Kahan's method in Neumaier's variant).

/// A running sum and what rounding took from it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KahanSum {
    pub(super) sum: f64,
    pub(super) compensation: f64,
}

impl KahanSum {
    /// A sum that begins with `first`.
    pub(super) fn starting_at(first: f64) -> Self {
        Self {
            sum: first,
            compensation: 0.0,
        }
    }

    pub(super) fn add(self, value: f64) -> Self {
        let sum = self.sum + value;
        let compensation = if sum.is_infinite() {
            0.0
        } else if self.sum.abs() >= value.abs() {
            self.compensation + ((self.sum - sum) + value)
        } else {
            self.compensation + ((value - sum) + self.sum)
        };
        Self { sum, compensation }
    }

    pub(super) fn scaled(self, factor: f64) -> Self {
        Self {
            sum: self.sum * factor,
            compensation: self.compensation * factor,
        }
    }

    pub(super) fn divided(self, divisor: f64) -> Self {
        Self {
            sum: self.sum / divisor,
            compensation: self.compensation / divisor,
        }
    }

    pub(super) fn total(self) -> f64 {
        self.sum + self.compensation
    }
}

/// A running mean: a plain sum divided at the end, or, once that would overflow, an incremental
/// mean, which cannot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mean {
    count: f64,
    state: KahanSum,
    incremental: bool,
}

impl Mean {
    /// The mean of one number.
    pub(super) fn starting_at(first: f64) -> Self {
        Self {
            count: 1.0,
            state: KahanSum::starting_at(first),
            incremental: false,
        }
    }

    pub(super) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.incremental {
            let next = self.state.add(value);
            if !next.sum.is_infinite() {
                self.state = next;
                return;
            }
            self.incremental = true;
            // Divided rather than multiplied by the reciprocal, which would round twice.
            self.state = self.state.divided(self.count - 1.0);
        }
        let weight = (self.count - 1.0) / self.count;
        self.state = self.state.scaled(weight).add(value / self.count);
    }

    pub(super) fn value(self) -> f64 {
        if self.incremental {
            return self.state.total();
        }
        self.state.sum / self.count + self.state.compensation / self.count
    }
}

/// A running variance by Welford's method with compensated sums.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Variance {
    count: f64,
    mean: KahanSum,
    squares: KahanSum,
}

impl Variance {
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean.total();
        self.mean = self.mean.add(delta / self.count);
        self.squares = self.squares.add(delta * (value - self.mean.total()));
    }

    /// The population variance.
    pub(super) fn value(self) -> f64 {
        self.squares.total() / self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_survive_between_large_ones() {
        let sum = [1e100, 1.0, -1e100]
            .into_iter()
            .fold(KahanSum::default(), KahanSum::add);
        assert_eq!(sum.total(), 1.0);
    }

    #[test]
    fn a_mean_does_not_overflow() {
        let mut mean = Mean::starting_at(f64::MAX);
        mean.add(f64::MAX);
        mean.add(f64::MAX);
        assert!((mean.value() / f64::MAX - 1.0).abs() < 1e-15);
    }
}
