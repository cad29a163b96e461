//! Small linear fits when a table is taken apart.

use nalgebra::DMatrix;

/// Coefficients of the least-squares combination of `columns` that is nearest to `wanted`.
pub fn fit(columns: &[&[f64]], wanted: &[f64]) -> Vec<f64> {
    let matrix = DMatrix::from_fn(wanted.len(), columns.len(), |row, k| columns[k][row]);
    let right = matrix.tr_mul(&DMatrix::from_column_slice(wanted.len(), 1, wanted));
    let normal = matrix.tr_mul(&matrix);
    // Columns that vanish get no coefficient: the pseudoinverse is by singular values.
    let smallest = 1e-12 * normal.amax().max(f64::MIN_POSITIVE);
    match normal.pseudo_inverse(smallest) {
        Ok(inverse) => (inverse * right).iter().copied().collect(),
        Err(_) => vec![0.0; columns.len()],
    }
}
