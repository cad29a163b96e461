use super::*;
use crate::error::Kind;

const S: [[f64; 3]; 2] = [[40e-15, -25e-15, 0.0], [10e-15, 30e-15, 5e-15]];

fn quantities() -> Vec<Quantity> {
    ["charge_low_c", "charge_high_c"]
        .map(|name| Quantity { name: name.into(), unit: "C".into(), full_scale: 300e-15 })
        .to_vec()
}

fn names() -> Vec<String> {
    ["delvto_m1_v", "delvto_m2_v", "delvto_m3_v"].map(String::from).to_vec()
}

/// Charges that follow three normal draws of 50 mV, with a little that does not.
fn samples(n: u64, seed: u64) -> Samples {
    let (mut values, mut draws) = (Vec::new(), Vec::new());
    for i in 0..n {
        let draw: Vec<f64> = (0..3).map(|k| 0.05 * stats::random_normal(seed, i, k)).collect();
        let value = |q: usize| {
            let response: f64 = S[q].iter().zip(&draw).map(|(s, d)| s * d).sum();
            100e-15 * (q as f64 - 0.5) + response + 0.05e-15 * stats::random_normal(seed, i, 10 + q as u64)
        };
        values.push(vec![value(0), value(1)]);
        draws.push(draw);
    }
    Samples { values, draws }
}

#[test]
fn recovers_moments_and_sensitivities() {
    let truth = |q: usize| (S[q].iter().map(|s| (0.05 * s).powi(2)).sum::<f64>() + (0.05e-15f64).powi(2)).sqrt();
    let fit =
        |seed: u64| fit_variability(&quantities(), &names(), &samples(400, seed), &samples(300, 99), 0.01, 200, 5);
    let (mut covered, mut widths) = (0, Vec::new());
    for seed in 1..=50 {
        let result = fit(seed).unwrap();
        for (q, name) in ["sigma_charge_low_c", "sigma_charge_high_c"].into_iter().enumerate() {
            let sigma = result.fit.parameter(name).unwrap();
            let (low, high) = (sigma.ci_low.unwrap(), sigma.ci_high.unwrap());
            covered += i32::from(low < truth(q) && truth(q) < high);
            // The standard error of a sigma is sigma / sqrt(2 n).
            widths.push((high - low) / (2.0 * 1.96 * truth(q) / 800f64.sqrt()));
        }
    }
    // 95 of 100 with a standard deviation of 2.2; percentile intervals of a sigma fall a little short.
    assert!(covered >= 86, "{covered}");
    assert!((stats::mean(&widths) - 1.0).abs() < 0.06, "{}", stats::mean(&widths));
    let result = fit(3).unwrap();
    let sensitivity = result.model.sensitivity.as_ref().unwrap();
    for (q, truth) in S.iter().enumerate() {
        for (fitted, truth) in sensitivity.matrix[q].iter().zip(truth) {
            assert!((fitted - truth).abs() < 0.3e-15);
        }
        assert!(sensitivity.r2[q] > 0.99);
    }
    assert!(result.fit.pass, "{:?}", result.fit);
}

#[test]
fn drawn_cells_have_the_fitted_moments_and_can_be_replayed() {
    let model = fit_variability(&quantities(), &[], &samples(400, 1), &samples(100, 2), 0.01, 0, 5).unwrap().model;
    let cells: Vec<Vec<f64>> = (0..20_000).map(|cell| model.draw(9, cell)).collect();
    let column = |q: usize| cells.iter().map(|cell| cell[q]).collect::<Vec<_>>();
    let (a, b) = (column(0), column(1));
    assert!((stats::std_dev(&a) / model.sigma(0) - 1.0).abs() < 0.02);
    let (ma, mb) = (stats::mean(&a), stats::mean(&b));
    let cross: f64 = a.iter().zip(&b).map(|(a, b)| (a - ma) * (b - mb)).sum::<f64>() / 20_000.0;
    assert!((cross / (model.sigma(0) * model.sigma(1)) - model.correlation[0][1]).abs() < 0.03);
    assert_eq!(model.draw(9, 77), cells[77]);
    assert_ne!(model.draw(10, 77), cells[77]);
    assert_eq!(model.respond(&[0.0; 3]), None);
}

#[test]
fn held_out_samples_of_another_distribution_are_noticed() {
    let quantity = [Quantity { name: "x_v".into(), unit: "V".into(), full_scale: 1.0 }];
    let of = |n: u64, seed: u64, shape: fn(f64) -> f64| Samples {
        values: (0..n).map(|k| vec![shape(stats::random_normal(seed, k, 0))]).collect(),
        draws: vec![Vec::new(); n as usize],
    };
    let fit = |test: &Samples| fit_variability(&quantity, &[], &of(2000, 1, |z| z), test, 10.0, 200, 5).unwrap();
    let same = fit(&of(1000, 2, |z| z));
    assert!(same.fit.pass && same.agreement.figures == 4, "{:?}", same.agreement);
    // Of the same mean and standard deviation, but skewed.
    let skewed = fit(&of(1000, 3, |z| ((0.5 * z).exp() - 1.1331) / 0.6039));
    assert!(
        !skewed.fit.pass && skewed.agreement.outside.iter().any(|name| name.contains("sigma")),
        "{:?}",
        skewed.agreement
    );
}

#[test]
fn dependent_quantities_are_drawn_dependent() {
    let double = |mut samples: Samples| {
        samples.values.iter_mut().for_each(|row| row[1] = 2.0 * row[0]);
        samples
    };
    let (train, test) = (double(samples(50, 1)), double(samples(50, 2)));
    let model = fit_variability(&quantities(), &[], &train, &test, 0.1, 0, 5).unwrap().model;
    for cell in 0..20 {
        let draw = model.draw(3, cell);
        assert!((draw[1] - 2.0 * draw[0]).abs() < 1e-6 * draw[1].abs());
    }
}

#[test]
fn refuses_constant_few_ragged_and_broken_samples() {
    let good = samples(20, 1);
    let mut constant = good.clone();
    constant.values.iter_mut().for_each(|row| row[1] = 1e-15);
    let mut ragged = good.clone();
    ragged.values[3].pop();
    let mut broken = good.clone();
    broken.draws[4][0] = f64::NAN;
    for (train, word) in [
        (constant, "charge_high_c"),
        (samples(5, 1), "5 training"),
        (ragged, "one value per quantity"),
        (broken, "sample 4"),
    ] {
        let error = fit_variability(&quantities(), &names(), &train, &good, 0.1, 0, 5).unwrap_err();
        assert_eq!(error.kind(), Kind::FitFailed);
        assert!(error.to_string().contains(word), "{error}");
    }
    let mut twins = good.clone();
    twins.draws.iter_mut().for_each(|row| row[1] = row[0]);
    let error = fit_variability(&quantities(), &names(), &twins, &good, 0.1, 0, 5).unwrap_err();
    assert!(error.to_string().contains("delvto_m1_v, delvto_m2_v"), "{error}");
}

#[test]
fn pelgrom_by_hand() {
    // 2 mV um at 0.25 um x 0.1 um: 2 / sqrt(0.025) mV.
    assert!((pelgrom_sigma(2e-9, 0.25e-6, 0.1e-6) - 12.649e-3).abs() < 1e-6);
}
