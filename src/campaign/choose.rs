//! Where a batch of an adaptive sweep is simulated: where the mean squared error over the ranges is expected to fall most.
//!
//! Two kinds of places compete, both by what they are worth in mean squared error over the ranges:
//!
//! * **candidates** spread over the ranges, by what each tells of points that stand for the ranges ([`LookAhead`]), where the
//!   surrogate's variance counts times how much greater the errors around are than it predicts ([`Surrogate::misfit`]): a bend draws
//!   points that a stationary process alone would spread evenly;
//! * **knees**, between a sample that stands at a plateau and the nearest one that does not. Where exactly the response comes to
//!   stand still, and how sharply, no sample elsewhere tells. The surrogate's crossing is tried first; where a sample is
//!   already, the next one goes close to it if it stands where the smooth part of the response meets the plateau (a bend that
//!   does not show there is a narrow one), and else a quarter of the way to the other side, so that a gap shrinks fourfold while
//!   all is as predicted. What a knee may cost falls with the cube of its gap, so knees give way to the rest as they close.
//!
//! [`LookAhead`]: crate::fit::surrogate::LookAhead

use crate::fit::surrogate::{Place, Sample, Surrogate};

use super::adaptive::LowFidelity;

/// A crossing as near to one of the two samples as this share of their distance is as good as simulated.
const NEAR: f64 = 0.1;
/// How far from that sample the next one goes: if it is no surprise, and if it is one.
const CLOSE: f64 = 1.0 / 16.0;
const QUARTER: f64 = 0.25;
/// Share of the step to the plateau from which on what the smooth part misses of a standing sample is a surprise.
const SURPRISE: f64 = 0.01;
/// Halvings of the gap that locate the crossing.
const HALVINGS: u32 = 20;
/// Share of the step from the sample to the plateau within which a prediction stands at the plateau.
const STANDING: f64 = 1e-4;

/// Where to look for a knee.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Knee {
    /// One value per parameter.
    pub(super) at: Vec<f64>,
    /// What is not known there, in mean squared error over the ranges, in the measurement's unit squared.
    pub(super) cost: f64,
}

/// The knees that are not pinned down: between samples that stand still and those nearest to them that do not.
pub(super) fn knees(surrogate: &Surrogate, samples: &[Sample], low: Option<&LowFidelity<'_>>) -> Vec<Knee> {
    let plateau: Vec<Option<bool>> = samples.iter().map(|s| surrogate.plateau(s.value)).collect();
    let nearest = |from: usize, wanted: Option<bool>| {
        let others = (0..samples.len()).filter(|k| plateau[*k] == wanted);
        let distance = |k: usize| surrogate.distance(&samples[from].at, &samples[k].at);
        others.map(|k| (k, distance(k))).min_by(|a, b| a.1.total_cmp(&b.1))
    };
    let mut found = Vec::new();
    for (standing, side) in plateau.iter().enumerate().filter(|(_, side)| side.is_some()) {
        let Some((moving, gap)) = nearest(standing, None) else { continue };
        if nearest(moving, *side).map(|(k, _)| k) != Some(standing) {
            continue;
        }
        let (from, to) = (&samples[moving], &samples[standing]);
        let step = (to.value - from.value).abs();
        let between =
            |share: f64| -> Vec<f64> { from.at.iter().zip(&to.at).map(|(a, b)| a + share * (b - a)).collect() };
        let stands = |share: f64| {
            let at = between(share);
            let low = low.map(|low| low(&at));
            (surrogate.smooth(&at, low).mean - to.value).abs() <= STANDING * step
        };
        let (mut near, mut far) = (0.0, 1.0);
        for _ in 0..HALVINGS {
            let middle = 0.5 * (near + far);
            if stands(middle) { far = middle } else { near = middle }
        }
        let surprise = (surrogate.smooth(&to.at, to.low).mean - to.value).abs() > SURPRISE * step;
        let reach = if surprise { QUARTER } else { CLOSE };
        let share = match far {
            crossing if crossing < NEAR => reach,
            crossing if crossing > 1.0 - NEAR => 1.0 - reach,
            crossing => crossing * (1.0 - CLOSE),
        };
        // The response may run to the plateau on either side of that place: at most this much off there, none at both ends.
        let off = step * share.min(1.0 - share);
        let cost = off * off / 3.0 * gap.min(1.0).powi(from.at.len() as i32);
        found.push(Knee { at: between(share), cost });
    }
    found
}

/// The `count` places among `candidates` and `knees` that are worth most together: after each choice, what it will tell of
/// `references` and of the others is taken off them.
pub(super) fn choose(
    surrogate: &Surrogate,
    candidates: Vec<Vec<f64>>,
    knees: Vec<Knee>,
    references: &[Vec<f64>],
    low: Option<&LowFidelity<'_>>,
    count: u64,
) -> Vec<Vec<f64>> {
    let place = |at: Vec<f64>| Place { low: low.map(|low| low(&at)), at };
    // Knees stand behind the candidates: what is simulated there tells of the ranges, too.
    let first_knee = candidates.len();
    let places: Vec<Place> =
        candidates.into_iter().chain(knees.iter().map(|knee| knee.at.clone())).map(place).collect();
    let references: Vec<Place> = references.iter().cloned().map(place).collect();
    let mut ahead = surrogate.look_ahead(&places, &references);
    let mut open: Vec<usize> = (0..places.len()).collect();
    let mut batch = Vec::new();
    while (batch.len() as u64) < count {
        let worth = |k: usize| ahead.gain(k) + k.checked_sub(first_knee).map_or(0.0, |knee| knees[knee].cost);
        let worths: Vec<f64> = open.iter().map(|k| worth(*k)).collect();
        // The last of equals would do as well; what matters is that it is always the same one.
        let best = (0..open.len()).max_by(|a, b| worths[*a].total_cmp(&worths[*b]));
        let Some(best) = best else { break };
        let chosen = open.swap_remove(best);
        ahead.choose(chosen);
        batch.push(places[chosen].at.clone());
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::surrogate::{Axis, Options};

    const AXIS: [Axis; 1] = [Axis { low: 0.0, high: 100.0 }];
    const OPTIONS: Options = Options { clip: Some((0.0, 60.0)), seed: 1 };

    fn fitted(points: &[f64], response: impl Fn(f64) -> f64) -> (Surrogate, Vec<Sample>) {
        let sample = |x: &f64| Sample { at: vec![*x], low: None, value: response(*x) };
        let samples: Vec<Sample> = points.iter().map(sample).collect();
        (Surrogate::fit(&AXIS, &samples, &OPTIONS, None).unwrap(), samples)
    }

    fn sorted(places: Vec<Knee>) -> Vec<(f64, f64)> {
        let mut all: Vec<(f64, f64)> = places.into_iter().map(|place| (place.at[0], place.cost)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all
    }

    #[test]
    fn a_knee_is_looked_for_close_to_where_the_line_meets_the_plateau_and_a_quarter_on_after_a_surprise() {
        // A line from (20, 0) to (80, 60).
        let clipped_line = |x: f64| (x - 20.0).clamp(0.0, 60.0);
        let cost = |step: f64, share: f64, gap: f64| (step * share).powi(2) / 3.0 * gap;
        let expect = |points: &[f64], response: &dyn Fn(f64) -> f64, expected: [(f64, f64); 2]| {
            let (surrogate, samples) = fitted(points, response);
            let found = sorted(knees(&surrogate, &samples, None));
            assert_eq!(found.len(), 2);
            for ((x, found), (expected_x, expected)) in found.iter().zip(expected) {
                assert!(
                    (x - expected_x).abs() < 0.1 && (found / expected - 1.0).abs() < 0.05,
                    "{x} {found} {expected}"
                );
            }
        };
        // From 30 down to 0 the line is at zero after a third, and a sixteenth of that before: what the value steps by, 10, may be
        // missed by that share over a gap of 0.3.
        let (share, off) = (1.0 / 3.0 * 15.0 / 16.0, cost(10.0, 1.0 / 3.0 * 15.0 / 16.0, 0.3));
        let expected = [(30.0 - 30.0 * share, off), (70.0 + 30.0 * share, off)];
        expect(&[0.0, 30.0, 45.0, 55.0, 70.0, 100.0], &clipped_line, expected);
        let off = cost(10.0, 1.0 / 16.0, 0.1);
        let expected = [(20.0 + 10.0 / 16.0, off), (80.0 - 10.0 / 16.0, off)];
        expect(&[0.0, 20.0, 30.0, 45.0, 55.0, 70.0, 80.0, 100.0], &clipped_line, expected);
        // Where the line comes to stand still at once, 4 before it would.
        let sudden = |x: f64| if x < 25.0 { 0.0 } else { clipped_line(x) };
        let expected = [(24.0 + 6.0 / 4.0, cost(10.0, 0.25, 0.06)), (80.0 - 10.0 / 16.0, off)];
        expect(&[0.0, 24.0, 30.0, 45.0, 55.0, 70.0, 80.0, 100.0], &sudden, expected);
    }

    #[test]
    fn a_batch_takes_what_costs_most_of_both_kinds_and_nothing_twice() {
        let (surrogate, samples) = fitted(&[0.0, 30.0, 45.0, 55.0, 70.0, 100.0], |x| (x - 20.0).clamp(0.0, 60.0));
        let candidates: Vec<Vec<f64>> = (1..100).map(|k| vec![f64::from(k) + 0.5]).collect();
        let open = knees(&surrogate, &samples, None);
        let references: Vec<Vec<f64>> = (0..50).map(|k| vec![2.0 * f64::from(k)]).collect();
        let batch = choose(&surrogate, candidates, open, &references, None, 4);
        // On a plain line only the knees are open.
        let close = 10.0 / 16.0;
        assert!((batch[0][0] - 20.0 - close).abs() < 0.1 || (batch[0][0] - 80.0 + close).abs() < 0.1, "{batch:?}");
        assert!((batch[0][0] + batch[1][0] - 100.0).abs() < 0.2, "{batch:?}");
        let mut keys: Vec<u64> = batch.iter().map(|at| at[0].to_bits()).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 4);
        assert!(choose(&surrogate, Vec::new(), Vec::new(), &[vec![50.0]], None, 4).is_empty());
    }
}
