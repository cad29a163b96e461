use super::*;

fn deck(text: &str) -> Result<Deck> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.cir");
    std::fs::write(&path, text).unwrap();
    Deck::read(&path, &TechFiles::default())
}

const BENCH: &str = "RC\n.param t_pulse=15n\n.param r=1k\n.param t_end={t_pulse+2n}\n.param w=1u\n\
    vin a 0 pulse(0 0.9 1n 50p 50p {t_pulse-50p} 1)\nr1 a b {r}\nc1 b 0 1p\nx1 b load k={w}\n\
    .subckt load p k=1\nr9 p 0 {k}\n.ends\n.tran 10p {t_end+1n} 0 0.5n\n.save v(b)\n.end\n";

#[test]
fn knows_what_alter_can_change() {
    let deck = deck(BENCH).unwrap();
    assert!(deck.is_alterable("t_pulse") && deck.is_alterable("r"));
    assert!(!deck.is_alterable("w"), "a subcircuit's parameter needs a reload");
    let values = deck.values(&[("t_pulse".to_string(), 1e-8), ("r".to_string(), 50.0)].into()).unwrap();
    let commands = deck.alters(&["t_pulse".into(), "r".into()], &values).unwrap();
    assert_eq!(commands, ["alter @vin[pulse] = [ 0 0.9 1e-9 5e-11 5e-11 9.95e-9 1 ]", "alter r1 = 5e1"]);
    assert_eq!(deck.analysis_command(&values).unwrap(), "tran 10p 1.3e-8 0 0.5n");
    assert_eq!(deck.stop_time(&values).unwrap(), Some(1.3e-8));
}

#[test]
fn a_circuit_is_the_bench_with_its_values_and_nothing_of_its_analysis() {
    let deck = deck(BENCH).unwrap();
    let values = deck.values(&[("w".to_string(), 2e-6)].into()).unwrap();
    let circuit = deck.circuit(&values, &["v(b)".into()], &["r2 b 0 1meg".into()]);
    insta::assert_snapshot!(circuit.lines.join("\n"), @r"
    gaincell
    .param t_pulse=1.5e-8
    .param r=1e3
    .param t_end=1.7e-8
    .param w=2e-6
    vin a 0 pulse(0 0.9 1n 50p 50p {t_pulse-50p} 1)
    r1 a b {r}
    c1 b 0 1p
    x1 b load k={w}
    .subckt load p k=1
    r9 p 0 {k}
    .ends
    r2 b 0 1meg
    .save v(b)
    .end
    ");
}

#[test]
fn the_key_depends_on_content_only() {
    let a = deck(BENCH).unwrap();
    let b = deck(&BENCH.replace("r1 a b {r}", "* a comment\nr1   a b {r} ; load")).unwrap();
    let c = deck(&BENCH.replace("c1 b 0 1p", "c1 b 0 2p")).unwrap();
    let key = |deck: &Deck| deck.circuit(&deck.values(&BTreeMap::new()).unwrap(), &["v(b)".into()], &[]).key;
    assert_eq!(key(&a), key(&b));
    assert_ne!(key(&a), key(&c));
}

#[test]
fn an_undefined_parameter_names_its_line() {
    let inside = "t\nx1 a s\n.subckt s a k=1\nr1 a 0 {k*m0}\n.ends\n.op\n";
    for text in ["t\nr1 a 0 {nobody}\n.op\n", "t\n.param x={y}\n.op\n", inside] {
        let error = deck(text).unwrap_err();
        assert_eq!(error.kind(), Kind::UndefinedParameter, "{text}");
        assert!(error.problems()[0].line.is_some());
    }
    assert_eq!(deck("t\nr1 a 0 1\n").unwrap_err().kind(), Kind::NetlistSyntax);
    // ngspice drops what nothing uses before it evaluates names, and so runs these.
    deck(&inside.replace("x1 a s\n", "r2 a 0 1k\n")).unwrap();
    deck("t\nr2 a 0 1k\n.model idle c cox={nobody} w=1u\n.op\n").unwrap();
}
