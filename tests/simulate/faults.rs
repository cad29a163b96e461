//! Circuits and points that cannot be simulated.

use super::*;

fn fault_of(deck: &str) -> (Kind, Option<usize>, String) {
    let error = answers(&mut pool(2), &circuit(deck), &[job(0, &[], "tran 1n 10n"), job(1, &[], "op")]).unwrap_err();
    let problem = &error.problems()[0];
    (problem.kind, problem.line, problem.message.clone())
}

#[test]
fn faults_of_a_circuit_end_the_run_with_kind_and_line() {
    let (kind, line, message) = fault_of("t\nv1 in 0 1\nr1 in out {foo}\nr2 out 0 1k\n.end");
    assert_eq!((kind, line), (Kind::UndefinedParameter, Some(3)), "{message}");
    assert!(message.contains("foo"));
    let (kind, line, message) = fault_of("t\nv1 in 0 1\nm1 in in 0 0 nch w=1u l=1u\n.end");
    assert_eq!((kind, line), (Kind::NetlistSyntax, Some(3)), "{message}");
    assert!(message.contains("valid modelname"));
    let (kind, line, message) = fault_of("t\nv1 in 0 1\nx1 in 0 nosuch\n.end");
    assert_eq!((kind, line), (Kind::NetlistSyntax, Some(3)), "{message}");
    let (kind, line, message) = fault_of("t\nv1 in 0 1\n.param a={1+}\nr1 in 0 {a}\n.end");
    assert_eq!((kind, line), (Kind::NetlistSyntax, Some(3)), "{message}");
    let (kind, line, message) = fault_of("t\nv1 in 0 1\n.include nothere.inc\n.end");
    assert_eq!((kind, line), (Kind::MissingNetlist, Some(3)), "{message}");
    let (kind, line, message) = fault_of("t\nv1 in 0 1\nv2 in 0 2\nr1 in 0 1\n.end");
    assert_eq!(kind, Kind::SingularMatrix, "{message}");
    assert!(message.contains("v1#branch") && line == Some(2), "{message}");
    // ngspice invents a voltage for a floating node and goes on; we do not.
    let (kind, line, message) = fault_of("t\nv1 in 0 1\nr1 in 0 1\nc1 a b 1p\nc2 b 0 1p\ni1 0 a 1p\n.end");
    assert_eq!((kind, line), (Kind::SingularMatrix, Some(4)), "{message}");
    let (kind, line, message) = fault_of("t\nv1 in 0 1\nr1 in 0 1\n.control\nshell touch x\n.endc\n.end");
    assert_eq!((kind, line), (Kind::RefusedDeck, Some(4)), "{message}");
    // A pool lives on after a fault.
    let mut pool = pool(1);
    answers(&mut pool, &circuit("t\nr1 in 0 {foo}\n.end"), &[job(0, &[], "op")]).unwrap_err();
    assert_eq!(answers(&mut pool, &circuit(RC), &[rc_job(0, 1e3)]).unwrap()[&0].outcome, Outcome::Ok);
}

#[test]
fn faults_of_a_point_are_answers() {
    let circuit = circuit(RC);
    let mut limited = rc_job(0, 1e3);
    limited.max_time_points = 100;
    let mut missing = rc_job(1, 1e3);
    if let How::At { at, .. } = &mut missing.measurements[0].how {
        *at = 1.0;
    }
    let mut unknown_signal = rc_job(2, 1e3);
    unknown_signal.signals.push("v(nobody)".into());
    let mut unknown_device = rc_job(3, 1e3);
    unknown_device.alters.push("alter r9=1".into());
    let mut shell = rc_job(4, 1e3);
    shell.alters.push("shell touch escaped".into());
    let bad_analysis = Job { analysis: "tran 10n -5u".into(), ..rc_job(5, 1e3) };
    let short = Job { t_stop_s: Some(6e-6), ..rc_job(6, 1e3) };
    let exact = Job { max_time_points: 511, ..rc_job(7, 1e3) };
    let jobs = [limited, missing, unknown_signal, unknown_device, shell, bad_analysis, short, exact];
    let found = answers(&mut pool(2), &circuit, &jobs).unwrap();
    let outcomes: Vec<Outcome> = found.values().map(|answer| answer.outcome).collect();
    use Outcome::{MeasurementMissing, Nonconvergence, Ok, Refused, Timeout};
    assert_eq!(
        outcomes,
        [Timeout, MeasurementMissing, Refused, Refused, Refused, Refused, Nonconvergence, Ok],
        "{found:#?}"
    );
    assert!(found[&0].message.contains("100 time points"));
    assert_eq!(found[&1].message, "found nothing for v_out_v");
    assert_eq!(found[&1].measured["tau_s"], Value::Scalar(1e3 * 1e-9), "the others are there");
    assert!(found[&2].message.contains("v(nobody)"));
    assert!(found[&3].message.contains("r9"));
}

#[test]
fn steps_too_small_are_nonconvergence() {
    // A source that jumps by an amount that depends on its own result has no solution in the second half.
    let deck = "no solution
        r1 a 0 1
        b1 a 0 i = time > 5n ? (v(a) > 0.5 ? 1 : -1) : 0
        .end";
    let jobs = [job(0, &[], "tran 1n 10n"), job(1, &[], "tran 1n 4n")];
    let found = answers(&mut pool(1), &circuit(deck), &jobs).unwrap();
    assert_eq!(found[&0].outcome, Outcome::Nonconvergence, "{:?}", found[&0]);
    assert!(found[&0].message.contains("Timestep too small"), "{}", found[&0].message);
    assert_eq!(found[&1].outcome, Outcome::Ok, "the worker goes on");
}
