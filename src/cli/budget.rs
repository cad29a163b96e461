//! `gaincell validate --budget`.

use super::Context;
use super::output::{note, print, print_json, table};
use super::validate::{table_and_size, validated};
use crate::campaign::{budget_path, write_json};
use crate::error::Result;
use crate::validate::{Budget, BudgetSetup, Share, budget_ideal, budget_spice};

/// Sub-tiles of the budget against ideal arithmetic: 768 phi and as many outputs.
const TILES: usize = 12;

pub(super) fn validate_budget(context: &Context, seed: u64, columns: [u64; 2]) -> Result<()> {
    let tech = context.tech()?;
    // Stored columns are not simulated again.
    let cases = validated(context, &tech, seed, columns, "quick", Vec::new())?;
    let (lut, size) = table_and_size(context, &tech, columns)?;
    let mut budgets = budget_ideal(&lut, BudgetSetup { seed, tiles: TILES })?;
    budgets.extend(budget_spice(&lut, size, &cases)?);
    write_json(&budget_path(&context.project, &tech.name), &budgets)?;
    if context.common.json {
        print_json(&budgets)?;
    } else {
        print(&budgets.iter().map(text).collect::<Vec<_>>().join("\n"))?;
    }
    if cfg!(feature = "plot") && super::figures::draw(context, &tech).is_ok() {
        note(context, &format!("{:20} {}", "plots", context.project.plots().display()));
    }
    Ok(())
}

/// A budget as a table, the greatest effect first.
fn text(budget: &Budget) -> String {
    let percent = |value: f64| format!("{:+.3} %", 100.0 * value);
    let mut shares: Vec<&Share> = budget.shares.iter().collect();
    let weight = |share: &Share| share.shapley.unwrap_or(share.alone).abs();
    shares.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
    let cells: Vec<Vec<String>> = shares
        .iter()
        .map(|share| {
            let shapley = share.shapley.map_or_else(|| "-".to_string(), percent);
            vec![share.effect.clone(), percent(share.alone), percent(share.last), shapley]
        })
        .collect();
    format!(
        "{} against {}: {:.3} % with no effect, {:.3} % with all; {} elements, seed {}\n{}",
        budget.quantity,
        if budget.against == "spice" { "SPICE" } else { "ideal arithmetic" },
        100.0 * budget.none,
        100.0 * budget.all,
        budget.elements,
        budget.seed,
        table(&["effect", "alone#", "last#", "Shapley#"], &cells)
    )
}
