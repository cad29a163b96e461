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
    insta::assert_snapshot!(lint_with(&deck, &[("models.inc", inner)], false), @r#"
    x.cir:7: error[refused]: a control block is refused: .control
      accepted: elements, subcircuits, models, .param, .options and one analysis
      to do: take it out: what a control block computes belongs into the sweep's TOML, settings and OSDI libraries into `startup` of tech.toml
    x.cir:9: error[refused]: a control block is refused: .endc
      accepted: elements, subcircuits, models, .param, .options and one analysis
      to do: take it out: what a control block computes belongs into the sweep's TOML, settings and OSDI libraries into `startup` of tech.toml
    x.cir:10: error[refused]: a command behind `*#` is refused: *# shell ls
      accepted: elements, subcircuits, models, .param, .options and one analysis
      to do: take it out: what a control block computes belongs into the sweep's TOML, settings and OSDI libraries into `startup` of tech.toml
    x.cir:11: error[refused]: a program is refused: .exec ls
      accepted: elements, subcircuits, models, .param, .options and one analysis
      to do: take it out: what a control block computes belongs into the sweep's TOML, settings and OSDI libraries into `startup` of tech.toml
    models.inc:2: error[refused]: a model that starts programs is refused: .model p d_process(process_file="/bin/sh")
      accepted: elements, subcircuits, models, .param, .options and one analysis
      to do: take it out: what a control block computes belongs into the sweep's TOML, settings and OSDI libraries into `startup` of tech.toml
    models.inc:2: warning[foreign-file]: model `p` reads the file "/bin/sh"
      to do: write the data into the deck (`pwl`): results are stored by what the deck says, not the file
    models.inc:3: warning[foreign-file]: model `f` reads the file "in.txt"
      to do: write the data into the deck (`pwl`): results are stored by what the deck says, not the file
    models.inc:4: error[refused]: a program is refused: .system ls
      accepted: elements, subcircuits, models, .param, .options and one analysis
      to do: take it out: what a control block computes belongs into the sweep's TOML, settings and OSDI libraries into `startup` of tech.toml
    x.cir: 6 errors, 2 warnings, 0 notes in 2 files
    "#);
}

#[test]
fn a_mismatch_switch_left_on_is_an_error_where_it_matters() {
    let deck = good(".lib pdk.lib tt_mm\nx1 b 0 res w=1u");
    let lib = ".lib tt_mm\n.param mc_mm_switch=1\n.include body.inc\n.endl\n.lib tt\n.param mc_mm_switch=0\n.include body.inc\n.endl\n";
    let body = ".param drawn=agauss(1k,10,3)\n.subckt res a b w=1u\nr1 a b '1k*(1+mc_mm_switch*agauss(0,0.01,1)/sqrt(w*1e6))'\n.ends\n";
    insta::assert_snapshot!(lint_with(&deck, &[("pdk.lib", lib), ("body.inc", body)], false), @r#"
    x.cir:6: warning[mismatch-section]: library section `tt_mm` is made for Monte Carlo
      to do: turn the PDK's own mismatch off (its nominal section, its switch at 0) and ask for samples with [mismatch] in the sweep's TOML
    body.inc:1: error[mismatch]: `agauss` draws random numbers inside ngspice
      accepted: a switch of zero in front of it, or a fixed number
      to do: turn the PDK's own mismatch off (its nominal section, its switch at 0) and ask for samples with [mismatch] in the sweep's TOML
    body.inc:3: error[mismatch]: `agauss` draws random numbers inside ngspice
      accepted: a switch of zero in front of it, or a fixed number
      to do: turn the PDK's own mismatch off (its nominal section, its switch at 0) and ask for samples with [mismatch] in the sweep's TOML
    pdk.lib:2: warning[mismatch-switch]: the PDK's mismatch switch is on: mc_mm_switch=1
      accepted: mc_mm_switch=0
      to do: turn the PDK's own mismatch off (its nominal section, its switch at 0) and ask for samples with [mismatch] in the sweep's TOML
    x.cir: 2 errors, 2 warnings, 0 notes in 3 files
    "#);
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
    insta::assert_snapshot!(lint(&deck), @r#"
    x.cir:7: error[osdi]: model `psp` needs level 69 of nmos, which ngspice does not have built in
      accepted: a built-in type and level, or a compiled OSDI library that brings the model
      to do: name the library in tech.toml: [models] startup = ["osdi /path/to/model.osdi"]
    x.cir:9: error[osdi]: model `res` needs the type `va_resistor`, which ngspice does not have built in
      accepted: a built-in type and level, or a compiled OSDI library that brings the model
      to do: name the library in tech.toml: [models] startup = ["osdi /path/to/model.osdi"]
    x.cir:10: note[unused]: model `never` is not used
    x.cir: 2 errors, 0 warnings, 1 note in 1 file
    "#);
    // With a library the models are taken for its own; the library itself has to be there.
    let tech = "schema = 1\nname = \"t\"\nvdd = \"1 V\"\n[models]\nfiles = []\n\
        startup = [\"osdi rel/a.osdi\", \"osdi /nowhere/b.osdi\", \"set num_threads=4\"]\n";
    insta::assert_snapshot!(lint_with(&deck, &[("tech.toml", tech)], true), @r#"
    x.cir:10: note[unused]: model `never` is not used
    tech.toml:6: error[refused]: `num_threads` is refused: set num_threads=4
      to do: leave it out: one thread per worker, one worker per core
    tech.toml:6: error[osdi]: OSDI library rel/a.osdi is a relative path, which no worker finds
      accepted: the absolute path of a .osdi file, as OpenVAF writes it
      to do: correct `startup` under [models] of tech.toml
    tech.toml:6: error[osdi]: OSDI library /nowhere/b.osdi does not exist
      accepted: the absolute path of a .osdi file, as OpenVAF writes it
      to do: correct `startup` under [models] of tech.toml
    x.cir: 3 errors, 0 warnings, 1 note in 1 file
    "#);
}

#[test]
fn threads_start_up_files_and_options() {
    let deck = "store\nv1 w 0 pulse(0 1 1n 10p 10p 1 2)\nv2 d 0 0.5\ns1 d st w 0 sw1\n.model sw1 sw(vt=0.5 ron=1k roff=1e18)\n\
        c1 st 0 8f\n.options klu num_threads=2\n.tran 1n 1m\n.end\n";
    insta::assert_snapshot!(lint_with(deck, &[(".spiceinit", "set num_threads=8\n")], false), @r#"
    x.cir:6: warning[chgtol]: chgtol = 1e-14 C (the default) is more than `c1` (8e-15 F) holds at 1 V: the time step does not see it
      to do: add `.options chgtol=1e-16 reltol=1e-4`, both: chgtol alone is erratic
    x.cir:7: error[num-threads]: a deck does not choose ngspice's threads
      accepted: one thread per worker, one worker per core (`--workers N`)
      to do: leave it out: two workers of two threads each run tens of times slower than of one
    x.cir:7: warning[klu]: ngspice 39 takes `klu` without a word and solves with its own solver
      to do: leave it out; from ngspice 42 on it works where it was compiled in
    x.cir:8: warning[time-step]: no maximum time step: ngspice takes the lesser of the print step and a 50th of the run
      accepted: .tran <step> <stop> <start> <maximum step>
      to do: give one; a few times the print step often needs a third of the time points
    x.cir:8: warning[gmin]: gmin = 1e-12 S discharges `st` (8e-15 F) by 11.75 % until the end of the run
      accepted: gmin of 8.0e-15 S or less for 0.1 %
      to do: add `.options gmin=...`: ngspice takes 1e-18 too
    .spiceinit: warning[spiceinit]: this start-up file is not read: workers have their own
      to do: move its `set` lines into tech.toml: [models] startup = ["set ngbehavior=hsa"]
    x.cir: 1 error, 5 warnings, 0 notes in 1 file
    "#);
    // What is asked for is accepted.
    let fixed = deck.replace("klu num_threads=2", "gmin=1e-18 chgtol=1e-16 reltol=1e-4").replace("1n 1m", "1n 1m 0 1u");
    assert_eq!(lint(&fixed), "x.cir: 0 errors, 0 warnings, 0 notes in 1 file\n");
}

#[test]
fn names_that_nobody_defines_or_that_are_defined_twice() {
    let deck = good(
        "r2 b 0 {rr}\nx1 b 0 loaad k=2\nx2 b 0 0 load\nx3 b 0 load z=1\nm1 b a 0 0 nfet w=1u l=1u\nr1 b 0 2k\n.param r=2k\n\
         .param spare=1\n.subckt load a b k=1\nr1 a b {k*1k}\n.ends\n.subckt load a b\nr1 a b 1k\n.ends\n\
         .subckt idle a b\nr1 a b 1\n.ends\n.model nfe nmos level=54\n.model nfe nmos level=14\n.include nobody.inc\n.include tech/mine/models.lib",
    );
    insta::assert_snapshot!(lint(&deck), @r#"
    x.cir:2: warning[duplicate]: parameter `r` is defined twice; ngspice takes the one at x.cir:12
      to do: keep one of the two
    x.cir:6: error[undefined-parameter]: parameter `rr` is not defined
      accepted: r, spare
      to do: add `.param rr=...`, or correct the name
    x.cir:7: error[undefined-subcircuit]: subcircuit `loaad` is not defined
      accepted: load, idle
      to do: include the file that defines it, or choose the technology with --tech
    x.cir:8: error[ports]: `x2` connects 3 nodes, `load` has 2 ports
      accepted: x2 <a> <b> load
    x.cir:9: warning[unknown-parameter]: `load` has no parameter `z`, which `x3` sets
      accepted: k
    x.cir:10: error[undefined-model]: model `nfet` is not defined
      accepted: nfe
      to do: include the file that defines it
    x.cir:11: error[duplicate]: element `r1` stands at x.cir:4 already
      to do: ngspice would keep the first and drop this one: rename it
    x.cir:13: note[unused]: parameter `spare` is not used
    x.cir:17: warning[duplicate]: subcircuit `load` is defined twice; ngspice takes the one at x.cir:14
      to do: keep one of the two
    x.cir:20: note[unused]: subcircuit `idle` is not used
    x.cir:23: note[unused]: model `nfe` is not used
    x.cir:24: warning[duplicate]: model `nfe` is defined twice; ngspice takes the one at x.cir:23
      to do: keep one of the two
    x.cir:24: note[unused]: model `nfe` is not used
    x.cir:25: error[missing-file]: cannot read nobody.inc: No such file or directory (os error 2)
      to do: correct the path, or add the file
    x.cir:26: error[missing-file]: cannot read tech/mine/models.lib: No such file or directory (os error 2)
      to do: choose a technology with --tech: its files take this line's place; or correct the path
    x.cir: 7 errors, 4 warnings, 4 notes in 1 file
    "#);
}

#[test]
fn floating_nodes_are_found_through_subcircuits() {
    let deck = good(
        "x1 b st cell\nx2 b s2 cell\nc9 st 0 1p\nc8 s2 0 1p\ni1 0 drain 1u\nr7 b lonely 1k\nv9 idle 0 1\n.ic v(s2)=0.5\n\
         .subckt cell d st\nm1 d g 0 0 n w=1u l=1u\ncg g st 1p\n.ends\n.model n nmos level=54",
    );
    insta::assert_snapshot!(lint(&deck), @r#"
    x.cir:10: error[floating]: node `drain` has no DC path to ground: only capacitors, gates or current sources lead there, and only one element
      accepted: a resistor, source, switch or channel from it to something that is driven
      to do: ngspice steps such a node to a plausible, wrong voltage; connect it, or set it with `.ic v(drain)=...` and `uic`
    x.cir:11: warning[single-connection]: node `lonely` is connected to `r7` only
      to do: look for a misspelt node
    x.cir:12: note[single-connection]: node `idle` is connected to `v9` only, a source that drives nothing
    x.cir:15: error[floating]: node `x1.g` has no DC path to ground: only capacitors, gates or current sources lead there
      accepted: a resistor, source, switch or channel from it to something that is driven
      to do: ngspice steps such a node to a plausible, wrong voltage; connect it, or set it with `.ic v(x1.g)=...` and `uic`
    x.cir:16: error[floating]: node `st` has no DC path to ground: only capacitors, gates or current sources lead there
      accepted: a resistor, source, switch or channel from it to something that is driven
      to do: ngspice steps such a node to a plausible, wrong voltage; connect it, or set it with `.ic v(st)=...` and `uic`
    x.cir:16: note[floating]: node `s2` has no DC path to ground: only capacitors, gates or current sources lead there; its initial condition decides
    x.cir: 3 errors, 1 warning, 2 notes in 1 file
    "#);
    // A channel is a way to ground, and so is a shunt.
    let written =
        deck.replace("cg g st 1p", "m2 d d g 0 n w=1u l=1u\nm3 d d st 0 n w=1u l=1u").replace("i1 0 drain 1u\n", "");
    assert!(!lint(&written).contains("[floating]"), "{}", lint(&written));
    assert!(!lint(&deck.replace(".ic v(s2)=0.5", ".options rshunt=1e12")).contains("[floating]"));
}

#[test]
fn loops_of_voltage_sources_are_found_through_subcircuits() {
    let deck = good("v2 a c 0\nx1 c 0 bias\nl1 b d 1n\nl2 d b 1n\n.subckt bias p m\ne1 p m vol='1+v(p)'\n.ends");
    insta::assert_snapshot!(lint(&deck), @r#"
    x.cir:9: error[voltage-loop]: inductor `l2` closes a loop of voltage sources and inductors (d, b)
      accepted: at most one path of voltage sources and inductors between two nodes
      to do: the matrix is singular: put a small resistor in series, or take one out
    x.cir:11: error[voltage-loop]: voltage source `x1.e1` closes a loop of voltage sources and inductors (c, 0)
      accepted: at most one path of voltage sources and inductors between two nodes
      to do: the matrix is singular: put a small resistor in series, or take one out
    x.cir: 2 errors, 0 warnings, 0 notes in 1 file
    "#);
}

#[test]
fn numbers_that_spice_reads_otherwise() {
    let deck = good(
        "r2 b 0 1M\nr3 b 0 2MEG\nc2 b 0 1F\nc3 b 0 10uF\nR4 B 0 1M\nm1 b a 0 0 n w=1 l=0.15\nc4 b 0 2\n.model n nmos level=54",
    );
    insta::assert_snapshot!(lint(&deck), @r#"
    x.cir:6: warning[unit]: SPICE reads `1M` as 1 milli
      accepted: 1meg for mega, 1m for milli
    x.cir:8: warning[chgtol]: chgtol = 1e-14 C (the default) is more than `c2` (1e-15 F) holds at 1 V: the time step does not see it
      to do: add `.options chgtol=1e-16 reltol=1e-4`, both: chgtol alone is erratic
    x.cir:8: warning[unit]: SPICE reads `1F` as 1 femto
      accepted: 1 for farad, 1f for femto
    x.cir:11: warning[size]: `m1` has w = 1 m
      accepted: 1 nm to 10 mm; sizes are in metres, as in w=1u l=30n
    x.cir:11: warning[size]: `m1` has l = 0.15 m
      accepted: 1 nm to 10 mm; sizes are in metres, as in w=1u l=30n
    x.cir:12: warning[size]: `c4` is a capacitor of 2 F
      accepted: a positive value below 1 mF, as in 8f for 8 fF
    x.cir: 0 errors, 6 warnings, 0 notes in 1 file
    "#);
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
    insta::assert_snapshot!(sweep("q", "v(b)"), @r#"
    x.toml: error[sweep-file]: `parameters.q`: x.cir has no parameter `q`
      accepted: r, temp
    x.toml: 1 error, 0 warnings, 0 notes in 2 files
    "#);
    insta::assert_snapshot!(sweep("r", "v(bl)"), @r#"
    x.toml: error[signal]: `v(bl)` is measured, and the bench has no such node
      accepted: v(node), v(xcell.st) for a node inside, i(vsource)
      to do: correct the signal: every row would end as measurement_missing
    x.toml: 1 error, 0 warnings, 0 notes in 2 files
    "#);
}

#[test]
fn a_noise_analysis_has_its_two_spectra_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.toml");
    let bench =
        good("").replace(".tran 10p 10n 0 0.1n", ".noise v(b) v1 dec 2 1k 1g").replace("v1 a 0", "v1 a 0 dc 0 ac 1");
    fs::write(dir.path().join("x.cir"), bench).unwrap();
    fs::write(dir.path().join("tech.toml"), "schema = 1\nname = \"t\"\nvdd = \"1 V\"\n[models]\nfiles = []\n").unwrap();
    let tech = Technology::read(&dir.path().join("tech.toml")).unwrap();
    let sweep = |signal: &str| {
        let text = format!(
            "schema = 1\nname = \"x\"\ntech = \"t\"\nbench = \"x.cir\"\n[parameters.r]\nunit = \"ohm\"\nvalues = [\"1 kohm\"]\n\
             [[measure]]\nname = \"s\"\nunit = \"1\"\nat = \"{signal}\"\naxis = \"Hz\"\nx = \"1 MHz\"\n"
        );
        fs::write(&file, text).unwrap();
        lint_sweep(&file, dir.path(), &tech).unwrap()
    };
    assert_eq!(sweep("v(onoise_spectrum)").errors, 0, "{}", sweep("v(onoise_spectrum)"));
    let report = sweep("v(b)");
    assert_eq!(report.errors, 1);
    assert!(report.to_string().contains("accepted: v(onoise_spectrum), v(inoise_spectrum)"), "{report}");
}

#[test]
fn what_a_run_would_not_notice_stops_a_sweep() {
    let dir = tempfile::tempdir().unwrap();
    let bench = dir.path().join("x.cir");
    // A floating node runs and is wrong; an undefined subcircuit is the run's own to refuse.
    fs::write(&bench, good("c2 b2 0 1p\nx1 b 0 nobody")).unwrap();
    let report = lint_deck(&bench, None).unwrap();
    assert_eq!(report.errors, 2);
    let problems = report.unnoticed();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].kind == Kind::LintFailed && problems[0].line == Some(6), "{problems:?}");
}
