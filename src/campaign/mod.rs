//! The stages as a graph: simulate and fit meet here.

mod sweep_run;

pub use sweep_run::{Progress, SweepSummary, commit, latest_run, run_sweep};
