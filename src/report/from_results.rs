//! From the stages' own types to the page's rows.

use super::{
    Bound, CostRow, DeviceRow, DevicesLeftOut, Experiment, LutGrid, LutSummary, ModelParameter, ModelSummary, SweepRow,
    prose,
};
use crate::campaign::{DeviceVerdict, LeftOut, SweepSummary, is_comparison};
use crate::fit::ModelFit;
use crate::lut::{Cost, Table};
use crate::report::format::with_unit;

impl From<&ModelFit> for ModelSummary {
    fn from(fit: &ModelFit) -> ModelSummary {
        let parameter = |p: &crate::fit::Parameter| ModelParameter {
            name: p.name.clone(),
            unit: p.unit.clone(),
            value: p.value,
            interval: p.ci_low.zip(p.ci_high),
        };
        ModelSummary {
            name: fit.name.clone(),
            equation: fit.equation.clone(),
            source: fit.source.clone(),
            parameters: fit.parameters.iter().map(parameter).collect(),
            n_points: fit.n_points,
            held_out_error: fit.held_out_error,
            held_out_max: fit.held_out_max,
            n_held_out: fit.n_held_out,
            unit: fit.unit.clone(),
            limit: fit.limit,
            pass: fit.pass,
            r2: fit.r2,
            comparison: is_comparison(&fit.name),
            notes: fit.notes.clone(),
        }
    }
}

impl From<&SweepSummary> for SweepRow {
    fn from(sweep: &SweepSummary) -> SweepRow {
        SweepRow {
            name: sweep.name.clone(),
            title: String::new(),
            points: sweep.points,
            ok: sweep.ok,
            failed: sweep.failed,
            relaxed: sweep.relaxed,
            guarded: sweep.guarded,
            floor: sweep.floor.iter().map(|f| format!("{} {:.1} %", f.column, 100.0 * f.change)).collect(),
            cached: sweep.cached,
            wall_s: sweep.wall_s,
        }
    }
}

impl From<&DeviceVerdict> for DeviceRow {
    fn from(verdict: &DeviceVerdict) -> DeviceRow {
        DeviceRow {
            flavour: verdict.flavour.clone(),
            figure: verdict.target.figure.clone(),
            unit: verdict.target.unit.symbol().into(),
            target: verdict.target.value,
            measured: verdict.measured,
            tolerance: verdict.target.tolerance,
            pass: verdict.pass,
        }
    }
}

impl DevicesLeftOut {
    /// What the page says of targets that are stated for another temperature; nothing of a technology that states none.
    pub fn new(left_out: &LeftOut) -> Option<DevicesLeftOut> {
        let text = left_out.targets_text().replace(" degC", "\u{a0}°C");
        (!text.is_empty()).then(|| DevicesLeftOut { text, judged_by: left_out.judged_by.clone() })
    }
}

impl LutSummary {
    /// What the page says of `table`, which lies at `path` from the project's root.
    pub fn new(table: &Table, path: &str) -> LutSummary {
        let bound = |name: &str, unit: &str, [low, high]: [f64; 2], nodes: usize| Bound {
            name: name.into(),
            unit: unit.into(),
            low,
            high,
            nodes,
        };
        let grid = |(key, grid): (String, &crate::lut::Grid)| LutGrid {
            key,
            unit: grid.unit.clone(),
            axes: grid.axes.iter().map(|a| bound(&a.name, &a.unit, a.span(), a.values.len())).collect(),
        };
        let v = &table.validity;
        let validity = [
            ("v_driven_v", "V", v.v_driven_v),
            ("v_store_v", "V", v.v_store_v),
            ("v_wbl_v", "V", v.v_wbl_v),
            ("t_pulse_s", "s", v.t_pulse_s),
            ("v_bl_v", "V", v.v_bl_v),
            ("age_s", "s", v.age_s),
            ("charge_unsigned_c", "C", v.charge_unsigned_c),
            ("charge_signed_c", "C", v.charge_signed_c),
        ];
        LutSummary {
            name: table.name.clone(),
            path: path.into(),
            schema: table.schema,
            content_hash: table.content_hash.clone(),
            charge_per_unit_c: table.scale.charge_per_unit_c,
            s_sat: table.scale.s_sat,
            a_sat: table.scale.a_sat,
            t_max_s: table.scale.t_max_s,
            grids: table.grids().into_iter().map(grid).collect(),
            costs: table.costs.iter().map(CostRow::from).collect(),
            validity: validity.into_iter().map(|(name, unit, range)| bound(name, unit, range, 0)).collect(),
        }
    }
}

impl From<&Cost> for CostRow {
    fn from(cost: &Cost) -> CostRow {
        let shown = |value: f64| with_unit(value, &cost.unit);
        let (least, greatest) = (shown(cost.least), shown(cost.greatest));
        CostRow {
            name: cost.name.clone(),
            per: cost.per.clone(),
            mean: shown(cost.mean),
            range: if least == greatest { String::new() } else { format!("{least} … {greatest}") },
            sweep: cost.sweep.clone(),
        }
    }
}

/// Which experiment a figure or a model belongs to: the longest experiment's name that its own begins with; transfer curves
/// are the devices'.
fn experiment_of(name: &str) -> Option<&'static str> {
    if name == "iv" {
        return Some("device");
    }
    prose::names().filter(|experiment| name.starts_with(experiment)).max_by_key(|experiment| experiment.len())
}

/// The standard experiments, with each figure (name, SVG, caption) and model in its section.
pub fn experiments(figures: &[(String, String, String)], models: &[&ModelFit]) -> Vec<Experiment> {
    prose::names()
        .filter_map(|name| {
            let mut experiment = prose::standard(name)?;
            let own = figures.iter().filter(|(figure, ..)| experiment_of(figure) == Some(name));
            experiment.figures = own
                .map(|(_, svg, caption)| super::ReportFigure { svg: svg.clone(), caption: caption.clone() })
                .collect();
            let own = models.iter().filter(|fit| experiment_of(&fit.name) == Some(name));
            experiment.models = own.map(|fit| ModelSummary::from(*fit)).collect();
            (!experiment.figures.is_empty() || !experiment.models.is_empty()).then_some(experiment)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::{HeldOut, ModelFit};

    #[test]
    fn figures_and_models_find_their_section() {
        let figure = |name: &str| (name.to_string(), "<svg></svg>".to_string(), String::new());
        let fit = |name: &str| ModelFit::new(name, "", "", HeldOut::new(&[("a".into(), 1.0, 1.0)], 1.0), 0.1);
        let (signed, cubic) = (fit("readout_signed"), fit("nonlinearity_published_cubic"));
        let figures = ["iv", "variability_levels", "nonlinearity_width", "readout"].map(figure);
        let found = experiments(&figures, &[&signed, &cubic]);
        let ids: Vec<&str> = found.iter().map(|experiment| experiment.id.as_str()).collect();
        assert_eq!(ids, ["device", "nonlinearity", "readout", "variability"]);
        assert!(found[1].models[0].comparison && !found[2].models[0].comparison);
        assert_eq!((found[1].figures.len(), found[3].figures.len()), (1, 1));
    }
}
