//! The stages as a graph: sweeps to rows, rows to models, models to a table. Simulation and fits meet here.

mod adaptive;
mod devices;
mod models;
mod multifidelity;
mod refine;
mod saved;
mod sweep_run;
mod table;

pub use adaptive::{Measured, Refined, Round, Stopped, Trace, axes, refine};
pub use devices::{DEVICE_LENGTH_M, DeviceVerdict, FlavourCurves, device_curves, device_verdicts};
pub use models::{Datasets, IDLE_V_WBL_V, Models, SWEEPS, T_MAX_S, fit_models, is_comparison, read_datasets};
pub use multifidelity::LowFidelity;
pub use refine::{AdaptiveRun, adaptive_of, run_adaptive};
pub use saved::{SavedModels, merge_summary, models_path, read_json, table_folder, validation_path, write_json};
pub use sweep_run::{Progress, SweepSummary, commit, latest_run, run_sweep};
pub use table::build_table;
