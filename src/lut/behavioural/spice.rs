//! The models as ngspice subcircuits.

use std::fmt::Write as _;

use super::numbers::{Behavioural, C_STORE_F, CellLines, Line, Lines, SOURCE_SOFT_V, T_EDGE_S};

/// Pairs of numbers on a line of text.
const PAIRS_PER_LINE: usize = 5;

impl Behavioural {
    /// The file of subcircuits.
    pub fn spice(&self) -> String {
        let mut text = format!(
            "* Behavioural cell and converters of {name}, from its lookup table; content {hash}.\n\
             * Characterized at {temp} degC and {vdd} V for stored voltages from {low} V to {high} V; bit lines of {ck:.4} pF (K) and {cv:.4} pF (V),\n\
             * the cells' own load included: a bench needs capacitors of these sizes.\n\
             * Ports are those of the transistor circuits. t_edge: rise and fall time of straight word-line edges [s]; of others, three\n\
             * times the integral of x (1 - x) over both, x = v(wlr) / vdd.\n",
            name = self.name,
            hash = self.content_hash,
            temp = self.temperature_degc,
            vdd = self.vdd_v,
            low = self.v_store_v[0],
            high = self.v_store_v[1],
            ck = 1e12 * self.c_bit_line_f[0],
            cv = 1e12 * self.c_bit_line_f[1],
        );
        self.cells.iter().for_each(|cell| text += &self.cell(cell));
        text += &self.hold();
        text += &self.unsigned();
        text += &self.signed();
        text
    }

    /// Write and read of one array's cell. A source is evaluated at every step of the simulator, so an idle one is a comparison.
    fn cell(&self, cell: &CellLines) -> String {
        let (vdd, half) = (self.vdd_v, self.vdd_v / 2.0);
        // With v(wlr) for x vdd, so that an evaluation divides nothing.
        let (current, conductance) = (pwl("st", &cell.current_a, 1.0 / vdd), pwl("st", &cell.conductance_s, 1.0 / vdd));
        let edge = pwl("st", &cell.edge_charge_c, 3.0 / (vdd * vdd));
        format!(
            "\n.subckt {name}_{suffix} we web wbl wlr wlrb bl vdd t_edge={T_EDGE_S:e} tau=0.3n\n\
             cst st 0 {C_STORE_F:e}\n\
             bwrite st 0 i=v(we) > {half} ? {C_STORE_F:e}/{{tau}}*(v(st)-{written}) : 0\n\
             bread bl 0 i=v(wlr) > {least:e} ? v(wlr)*({current}\n\
             +  +{conductance}*(v(bl)-{v_pre:e})\n\
             +  +({vdd}-v(wlr))/{{t_edge}}*{edge}) : 0\n\
             .ends {name}_{suffix}\n",
            name = self.cell,
            suffix = cell.suffix,
            written = pwl("wbl", &self.written, 1.0),
            least = 1e-3 * vdd,
            v_pre = cell.v_pre_v,
        )
    }

    /// Leakage of one storage node, to be put beside a cell.
    fn hold(&self) -> String {
        let mut text = format!(
            "\n* Leakage of a cell's storage node; put it beside the cell, as in `xh3 xc3.st wbl {cell}_hold`.\n.subckt {cell}_hold st wbl\n",
            cell = self.cell
        );
        for (k, (share, rate)) in self.rates.iter().enumerate() {
            let _ = writeln!(text, "b{k} 0 st i={}\n+  *{}", pwl("wbl", share, 1.0), pwl("st", rate, C_STORE_F));
        }
        let _ = writeln!(text, ".ends {}_hold", self.cell);
        text
    }

    fn unsigned(&self) -> String {
        let Line { current_a, v_end_v, soft_v } = self.unsigned;
        format!(
            "\n* A converter's output has a capacitor, by which the simulator finds the time at which it falls; the current, whose end would\n\
             * cost many iterations if it were as sharp, flows some millivolts beyond.\n\
             .subckt charge_to_pulse_table bl vref en eno out vbc vbp vbn vdd\n\
             bleft left 0 v=v(vref)-v(bl)+{v_end_v:e}\n\
             bsrc bl 0 i=v(eno) > {least:e} ? -{current:e}*v(eno)*(0.5+0.5*tanh(v(left)/{SOURCE_SOFT_V:e}+5)) : 0\n\
             {out}\
             .ends charge_to_pulse_table\n",
            current = current_a / self.vdd_v,
            least = 1e-3 * self.vdd_v,
            out = output(soft_v, 1e-3 * self.vdd_v),
        )
    }

    fn signed(&self) -> String {
        let [up, down] = self.signed;
        let (vdd, least) = (self.vdd_v, 1e-3 * self.vdd_v);
        format!(
            "\n* The bit line is followed until ck rises, then held: its side of vref is the sign.\n\
             .subckt charge_to_pulse_signed_table bl vref en eno ck out sgn vbc vbp vbn vdd\n\
             .model latch sw(vt={half} vh=0 ron=1k roff=1e18)\n\
             bnow now 0 v=v(bl)\n\
             bfollow follow 0 v={vdd}-v(ck)\n\
             slatch now held follow 0 latch\n\
             cheld held 0 10f\n\
             bsgn sgn 0 v=v(held) < v(vref) ? {vdd} : 0\n\
             bleft left 0 v=v(held) < v(vref) ? v(vref)-v(bl)+{up_v:e} : v(bl)-v(vref)-{down_v:e}\n\
             bsrc bl 0 i=v(eno) > {least:e} ? (v(held) < v(vref) ? -{up_a:e} : {down_a:e})*v(eno)*(0.5+0.5*tanh(v(left)/{SOURCE_SOFT_V:e}+5)) : 0\n\
             {out}\
             .ends charge_to_pulse_signed_table\n",
            half = vdd / 2.0,
            up_v = up.v_end_v,
            down_v = down.v_end_v,
            up_a = up.current_a / vdd,
            down_a = down.current_a / vdd,
            out = output(up.soft_v, least),
        )
    }
}

/// The pulse behind `left`, falling over `soft_v` of it.
fn output(soft_v: f64, least_v: f64) -> String {
    format!(
        "bout sharp 0 v=v(eno) > {least_v:e} ? v(eno)*(0.5+0.5*tanh(v(left)/{soft_v:e})) : 0\n\
         rout sharp out 100\n\
         cout out 0 50f\n"
    )
}

/// `lines` of a node's voltage, times `factor`, as ngspice's function, over continuation lines.
fn pwl(node: &str, lines: &Lines, factor: f64) -> String {
    let mut text = format!("pwl(v({node})");
    for (k, (x, y)) in lines.nodes.iter().enumerate() {
        if k > 0 && k % PAIRS_PER_LINE == 0 {
            text += "\n+  ";
        }
        let _ = write!(text, ",{x:.6e},{:.6e}", y * factor);
    }
    text + ")"
}
