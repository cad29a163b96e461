//! The error budget on the synthetic table, whose effects are known.

use gaincell::lut::{Grid, Table, synthetic};
use gaincell::validate::{Budget, BudgetSetup, EFFECTS, Share, budget_ideal};

const SETUP: BudgetSetup = BudgetSetup { seed: 3, tiles: 3 };

fn budget(table: &Table, quantity: &str) -> Budget {
    let budgets = budget_ideal(table, SETUP).unwrap();
    budgets.into_iter().find(|budget| budget.quantity == quantity).unwrap()
}

fn share<'a>(budget: &'a Budget, effect: &str) -> &'a Share {
    budget.shares.iter().find(|share| share.effect == effect).unwrap()
}

#[test]
fn without_effects_the_array_is_ideal_arithmetic_and_shares_sum_to_the_whole() {
    let table = synthetic::table().unwrap();
    for quantity in ["phi", "output"] {
        let budget = budget(&table, quantity);
        assert!(budget.none < 1e-12, "{quantity}: {} with nothing on", budget.none);
        assert_eq!(budget.shares.iter().map(|share| share.effect.as_str()).collect::<Vec<_>>(), EFFECTS);
        assert!(budget.all > 0.01 && budget.all < 0.5, "{quantity}: {}", budget.all);
        assert_eq!(budget.elements, 3 * 64);
        // The effects left out of the Shapley values are the small ones: the sum is nearly the whole.
        let sum: f64 = budget.shares.iter().filter_map(|share| share.shapley).sum();
        assert!((sum / budget.all - 1.0).abs() < 0.05, "{quantity}: {sum} of {}", budget.all);
        assert_eq!(budget.shares.iter().filter(|share| share.shapley.is_some()).count(), 6);
    }
}

#[test]
fn effects_cost_what_they_are() {
    let table = synthetic::table().unwrap();
    let (phi, output) = (budget(&table, "phi"), budget(&table, "output"));
    // A 16-level counter of magnitudes rounds to 1/15: an error of 1/15/sqrt(12) where the output does not clip, and none of phi.
    assert_eq!((share(&phi, "counter").alone, share(&phi, "counter").last), (0.0, 0.0));
    let rounding = 1.0 / 15.0 / 12.0f64.sqrt();
    let counter = share(&output, "counter").alone;
    assert!(counter > 0.4 * rounding && counter < 1.1 * rounding, "{counter} for {rounding}");
    // Reset noise of 4 pF: sqrt(k T C) is 0.13 fC of the 320 fC and 640 fC of a full pulse.
    let noise = (1.380_649e-23 * 300.15 * synthetic::C_BIT_LINE_F).sqrt() / (80.0 * synthetic::CHARGE_PER_UNIT_C);
    let found = share(&phi, "read-noise").alone;
    assert!(found > 0.5 * noise && found < 1.3 * noise, "{found} for {noise}");
    // Nothing is said of its writes.
    assert_eq!(share(&phi, "write-noise").alone, 0.0);
    // The converters of this table are the straight lines that the ideal is.
    assert!(share(&phi, "readout").alone < 1e-9);
    for effect in ["leakage", "nonlinearity", "cell-mismatch"] {
        assert!(share(&output, effect).alone > 1e-3, "{effect}: {}", share(&output, effect).alone);
    }
}

#[test]
fn a_cell_that_keeps_its_charge_has_no_leakage_in_its_budget() {
    let mut table = synthetic::table().unwrap();
    let rate = &table.retention.rate_v_per_s;
    table.retention.rate_v_per_s = Grid { values: vec![0.0; rate.values.len()], ..rate.clone() };
    let budget = budget(&table, "output");
    let leakage = share(&budget, "leakage");
    assert!(leakage.alone.abs() < 1e-12 && leakage.last.abs() < 1e-12, "{leakage:?}");

    table.variability = None;
    let names = budget_ideal(&table, SETUP).unwrap();
    assert!(names[0].shares.iter().all(|share| !share.effect.ends_with("mismatch")));
}
