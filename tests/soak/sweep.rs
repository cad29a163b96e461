//! A project with one real sweep, run by a process of its own that can be killed.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use gaincell::campaign::{latest_run, run_sweep};
use gaincell::dataset::Dataset;
use gaincell::project::Project;
use gaincell::simulate::{PoolOptions, WorkerPool};
use gaincell::spec::SweepSpec;
use gaincell::tech::Technology;

use super::faults;

/// A transistor discharges a capacitor through its gate's overdrive. Of the 100 gate voltages the lowest never reaches the
/// level that `t_on` asks for, and at the highest a source has no current that fits its own voltage: the time step
/// collapses.
const BENCH: &str = "Discharge of a capacitor by a transistor
.include ../netlists/tech/generic28/models.lib
.include ../netlists/tech/generic28/devices.sub
.param v_c=0.9
.param v_g=0.5
vc c0 0 {v_c}
rc c0 c 20k
cc c 0 5f
vg g 0 pulse(0 {v_g} 0.5n 50p 50p 4n 20n)
xm c g 0 0 nfet_svt w=200n l=60n
bx x 0 i = time > 2n ? (v(g) > 0.8975 ? (v(x) > 0.5 ? 1 : -1) : 0) : 0
rx x 0 1
.options reltol=1e-4 chgtol=1e-16
.save v(c) v(g) i(vc)
.tran 10p 6n 0 0.2n
.end
";

/// Points at each value of `v_c`: one of them lacks a measurement, one does not converge.
pub const POINTS_PER_LEVEL: u64 = 100;

const WALL_LIMIT: &str = "1 s";

fn sweep(levels: u64) -> String {
    format!(
        "schema = 1\nname = \"soak\"\ntech = \"generic28\"\nbench = \"soak.cir\"\n\
         [parameters.v_c]\nunit = \"V\"\nfrom = \"0.5 V\"\nto = \"0.9 V\"\nsteps = {levels}\n\
         [parameters.v_g]\nunit = \"V\"\nfrom = \"0.405 V\"\nto = \"0.9 V\"\nsteps = {POINTS_PER_LEVEL}\n\
         [guard]\npoints = 0\n[limits]\nwall = \"{WALL_LIMIT}\"\n\
         [[measure]]\nname = \"v_end\"\nunit = \"V\"\nat = \"v(c)\"\ntime = \"4 ns\"\n\
         [[measure]]\nname = \"charge\"\nunit = \"C\"\nintegral = \"-i(vc)\"\nfrom = \"0.4 ns\"\nto = \"5 ns\"\n\
         [[measure]]\nname = \"t_on\"\nunit = \"s\"\ncross = {{ signal = \"v(g)\", level = \"0.4075 V\", edge = \"rise\" }}\n"
    )
}

/// A folder with netlists, the sweep, and outputs side by side.
pub struct Soak {
    dir: tempfile::TempDir,
    pub levels: u64,
}

/// One output folder and how its sweep is run.
pub struct Out<'a> {
    soak: &'a Soak,
    folder: PathBuf,
    workers: usize,
    seed: Option<u64>,
}

impl Soak {
    pub fn new(levels: u64) -> Soak {
        let dir = tempfile::Builder::new().prefix("gain cell soak ").tempdir().unwrap();
        let root = dir.path();
        std::fs::write(root.join("gaincell.toml"), "schema = 1\n").unwrap();
        std::fs::create_dir(root.join("sweeps")).unwrap();
        std::os::unix::fs::symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("netlists"), root.join("netlists"))
            .unwrap();
        std::fs::write(root.join("sweeps/soak.cir"), BENCH).unwrap();
        std::fs::write(root.join("sweeps/soak.toml"), sweep(levels)).unwrap();
        Soak { dir, levels }
    }

    pub fn points(&self) -> u64 {
        self.levels * POINTS_PER_LEVEL
    }

    /// An output of its own; with `seed`, with that seed's faults.
    pub fn out(&self, name: &str, workers: usize, seed: Option<u64>) -> Out<'_> {
        let folder = self.dir.path().join(name);
        std::fs::create_dir_all(folder.join("marks")).unwrap();
        Out { soak: self, folder, workers, seed }
    }
}

impl Out<'_> {
    /// Starts the sweep in a process of its own.
    pub fn start(&self) -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("sweep").arg(self.soak.dir.path()).arg(&self.folder).arg(self.workers.to_string());
        command.stdin(Stdio::null());
        if let Some(seed) = self.seed {
            command.env(faults::SEED, seed.to_string()).env(faults::MARKS, self.folder.join("marks"));
        }
        command.spawn().unwrap()
    }

    /// Runs the sweep to its end.
    pub fn run(&self) {
        let status = self.start().wait().unwrap();
        assert!(status.success(), "the sweep ended with {status}");
    }

    fn run_dir(&self) -> PathBuf {
        let project = Project::find(Some(self.soak.dir.path()), Some(&self.folder)).unwrap();
        latest_run(&project, "soak", "generic28").unwrap()
    }

    pub fn table(&self) -> Vec<u8> {
        std::fs::read(self.run_dir().join("points.parquet")).unwrap()
    }

    pub fn data(&self) -> Dataset {
        Dataset::read(&self.run_dir()).unwrap()
    }

    /// Resident memory while it ran: rows, this process and its workers, in bytes.
    pub fn memory(&self) -> Vec<[u64; 3]> {
        let text = std::fs::read_to_string(self.folder.join("memory")).unwrap();
        let number = |word: &str| word.parse().unwrap();
        text.lines().map(|line| line.split(' ').map(number).collect::<Vec<u64>>().try_into().unwrap()).collect()
    }
}

/// The body of the process that runs the sweep.
pub fn child(root: &Path, out: &Path, workers: usize) -> gaincell::Result<()> {
    let project = Project::find(Some(root), Some(out))?;
    let spec = SweepSpec::read(&project.sweeps().join("soak.toml"), &project.benches())?;
    let tech = Technology::find(&spec.tech, &project.technologies())?;
    let program = std::env::current_exe().map_err(|error| gaincell::Error::io(out, "find this program", error))?;
    let workers = NonZeroUsize::new(workers);
    let mut pool = WorkerPool::new(PoolOptions { workers, ..PoolOptions::new(program) })?;
    let (mut memory, mut sampled) = (String::new(), 0);
    run_sweep(&project, &spec, &tech, "soak", &mut pool, &mut |progress| {
        if progress.done >= sampled + 500 {
            sampled = progress.done;
            let [own, theirs] = resident_memory();
            memory += &format!("{} {own} {theirs}\n", progress.done);
        }
        true
    })?;
    let file = out.join("memory");
    std::fs::write(&file, memory).map_err(|error| gaincell::Error::io(&file, "write", error))
}

/// Resident memory of this process and of all its children [bytes]; zeros where /proc does not tell.
fn resident_memory() -> [u64; 2] {
    let own = std::process::id();
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<u32> =
        children.flat_map(|ids| ids.split(' ').filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect();
    [resident(own), children.into_iter().map(resident).sum()]
}

fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}
