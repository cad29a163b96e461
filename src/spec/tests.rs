use super::*;
use crate::error::Error;

fn read(text: &str) -> Result<SweepSpec> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("rc.cir"), "t\n").unwrap();
    let path = dir.path().join("a.toml");
    std::fs::write(&path, text).unwrap();
    SweepSpec::read(&path, dir.path())
}

const GOOD: &str = "schema = 1\nname = \"rc\"\ntech = \"generic28\"\nbench = \"rc.cir\"\n\
    [parameters.t_pulse]\nunit = \"s\"\nfrom = \"1 ns\"\nto = \"100 ns\"\nsteps = 3\nscale = \"log\"\n\
    [[measure]]\nname = \"v_end\"\nunit = \"V\"\nat = \"v(b)\"\ntime = \"{t_pulse + 1n}\"\n";

fn kinds(error: &Error) -> Vec<(Kind, &str)> {
    error.problems().iter().map(|p| (p.kind, p.key.as_deref().unwrap_or(""))).collect()
}

#[test]
fn reads_a_sweep() {
    let spec = read(GOOD).unwrap();
    assert_eq!(spec.parameters[0].column(), "t_pulse_s");
    assert_eq!(spec.parameters[0].values[0], 1e-9);
    assert!((spec.parameters[0].values[1] / 1e-8 - 1.0).abs() < 1e-12);
    assert_eq!(spec.measures[0].column, "v_end_v");
}

#[test]
fn every_mistake_is_told_at_once() {
    let bad = GOOD
        .replace("1 ns", "1")
        .replace("rc.cir", "nobody.cir")
        .replace("steps", "stpes")
        .replace("\"V\"", "\"Volt\"");
    let error = read(&bad).unwrap_err();
    assert_eq!(
        kinds(&error),
        [
            (Kind::MissingNetlist, "bench"),
            (Kind::SpecKey, "parameters.t_pulse.steps"),
            (Kind::SpecUnit, "parameters.t_pulse.from"),
            (Kind::SpecKey, "parameters.t_pulse.stpes"),
            (Kind::SpecUnit, "measure[0].unit"),
        ]
    );
}

#[test]
fn an_expression_names_what_is_there_before_it() {
    let with = |expr: &str| read(&format!("{GOOD}[[measure]]\nname = \"rate\"\nunit = \"V\"\nexpr = \"{expr}\"\n"));
    assert!(with("v_end_v * 1n / t_pulse_s").is_ok());
    let error = with("v_end / t_pulse_s").unwrap_err();
    assert_eq!(kinds(&error), [(Kind::SpecKey, "measure[1].expr")]);
    assert!(
        error.to_string().contains("`v_end` is neither swept nor") && error.to_string().contains("t_pulse_s, v_end_v")
    );
    assert!(with("rate_v + 1").is_err(), "not itself");
}

#[test]
fn a_unit_that_is_missing_has_its_own_kind() {
    let error = read(&GOOD.replace("unit = \"s\"\n", "")).unwrap_err();
    assert_eq!(kinds(&error)[0], (Kind::SpecUnit, "parameters.t_pulse.unit"));
}
