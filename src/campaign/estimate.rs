//! How long the rest of a sweep takes, from what its points have taken so far.

/// Points and time of each circuit of a sweep. Circuits may differ in cost, so each has its own mean; one without a point
/// yet is taken to cost the mean of all.
#[derive(Debug, Clone, Default)]
pub struct Estimate {
    circuits: Vec<Circuit>,
    busy_s: f64,
    done: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Circuit {
    left: u64,
    done: u64,
    busy_s: f64,
}

impl Estimate {
    /// An estimate for circuits with that many points to simulate.
    pub fn new(points: impl IntoIterator<Item = u64>) -> Estimate {
        let circuits = points.into_iter().map(|left| Circuit { left, ..Circuit::default() }).collect();
        Estimate { circuits, ..Estimate::default() }
    }

    /// A point of that circuit took `wall_s` in its worker.
    pub fn add(&mut self, circuit: usize, wall_s: f64) {
        self.busy_s += wall_s;
        self.done += 1;
        if let Some(circuit) = self.circuits.get_mut(circuit) {
            circuit.left = circuit.left.saturating_sub(1);
            circuit.done += 1;
            circuit.busy_s += wall_s;
        }
    }

    /// Time in workers that the points left will take [s]; `None` before the first point.
    pub fn work_left_s(&self) -> Option<f64> {
        if self.done == 0 {
            return None;
        }
        let mean_s = self.busy_s / self.done as f64;
        let cost = |c: &Circuit| c.left as f64 * if c.done > 0 { c.busy_s / c.done as f64 } else { mean_s };
        Some(self.circuits.iter().map(cost).sum())
    }

    /// Wall time until the end [s], if work goes on as it did in the first `elapsed_s`.
    pub fn remaining_s(&self, elapsed_s: f64) -> Option<f64> {
        let left_s = self.work_left_s()?;
        // Workers at once, as achieved: waiting and loading count.
        let parallel = self.busy_s / elapsed_s.max(1e-9);
        Some(left_s / parallel.max(1e-9))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circuits_of_different_cost_are_weighed() {
        let mut estimate = Estimate::new([100, 10]);
        assert_eq!(estimate.remaining_s(1.0), None);
        (0..10).for_each(|_| estimate.add(0, 0.1));
        // 90 at 0.1 s, 10 at the mean of 0.1 s, two at once.
        assert!((estimate.remaining_s(0.5).unwrap() - 5.0).abs() < 1e-12);
        estimate.add(1, 2.0);
        assert!((estimate.work_left_s().unwrap() - (9.0 + 18.0)).abs() < 1e-12);
    }
}
