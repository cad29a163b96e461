//! The ideal that the array approximates: causal softmax attention over the window, in the inputs' own units.

/// Scores, weights and output of one query against `k_y`, `v_y` of shape (slots, d), given as distances from the zero
/// weight [V]: `s_j = scale sum_d q_d k_jd`, `phi = softmax(s)`, `output_d = sum_j phi_j v_jd` [V].
pub fn attend(q: &[f64], k_y: &[f64], v_y: &[f64], scale: f64) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let d = q.len();
    let s: Vec<f64> =
        k_y.chunks_exact(d).map(|key| scale * key.iter().zip(q).map(|(k, q)| k * q).sum::<f64>()).collect();
    // The greatest score is taken off first, so that no exponential overflows.
    let greatest = s.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut phi: Vec<f64> = s.iter().map(|s| (s - greatest).exp()).collect();
    let total: f64 = phi.iter().sum();
    phi.iter_mut().for_each(|phi| *phi /= total);
    let mut output = vec![0.0; d];
    for (phi, values) in phi.iter().zip(v_y.chunks_exact(d)) {
        output.iter_mut().zip(values).for_each(|(sum, v)| *sum += phi * v);
    }
    (s, phi, output)
}
