//! `gaincell fit` and `gaincell export`.

use std::collections::BTreeMap;

use serde_json::json;

use super::Context;
use super::output::{note, print, print_json, table};
use crate::campaign::{
    Models, SavedModels, build_table, costs, fit_models, is_comparison, merge_summary, models_path, read_datasets,
    read_json, table_folder, write_json,
};
use crate::error::{Kind, Problem, Result};
use crate::fit::ModelFit;
use crate::lut::Table;
use crate::tech::Technology;

pub(super) fn fit(context: &Context) -> Result<()> {
    let tech = context.tech()?;
    let models = fitted(context, &tech)?;
    if context.common.json {
        print_json(&models.reports())?;
    } else {
        print(&format!("{}\n{}", model_table(&models.reports()), dac_table(&models)))?;
    }
    let missed: Vec<&str> =
        models.reports().iter().filter(|r| !r.pass && !is_comparison(&r.name)).map(|r| r.name.as_str()).collect();
    if missed.is_empty() {
        return Ok(());
    }
    Err(Problem::new(Kind::VerdictFailed, format!("held-out errors over their limits: {}", missed.join(", "))).into())
}

/// The models of the latest runs: read if they were fitted to just these, else fitted and saved.
pub(super) fn fitted(context: &Context, tech: &Technology) -> Result<Models> {
    let datasets = read_datasets(&context.project, &tech.name)?;
    let path = models_path(&context.project, &tech.name);
    if let Some(saved) = read_json::<SavedModels>(&path, "fit").ok().filter(|saved| saved.fits(&datasets)) {
        note(context, "models               reused: neither rows nor fits have changed");
        return Ok(saved.models);
    }
    let saved = SavedModels::new(fit_models(&datasets, tech)?, &datasets);
    write_json(&path, &saved)?;
    let entries: Vec<_> = saved
        .models
        .reports()
        .iter()
        .map(|r| {
            json!({
                "name": r.name, "tech": tech.name, "cell": "gain_cell_6t", "held_out_error": r.held_out_error,
                "n_held_out": r.n_held_out, "unit": r.unit, "limit": r.limit, "pass": r.pass,
            })
        })
        .collect();
    merge_summary(&context.project, "models", &["name", "tech", "cell"], &entries)?;
    Ok(saved.models)
}

/// The write DAC's calibration: what to drive for each level, and what mismatch makes of it.
fn dac_table(models: &Models) -> String {
    let dac = &models.dac;
    let spread = &models.variability_write.model;
    let top = (dac.driven_v.len() - 1) as f64;
    let vdd_v = 2.0 * models.write.v_zero_v;
    let rows: Vec<Vec<String>> = (0..dac.driven_v.len())
        .map(|k| {
            vec![
                k.to_string(),
                format!("{:.4}", vdd_v * k as f64 / top),
                format!("{:.4}", dac.driven_v[k]),
                format!("{:.4}", dac.stored_v[k]),
                spread.mean.get(k).map_or("-".into(), |mean| format!("{mean:.4}")),
                spread.mean.get(k).map_or("-".into(), |_| format!("{:.3}", 1e3 * spread.sigma(k))),
                if dac.unreachable.contains(&k) { "no".into() } else { "yes".into() },
            ]
        })
        .collect();
    let columns = [
        "level#",
        "nominal [V]#",
        "drive [V]#",
        "stored [V]#",
        "nominal driven: mean [V]#",
        "sigma [mV]#",
        "nominal reached",
    ];
    format!(
        "{}spacing of the stored levels: even within {:.3} mV as calibrated, {:.3} mV driven at the nominal levels; model error {:.3} mV \
         rms, level before {:.3} mV\n",
        table(&columns, &rows),
        1e3 * dac.spacing_error_v,
        1e3 * dac.uncalibrated_spacing_error_v,
        1e3 * models.write.fit.held_out_error * vdd_v,
        1e3 * dac.memory_v,
    )
}

pub(super) fn model_table(reports: &[&ModelFit]) -> String {
    let rows: Vec<Vec<String>> = reports
        .iter()
        .map(|r| {
            let verdict = if is_comparison(&r.name) {
                "for comparison"
            } else if r.pass {
                "pass"
            } else {
                "MISSED"
            };
            vec![
                r.name.clone(),
                format!("{:.3} %", 100.0 * r.held_out_error),
                format!("{:.3} %", 100.0 * r.held_out_max),
                r.n_held_out.to_string(),
                format!("{:.1} %", 100.0 * r.limit),
                verdict.to_string(),
            ]
        })
        .collect();
    table(&["model", "held-out rms#", "worst#", "points#", "limit#", "verdict"], &rows)
}

pub(super) fn export(context: &Context) -> Result<()> {
    let tech = context.tech()?;
    let models = fitted(context, &tech)?;
    let (table, folder) = exported(context, &tech, &models, "quick")?;
    if context.common.json {
        print_json(
            &json!({"name": table.name, "path": folder, "schema": table.schema, "content_hash": table.content_hash}),
        )
    } else {
        print(&format!(
            "{}\n  charge per unit of p   {:.4} fC\n  bit line K, V          {:.4} pF, {:.4} pF\n  content                {}\n",
            folder.display(),
            1e15 * table.scale.charge_per_unit_c,
            1e12 * table.column_k.c_bit_line_f,
            1e12 * table.column_v.c_bit_line_f,
            table.content_hash
        ))
    }
}

/// Builds the table, writes it and reads it back.
pub(super) fn exported(
    context: &Context,
    tech: &Technology,
    models: &Models,
    profile: &str,
) -> Result<(Table, std::path::PathBuf)> {
    let datasets = read_datasets(&context.project, &tech.name)?;
    let (costs, without) = costs(&context.project, &tech.name)?;
    let mut table = build_table(models, &datasets, tech, profile, &BTreeMap::new(), costs)?;
    if !without.is_empty() {
        let sweeps = without.join(" ");
        note(
            context,
            &format!("{:20} {} in the table; for the others: gaincell sweep {sweeps}", "costs", table.costs.len()),
        );
    }
    let folder = table_folder(&context.project, &tech.name);
    table.write_json(&folder)?;
    #[cfg(feature = "dataset")]
    crate::lut::write_parquet(&table, &folder)?;
    crate::lut::write_tensors(&table, &folder)?;
    crate::lut::write_behavioural(&table, &folder)?;
    let back = Table::read_json(&folder)?;
    let entry = json!({
        "tech": tech.name, "cell": table.cell_name, "path": format!("results/luts/{}", table.name), "schema": table.schema,
    });
    merge_summary(&context.project, "lut", &["tech", "cell"], &[entry])?;
    Ok((back, folder))
}
