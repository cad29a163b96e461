//! How right the progress bar is: the duration foretold after a tenth of a sweep, over the true one.

use std::path::Path;
use std::time::Instant;

use gaincell::campaign::run_sweep;
use gaincell::error::{Error, Kind};
use gaincell::project::Project;
use gaincell::spec::SweepSpec;
use gaincell::tech::Technology;
use gaincell::{Result, simulate::Simulator as _};

use crate::results::Entry;

const RUNS: usize = 3;

pub fn measure(root: &Path, command: &str) -> Result<Entry> {
    let mut errors = Vec::new();
    let mut pool = crate::pool(gaincell::simulate::physical_cores())?;
    let workers = pool.workers();
    for _ in 0..RUNS {
        let out = tempfile::tempdir().map_err(|source| Error::io("a temporary folder", "make", source))?;
        let project = Project::find(Some(root), Some(out.path()))?;
        let spec = SweepSpec::read(&project.sweep_file("nonlinearity")?, &project.benches())?;
        let tech = Technology::find(&spec.tech, &project.technologies())?;
        let began = Instant::now();
        let mut foretold = None;
        run_sweep(&project, &spec, &tech, "quick", &mut pool, &mut |progress| {
            if foretold.is_none() && progress.done * 10 >= progress.planned && progress.done > 0 {
                foretold = progress.remaining_s.map(|left| began.elapsed().as_secs_f64() + left);
            }
            true
        })?;
        let took = began.elapsed().as_secs_f64();
        let foretold =
            foretold.ok_or_else(|| Error::new(Kind::Internal, "the sweep never said how long it would take"))?;
        println!("\nETA of the nonlinearity sweep after a tenth: {foretold:.2} s in all, it took {took:.2} s");
        errors.push((foretold / took - 1.0).abs());
    }
    errors.sort_by(f64::total_cmp);
    let entry = Entry::new(
        "sweep.eta.error_at_tenth",
        errors[RUNS / 2],
        "1",
        Some(errors[RUNS / 2]),
        "the duration of the nonlinearity sweep; the figure is |foretold / true - 1|",
        workers,
        command,
    );
    Ok(entry.range(errors[0], errors[RUNS - 1], RUNS).goal("<= 0.2"))
}
