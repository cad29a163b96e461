//! A filled report, and the tests of the page.

use super::*;

fn experiment(name: &str) -> Experiment {
    prose::standard(name).unwrap()
}

fn model(name: &str, comparison: bool) -> ModelSummary {
    let parameter = |name: &str, unit: &str, value: f64| ModelParameter {
        name: name.into(),
        unit: unit.into(),
        value,
        interval: Some((0.98 * value, 1.02 * value)),
    };
    ModelSummary {
        name: name.into(),
        equation: "Q(V, T) = I(V) T + e(V), I(V) = c0 + c1 y + c2 y^2 + c3 y^3, y = V - v_zero".into(),
        source: "Cubic as in Leroux et al., Nature Computational Science 5 (2025), with an edge charge".into(),
        parameters: vec![
            parameter("v_zero_v", "V", 0.4487),
            parameter("c1_a_per_v", "A/V", 2.31e-6),
            parameter("edge_c", "C", 1.62e-16),
            ModelParameter { name: "order".into(), unit: "1".into(), value: 3.0, interval: None },
        ],
        n_points: 1323,
        held_out_error: if comparison { 0.043 } else { 0.00312 },
        held_out_max: 0.0121,
        n_held_out: 150,
        unit: "fraction of full scale".into(),
        limit: 0.01,
        pass: !comparison,
        r2: 0.99987,
        comparison,
        notes: vec!["Full scale is the charge from the lowest to the highest level at the longest pulse.".into()],
    }
}

fn validation(ages: &str, pass: bool) -> ValidationRow {
    ValidationRow {
        tech: "generic28".into(),
        cell: "gain_cell_6t".into(),
        profile: "quick".into(),
        rows: 64,
        cols: [32, 16],
        ages: ages.into(),
        die: "nominal".into(),
        die_seed: None,
        seed: 7,
        nrmse_phi: if pass { 0.0031 } else { 0.0131 },
        nrmse_output: 0.0042,
        r2_phi: 0.99983,
        r2_output: 0.99961,
        worst_phi: 0.0102,
        worst_output: 0.0161,
        frac_linear: 0.74,
        ref_std: [0.31, 0.42],
        nrmse_phi_linear: 0.0034,
        nrmse_output_linear: 0.0045,
        codes_equal: 1.0,
        nrmse_uncalibrated: [0.006, 0.009],
        full_scale_use: [1.0, 1.01],
        limit: 0.01,
        worst_limit: None,
        pass,
    }
}

fn data(svgs: &[(&str, String)]) -> ReportData {
    let figures = |names: &[&str]| {
        let named = svgs.iter().filter(|(name, _)| names.contains(name));
        named.map(|(name, svg)| ReportFigure { svg: svg.clone(), caption: format!("Figure `{name}`.") }).collect()
    };
    let mut experiments: Vec<Experiment> =
        ["device", "write", "retention", "nonlinearity", "readout", "variability", "validation", "noise", "budget"]
            .map(experiment)
            .to_vec();
    experiments[0].figures = figures(&["iv"]);
    experiments[7].figures = figures(&["noise"]);
    experiments[1].figures = figures(&["write"]);
    experiments[1].models = vec![model("write", false)];
    experiments[1].hand_checks = vec![HandCheck {
        claim: "Charge injection: half the channel charge of the write gate over the storage capacitance".into(),
        by_hand: -7.4e-3,
        simulated: -6.1e-3,
        unit: "V".into(),
    }];
    experiments[2].figures = figures(&["retention"]);
    experiments[2].models = vec![model("retention", false), model("retention_published_exponential", true)];
    experiments[3].figures = figures(&["nonlinearity_level", "nonlinearity_width", "nonlinearity_bit_line"]);
    experiments[3].models = vec![model("nonlinearity", false)];
    experiments[4].figures = figures(&["readout"]);
    experiments[5].figures = figures(&["variability_levels", "variability"]);
    experiments[6].figures = figures(&["validation"]);
    experiments[8].figures = figures(&["budget"]);
    let device = |figure: &str, unit: &str, target: f64, ratio: f64| DeviceRow {
        flavour: "nfet_svt".into(),
        figure: figure.into(),
        unit: unit.into(),
        target,
        measured: ratio * target,
        tolerance: 0.2,
        pass: (ratio - 1.0).abs() <= 0.2,
    };
    let bound = |name: &str, unit: &str, low: f64, high: f64, nodes: usize| Bound {
        name: name.into(),
        unit: unit.into(),
        low,
        high,
        nodes,
    };
    ReportData {
        header: Header {
            tech: "generic28".into(),
            tech_description: "A generic 28 nm technology with open models.".into(),
            cell: "gain_cell_6t".into(),
            profile: "quick".into(),
            vdd_v: 0.9,
            temperature_degc: 27.0,
            date: "2025-11-24".into(),
            version: "0.1.0".into(),
            ngspice: "45.2".into(),
            commit: "0123456789ab".into(),
            command: "make characterize".into(),
        },
        validation: vec![validation("fresh", true), validation("mixed", true), validation("oldest", false)],
        devices: vec![
            device("ion", "A/m", 850.0, 1.03),
            device("ioff", "A/m", 0.1, 0.94),
            device("ss", "V/dec", 0.088, 1.01),
            device("dibl", "V/V", 0.09, 1.3),
            device("gate_leakage", "A/m2", 1e4, 0.97),
        ],
        devices_left_out: None,
        experiments,
        sweeps: vec![
            SweepRow {
                name: "nonlinearity".into(),
                title: "Charge per word-line pulse".into(),
                points: 1473,
                ok: 1472,
                failed: 1,
                cached: 0,
                relaxed: 2,
                guarded: 4,
                floor: vec!["t_settle_s 12.0 %".into()],
                wall_s: 41.7,
            },
            SweepRow { name: "write".into(), points: 42, ok: 42, cached: 42, wall_s: 0.3, ..SweepRow::default() },
        ],
        luts: vec![LutSummary {
            name: "generic28".into(),
            path: "results/luts/generic28/table.json".into(),
            schema: 1,
            content_hash: "9f2c".repeat(16),
            charge_per_unit_c: 2.41e-15,
            s_sat: 80.0,
            a_sat: 40.0,
            t_max_s: 15e-9,
            grids: vec![LutGrid {
                key: "cell.charge_c".into(),
                unit: "C".into(),
                axes: vec![
                    bound("v_store_v", "V", -0.02, 0.92, 21),
                    bound("t_pulse_s", "s", 1e-10, 1.5e-8, 9),
                    bound("v_bl_v", "V", 0.25, 0.65, 7),
                ],
            }],
            costs: vec![CostRow {
                name: "cell.energy_read_cell_j".into(),
                per: "one cell, one pulse".into(),
                mean: "4.2 fJ".into(),
                range: "0.3 fJ … 9.1 fJ".into(),
                sweep: "cell_6t_cycle".into(),
            }],
            validity: vec![bound("v_store_v", "V", -0.02, 0.92, 0), bound("age_s", "s", 0.0, 7.9e-4, 0)],
        }],
        limits: prose::scope(),
    }
}

fn plain_svg() -> Vec<(&'static str, String)> {
    vec![(
        "write",
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\"><text>Error (mV)</text></svg>".into(),
    )]
}

#[test]
fn the_page_has_every_section_and_asks_for_nothing() {
    let html = render(&data(&plain_svg())).unwrap();
    for id in ["verdict", "devices", "sweeps", "tables", "scope", "experiment-write", "experiment-validation"] {
        assert!(html.contains(&format!("<section id=\"{id}\">")), "{id}");
        assert!(html.contains(&format!("href=\"#{id}\"")), "{id} is not in the contents");
    }
    for foreign in ["http:", "https:", "src=", "<script", "<link", "@import", "url("] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    assert_eq!(html.matches("href=\"").count(), html.matches("href=\"#").count());
    assert_eq!(html, render(&data(&plain_svg())).unwrap());
}

#[test]
fn the_page_says_numbers_with_units_and_verdicts() {
    let html = render(&data(&plain_svg())).unwrap();
    let said = [
        "2 of 3 age classes",
        "4 of 5 device figures",
        "3 of 3 compact models",
        "1514 of 1515 simulated points",
        "nrmse_phi is 1.310 % of full scale, limit 1.000 %",
        "850.0 µA/µm",
        "88.00 mV/dec",
        "448.7",
        "439.7 … 457.7",
        "0.312 % of full scale",
        "−7.400 mV",
        "2.410 fC",
        "−20.00 … 920.0 mV, 21 nodes",
        "make characterize",
        "<text>Error (mV)</text>",
        "values = np.reshape",
        "41.7 s",
    ];
    for text in said {
        assert!(html.contains(text), "the page does not say {text}");
    }
}

#[test]
fn targets_of_another_temperature_are_said_to_be_left_out() {
    let technologies = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("netlists/tech");
    let hot = crate::tech::Technology::find("generic28@85degC", &technologies).unwrap();
    let left_out = DevicesLeftOut::new(&crate::campaign::LeftOut::of(&hot).unwrap());
    let html = render(&ReportData { devices: vec![], devices_left_out: left_out, ..data(&plain_svg()) }).unwrap();
    let text = "20 device targets are stated for 27\u{a0}°C and not judged at 85\u{a0}°C (nfet_hvt: ion, ";
    assert!(html.contains(text) && html.contains("<pre>gaincell tech check generic28</pre>"), "{html}");
    assert!(!html.contains("device figures: within") && !html.contains("The technology states no targets"));
}

#[test]
fn hostile_names_stay_text() {
    let mut hostile = data(&plain_svg());
    let name = "<img src=x onerror=alert(1)>\"'&";
    hostile.header.cell = name.into();
    hostile.header.command = name.into();
    hostile.devices[0].flavour = name.into();
    hostile.sweeps[0].name = name.into();
    hostile.validation[0].ages = name.into();
    hostile.experiments[0].id = name.into();
    hostile.experiments[1].models[0].notes = vec![name.into()];
    hostile.experiments[1].models[0].parameters[0].name = name.into();
    hostile.experiments[1].figures[0].caption = name.into();
    hostile.luts[0].path = name.into();
    let html = render(&hostile).unwrap();
    assert!(!html.contains("<img"));
    assert!(html.matches("&#60;img").count() >= 10);
}

#[test]
fn a_figure_that_brings_more_than_a_picture_is_refused() {
    for svg in ["<svg><script>x</script></svg>", "<svg><a xlink:href=\"x\"/></svg>", "<p>no picture</p>"] {
        let mut data = data(&plain_svg());
        data.experiments[1].figures[0].svg = svg.into();
        assert_eq!(render(&data).unwrap_err().kind(), Kind::BadInput, "{svg}");
    }
}

#[test]
fn nothing_run_is_said() {
    let html = render(&ReportData::default()).unwrap();
    assert!(html.contains("No validation was run") && html.contains("No lookup table was built"));
    assert!(html.contains("The technology states no targets"));
}

#[cfg(feature = "plot")]
#[test]
fn a_page_with_all_figures_is_a_small_file() {
    let svgs: Vec<(&str, String)> =
        crate::plot::samples::all().into_iter().map(|(name, figure)| (name, figure.svg().unwrap())).collect();
    let html = render(&data(&svgs)).unwrap();
    assert_eq!(html.matches("<svg").count(), svgs.len());
    assert!(html.len() < 2_500_000, "{} bytes", html.len());
    if let Some(folder) = std::env::var_os("GAINCELL_KEEP_FIGURES") {
        std::fs::write(std::path::Path::new(&folder).join("report.html"), html).unwrap();
    }
}
