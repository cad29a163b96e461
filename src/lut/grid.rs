//! Sampled quantities: named axes with units, and values on their product.

use serde::{Deserialize, Serialize};

use crate::error::{Kind, Problem};

/// A named, strictly ascending axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// Name with unit suffix, as in `v_store_v`.
    pub name: String,
    /// Unit symbol, as in `V`; `1` for a pure number.
    pub unit: String,
    /// Nodes in that unit, strictly ascending.
    pub values: Vec<f64>,
}

impl Axis {
    /// An axis of these nodes.
    pub fn new(name: &str, unit: &str, values: Vec<f64>) -> Self {
        Axis { name: name.into(), unit: unit.into(), values }
    }

    /// First and last node.
    pub fn span(&self) -> [f64; 2] {
        [self.values[0], self.values[self.values.len() - 1]]
    }
}

/// A quantity on the product of its axes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Name with unit suffix, as in `charge_c`.
    pub name: String,
    /// Unit symbol.
    pub unit: String,
    /// One to three axes.
    pub axes: Vec<Axis>,
    /// Values, the last axis running fastest.
    pub values: Vec<f64>,
}

impl Grid {
    /// A quantity `name` [`unit`] on `axes`, values with the last axis running fastest.
    pub fn new(name: &str, unit: &str, axes: Vec<Axis>, values: Vec<f64>) -> Self {
        Grid { name: name.into(), unit: unit.into(), axes, values }
    }

    /// A curve over one axis.
    pub fn curve(name: &str, unit: &str, axis: Axis, values: Vec<f64>) -> Self {
        Grid::new(name, unit, vec![axis], values)
    }

    /// `f` evaluated at every node of `axes`.
    pub fn tabulate(name: &str, unit: &str, axes: Vec<Axis>, f: impl Fn(&[f64]) -> f64) -> Self {
        let count = axes.iter().map(|axis| axis.values.len()).product();
        let mut grid = Grid::new(name, unit, axes, Vec::new());
        grid.values = (0..count).map(|k| f(&grid.point(k))).collect();
        grid
    }

    /// The coordinates of the `k`-th value.
    pub fn point(&self, mut k: usize) -> Vec<f64> {
        let mut point = vec![0.0; self.axes.len()];
        for (coordinate, axis) in point.iter_mut().zip(&self.axes).rev() {
            *coordinate = axis.values[k % axis.values.len()];
            k /= axis.values.len();
        }
        point
    }

    /// The values along the last axis for the `k`-th combination of the others.
    pub fn row(&self, k: usize) -> &[f64] {
        let length = self.axes[self.axes.len() - 1].values.len();
        &self.values[k * length..(k + 1) * length]
    }

    /// The values along the first axis at index `k` of the flattened others.
    pub fn along_first(&self, k: usize) -> Vec<f64> {
        let stride = self.values.len() / self.axes[0].values.len();
        self.values.iter().skip(k).step_by(stride).copied().collect()
    }

    /// Whether the values never fall along a one-axis curve.
    pub fn never_falls(&self) -> bool {
        self.values.windows(2).all(|w| w[1] >= w[0])
    }

    /// Reports what makes this grid unusable: axis names other than `expected`, nodes not ascending, counts that do not
    /// fit, values that are not finite.
    pub(super) fn check(&self, key: &str, expected: &[&str], problems: &mut Vec<Problem>) {
        let mut report = |message: String| problems.push(Problem::new(Kind::TableInvalid, message).key(key));
        let names: Vec<&str> = self.axes.iter().map(|axis| axis.name.as_str()).collect();
        if names != expected {
            report(format!("its axes are [{}], and [{}] are needed", names.join(", "), expected.join(", ")));
            return;
        }
        for axis in &self.axes {
            if axis.values.len() < 2 {
                report(format!("axis {} has {} nodes, and at least 2 are needed", axis.name, axis.values.len()));
            }
            if !axis.values.iter().all(|x| x.is_finite()) || axis.values.windows(2).any(|w| w[1] <= w[0]) {
                report(format!("axis {} is not strictly ascending and finite", axis.name));
            }
        }
        let count: usize = self.axes.iter().map(|axis| axis.values.len()).product();
        if self.values.len() != count {
            report(format!("its axes ask for {count} values, and there are {}", self.values.len()));
        }
        if let Some(at) = self.values.iter().position(|x| !x.is_finite()) {
            report(format!("value {at} is not finite"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let axes = vec![Axis::new("a", "1", vec![0.0, 1.0]), Axis::new("b", "1", vec![10.0, 20.0, 30.0])];
        Grid::tabulate("sum", "1", axes, |at| at[0] + at[1])
    }

    #[test]
    fn the_last_axis_runs_fastest() {
        let grid = grid();
        assert_eq!(grid.values, [10.0, 20.0, 30.0, 11.0, 21.0, 31.0]);
        assert_eq!(grid.point(4), [1.0, 20.0]);
        assert_eq!(grid.row(1), [11.0, 21.0, 31.0]);
        assert_eq!(grid.along_first(2), [30.0, 31.0]);
    }

    #[test]
    fn damage_is_named() {
        let mut problems = Vec::new();
        let mut damaged = grid();
        damaged.axes[0].values[1] = 0.0;
        damaged.values[3] = f64::NAN;
        damaged.values.pop();
        damaged.check("cell.sum", &["a", "b"], &mut problems);
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "`cell.sum`: axis a is not strictly ascending and finite",
                "`cell.sum`: its axes ask for 6 values, and there are 5",
                "`cell.sum`: value 3 is not finite"
            ]
        );
        problems.clear();
        grid().check("cell.sum", &["a", "c"], &mut problems);
        assert!(problems[0].message.contains("[a, c] are needed"));
    }
}
