use super::*;

/// A comparator that is slow for small charges: pulses begin steeply and bend down, the other way than a knee.
#[test]
fn a_curve_that_bends_the_other_way_is_fitted_and_kept_in_the_table() {
    let width = |q_fc: f64| {
        if q_fc <= 0.0 { 0.0 } else { (0.012e-9 * q_fc + 0.3e-9 * (1.0 - (-q_fc / 10.0).exp())).min(15e-9) }
    };
    let point = |q_fc: f64| ConversionPoint { charge_c: q_fc * 1e-15, width_s: width(q_fc) };
    let dense = (-20..=40).map(|k| 2.0 * f64::from(k));
    let train: Vec<ConversionPoint> = dense.chain((2..=32).map(|k| 45.0 * f64::from(k))).map(point).collect();
    let test: Vec<ConversionPoint> = [3.0, 7.0, 15.0, 33.0, 71.0, 333.0, 777.0].map(point).to_vec();
    let fitted = fit_readout(&train, &test, 0.01, &ReadoutOptions::new(15e-9)).unwrap();
    assert!(fitted.fit.held_out_max < 1e-3, "{}", fitted.fit.held_out_max);
}

const T_MAX: f64 = 15e-9;
const GAIN: f64 = 1.006e5;

fn sweep(from_fc: f64, to_fc: f64, n: usize, width: impl Fn(f64) -> f64) -> Vec<ConversionPoint> {
    let charge = |i: usize| 1e-15 * (from_fc + (to_fc - from_fc) * i as f64 / (n - 1) as f64);
    (0..n).map(|i| ConversionPoint { charge_c: charge(i), width_s: width(charge(i)) }).collect()
}

/// Comparator delay of 0.7 ns: offset -6.9 fC.
fn unsigned(q: f64) -> f64 {
    (GAIN * (q + 6.9e-15)).clamp(0.0, T_MAX)
}

#[test]
fn recovers_gain_offset_and_ends_of_a_clipped_line() {
    let (train, test) = (sweep(-60.0, 220.0, 57, unsigned), sweep(-57.0, 215.0, 40, unsigned));
    let result = fit_readout(&train, &test, 0.01, &ReadoutOptions::new(T_MAX)).unwrap();
    assert!((result.positive.gain_s_per_c / GAIN - 1.0).abs() < 1e-3, "{:?}", result.positive);
    assert!((result.positive.offset_c + 6.9e-15).abs() < 0.1e-15, "{:?}", result.positive);
    assert!(result.fit.pass && result.fit.held_out_max < 0.01, "{:?}", result.fit.held_out_max);
    assert_eq!(result.flat_ends, (true, true));
    assert_eq!((result.width_s(-1e-12), result.width_s(1e-12)), (0.0, T_MAX));
    assert!(result.check(-1e-12).is_ok());
    assert!(result.fit.notes.iter().any(|note| note.contains("11 without a pulse")), "{:?}", result.fit.notes);
}

#[test]
fn a_line_bent_by_two_percent_is_caught_by_the_table() {
    let bent = |q: f64| {
        let x = unsigned(q);
        x + 0.02 * T_MAX * (std::f64::consts::PI * x / T_MAX).sin()
    };
    let (train, test) = (sweep(-40.0, 220.0, 60, bent), sweep(-38.0, 218.0, 43, bent));
    let result = fit_readout(&train, &test, 0.005, &ReadoutOptions::new(T_MAX)).unwrap();
    assert!(result.fit.pass, "{:?}", result.fit);
    assert!(result.fit.notes[2].contains("without the table"));
}

#[test]
fn the_signed_converter_has_two_lines_and_a_jump_at_the_latch() {
    let signed = |q: f64| {
        if q > 0.0 { (GAIN * (q + 7.0e-15)).min(T_MAX) } else { -(0.98 * GAIN * (-q - 10.5e-15)).clamp(0.0, T_MAX) }
    };
    let (train, test) = (sweep(-211.0, 212.0, 141, signed), sweep(-205.0, 205.0, 74, signed));
    let result = fit_readout_signed(&train, &test, 0.01, &ReadoutOptions::new(T_MAX)).unwrap();
    let value = |name: &str| result.fit.parameter(name).unwrap().value;
    assert!((value("positive_gain_s_per_c") / GAIN - 1.0).abs() < 2e-3);
    assert!((value("negative_gain_s_per_c") / (0.98 * GAIN) - 1.0).abs() < 2e-3);
    assert!((value("positive_offset_c") + 7.0e-15).abs() < 0.2e-15, "{}", value("positive_offset_c"));
    assert!((value("negative_offset_c") + 10.5e-15).abs() < 0.2e-15, "{}", value("negative_offset_c"));
    assert!(value("positive_onset_c").abs() < 3e-15, "{}", value("positive_onset_c"));
    assert!(result.fit.held_out_error < 0.005, "{:?}", result.fit);
}

#[test]
fn an_end_that_is_not_flat_is_not_passed() {
    let points = sweep(-40.0, 100.0, 40, unsigned);
    let result = fit_readout(&points, &points, 0.01, &ReadoutOptions::new(T_MAX)).unwrap();
    assert_eq!(result.flat_ends, (true, false));
    assert_eq!(result.check(120e-15).unwrap_err().kind(), Kind::OutsideValidity);
}

#[test]
fn refuses_what_is_no_converter() {
    let options = ReadoutOptions::new(T_MAX);
    let dead = sweep(-60.0, -10.0, 20, unsigned);
    let falling = sweep(0.0, 100.0, 20, |q| T_MAX - 1e-10 - GAIN * q);
    let negative = sweep(0.0, 100.0, 20, |_| -1e-9);
    for (points, word) in [(dead, "neither"), (falling, "longer"), (negative, "signed"), (vec![], "no training")] {
        let error = fit_readout(&points, &points, 0.01, &options).unwrap_err();
        assert_eq!(error.kind(), Kind::FitFailed);
        assert!(error.to_string().contains(word), "{error}");
    }
}
