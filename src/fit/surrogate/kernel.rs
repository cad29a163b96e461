//! How alike two points are: correlation over the distance in each axis.

use serde::{Deserialize, Serialize};

/// A correlation function, as a product over the axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kernel {
    /// Matern of smoothness 5/2: two derivatives, so that a bend costs little beside it.
    Matern52,
    /// Matern of smoothness 3/2: one derivative, for a response with kinks.
    Matern32,
    /// Matern of smoothness 9/2: four derivatives, what a smooth device law shows of itself at some points per bend.
    Matern92,
    /// Squared exponential: every derivative; the better one for what no device switches in.
    SquaredExponential,
    /// Ornstein-Uhlenbeck: no derivative. Along one axis it joins neighbours by all but straight lines.
    Exponential,
}

impl Kernel {
    /// Those of a response, in the order in which they are tried.
    pub const TRIED: [Kernel; 4] = [Kernel::SquaredExponential, Kernel::Matern92, Kernel::Matern52, Kernel::Matern32];

    /// Correlation of two points, given the length of each axis.
    pub fn correlation(self, a: &[f64], b: &[f64], lengths: &[f64]) -> f64 {
        let distances = a.iter().zip(b).zip(lengths).map(|((a, b), length)| (a - b) / length);
        match self {
            Kernel::SquaredExponential => (-0.5 * distances.map(|d| d * d).sum::<f64>()).exp(),
            Kernel::Matern32 => matern(distances, 3f64.sqrt(), |r| 1.0 + r),
            Kernel::Matern52 => matern(distances, 5f64.sqrt(), |r| 1.0 + r * (1.0 + r / 3.0)),
            Kernel::Matern92 => {
                matern(distances, 3.0, |r| 1.0 + r * (1.0 + r * (3.0 / 7.0 + r * (2.0 / 21.0 + r / 105.0))))
            }
            Kernel::Exponential => matern(distances, 1.0, |_| 1.0),
        }
    }
}

/// The product over the axes of `polynomial(r) exp(-r)`, `r` the distance times `root`: C. E. Rasmussen and C. K. I. Williams,
/// *Gaussian Processes for Machine Learning* (2006), eq. 4.16.
fn matern(distances: impl Iterator<Item = f64>, root: f64, polynomial: impl Fn(f64) -> f64) -> f64 {
    // One exponential for the product of all axes.
    let (mut product, mut exponent) = (1.0, 0.0);
    for distance in distances {
        let r = root * distance.abs();
        product *= polynomial(r);
        exponent += r;
    }
    product * (-exponent).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_by_hand() {
        for kernel in Kernel::TRIED.into_iter().chain([Kernel::Exponential]) {
            assert_eq!(kernel.correlation(&[0.3, 0.1], &[0.3, 0.1], &[1.0, 2.0]), 1.0);
        }
        let squared = Kernel::SquaredExponential.correlation(&[0.0], &[2.0], &[2.0]);
        assert!((squared - (-0.5f64).exp()).abs() < 1e-15);
        // r = sqrt(5): (1 + sqrt(5) + 5/3) exp(-sqrt(5)), as in C. E. Rasmussen and C. K. I. Williams, eq. 4.17.
        let matern = Kernel::Matern52.correlation(&[0.0], &[2.0], &[2.0]);
        assert!((matern - (1.0 + 5f64.sqrt() + 5.0 / 3.0) * (-(5f64.sqrt())).exp()).abs() < 1e-15);
        // Eq. 4.16 at p = 4, r = 3: sum over i of (4 + i)!/(i! (4 - i)!) 6^(4 - i), times 4!/8!, times exp(-3).
        let sum = 1296.0 + 20.0 * 216.0 + 180.0 * 36.0 + 840.0 * 6.0 + 1680.0;
        let matern = Kernel::Matern92.correlation(&[0.0], &[2.0], &[2.0]);
        assert!((matern - sum / 1680.0 * (-3f64).exp()).abs() < 1e-15, "{matern}");
        let matern = Kernel::Matern32.correlation(&[0.0], &[2.0], &[2.0]);
        assert!((matern - (1.0 + 3f64.sqrt()) * (-(3f64.sqrt())).exp()).abs() < 1e-15);
        let exponential = Kernel::Exponential.correlation(&[0.0, 0.0], &[2.0, 1.0], &[2.0, 1.0]);
        assert!((exponential - (-2f64).exp()).abs() < 1e-15);
    }
}
