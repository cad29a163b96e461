//! How alike two points are: correlation over the distance in each axis.

use serde::{Deserialize, Serialize};

/// A correlation function, as a product over the axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kernel {
    /// Matern of smoothness 5/2: two derivatives, so that a bend costs little beside it.
    Matern52,
    /// Squared exponential: every derivative; the better one for what no device switches in.
    SquaredExponential,
}

impl Kernel {
    /// Both, in the order in which they are tried.
    pub const ALL: [Kernel; 2] = [Kernel::SquaredExponential, Kernel::Matern52];

    /// Correlation of two points, given the length of each axis.
    pub fn correlation(self, a: &[f64], b: &[f64], lengths: &[f64]) -> f64 {
        let distances = a.iter().zip(b).zip(lengths).map(|((a, b), length)| (a - b) / length);
        match self {
            Kernel::SquaredExponential => (-0.5 * distances.map(|d| d * d).sum::<f64>()).exp(),
            Kernel::Matern52 => {
                // One exponential for the product of all axes.
                let (mut product, mut exponent) = (1.0, 0.0);
                for distance in distances {
                    let r = 5f64.sqrt() * distance.abs();
                    product *= 1.0 + r + r * r / 3.0;
                    exponent += r;
                }
                product * (-exponent).exp()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_by_hand() {
        for kernel in Kernel::ALL {
            assert_eq!(kernel.correlation(&[0.3, 0.1], &[0.3, 0.1], &[1.0, 2.0]), 1.0);
        }
        let squared = Kernel::SquaredExponential.correlation(&[0.0], &[2.0], &[2.0]);
        assert!((squared - (-0.5f64).exp()).abs() < 1e-15);
        // r = sqrt(5): (1 + sqrt(5) + 5/3) exp(-sqrt(5)), as in C. E. Rasmussen and C. K. I. Williams, eq. 4.17.
        let matern = Kernel::Matern52.correlation(&[0.0], &[2.0], &[2.0]);
        assert!((matern - (1.0 + 5f64.sqrt() + 5.0 / 3.0) * (-(5f64.sqrt())).exp()).abs() < 1e-15);
    }
}
