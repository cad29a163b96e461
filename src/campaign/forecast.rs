//! What a sweep will take, before it is run: its points, those stored already, and the time of a pilot.

use std::collections::BTreeSet;
use std::time::Instant;

use serde::Serialize;

use super::sweep_run::{Progress, SweepRun};
use crate::error::Result;
use crate::project::Project;
use crate::rng;
use crate::simulate::Simulator;
use crate::spec::SweepSpec;
use crate::sweep::{Group, Plan, PlannedPoint, Planner};
use crate::tech::Technology;

/// A pilot takes one point in this many, within [`PILOT`].
const PILOT_SHARE: usize = 50;
/// Least and most points of a pilot.
const PILOT: (usize, usize) = (8, 64);

/// What a sweep will take.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    /// Name of the sweep.
    pub name: String,
    /// Technology.
    pub tech: String,
    /// Points of the design and of its guard.
    pub points: u64,
    /// Those that are stored already, without the pilot's.
    pub stored: u64,
    /// Circuits that are loaded for the others.
    pub circuits: u64,
    /// Points that were simulated for this forecast; they are kept.
    pub pilot_points: u64,
    /// Time of one point in a worker [s]; `None` if all are stored.
    pub point_s: Option<f64>,
    /// Wall time that is left [s].
    pub remaining_s: Option<f64>,
}

/// Plans `spec` on `tech`, looks up what is stored, and simulates a few points to tell how long the rest will take.
///
/// # Errors
/// As [`super::run_sweep`].
pub fn forecast(
    project: &Project,
    spec: &SweepSpec,
    tech: &Technology,
    profile: &str,
    simulator: &mut dyn Simulator,
    tell: &mut dyn FnMut(Progress) -> bool,
) -> Result<Forecast> {
    let planner = Planner::new(spec, tech)?;
    let plan = planner.plan(&planner.design(), 0)?;
    let guard = planner.guard(&plan)?;
    let mut run = SweepRun::open(project, &planner, tech, profile, &plan, simulator)?;
    let mut waiting = run.take_stored(&plan)?;
    let guards = run.take_stored(&guard)?;
    let points = (plan.len() + guard.len()) as u64;
    let stored = points - (waiting.len() + guards.len()) as u64;
    let left = |group: &&Group| group.points.iter().any(|point| waiting.contains(&point.row.index));
    let circuits = plan.groups.iter().filter(left).count() as u64;
    let pilot = pilot(&plan, &waiting);
    // A worker starts and loads before its first point; that is not the price of the points behind it.
    let first = Plan { groups: pilot.groups.iter().take(1).map(first_point).collect(), startup: pilot.startup.clone() };
    run.simulate(&first, simulator, tell)?;
    let began = Instant::now();
    run.simulate(&pilot, simulator, tell)?;
    let wall_s = began.elapsed().as_secs_f64();
    for point in pilot.groups.iter().flat_map(|group| &group.points) {
        waiting.remove(&point.row.index);
    }
    let timed = pilot.len().saturating_sub(first.len());
    let workers = simulator.workers().max(1) as f64;
    let per_point_s = (timed > 0).then(|| wall_s / timed as f64);
    Ok(Forecast {
        name: spec.name.clone(),
        tech: tech.name.clone(),
        points,
        stored,
        circuits,
        pilot_points: pilot.len() as u64,
        point_s: per_point_s.map(|s| s * workers),
        remaining_s: per_point_s.map(|s| s * (waiting.len() + guards.len()) as f64),
    })
}

fn first_point(group: &Group) -> Group {
    Group { points: group.points.iter().take(1).cloned().collect(), ..group.clone() }
}

/// Scattered points of the plan that wait to be simulated.
fn pilot(plan: &Plan, waiting: &BTreeSet<u64>) -> Plan {
    let mut order: Vec<(u64, u64)> = waiting.iter().map(|k| (rng::bits(0, *k, "order", "pilot"), *k)).collect();
    order.sort_unstable();
    let count = (waiting.len() / PILOT_SHARE).clamp(PILOT.0, PILOT.1);
    let chosen: BTreeSet<u64> = order.into_iter().take(count).map(|(_, index)| index).collect();
    let keep = |point: &&PlannedPoint| chosen.contains(&point.row.index);
    let groups = plan.groups.iter().map(|group| {
        let points: Vec<PlannedPoint> = group.points.iter().filter(keep).cloned().collect();
        Group { points, ..group.clone() }
    });
    Plan { groups: groups.filter(|group| !group.points.is_empty()).collect(), startup: plan.startup.clone() }
}
