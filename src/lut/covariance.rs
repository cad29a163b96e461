//! The Cholesky factor that turns independent draws into correlated ones.

/// Lower factor L with `L L^T = covariance`, row by row; `None` unless symmetric and positive semidefinite.
///
/// A pivot below 1e-12 of its diagonal counts as zero, and so does its column: draws that never vary are allowed.
pub fn cholesky(covariance: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut lower = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let (a, b) = (covariance[i * n + j], covariance[j * n + i]);
            let scale = (covariance[i * n + i] * covariance[j * n + j]).abs().sqrt();
            if (a - b).abs() > 1e-9 * scale || !a.is_finite() || a.abs() > scale * (1.0 + 1e-9) {
                return None;
            }
            let rest = a - (0..j).map(|k| lower[i * n + k] * lower[j * n + k]).sum::<f64>();
            if i == j {
                if rest < -1e-9 * scale {
                    return None;
                }
                lower[i * n + i] = if rest > 1e-12 * scale { rest.sqrt() } else { 0.0 };
            } else if lower[j * n + j] > 0.0 {
                lower[i * n + j] = rest / lower[j * n + j];
            } else if rest.abs() > 1e-5 * scale {
                return None;
            }
        }
    }
    Some(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_multiplies_back() {
        let covariance = [4.0, 2.0, 0.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0];
        let lower = cholesky(&covariance, 3).unwrap();
        for i in 0..3 {
            for j in 0..3 {
                let back: f64 = (0..3).map(|k| lower[i * 3 + k] * lower[j * 3 + k]).sum();
                assert!((back - covariance[i * 3 + j]).abs() < 1e-14);
            }
        }
    }

    #[test]
    fn what_is_no_covariance_is_refused() {
        assert!(cholesky(&[1.0, 0.5, 0.4, 1.0], 2).is_none());
        assert!(cholesky(&[1.0, 2.0, 2.0, 1.0], 2).is_none());
        assert!(cholesky(&[-1.0], 1).is_none());
    }
}
