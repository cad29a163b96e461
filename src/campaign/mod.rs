//! The stages as a graph: sweeps to rows, rows to models, models to a table. Simulation and fits meet here.

mod adaptive;
mod charge;
mod choose;
mod costs;
mod devices;
mod estimate;
mod forecast;
mod guard;
mod explain;
mod mismatch;
mod models;
mod spread;
mod conditions;
mod multifidelity;
mod noise;
mod refine;
mod provenance;
mod rows;
mod saved;
mod spec_verdict;
mod sweep_run;
mod table;
mod tech_check;
mod usable;

pub use adaptive::{Measured, Refined, Round, Stopped, Trace, axes, refine};
pub use conditions::OverConditions;
pub use costs::{COST_SWEEPS, costs};
pub use devices::{DEVICE_LENGTH_M, DeviceVerdict, FlavourCurves, LeftOut, device_curves, device_verdicts};
pub use estimate::Estimate;
pub use explain::{
    AGREEMENT, CheckedRun, Compared, Explained, Explanation, Numbers, PointName, StoredRow, explain_run, find_point,
};
pub use forecast::{Forecast, forecast};
pub use guard::{CLEAR, DOMINATED, FLOOR_LABEL, FloorFinding, UNCHECKED, floor_findings, moved, scales};
pub use mismatch::HELD_OUT_SHARE;
pub use models::{
    FURTHER_SWEEPS, Models, STORED_LEVELS, SWEEPS, fit_models, idle_v_wbl_v, is_comparison, read_datasets,
};
pub use multifidelity::LowFidelity;
pub use provenance::commit;
pub use refine::{AdaptiveRun, adaptive_of, run_adaptive};
pub use rows::{Datasets, T_MAX_S};
pub use saved::{
    SavedModels, budget_path, merge_summary, models_path, population_path, read_json, subtile_path, table_folder,
    validation_dies_path, validation_path, write_json,
};
pub use spec_verdict::{Dice, SpecVerdict, WorstPoint, spec_verdicts};
pub use spread::{SPREAD_SWEEPS, Spreads};
pub use sweep_run::{Progress, SweepRun, SweepSummary, latest_run, planned_job, run_sweep};
pub use table::build_table;
pub use tech_check::{Condition, DeviceFiguresAt, TechCheck, TechVerdict, check_technology, conditions};
