//! What the standard experiments simulate and how their figures are read.

use super::Experiment;

/// (name of the sweep, title, what was simulated, how to read it)
const TEXTS: &[(&str, &str, &str, &str)] = &[
    (
        "device",
        "Transistors",
        "Drain and gate current of every transistor flavour against gate voltage, at W = 1 µm and the cell's channel \
         length, with the drain at 50 mV and at the supply. On-current, off-current, subthreshold swing, DIBL and gate \
         leakage are taken from these curves and compared with the technology's targets where these are stated for this \
         temperature.",
        "A straight flank on the logarithmic axis is subthreshold conduction; its slope is the swing, and the horizontal \
         distance of the two curves of one flavour at low current is the effect of the drain voltage. A panel at the \
         right, where targets are judged, divides every measured figure by its target: what lies in the band is within \
         tolerance.",
    ),
    (
        "write",
        "Write",
        "A level is driven onto the write bit line and written through the transmission gate into a cell that held the \
         lowest or the highest level before; then the write enable closes and the bit line returns to its hold bias.",
        "The stored voltage should lie on the diagonal. Settling is what the pulse was too short for, and differs between \
         the two previous levels; injection is the charge that the closing gate leaves on the storage node and the \
         coupling of the bit line, and differs between levels. Their sum is the write error that the table carries.",
    ),
    (
        "retention",
        "Retention",
        "After a transistor-level write the cell holds while the write bit line stays at a fixed bias. Nothing is \
         refreshed; leakage through the closed write gate and through the gates of the read stage moves the stored voltage.",
        "Markers are SPICE, lines the leakage model started from the same voltage, dashes the published exponential with \
         one time constant for all levels. The lower panel is the model's rate of drift: where it crosses zero, a cell \
         stays where it is, and that voltage depends on the hold bias.",
    ),
    (
        "nonlinearity",
        "Charge per word-line pulse",
        "One cell on a bit line held at a voltage; its word line is pulsed, and the charge that it draws from the bit line \
         is integrated. Swept are stored voltage, pulse width and bit-line voltage; points drawn at random between the \
         grid's are kept from the fit to judge it.",
        "A perfect multiplier would be a straight line through zero at mid level, proportional to pulse width and blind to \
         the bit line. The first figure shows how far the cell is from the line and how far the published cubic is from \
         the cell; the second, whether charge is proportional to time down to the shortest pulse; the third, what a bit \
         line that moves during the read costs. The lower panels show what the fitted form misses.",
    ),
    (
        "readout",
        "Charge-to-pulse converters",
        "A known charge is put on the bit-line capacitor and the converter turns it into the width of a pulse: the first \
         kind clips negative charge to no pulse, the second gives width and sign.",
        "The straight part is the gain; where it leaves zero is the offset, and where it stops is saturation, which should \
         coincide with the full pulse. The lower panels show what the piecewise fit misses, in picoseconds.",
    ),
    (
        "variability",
        "Mismatch",
        "Threshold voltage and current factor of every transistor are drawn from Pelgrom's law, independently, with a seed \
         that is part of the sweep; every die is simulated at all levels, and the converters at three charges.",
        "Histograms are dice, the line is the Gaussian of the same standard deviation, dashes the Gaussian of \
         the standard deviation that the legend names as expected; where the two part, or the bars lean, the response is not \
         linear in the draws. The map shows which fitted parameters of a cell move together. The last figure (of sweeps that the full \
         profile runs) has quantiles in standard deviations: a normal quantity lies on the dashes, lines are the fitted distributions, \
         markers dice that no fit has seen; beside it what process corners do to the scatter, below how long each level lasts.",
    ),
    (
        "noise",
        "Noise",
        "ngspice's `.noise` of the selected cell's bit-line current at eight stored voltages, of the conversion current while it \
         flows, and of the comparator with its output held at the crossing. The noise of the stored voltage is kT/C with the \
         capacitance that the ramp measured.",
        "Markers are ngspice, lines the sum of a white and a flicker part fitted to every other frequency. A pulse weighs frequencies \
         up to the dotted line evenly and averages what is faster. What is slower than a token's age moves all reads of a stored \
         value alike and is not counted as noise.",
    ),
    (
        "validation",
        "SPICE against emulator",
        "Whole columns of cells, both converters and the chain between them are simulated in SPICE from stored voltages \
         that come from a transistor-level write and hold; the emulator computes the same from the lookup table. No column \
         is left out, and nothing in the emulator was fitted to columns.",
        "Every marker is one element of the first product (φ) or of the signed output, as a fraction of the full pulse, \
         before the counter. On the diagonal the two agree. The panels below show the error where it occurs and how it is \
         distributed; the limit applies to the root mean square. Gray: the published cubic on the same charge scale.",
    ),
    (
        "budget",
        "Error budget",
        "The same sub-tiles are emulated with every effect, with one, with all but one, and with every subset of the six \
         that matter most. Errors are root mean squares of φ and of a tile's signed output: against ideal arithmetic \
         (linear products and clips of the same quantized inputs), and against the validation's columns in SPICE.",
        "A bar is how much the error changes. Against ideal arithmetic an effect adds error; against SPICE, which has all \
         effects, leaving it out of the emulator does, so that its bars point to the left. Errors add as roots of squares, \
         and some cancel: an effect alone and the same effect last differ. Shapley values are between and sum to the total.",
    ),
];

/// Names of the experiments that have a text, in the order of the page.
pub fn names() -> impl Iterator<Item = &'static str> {
    TEXTS.iter().map(|(name, ..)| *name)
}

/// An experiment with its standard text, without figures and models; `None` for one that has none.
pub fn standard(name: &str) -> Option<Experiment> {
    let (id, title, explanation, how_to_read) = TEXTS.iter().find(|(id, ..)| *id == name)?;
    let (id, title, explanation) = (id.to_string(), title.to_string(), explanation.to_string());
    Some(Experiment { id, title, explanation, how_to_read: how_to_read.to_string(), ..Experiment::default() })
}

/// Limits of what any of these results say.
pub fn scope() -> Vec<String> {
    [
        "Circuits are simulated at schematic level: no layout parasitics but the capacitors that the netlists name, no \
         supply drop, no coupling between neighbouring columns.",
        "The embedded technology is a generic one whose models are open; its absolute numbers are plausible for the node \
         but belong to no foundry.",
        "One temperature and supply, and typical corners, unless a table above says otherwise.",
        "Mismatch is Pelgrom's local variation of threshold and current factor; no global variation, ageing or gradients.",
        "Device noise is not part of the transients; its model comes from small-signal analyses at fixed operating points.",
        "Fitted models and tables hold inside their validity box; outside of it they refuse.",
    ]
    .map(str::to_string)
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_complete_and_its_name_an_anchor() {
        for (name, ..) in TEXTS {
            let experiment = standard(name).unwrap();
            assert!(experiment.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert!(experiment.explanation.len() > 120 && experiment.how_to_read.ends_with('.'), "{name}");
            assert!(!experiment.explanation.contains("  "), "{name}");
        }
        assert_eq!(standard("nothing"), None);
    }
}
