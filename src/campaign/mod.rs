//! The stages as a graph: sweeps to rows, rows to models, models to a table. Simulation and fits meet here.

mod devices;
mod estimate;
mod forecast;
mod guard;
mod models;
mod provenance;
mod saved;
mod spec_verdict;
mod sweep_run;
mod table;

pub use devices::{DEVICE_LENGTH_M, DeviceVerdict, FlavourCurves, device_curves, device_verdicts};
pub use estimate::Estimate;
pub use forecast::{Forecast, forecast};
pub use guard::{CLEAR, DOMINATED, FLOOR_LABEL, UNCHECKED, moved, scales};
pub use models::{Datasets, IDLE_V_WBL_V, Models, SWEEPS, T_MAX_S, fit_models, is_comparison, read_datasets};
pub use provenance::commit;
pub use saved::{SavedModels, merge_summary, models_path, read_json, table_folder, validation_path, write_json};
pub use spec_verdict::{SpecVerdict, spec_verdicts};
pub use sweep_run::{Progress, SweepRun, SweepSummary, latest_run, run_sweep};
pub use table::build_table;
