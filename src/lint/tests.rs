//! A bad deck for every rule, and what is said about it.

use std::fs;
use std::path::Path;

use super::*;

/// Lints a deck that stands alone in a folder, beside `files`; paths in the answer are relative to the folder.
fn lint_with(deck: &str, files: &[(&str, &str)], tech: bool) -> String {
    let dir = tempfile::Builder::new().prefix("gain cell ").tempdir().unwrap();
    let bench = dir.path().join("x.cir");
    fs::write(&bench, deck).unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let tech = tech.then(|| Technology::read(&dir.path().join("tech.toml")).unwrap());
    let report = lint_deck(&bench, tech.as_ref()).unwrap();
    let real = dir.path().canonicalize().unwrap();
    let text = report.to_string();
    text.replace(&format!("{}/", dir.path().display()), "").replace(&format!("{}/", real.display()), "")
}

fn lint(deck: &str) -> String {
    lint_with(deck, &[], false)
}

/// A deck that no rule objects to, with room for one line that some rule does.
fn good(line: &str) -> String {
    format!(
        "RC\n.param r=1k\nv1 a 0 pulse(0 1 1n 10p 10p 1 2)\nr1 a b {{r}}\nc1 b 0 1p\n{line}\n.tran 10p 10n 0 0.1n\n.end\n"
    )
}

#[test]
fn a_good_deck_has_no_findings() {
    assert_eq!(lint(&good("")), "x.cir: 0 errors, 0 warnings, 0 notes in 1 file\n");
}

#[test]
fn commands_and_programs_are_refused_also_in_includes() {
    let deck = good(".include models.inc\n.control\nshell ls\n.endc\n*# shell ls\n.exec ls");
    let inner =
        "* models\n.model p d_process(process_file=\"/bin/sh\")\n.model f filesource(file=\"in.txt\")\n.system ls\n";
    insta::assert_snapshot!(lint_with(&deck, &[("models.inc", inner)], false), @"");
}

#[test]
fn a_mismatch_switch_left_on_is_an_error_where_it_matters() {
    let deck = good(".lib pdk.lib tt_mm\nx1 b 0 res w=1u");
    let lib = ".lib tt_mm\n.param mc_mm_switch=1\n.include body.inc\n.endl\n.lib tt\n.param mc_mm_switch=0\n.include body.inc\n.endl\n";
    let body = ".param drawn=agauss(1k,10,3)\n.subckt res a b w=1u\nr1 a b '1k*(1+mc_mm_switch*agauss(0,0.01,1)/sqrt(w*1e6))'\n.ends\n";
    insta::assert_snapshot!(lint_with(&deck, &[("pdk.lib", lib), ("body.inc", body)], false), @"");
    let off = deck.replace("tt_mm", "tt");
    let body = body.replace(".param drawn=agauss(1k,10,3)\n", "");
    assert_eq!(
        lint_with(&off, &[("pdk.lib", lib), ("body.inc", &body)], false),
        "x.cir: 0 errors, 0 warnings, 0 notes in 3 files\n"
    );
}

#[test]
fn models_without_their_osdi_library_are_errors() {
    let deck = good(
        "m1 b a 0 0 psp w=1u l=1u\n.model psp nmos level=69\nn1 b 0 res\n.model res va_resistor r=1k\n.model never va_other",
    );
    insta::assert_snapshot!(lint(&deck), @"");
    // With a library the models are taken for its own; the library itself has to be there.
    let tech = "schema = 1\nname = \"t\"\nvdd = \"1 V\"\n[models]\nfiles = []\n\
        startup = [\"osdi rel/a.osdi\", \"osdi /nowhere/b.osdi\", \"set num_threads=4\"]\n";
    insta::assert_snapshot!(lint_with(&deck, &[("tech.toml", tech)], true), @"");
}

#[test]
fn threads_start_up_files_and_options() {
    let deck = "store\nv1 w 0 pulse(0 1 1n 10p 10p 1 2)\nv2 d 0 0.5\ns1 d st w 0 sw1\n.model sw1 sw(vt=0.5 ron=1k roff=1e18)\n\
        c1 st 0 8f\n.options klu num_threads=2\n.tran 1n 1m\n.end\n";
    insta::assert_snapshot!(lint_with(deck, &[(".spiceinit", "set num_threads=8\n")], false), @"");
    // What is asked for is accepted.
    let fixed = deck.replace("klu num_threads=2", "gmin=1e-18 chgtol=1e-16 reltol=1e-4").replace("1n 1m", "1n 1m 0 1u");
    assert_eq!(lint(&fixed), "x.cir: 0 errors, 0 warnings, 0 notes in 1 file\n");
}

#[test]
fn names_that_nobody_defines_or_that_are_defined_twice() {
    let deck = good(
        "r2 b 0 {rr}\nx1 b 0 loaad k=2\nx2 b 0 0 load\nx3 b 0 load z=1\nm1 b a 0 0 nfet w=1u l=1u\nr1 b 0 2k\n.param r=2k\n\
         .param spare=1\n.subckt load a b k=1\nr1 a b {k*1k}\n.ends\n.subckt load a b\nr1 a b 1k\n.ends\n\
         .subckt idle a b\nr1 a b 1\n.ends\n.model nfe nmos level=54\n.model nfe nmos level=14\n.include nobody.inc",
    );
    insta::assert_snapshot!(lint(&deck), @"");
}

#[test]
fn floating_nodes_are_found_through_subcircuits() {
    let deck = good(
        "x1 b st cell\nx2 b s2 cell\nc9 st 0 1p\nc8 s2 0 1p\ni1 0 drain 1u\nr7 b lonely 1k\nv9 idle 0 1\n.ic v(s2)=0.5\n\
         .subckt cell d st\nm1 d g 0 0 n w=1u l=1u\ncg g st 1p\n.ends\n.model n nmos level=54",
    );
    insta::assert_snapshot!(lint(&deck), @"");
    // A channel is a way to ground, and so is a shunt.
    let written =
        deck.replace("cg g st 1p", "m2 d d g 0 n w=1u l=1u\nm3 d d st 0 n w=1u l=1u").replace("i1 0 drain 1u\n", "");
    assert!(!lint(&written).contains("[floating]"), "{}", lint(&written));
    assert!(!lint(&deck.replace(".ic v(s2)=0.5", ".options rshunt=1e12")).contains("[floating]"));
}

#[test]
fn loops_of_voltage_sources_are_found_through_subcircuits() {
    let deck = good("v2 a c 0\nx1 c 0 bias\nl1 b d 1n\nl2 d b 1n\n.subckt bias p m\ne1 p m vol='1+v(p)'\n.ends");
    insta::assert_snapshot!(lint(&deck), @"");
}

#[test]
fn numbers_that_spice_reads_otherwise() {
    let deck = good(
        "r2 b 0 1M\nr3 b 0 2MEG\nc2 b 0 1F\nc3 b 0 10uF\nR4 B 0 1M\nm1 b a 0 0 n w=1 l=0.15\nc4 b 0 2\n.model n nmos level=54",
    );
    insta::assert_snapshot!(lint(&deck), @"");
}

#[test]
fn every_rule_keeps_to_a_few_findings_per_file() {
    let many: String = (0..30).map(|k| format!("ra{k} b 0 1M\n")).collect();
    let text = lint(&good(&many));
    assert_eq!(text.matches("warning[unit]").count(), SHOWN_PER_RULE);
    assert!(text.contains("(and 22 more of this rule in this file)") && text.contains("30 warnings"), "{text}");
}

/// The same input twice gives the same bytes.
#[test]
fn reports_are_deterministic() {
    let deck = good("r2 b 0 {rr}\nx1 b 0 nobody\nr3 b 0 1M");
    assert_eq!(lint(&deck), lint(&deck));
}

#[test]
fn every_shipped_bench_and_sweep_has_no_errors_and_no_warnings() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let benches = root.join("netlists/benches");
    for name in crate::project::stems(&benches, "cir") {
        let report = lint_deck(&benches.join(format!("{name}.cir")), None).unwrap();
        assert_eq!((report.errors, report.warnings), (0, 0), "{report}");
    }
    let names = crate::project::stems(&root.join("sweeps"), "toml");
    assert!(names.len() >= 12, "{names:?}");
    for name in names {
        let file = root.join("sweeps").join(format!("{name}.toml"));
        let tech = SweepTech::of(&file, &root.join("netlists/tech"));
        let report = lint_sweep(&file, &benches, &tech.0).unwrap();
        assert_eq!((report.errors, report.warnings), (0, 0), "{report}");
    }
}

/// The technology that a shipped sweep names.
struct SweepTech(Technology);

impl SweepTech {
    fn of(file: &Path, technologies: &Path) -> SweepTech {
        let spec = crate::spec::SweepSpec::read(file, &technologies.with_file_name("benches")).unwrap();
        SweepTech(Technology::find(&spec.tech, technologies).unwrap())
    }
}

#[test]
fn a_sweep_is_held_against_its_bench() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.toml");
    fs::write(dir.path().join("x.cir"), good("")).unwrap();
    fs::write(dir.path().join("tech.toml"), "schema = 1\nname = \"t\"\nvdd = \"1 V\"\n[models]\nfiles = []\n").unwrap();
    let tech = Technology::read(&dir.path().join("tech.toml")).unwrap();
    let sweep = |parameter: &str, signal: &str| {
        let text = format!(
            "schema = 1\nname = \"x\"\ntech = \"t\"\nbench = \"x.cir\"\n[parameters.{parameter}]\nunit = \"ohm\"\n\
             values = [\"1 kohm\"]\n[[measure]]\nname = \"v\"\nunit = \"V\"\nat = \"{signal}\"\ntime = \"9 ns\"\n"
        );
        fs::write(&file, text).unwrap();
        let text = lint_sweep(&file, dir.path(), &tech).unwrap().to_string();
        text.replace(&format!("{}/", dir.path().display()), "")
    };
    assert_eq!(sweep("r", "v(b)"), "x.toml: 0 errors, 0 warnings, 0 notes in 2 files\n");
    insta::assert_snapshot!(sweep("q", "v(b)"), @"");
    insta::assert_snapshot!(sweep("r", "v(bl)"), @"");
}
