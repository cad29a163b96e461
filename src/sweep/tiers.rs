//! Options that a point runs with when the bench's own do not lead to an end, or to tell a circuit from the simulator's floor.
//!
//! | tier | options beside the bench's own | what it costs |
//! |---|---|---|
//! | 0 | none | |
//! | 1 | `itl1=1000 itl2=500 itl4=200`: more iterations before ngspice gives up; `bypass=0` if the bench bypasses | time; the tolerances are the bench's |
//! | 2 | those, and `method=gear maxord=2` instead of the trapezoidal rule | Gear damps ringing, and what really rings |
//! | 3 | those, and `reltol`, `vntol`, `abstol`, `chgtol` ten times, `gmin` a hundred times the bench's | accuracy |
//!
//! A row keeps the tier that it was simulated at. Fits take tier 0 and say how many rows were left out; limits, yields and their
//! figures take tiers 0 and 1 ([`judged`]).

use std::collections::BTreeMap;

use crate::dataset::Row;
use crate::netlist::Deck;

/// The last tier that keeps the bench's tolerances and its rule of integration.
pub const OWN_TOLERANCES: u8 = 1;

/// Whether limits, yields and the figures beside them take a row: more iterations make no other die of it, other tolerances may.
pub fn judged(row: &Row) -> bool {
    row.good_up_to(OWN_TOLERANCES)
}

/// ngspice's own values of the options that tiers and guard are relative to.
const DEFAULTS: [(&str, f64); 5] =
    [("reltol", 1e-3), ("vntol", 1e-6), ("abstol", 1e-12), ("chgtol", 1e-14), ("gmin", 1e-12)];

/// Below this, `abstol` drowns in the rounding of a microampere and a transient freezes or ends early [A].
const LEAST_ABSTOL_A: f64 = 1e-16;

/// Factors on [`DEFAULTS`]' options at tier 3.
const RELAXED: [f64; 5] = [10.0, 10.0, 10.0, 10.0, 100.0];

/// What [`DEFAULTS`]' options are divided by in a guard's run.
const GUARD_DIVISOR: f64 = 10.0;

/// The `.options` line that a tier adds behind the bench's own; the last value of an option counts in ngspice. `None` for 0.
pub fn tier_options(deck: &Deck, values: &BTreeMap<String, f64>, tier: u8) -> Option<String> {
    let patience = patience(deck.option("bypass", values).is_some_and(|bypass| bypass != 0.0));
    match tier {
        0 => None,
        1 => Some(patience),
        2 => Some(format!("{patience} method=gear maxord=2")),
        _ => Some(format!("{patience} method=gear maxord=2{}", changed(deck, values, |k, own| own * RELAXED[k]))),
    }
}

/// The `.options` line of tier 1, for a bench that bypasses or one that does not.
pub fn patience(bypasses: bool) -> String {
    format!(".options itl1=1000 itl2=500 itl4=200{}", if bypasses { " bypass=0" } else { "" })
}

/// The `.options` line of a guard's run: a tenth of gmin and of every tolerance.
pub fn guard_options(deck: &Deck, values: &BTreeMap<String, f64>) -> String {
    let divided = |k: usize, own: f64| match DEFAULTS[k].0 {
        "abstol" => (own / GUARD_DIVISOR).max(own.min(LEAST_ABSTOL_A)),
        _ => own / GUARD_DIVISOR,
    };
    format!(".options{}", changed(deck, values, divided))
}

/// The bench's value of each of [`DEFAULTS`]' options, changed.
fn changed(deck: &Deck, values: &BTreeMap<String, f64>, change: impl Fn(usize, f64) -> f64) -> String {
    let option = |(k, (name, default)): (usize, &(&str, f64))| {
        format!(" {name}={:e}", change(k, deck.option(name, values).unwrap_or(*default)))
    };
    DEFAULTS.iter().enumerate().map(option).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlist::TechFiles;

    #[test]
    fn options_are_relative_to_the_bench() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.cir");
        std::fs::write(
            &path,
            "t\n.param g=1e-15\nr1 a 0 1\n.options reltol=1e-5 gmin={g}\n.options reltol = 1e-4\n.op\n",
        )
        .unwrap();
        let deck = Deck::read(&path, &TechFiles::default()).unwrap();
        let values = deck.values(&BTreeMap::new()).unwrap();
        assert_eq!(
            guard_options(&deck, &values),
            ".options reltol=1e-5 vntol=1e-7 abstol=1e-13 chgtol=1e-15 gmin=1.0000000000000001e-16"
        );
        assert_eq!(tier_options(&deck, &values, 0), None);
        assert!(tier_options(&deck, &values, 3).unwrap().contains("reltol=1e-3 vntol="));
        assert!(!tier_options(&deck, &values, 1).unwrap().contains("bypass"));
        std::fs::write(&path, "t\nr1 a 0 1\n.options bypass=1\n.op\n").unwrap();
        let deck = Deck::read(&path, &TechFiles::default()).unwrap();
        assert!(tier_options(&deck, &values, 1).unwrap().ends_with(" bypass=0"));
    }
}
