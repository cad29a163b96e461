//! The models as Verilog-A modules, in the subset that open compilers take: scalar parameters and analog functions.

use std::fmt::Write as _;

use super::numbers::{Behavioural, C_STORE_F, CellLines, Lines, SOURCE_SOFT_V, T_EDGE_S};

impl Behavioural {
    /// The file of modules.
    pub fn verilog_a(&self) -> String {
        let mut text = format!(
            "// Behavioural cell and converters of {}, from its lookup table; content {}.\n\
             // Characterized at {} degC and {} V for stored voltages from {} V to {} V. Bit lines of {:.4} pF (K) and {:.4} pF (V).\n\
             `include \"disciplines.vams\"\n",
            self.name,
            self.content_hash,
            self.temperature_degc,
            self.vdd_v,
            self.v_store_v[0],
            self.v_store_v[1],
            1e12 * self.c_bit_line_f[0],
            1e12 * self.c_bit_line_f[1],
        );
        self.cells.iter().for_each(|cell| text += &self.cell_module(cell));
        text += &self.hold_module();
        text += &self.unsigned_module();
        text += &self.signed_module();
        text
    }

    fn cell_module(&self, cell: &CellLines) -> String {
        let name = format!("{}_{}", self.cell, cell.suffix);
        let functions = [
            function("stored_v", &self.written),
            function("current_a", &cell.current_a),
            function("conductance_s", &cell.conductance_s),
            function("edge_charge_c", &cell.edge_charge_c),
        ]
        .concat();
        format!(
            "\nmodule {name}(we, web, wbl, wlr, wlrb, bl, vdd);\n\
             \x20 inout we, web, wbl, wlr, wlrb, bl, vdd;\n\
             \x20 electrical we, web, wbl, wlr, wlrb, bl, vdd, st;\n\
             \x20 parameter real t_edge = {T_EDGE_S:e} from (0:inf);\n\
             \x20 parameter real tau = 3e-10 from (0:inf);\n\
             {functions}\
             \x20 real x;\n\
             \x20 analog begin\n\
             \x20   x = V(wlr) / {vdd:e};\n\
             \x20   I(st) <+ {C_STORE_F:e} * ddt(V(st));\n\
             \x20   if (V(we) > {half:e})\n\
             \x20     I(st) <+ {C_STORE_F:e} / tau * (V(st) - stored_v(V(wbl)));\n\
             \x20   I(bl) <+ x * (current_a(V(st)) + conductance_s(V(st)) * (V(bl) - {v_pre:e})\n\
             \x20     + 3.0 * (1.0 - x) / t_edge * edge_charge_c(V(st)));\n\
             \x20 end\n\
             endmodule\n",
            vdd = self.vdd_v,
            half = self.vdd_v / 2.0,
            v_pre = cell.v_pre_v,
        )
    }

    fn hold_module(&self) -> String {
        let (mut functions, mut sum) = (String::new(), Vec::new());
        for (k, (share, rate)) in self.rates.iter().enumerate() {
            functions += &function(&format!("share_{k}"), share);
            functions += &function(&format!("rate_{k}"), rate);
            sum.push(format!("share_{k}(V(wbl)) * rate_{k}(V(st))"));
        }
        format!(
            "\n// Leakage of a cell's storage node, to be put beside the cell.\n\
             module {}_hold(st, wbl);\n\
             \x20 inout st, wbl;\n\
             \x20 electrical st, wbl;\n\
             {functions}\
             \x20 analog I(st) <+ -{C_STORE_F:e} * ({});\n\
             endmodule\n",
            self.cell,
            sum.join("\n      + ")
        )
    }

    fn unsigned_module(&self) -> String {
        let line = self.unsigned;
        format!(
            "\nmodule charge_to_pulse_table(bl, vref, en, eno, out, vbc, vbp, vbn, vdd);\n\
             \x20 inout bl, vref, en, eno, out, vbc, vbp, vbn, vdd;\n\
             \x20 electrical bl, vref, en, eno, out, vbc, vbp, vbn, vdd;\n\
             \x20 real left;\n\
             \x20 analog begin\n\
             \x20   left = V(vref) - V(bl) + {v_end:e};\n\
             \x20   I(bl) <+ -{current:e} * V(eno) * (0.5 + 0.5 * tanh(left / {SOURCE_SOFT_V:e} + 5.0));\n\
             \x20   I(out) <+ (V(out) - V(eno) * (0.5 + 0.5 * tanh(left / {soft:e}))) / 100.0 + 5e-14 * ddt(V(out));\n\
             \x20 end\n\
             endmodule\n",
            v_end = line.v_end_v,
            soft = line.soft_v,
            current = line.current_a / self.vdd_v,
        )
    }

    fn signed_module(&self) -> String {
        let [up, down] = self.signed;
        format!(
            "\nmodule charge_to_pulse_signed_table(bl, vref, en, eno, ck, out, sgn, vbc, vbp, vbn, vdd);\n\
             \x20 inout bl, vref, en, eno, ck, out, sgn, vbc, vbp, vbn, vdd;\n\
             \x20 electrical bl, vref, en, eno, ck, out, sgn, vbc, vbp, vbn, vdd, held;\n\
             \x20 real left, drive, soft;\n\
             \x20 analog begin\n\
             \x20   // the bit line is followed until ck rises, then held: its side of vref is the sign\n\
             \x20   I(held) <+ 1e-14 * ddt(V(held)) + (V(ck) < {half:e} ? 1e-3 : 1e-18) * (V(held) - V(bl));\n\
             \x20   if (V(held) < V(vref)) begin\n\
             \x20     left = V(vref) - V(bl) + {up_v:e};\n\
             \x20     drive = -{up_a:e};\n\
             \x20     soft = {soft_up:e};\n\
             \x20   end else begin\n\
             \x20     left = V(bl) - V(vref) - {down_v:e};\n\
             \x20     drive = {down_a:e};\n\
             \x20     soft = {soft_down:e};\n\
             \x20   end\n\
             \x20   I(bl) <+ drive * V(eno) * (0.5 + 0.5 * tanh(left / {SOURCE_SOFT_V:e} + 5.0));\n\
             \x20   I(out) <+ (V(out) - V(eno) * (0.5 + 0.5 * tanh(left / soft))) / 100.0 + 5e-14 * ddt(V(out));\n\
             \x20   V(sgn) <+ V(held) < V(vref) ? {vdd:e} : 0.0;\n\
             \x20 end\n\
             endmodule\n",
            half = self.vdd_v / 2.0,
            vdd = self.vdd_v,
            up_v = up.v_end_v,
            down_v = down.v_end_v,
            up_a = up.current_a / self.vdd_v,
            down_a = down.current_a / self.vdd_v,
            soft_up = up.soft_v,
            soft_down = down.soft_v,
        )
    }
}

/// `lines` as an analog function: the nearest value beyond the ends, straight lines between.
fn function(name: &str, lines: &Lines) -> String {
    let mut text = format!("  analog function real {name};\n    input u;\n    real u;\n    begin\n");
    let (first, last) = (lines.nodes[0], lines.nodes[lines.nodes.len() - 1]);
    let _ = writeln!(text, "      if (u <= {:.6e}) {name} = {:.6e};", first.0, first.1);
    for pair in lines.nodes.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let slope = (y1 - y0) / (x1 - x0);
        let _ = writeln!(text, "      else if (u <= {x1:.6e}) {name} = {y0:.6e} + {slope:.6e} * (u - {x0:.6e});");
    }
    let _ = writeln!(text, "      else {name} = {:.6e};", last.1);
    text + "    end\n  endfunction\n"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::expr::Expr;
    use crate::lut::synthetic;

    /// A module of the text with what its analog functions say: upper ends of the argument, and the expression up to there.
    struct Module<'a> {
        text: &'a str,
        functions: BTreeMap<&'a str, Vec<(f64, &'a str)>>,
    }

    impl<'a> Module<'a> {
        fn read(text: &'a str, name: &str) -> Module<'a> {
            let text = &text[text.find(&format!("module {name}(")).unwrap()..];
            let text = &text[..text.find("endmodule").unwrap()];
            let read = |text: &'a str| {
                let (name, body) = text.split_once(';').unwrap();
                let branch = |line: &'a str| {
                    let (condition, assigned) = line.split_once(&format!("{name} = "))?;
                    let end = condition.split_once("u <= ").map(|(_, end)| end.trim_end_matches(") "));
                    Some((end.map_or(f64::INFINITY, |end| end.parse().unwrap()), assigned.trim_end_matches(';')))
                };
                let body = &body[..body.find("endfunction").unwrap()];
                (name, body.lines().filter_map(branch).collect())
            };
            Module { text, functions: text.split("analog function real ").skip(1).map(read).collect() }
        }

        fn call(&self, function: &str, u: f64) -> f64 {
            let (_, expression) = self.functions[function].iter().find(|(end, _)| u <= *end).unwrap();
            Expr::parse(expression).unwrap().eval(&|name| (name == "u").then_some(u)).unwrap()
        }

        /// What is contributed to a branch, at these voltages and variables.
        fn contribution(&self, branch: &str, values: &BTreeMap<&str, f64>) -> f64 {
            let start = self.text.rfind(&format!("{branch} <+ ")).unwrap() + branch.len() + 4;
            let mut text = self.text[start..start + self.text[start..].find(';').unwrap()].to_string();
            for name in self.functions.keys() {
                while let Some(at) = text.find(&format!("{name}(")) {
                    let inner = at + name.len() + 1;
                    let end = inner + text[inner..].find("))").unwrap() + 1;
                    let value = self.call(name, values[&text[inner..end]]);
                    text.replace_range(at..=end, &format!("({value:e})"));
                }
            }
            values.iter().for_each(|(name, value)| text = text.replace(name, &format!("({value:e})")));
            Expr::parse(&text).unwrap().eval(&|_| None).unwrap()
        }
    }

    #[test]
    fn the_modules_say_what_the_table_s_lines_say() {
        let mut table = synthetic::table().unwrap();
        let folder = tempfile::tempdir().unwrap();
        table.write_json(folder.path()).unwrap();
        let model = Behavioural::new(&table).unwrap();
        let text = model.verilog_a();
        for cell in &model.cells {
            let module = Module::read(&text, &format!("{}_{}", model.cell, cell.suffix));
            let scale = cell.current_a.nodes.iter().fold(0.0f64, |most, (_, current)| most.max(current.abs()));
            for k in 0..200 {
                let random = |n: u64| crate::rng::uniform(5, k, "modules", &n.to_string());
                let (stored, bl, x) = (1.4 * random(0) - 0.2, 0.9 * random(1), random(2));
                let values = BTreeMap::from([("V(st)", stored), ("V(bl)", bl), ("x", x), ("t_edge", T_EDGE_S)]);
                let said = module.contribution("I(bl)", &values);
                let edge = 3.0 * (1.0 - x) / T_EDGE_S * cell.edge_charge_c.at(stored);
                let swing = cell.conductance_s.at(stored) * (bl - cell.v_pre_v);
                let meant = x * (cell.current_a.at(stored) + swing + edge);
                assert!((said - meant).abs() < 1e-5 * scale, "{stored} {bl} {x}: {said:e} against {meant:e}");
            }
        }
        let hold = Module::read(&text, &format!("{}_hold", model.cell));
        for (wbl, stored) in [(0.1, 0.2), (0.45, 0.7), (0.8, 0.4)] {
            let said = hold.contribution("I(st)", &BTreeMap::from([("V(st)", stored), ("V(wbl)", wbl)]));
            let rate: f64 = model.rates.iter().map(|(share, rate)| share.at(wbl) * rate.at(stored)).sum();
            assert!((said + C_STORE_F * rate).abs() <= 1e-5 * C_STORE_F * rate.abs(), "{said:e} {rate:e}");
        }
    }
}
