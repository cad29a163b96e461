//! The sweep engine on a simulator without ngspice: what climbs the ladder, what the guard flags, what runs again after a
//! change, and what a larger design takes from a smaller one.

use std::fs;
use std::path::{Path, PathBuf};

use gaincell::Result;
use gaincell::campaign::{
    DOMINATED, FLOOR_LABEL, Stopped, SweepSummary, Trace, UNCHECKED, adaptive_of, read_json, run_adaptive, run_sweep,
};
use gaincell::dataset::{Dataset, Outcome};
use gaincell::project::Project;
use gaincell::simulate::{Answer, Circuit, FakeSimulator, Job, Simulator, Work, WorkFault};
use gaincell::spec::SweepSpec;
use gaincell::tech::Technology;
use gaincell::waveform::Waveform;

const BENCH: &str =
    "divider\n.include parts/load.inc\n.param r=1k\nv1 a 0 1\nr1 a b {r}\n.options gmin=1e-12\n.tran 1n 10n\n.end\n";
const OTHER: &str = "other\n.param r=1k\nv1 a 0 1\nr1 a b {r}\nr2 b 0 1k\n.tran 1n 10n\n.end\n";

/// A project with two sweeps, one of them over a bench with nested includes.
struct Files {
    _dir: tempfile::TempDir,
    root: PathBuf,
}

impl Files {
    fn new() -> Files {
        let dir = tempfile::Builder::new().prefix("gain cell ").tempdir().unwrap();
        let files = Files { root: dir.path().to_path_buf(), _dir: dir };
        fs::create_dir_all(files.root.join("sweeps/parts/deep")).unwrap();
        files.write("../gaincell.toml", "schema = 1\n");
        files.write("parts/load.inc", "* a load\n.include deep/load.inc\n");
        files.write("parts/deep/load.inc", "r2 b 0 1k\n");
        files.write("divider.cir", BENCH);
        files.write("other.cir", OTHER);
        files
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.root.join("sweeps").join(name), text).unwrap();
    }

    fn toml(&self, name: &str, extra: &str) -> String {
        let text = format!(
            "schema = 1\nname = \"{name}\"\ntech = \"generic28\"\nbench = \"{name}.cir\"\n{extra}\n\
             [parameters.r]\nunit = \"ohm\"\nfrom = \"1 kohm\"\nto = \"2 kohm\"\nsteps = 20\n\
             [[measure]]\nname = \"v_end\"\nunit = \"V\"\nat = \"v(b)\"\ntime = \"5 ns\"\n"
        );
        self.write(&format!("{name}.toml"), &text);
        text
    }

    fn run(&self, name: &str, simulator: &mut dyn Simulator) -> (SweepSummary, Dataset) {
        let project = Project::find(Some(&self.root), None).unwrap();
        let spec = SweepSpec::read(&project.sweep_file(name).unwrap(), &project.benches()).unwrap();
        let technologies = Path::new(env!("CARGO_MANIFEST_DIR")).join("netlists/tech");
        let tech = Technology::find(&spec.tech, &technologies).unwrap();
        run_sweep(&project, &spec, &tech, "quick", simulator, &mut |_| true).unwrap()
    }

    /// Points that a run simulates anew, guards included.
    fn simulated(&self, name: &str) -> u64 {
        let mut fake = FakeSimulator::new(2, divider);
        self.run(name, &mut fake);
        fake.simulated()
    }
}

fn resistance(job: &Job) -> f64 {
    let alter = job.alters.iter().find(|command| command.starts_with("alter r1")).unwrap();
    alter.rsplit(' ').next().unwrap().parse().unwrap()
}

/// The divider's voltage, with the simulator's floor as a conductance beside the load of 1 kohm: `gmin` is 1e-12 S times a
/// billion here, so that it shows.
fn divider(circuit: &Circuit, job: &Job) -> Waveform {
    let options = circuit.lines.iter().rfind(|line| line.starts_with(".options") && line.contains("gmin="));
    let gmin = options.and_then(|line| line.split("gmin=").nth(1)?.split(' ').next()?.parse::<f64>().ok());
    let conductance = 1e-3 + 1e9 * gmin.unwrap_or(0.0);
    let v = 1.0 / (1.0 + resistance(job) * conductance);
    Waveform { axis: vec![0.0, 1e-8], signals: [("v(b)".to_string(), vec![v, v])].into() }
}

/// A simulator that gives up above 1.5 kohm below tier 2, and above 1.9 kohm always.
struct Stubborn<'a>(FakeSimulator<'a>);

impl Simulator for Stubborn<'_> {
    fn run_all(
        &mut self,
        work: &[Work<'_>],
        on_answer: &mut dyn FnMut(Answer) -> bool,
    ) -> std::result::Result<(), WorkFault> {
        let jobs: Vec<(u64, f64, bool)> = work
            .iter()
            .flat_map(|work| {
                let gear = work.circuit.lines.iter().any(|line| line.contains("method=gear"));
                work.jobs.iter().map(move |job| (job.ticket, resistance(job), gear))
            })
            .collect();
        self.0.run_all(work, &mut |mut answer| {
            let (_, r, gear) = jobs.iter().find(|(ticket, ..)| *ticket == answer.ticket).unwrap();
            if *r > 1901.0 || *r > 1501.0 && !gear {
                answer.outcome = Outcome::Nonconvergence;
                answer.measured.clear();
                answer.message = "timestep too small".into();
            }
            on_answer(answer)
        })
    }

    fn identity(&mut self) -> Result<String> {
        self.0.identity()
    }

    fn workers(&self) -> usize {
        self.0.workers()
    }
}

#[test]
fn points_that_do_not_converge_climb_and_keep_their_tier() {
    let files = Files::new();
    files.toml("other", "[guard]\npoints = 0");
    let (summary, dataset) = files.run("other", &mut Stubborn(FakeSimulator::new(2, divider)));
    assert_eq!((summary.points, summary.ok, summary.failed, summary.relaxed), (20, 18, 2, 8));
    for row in &dataset.rows {
        let (outcome, tier) = match row.values["r_ohm"] {
            r if r > 1901.0 => (Outcome::Nonconvergence, 3),
            r if r > 1501.0 => (Outcome::Ok, 2),
            _ => (Outcome::Ok, 0),
        };
        assert_eq!((row.outcome, row.tier), (outcome, tier), "{:?}", row.values);
    }
    assert_eq!((dataset.ok().len(), dataset.relaxed().len()), (10, 8), "fits do not see what was relaxed");

    // What is good is served at the tier that it had; what failed is tried again, at every tier.
    let mut again = Stubborn(FakeSimulator::new(2, divider));
    let (summary, later) = files.run("other", &mut again);
    assert_eq!((summary.cached, again.0.simulated()), (18, 2 * 4));
    assert_eq!(later.rows, dataset.rows);
}

#[test]
fn points_begin_at_the_tier_that_the_sweep_states() {
    let files = Files::new();
    let run = |ladder: &str| {
        files.toml("other", &format!("[guard]\npoints = 0\n{ladder}"));
        let mut fake = Stubborn(FakeSimulator::new(2, divider));
        let (summary, dataset) = files.run("other", &mut fake);
        (summary.cached, fake.0.simulated(), dataset)
    };
    run("");
    let (cached, simulated, dataset) = run("[ladder]\nstart = 2");
    assert_eq!(
        (cached, simulated),
        (8, 10 + 2 * 2),
        "what had climbed to tier 2 is the same point; failures run at 2 and 3"
    );
    assert!(dataset.rows.iter().all(|row| row.tier == if row.outcome == Outcome::Ok { 2 } else { 3 }));
    assert!(dataset.ok().is_empty(), "fits see none of them");
    let (cached, simulated, dataset) = run("[ladder]\nstart = 0");
    assert_eq!((cached, simulated), (18, 2 * 4), "nor does where points began enter their identity");
    assert_eq!(dataset.ok().len(), 10);
}

#[test]
fn a_guard_keeps_its_options_at_every_tier() {
    let files = Files::new();
    files.toml("divider", "[guard]\npoints = 3\nseed = 1\ntolerance = \"1 %\"\n[ladder]\nstart = 1");
    let (summary, dataset) = files.run("divider", &mut FakeSimulator::new(2, divider));
    assert_eq!((summary.points, summary.relaxed, summary.guarded, summary.floor_dominated), (20, 20, 3, 3));
    assert!(dataset.rows.iter().all(|row| row.tier == 1));
}

#[test]
fn a_ladder_of_no_tiers_leaves_failures_as_they_are() {
    let files = Files::new();
    files.toml("other", "[guard]\npoints = 0\n[ladder]\ntiers = 0");
    let (summary, dataset) = files.run("other", &mut Stubborn(FakeSimulator::new(2, divider)));
    assert_eq!((summary.failed, summary.relaxed), (10, 0));
    assert!(dataset.rows.iter().all(|row| row.tier == 0));
}

#[test]
fn what_moves_with_gmin_is_flagged_in_the_row() {
    let files = Files::new();
    files.toml("divider", "[guard]\npoints = 3\nseed = 1\ntolerance = \"1 %\"");
    let (summary, dataset) = files.run("divider", &mut FakeSimulator::new(2, divider));
    assert_eq!((summary.points, summary.guarded, summary.floor_dominated), (20, 3, 3));
    assert_eq!(summary.floor[0].column, "v_end_v");
    // 1 kohm beside 1 mS, then beside 0.1 mS: 1 / 3 against 1 / 2.1 at least.
    assert!(summary.floor[0].change > 0.3 && summary.floor[0].change < 0.7, "{:?}", summary.floor);
    let labelled = |label: &str| dataset.ok().labelled(FLOOR_LABEL, label).len();
    assert_eq!((labelled(DOMINATED), labelled(UNCHECKED)), (3, 17));
    assert_eq!(dataset.ok().len(), 20, "a guard's own rows are not rows of the sweep");

    // The other bench has no gmin to follow: 1e-12 S by ngspice's default is not what this simulator reads.
    files.toml("other", "[guard]\npoints = 3");
    let (summary, dataset) = files.run(
        "other",
        &mut FakeSimulator::new(2, |c: &Circuit, job: &Job| {
            let without = Circuit { lines: vec![], ..c.clone() };
            divider(&without, job)
        }),
    );
    assert_eq!((summary.guarded, summary.floor_dominated), (3, 0));
    assert!(dataset.rows.iter().all(|row| row.labels[FLOOR_LABEL] != DOMINATED));
}

#[test]
fn exactly_what_depends_on_a_change_runs_again() {
    let files = Files::new();
    let toml = files.toml("divider", "");
    files.toml("other", "");
    let all = 20 + 4;
    assert_eq!((files.simulated("divider"), files.simulated("other")), (all, all));
    assert_eq!((files.simulated("divider"), files.simulated("other")), (0, 0));

    files.write("parts/deep/load.inc", "* the same load, with a remark\nr2   b 0 1k ; ohms\n");
    assert_eq!((files.simulated("divider"), files.simulated("other")), (0, 0), "comments and blanks do not count");
    files.write("parts/deep/load.inc", "r2 b 0 1.1k\n");
    assert_eq!((files.simulated("divider"), files.simulated("other")), (all, 0), "a resistor in a nested include");
    files.write("parts/deep/load.inc", "r2 b 0 1k\n");
    assert_eq!(files.simulated("divider"), 0, "what was simulated before the change is still there");

    files.write("divider.toml", &toml.replace("5 ns", "6 ns"));
    assert_eq!((files.simulated("divider"), files.simulated("other")), (all, 0), "a measurement's definition");
    let unguarded = files.toml("other", "[guard]\npoints = 0");
    files.write("other.toml", &unguarded.replace("steps = 20", "steps = 39"));
    assert_eq!(files.simulated("other"), 19, "a finer grid takes the points of the coarser one");
}

#[test]
fn a_longer_design_begins_with_the_shorter_one() {
    let files = Files::new();
    let sampled = |points: u32| {
        let toml = files.toml(
            "other",
            &format!("[guard]\npoints = 0\n[sampling]\nmethod = \"sobol\"\npoints = {points}\nseed = 2"),
        );
        files.write("other.toml", &toml.replace("steps = 20\n", ""));
        files.simulated("other")
    };
    assert_eq!((sampled(16), sampled(50)), (16, 34));
}

#[test]
fn a_corner_alone_is_served_from_the_whole_sweep() {
    let files = Files::new();
    files.toml("other", "[guard]\npoints = 0\n[corners.hot]\ntemp = \"85 degC\"\n[corners.cold]\ntemp = \"-40 degC\"");
    assert_eq!(files.simulated("other"), 40);
    let project = Project::find(Some(&files.root), None).unwrap();
    let spec = SweepSpec::read(&project.sweep_file("other").unwrap(), &project.benches()).unwrap();
    let tech = Technology::find("generic28", &Path::new(env!("CARGO_MANIFEST_DIR")).join("netlists/tech")).unwrap();
    let hot = spec.at_corners(&["hot".to_string()], &tech).unwrap();
    let mut fake = FakeSimulator::new(1, divider);
    let (summary, dataset) = run_sweep(&project, &hot, &tech, "quick", &mut fake, &mut |_| true).unwrap();
    assert_eq!((summary.points, summary.cached, fake.simulated()), (20, 20, 0));
    assert_eq!(dataset.all().unique_labels("corner"), ["hot"]);
}

/// A converter: no pulse up to 1.3 kohm, then a line of 10 V per kohm, 5 V from 1.8 kohm on, as the voltage of `v(b)`.
fn converter(_: &Circuit, job: &Job) -> Waveform {
    let v = (10.0 * (resistance(job) / 1e3 - 1.3)).clamp(0.0, 5.0);
    Waveform { axis: vec![0.0, 1e-8], signals: [("v(b)".to_string(), vec![v, v])].into() }
}

#[test]
fn an_adaptive_sweep_finds_the_knees_of_a_converter_and_its_file_has_every_round() {
    let files = Files::new();
    files.toml(
        "other",
        "[guard]\npoints = 0\n[adaptive]\ntarget = \"v_end\"\nerror = 2e-3\ninitial = 8\nbatch = 2\nmax_points = 40\n\
         validation = 3\nclip = [\"0 V\", \"5 V\"]",
    );
    let project = Project::find(Some(&files.root), None).unwrap();
    let spec = SweepSpec::read(&project.sweep_file("other").unwrap(), &project.benches()).unwrap();
    let tech = Technology::find("generic28", &Path::new(env!("CARGO_MANIFEST_DIR")).join("netlists/tech")).unwrap();
    let mut fake = FakeSimulator::new(3, converter);
    let adaptive = adaptive_of(&spec).unwrap();
    let run = run_adaptive(&project, &spec, adaptive, &tech, "quick", &mut fake, &mut |_| true).unwrap();

    let folders: Vec<PathBuf> =
        fs::read_dir(project.results().join("other")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let file = folders.iter().find(|path| path.is_dir()).unwrap().join("adaptive.json");
    let trace: Trace = read_json(&file, "sweep").unwrap();
    assert_eq!((&trace, trace.stopped), (&run.refined.trace, Stopped::ErrorReached));
    assert_eq!(trace.rounds[0].points, 8);
    assert!(trace.rounds.windows(2).all(|two| two[1].points == two[0].points + 2), "{:?}", trace.rounds);
    // A gap of g beside a knee may cost (step/4)^2 g/3: it has to close before the sweep ends.
    assert!(trace.rounds[0].knee_error > 2e-3, "{:?}", trace.rounds[0]);
    let last = trace.rounds.last().unwrap();
    assert!(last.knee_error <= 2e-3 && last.left_out_error <= 2e-3 && last.points < 30, "{last:?}");
    for knee in [1300.0, 1800.0] {
        let distance = |row: &gaincell::dataset::Row| (row.values["r_ohm"] - knee).abs();
        let nearest = run.dataset.rows.iter().map(distance).fold(f64::INFINITY, f64::min);
        assert!(nearest < 10.0, "the first eight are 143 ohm apart: {nearest} ohm from {knee} ohm");
    }
    for (r, expected) in [(1000.0, 0.0), (1290.0, 0.0), (1310.0, 0.1), (1550.0, 2.5), (1790.0, 4.9), (1990.0, 5.0)] {
        let found = run.refined.surrogate.predict(&[r], None).mean;
        assert!((found - expected).abs() < 0.02, "{r} ohm: {found} V, {expected} V");
    }
}
