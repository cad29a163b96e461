use super::*;
use crate::error::Kind;

/// y = a exp(-t / tau) at `times`.
fn decay<'a>(times: &'a [f64], observed: &'a [f64]) -> Forward<impl Fn(&[Dual]) -> Vec<Dual> + 'a> {
    Forward(move |p: &[Dual]| times.iter().zip(observed).map(|(&t, &y)| p[0] * (-(t / p[1])).exp() - y).collect())
}

fn times() -> Vec<f64> {
    (0..25).map(|i| 2e-4 * f64::from(i)).collect()
}

fn starts() -> Vec<Start> {
    vec![Start::free("v_v", 0.3, 1.0), Start::positive("tau_s", 1e-3)]
}

#[test]
fn recovers_an_exact_decay() {
    let times = times();
    let observed: Vec<f64> = times.iter().map(|t| 0.45 * (-t / 2.5e-3).exp()).collect();
    let solution = solve("decay", &decay(&times, &observed), &starts(), Loss::Square).unwrap();
    assert!((solution.values[0] - 0.45).abs() < 1e-9 && (solution.values[1] / 2.5e-3 - 1.0).abs() < 1e-9);
    assert!(solution.sse < 1e-20);
}

#[test]
fn a_step_to_where_the_model_has_no_value_is_made_shorter() {
    struct Logarithm;
    impl Residuals for Logarithm {
        fn residuals(&self, p: &[f64]) -> Option<Vec<f64>> {
            (p[0] > 0.0).then(|| vec![p[0].ln(), 2.0 * p[0].ln()])
        }
        fn jacobian(&self, p: &[f64]) -> Option<DMatrix<f64>> {
            Some(DMatrix::from_column_slice(2, 1, &[1.0 / p[0], 2.0 / p[0]]))
        }
    }
    // Newton's first step from 10 is to 10 - 10 ln 10 = -13.
    let solution = solve("logarithm", &Logarithm, &[Start::free("x", 10.0, 1.0)], Loss::Square).unwrap();
    assert!((solution.values[0] - 1.0).abs() < 1e-9, "{}", solution.values[0]);
}

#[test]
fn intervals_cover_the_truth_as_often_as_they_say() {
    let times = times();
    let (mut inside, sets) = ([0, 0], 1000);
    for set in 0..sets {
        let noisy = |(i, t): (usize, &f64)| 0.45 * (-t / 2.5e-3).exp() + 0.01 * stats::random_normal(5, set, i as u64);
        let observed: Vec<f64> = times.iter().enumerate().map(noisy).collect();
        let solution = solve("decay", &decay(&times, &observed), &starts(), Loss::Square).unwrap();
        for (k, truth) in [0.45, 2.5e-3].into_iter().enumerate() {
            let (low, high) = solution.interval(k).unwrap();
            inside[k] += i32::from(low < truth && truth < high);
        }
    }
    // 95 % of 1,000 is 950 with a standard deviation of 6.9; four of them are allowed.
    assert!(inside.iter().all(|n| (922..=978).contains(n)), "{inside:?}");
}

#[test]
fn a_linear_problem_has_the_linear_standard_errors() {
    let x: Vec<f64> = (0..9).map(f64::from).collect();
    let y: Vec<f64> = x.iter().map(|x| 1.0 + 2.0 * x + (1.7 * x).sin()).collect();
    let line = Forward(|p: &[Dual]| x.iter().zip(&y).map(|(&x, &y)| p[0] + p[1] * x - y).collect::<Vec<_>>());
    let starts = [Start::free("a", 0.0, 1.0), Start::free("b", 0.0, 10.0)];
    let solution = solve("line", &line, &starts, Loss::Square).unwrap();
    let design = DMatrix::from_fn(9, 2, |i, j| if j == 0 { 1.0 } else { x[i] });
    let linear = crate::fit::linear::solve("line", &["a".into(), "b".into()], &design, &y, None).unwrap();
    for k in 0..2 {
        assert!((solution.values[k] - linear.values[k]).abs() < 1e-9);
        let error = solution.std_errors.as_ref().unwrap()[k];
        assert!((error / linear.std_error(k).unwrap() - 1.0).abs() < 1e-6);
    }
}

#[test]
fn bounds_hold_for_values_and_intervals() {
    let observed = [1.2, 0.9, 1.3, 1.1];
    let constant = Forward(|p: &[Dual]| observed.iter().map(|&y| p[0] - y).collect::<Vec<_>>());
    let solution = solve("c", &constant, &[Start::between("c", 0.5, 0.0, 1.15)], Loss::Square).unwrap();
    let (low, high) = solution.interval(0).unwrap();
    assert!(solution.values[0] < 1.15 && low > 0.0 && high < 1.15 && low < high);
    assert!((solution.values[0] - 1.125).abs() < 1e-6);
}

#[test]
fn robust_losses_shrug_off_an_outlier() {
    let times = times();
    let mut observed: Vec<f64> = times.iter().map(|t| 0.45 * (-t / 2.5e-3).exp()).collect();
    observed[3] += 0.5;
    let tau = |loss| solve("decay", &decay(&times, &observed), &starts(), loss).unwrap().values[1];
    let square = (tau(Loss::Square) / 2.5e-3 - 1.0).abs();
    for loss in [Loss::SoftL1(1e-3), Loss::Huber(1e-3)] {
        assert!((tau(loss) / 2.5e-3 - 1.0).abs() < 0.02 * square, "{loss:?}");
    }
}

#[test]
fn parameters_that_the_data_leave_open_are_named() {
    let same = Forward(|p: &[Dual]| [1.0, 2.0, 3.0].map(|x| (p[0] + p[1]) * x - x).to_vec());
    let starts = [Start::free("gain_a", 0.3, 1.0), Start::free("gain_b", 0.2, 1.0)];
    let error = solve("x", &same, &starts, Loss::Square).unwrap_err();
    assert_eq!(error.kind(), Kind::FitFailed);
    assert!(error.to_string().contains("gain_a, gain_b"), "{error}");
}

#[test]
fn refuses_too_few_points_and_bad_guesses() {
    let one = Forward(|p: &[Dual]| vec![p[0] - p[1]]);
    let starts = [Start::free("a", 0.0, 1.0), Start::free("b", 0.0, 1.0)];
    assert!(solve("x", &one, &starts, Loss::Square).unwrap_err().to_string().contains("1 points"));
    let error = solve("x", &one, &[Start::positive("tau_s", -1.0)], Loss::Square).unwrap_err();
    assert!(error.to_string().contains("tau_s"));
}
