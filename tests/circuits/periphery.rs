//! Drivers, counters, wires: codes, RC, CV^2.

use gaincell::dataset::Outcome;

use super::{Sweep, near, within};

const VDD_V: f64 = 0.9;

/// A code of n is n clock periods of 1 ns. 15 ps are 0.1 % of T_max, the sweep's own limit.
#[test]
fn a_code_is_a_pulse_of_as_many_nanoseconds() {
    let points = Sweep::of("pulse_width").run(|v| [0.0, 5.0, 15.0].contains(&code_of(v)));
    assert_eq!(points.len(), 3);
    for point in &points {
        let code = point.get("code").round();
        within(point.get("t_width_s") - 1e-9 * code, -15e-12, 15e-12);
        // Without a pulse the word line takes nothing; with one, always the same.
        let line_j = point.get("energy_word_line_j");
        if code == 0.0 { within(line_j, -1e-15, 2e-15) } else { near(line_j, 93e-15, 0.05) }
    }
    let logic: Vec<f64> = points.iter().map(|p| p.get("energy_logic_j")).collect();
    assert!(logic[0] < logic[1] && logic[1] < logic[2], "the flip-flop that stays high longer takes more: {logic:?}");
}

fn code_of(values: &std::collections::BTreeMap<String, f64>) -> f64 {
    ["c0", "c1", "c2", "c3"].iter().zip([1.0, 2.0, 4.0, 8.0]).map(|(name, weight)| weight * values[*name]).sum()
}

/// A capacitor charged to VDD and discharged again takes C VDD^2 from the supply, whatever is between. 1 fF more per
/// cell on both phases of 64 cells is 128 fF. 2 %: the edges get slower, and with them the inverters' short-circuit charge.
#[test]
fn wire_capacitance_costs_c_v_squared() {
    let sweep = Sweep::of("word_line_wires").with("c_wl", "F", "\"0.2 fF\", \"1.2 fF\"");
    let points = sweep.run(|v| v["r_wl_ohm"] == 4.0 && v["t_pulse_s"] == 4e-9 && v["v_store_v"] > 0.5);
    let energy = |c_f: f64| points.iter().find(|p| p.get("c_wl_f") == c_f).unwrap().get("energy_pulse_j");
    near(energy(1.2e-15) - energy(0.2e-15), 128e-15 * VDD_V * VDD_V, 0.02);
}

/// The half-swing delay of a distributed line is 0.38 R C for a step; the mean lag of its far end is 0.5 R C whatever
/// drives it (W. C. Elmore, J. Appl. Phys. 19, 55 (1948)), and half swing of an edge with a tail comes within some tenths of
/// the mean. 1 fF more per cell: C grows by 64 fF, at R = 64 x 16 ohm.
#[test]
fn a_word_line_delays_as_a_distributed_line() {
    let sweep = Sweep::of("word_line_wires").with("c_wl", "F", "\"0.2 fF\", \"1.2 fF\"");
    let points = sweep.run(|v| v["r_wl_ohm"] == 16.0 && v["t_pulse_s"] == 4e-9 && v["v_store_v"] > 0.5);
    let delay = |c_f: f64| points.iter().find(|p| p.get("c_wl_f") == c_f).unwrap().get("t_line_delay_s");
    let rc_s = 64.0 * 16.0 * 64e-15;
    within((delay(1.2e-15) - delay(0.2e-15)) / rc_s, 0.36, 0.6);
}

/// The eight farthest cells' currents meet on the way: cell k, counted from 1, drops r k I up to its own place and
/// nothing beyond, so the far end is r I (57 + ... + 64) = 484 r I from the near one. 2 %: the idle cells' leakage, and
/// the output conductance, which the drop changes.
#[test]
fn a_bit_line_drops_what_ohm_says() {
    let points = Sweep::of("bit_line_wires").run(|v| v["on_far"] == 1.0 && v["on_mid"] == 0.0);
    for point in &points {
        let current_a = point.get("charge_ideal_c") / (8.0 * 15e-9);
        near(point.get("v_far_v"), -484.0 * point.get("r_bl_ohm") * current_a, 0.02);
    }
    assert_eq!(points.len(), 4);
}

/// Round to nearest, stop at 15; the sign is its own bit. Widths are 30 ps beside the codes' boundaries: the flip-flop
/// that samples the pulse sees its ends within 30 ps of where they are.
#[test]
fn the_counter_rounds_and_stops_at_fifteen() {
    let widths = [0.1e-9, 0.47e-9, 0.53e-9, 7.47e-9, 7.53e-9, 14.53e-9, 15.4e-9];
    let wanted = |w: f64| widths.iter().any(|x| (x - w).abs() < 1e-15);
    let points = Sweep::of("pulse_counter").run(|v| wanted(v["t_pulse_s"]) && v["sign"] == 0.0);
    assert_eq!(points.len(), widths.len());
    for point in &points {
        let expected = (point.get("t_pulse_s") / 1e-9).round().min(15.0);
        within(point.get("code") - expected, -0.01, 0.01);
        within(point.get("sign_bit"), -0.01, 0.01);
    }
    let positive = Sweep::of("pulse_counter").run(|v| (v["t_pulse_s"] - 4.1e-9).abs() < 1e-15 && v["sign"] == 1.0);
    within(positive[0].get("sign_bit"), 0.99, 1.01);
    within(positive[0].get("code"), 3.99, 4.01);
}

/// Codes 0, 3, 4, 7 (the transition of all bits among them) over the farthest level: stored within a quarter of a step.
/// A neighbour on the same line is moved by the capacitive divider while the line swings, and comes back.
#[test]
fn levels_arrive_and_neighbours_come_back() {
    let code = |v: &std::collections::BTreeMap<String, f64>| 4.0 * v["b2"] + 2.0 * v["b1"] + v["b0"];
    let points = Sweep::of("write_path").run(|v| {
        let code = code(v);
        let far = if code < 3.5 { 0.9 } else { 0.0 };
        [0.0, 3.0, 4.0, 7.0].contains(&code) && v["v_prev_v"] == far
    });
    assert_eq!(points.len(), 4);
    for point in &points {
        let code = 4.0 * point.get("b2") + 2.0 * point.get("b1") + point.get("b0");
        within(point.get("write_error_v"), -0.032, 0.032);
        within(point.get("half_disturb_v"), 0.0, 50e-6);
        // 0.05 fF of wire against 7.4 fF of storage node; +-8 %: the node's capacitance is 7.0 to 7.9 fF by its voltage.
        // For middle levels the line dips on its way, because the DAC's taps start from 0 V.
        let swing_v = (VDD_V * code / 7.0 - 0.45).abs();
        if swing_v > 0.3 {
            near(point.get("half_excursion_v"), swing_v * 0.05 / 7.45, 0.08);
        }
        // The string of 7 x 200 ohm and its switch conduct for 8.1 ns; what its levels charge comes on top.
        let string_j = VDD_V * VDD_V / 1410.0 * 8.1e-9;
        within(point.get("energy_string_j"), string_j, 2.0 * string_j);
    }
}

/// A trim step is 2 x 1.5 fF x VDD on the bit line's 4 pF, converter and idle cells, some 4.25 pF: 0.64 mV. Offsets of
/// -10 and +10 mV are 31.5 steps apart; +-2 are two roundings and the capacitance. Residual within 1 % of T_max.
/// The write path at its slow, cold, low corner: with bypass, ngspice's last resort for an operating point leaves it with 39 mA
/// through transistors that are off, which would count as leakage. Such a run is refused; without bypass it leaks what it should.
#[test]
fn an_operating_point_that_bypass_made_up_is_refused() {
    let slow = Sweep::of("write_path").corner("slow", "process = \"ss\"\nvdd = \"0.81 V\"\ntemp = \"-40 degC\"");
    let highest = |v: &std::collections::BTreeMap<String, f64>| code_bits(v) == 7.0 && v["v_prev_v"] == 0.0;
    let refused = slow.clone().bench_line(".options bypass=1").answers(highest);
    assert_eq!(refused[0].1.outcome, Outcome::Nonconvergence, "{}", refused[0].1.message);
    assert!(refused[0].1.message.contains("true gmin stepping"), "{}", refused[0].1.message);
    // Subthreshold currents fall tenfold and more from 27 to -40 degC; nominal leakage is 1.1 uW.
    within(slow.run(highest)[0].get("leakage_power_w"), 1e-9, 0.2e-6);
}

fn code_bits(values: &std::collections::BTreeMap<String, f64>) -> f64 {
    4.0 * values["b2"] + 2.0 * values["b1"] + values["b0"]
}

#[test]
fn calibration_finds_the_offset() {
    let points = Sweep::of("offset_trim").run(|v| v["v_offset_v"].abs() < 0.02);
    assert_eq!(points.len(), 2);
    let code = |sign: f64| points.iter().find(|p| p.get("v_offset_v") * sign > 0.0).unwrap().get("code");
    within(code(1.0) - code(-1.0), 29.0, 34.0);
    for point in &points {
        within(point.get("offset_s"), -150e-12, 150e-12);
    }
}

/// I = C dV / dt on the first bit line: the conversion current of 41.2 uA brings the line back in the pulse's width, so width
/// times current over swing is the line's capacitance. That is 4 pF and, at 0.5 fF per um of junction and overlap, some 0.06 pF
/// of 64 cells and precharge switch; the mirror's output conductance moves the current by some percent. The code at the
/// end is the output's width in clock periods, rounded, and the sum of the phases is the energy of the token.
#[test]
fn a_token_converts_charge_over_current_and_counts_it() {
    let points = Sweep::of("token").run(|v| v["v_v_old_v"] > 0.5);
    let token = &points[0];
    within(41.2e-6 * token.get("t_phi_width_s") / token.get("k_swing_v"), 3.9e-12, 4.3e-12);
    let expected = (token.get("t_out_width_s") / 1e-9).round();
    within(token.get("code") - expected, -0.01, 0.01);
    within(token.get("sign_bit"), 0.99, 1.01);
    let phases = ["write", "k_input", "conversion", "signed_conversion"].map(|p| token.get(&format!("energy_{p}_j")));
    near(token.get("energy_token_j"), phases.iter().sum(), 1e-9);
    // Two comparators, each a tail and a second stage of 40 uA, on for 17.5 ns each: 2.5 pJ; and what the conversions return to
    // the bit lines, 41.2 uA for phi and 20.5 uA for the output. A second stage whose output is high carries less.
    let comparators_j = 2.0 * 80e-6 * VDD_V * 17.5e-9;
    let returned_j = VDD_V * (41.2e-6 * token.get("t_phi_width_s") + 20.5e-6 * token.get("t_out_width_s"));
    let converters_j = token.get("energy_converter_k_j") + token.get("energy_converter_v_j");
    within(converters_j / (comparators_j + returned_j), 0.6, 1.1);
}

/// On a die, wires are told by the same cells without them: with cells of their own, the mismatch of single cells, some percent each, would
/// be taken for the wire. Limits are the sweeps' own.
#[test]
fn on_a_die_a_wire_costs_what_it_costs_and_not_the_cells_mismatch() {
    let on_dice = |name: &str| {
        Sweep::of(name).edit("[replicas]", "[mismatch]\nsamples = 3\nseed = 5\ninstances = [\"\"]\n[replicas]")
    };
    let lines =
        on_dice("word_line_wires").run(|v| v["r_wl_ohm"] == 4.0 && v["t_pulse_s"] == 4e-9 && v["v_store_v"] < 0.1);
    let columns = on_dice("bit_line_wires")
        .run(|v| v["r_bl_ohm"] == 4.0 && v["on_far"] == 1.0 && v["on_mid"] == 0.0 && v["v_store_v"] < 0.1);
    for (points, cost, charge, original, replica) in [
        (&lines, "charge_change", "charge_near_c", "xnear", "xfar"),
        (&columns, "loss", "charge_ideal_c", "xcol_x7_x0_xcell", "xref_x7_x0_xcell"),
    ] {
        assert_eq!(points.len(), 3);
        let draw = |point: &super::Point, of: &str| point.get(&format!("draw_{of}_xmn1_delvto_v"));
        for point in points {
            assert_eq!(draw(point, original), draw(point, replica));
            within(point.get(cost), -0.01, 0.01);
        }
        assert_ne!(draw(&points[0], original), draw(&points[1], original));
        let charges: Vec<f64> = points.iter().map(|point| point.get(charge)).collect();
        assert!((charges[0] / charges[1] - 1.0).abs() > 0.005, "{charges:?}");
    }
}
