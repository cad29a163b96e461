//! SPICE against fit against table against emulator, with a verdict each.

mod arrays;
mod behavioural;
mod budget;
mod column;
mod compare;
mod dies;
mod population;
mod shapley;
mod spice;
mod stimuli;
mod subtile;
mod verdict;

pub use behavioural::{BehaviouralRow, LIMIT as BEHAVIOURAL_LIMIT, behavioural};
pub use budget::{Budget, BudgetSetup, EFFECTS, Share, budget_ideal, budget_spice};
pub use compare::{Setup, validate};
pub use dies::{CellDevices, DieOf};
pub use population::{
    COLUMNS as POPULATION_COLUMNS, ColumnPopulation, Estimate, Population, PopulationSetup, population,
};
pub use shapley::shapley;
pub use spice::{Reduce, Request, Spice};
pub use stimuli::{AgeClass, Size, Stimuli};
pub use subtile::{LIMIT as SUBTILE_LIMIT, SubtileRow, SubtileSetup, subtile};
pub use verdict::{LEAST_LINEAR, LEAST_STD, LINEAR, Pairs, R2_LIMIT, Score, ValidationCase, ValidationRow};
