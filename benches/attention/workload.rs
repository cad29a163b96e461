//! What is measured: the emulated array at work.

use std::path::Path;
use std::time::Instant;

use gaincell::emulate::{
    Counter, Die, DieSeed, Evaluation, Extent, Factorized, FactorizedHead, Inputs, Isa, Level, Noise, Options,
    Quantization, TableModel, run,
};
use gaincell::lut::{Table, synthetic};
use gaincell::{Error, Kind, Result, rng};

use super::results::{self, Entry, median};

pub const HEADS: usize = 12;
pub const TOKENS: usize = 1024;
pub const D: usize = 64;
/// The table that `make characterize` writes, and the one of `gaincell run --tech sky130`.
const TABLE: &str = "results/luts/generic28-gain_cell_6t";
const OTHER_TABLE: &str = "results/luts/sky130-gain_cell_6t";
/// Tokens of the comparison with the evaluation cell by cell.
const COMPARED: usize = 256;

/// Spread of the logarithm of the cells' leakage, and noise of each write \[V\] and of a cell's and of a converter's charge at each
/// read \[C\]: magnitudes for a benchmark, whose time does not depend on them.
const LEAKAGE_SIGMA: f64 = 0.2;
const SIGMA_WRITE_V: f64 = 7e-4;
const SIGMA_CELL_C: f64 = 1e-17;
const SIGMA_CONVERTER_C: f64 = 1e-15;

/// Which array is at work.
#[derive(Clone, Copy, PartialEq)]
pub enum Cells {
    Nominal,
    /// Mismatch and leakage of every cell, and fresh noise at every write and read.
    Noisy,
}

/// Arrays and their inputs.
pub struct Workload {
    array: Factorized,
    noisy: Factorized,
    q: Vec<f32>,
    k_v: Vec<f32>,
    v_v: Vec<f32>,
    output: Vec<f32>,
    pools: Vec<rayon::ThreadPool>,
    /// Median of the last prefills at one thread [s].
    prefill_s: Vec<f64>,
}

impl Workload {
    pub fn new(root: &Path) -> Result<Workload> {
        let folder = root.join(TABLE);
        let (table, what) = match Table::read_json(&folder) {
            Ok(table) => (table, folder.display().to_string()),
            Err(_) => (synthetic::table()?, format!("the synthetic table, since {TABLE} is not there")),
        };
        let options = Options { level: Level::Table, ..Options::default() };
        let model = TableModel::new(&table, &options, Vec::new())?;
        let array = Factorized::new(&model, &options, D)
            .map_err(|refusal| Error::new(Kind::Internal, format!("{}: {refusal}", table.name)))?;
        println!("{what}; {} instructions", array.isa().name());
        let noise = Noise {
            seed: 1,
            sigma_write_v: SIGMA_WRITE_V,
            sigma_cell_c: SIGMA_CELL_C,
            sigma_unsigned_c: SIGMA_CONVERTER_C,
            sigma_signed_c: SIGMA_CONVERTER_C,
        };
        let noisy = Options {
            die: Some(DieSeed { seed: 1, sample: 0 }),
            leakage_sigma: LEAKAGE_SIGMA,
            noise: Some(noise),
            heads: HEADS,
            ..options
        };
        let extent = Extent { slots: TOKENS, tile_tokens: noisy.tile_tokens, d: D };
        let dies = (0..HEADS as u64)
            .map(|head| Ok(Die::from_seed(&table, 1, head, extent)?.with_leakage(1, head, LEAKAGE_SIGMA)))
            .collect::<Result<_>>()?;
        let model = TableModel::new(&table, &noisy, dies)?;
        let noisy = Factorized::new(&model, &noisy, D)
            .map_err(|refusal| Error::new(Kind::Internal, format!("{}, a die: {refusal}", table.name)))?;
        // Keys lean with the queries by an amount that differs from token to token, so that S spreads to beyond S_sat.
        let count = HEADS * TOKENS * D;
        let draw = |name: &str, at: usize| rng::uniform(1, at as u64, "attention", name) as f32;
        let key = |at: usize| {
            let lean = draw("lean", at / D);
            0.9 * (draw("k", at) * (1.0 - lean) + 0.75 * lean)
        };
        let pools = [1, 2].map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build());
        Ok(Workload {
            array,
            noisy,
            q: (0..count).map(|at| draw("q", at)).collect(),
            k_v: (0..count).map(key).collect(),
            v_v: (0..count).map(|at| 0.9 * draw("v", at)).collect(),
            output: vec![0.0; count],
            pools: pools
                .into_iter()
                .collect::<std::result::Result<_, _>>()
                .map_err(|error| Error::new(Kind::Internal, error.to_string()))?,
            prefill_s: Vec::new(),
        })
    }

    /// Time of one prefill of all heads [s].
    pub fn prefill(&mut self, cells: Cells, threads: usize) -> f64 {
        let Workload { array, noisy, q, k_v, v_v, output, pools, .. } = self;
        let array = if cells == Cells::Nominal { &*array } else { &*noisy };
        let begin = Instant::now();
        pools[threads - 1].install(|| array.prefill(TOKENS, q, k_v, v_v, output));
        let time_s = begin.elapsed().as_secs_f64();
        if threads == 1 && cells == Cells::Nominal {
            self.prefill_s.push(time_s);
        }
        time_s
    }

    /// Time of one token of all heads, with a full window [s].
    pub fn decode(&mut self, cells: Cells, threads: usize, tokens: usize) -> Result<f64> {
        let Workload { array, noisy, q, k_v, v_v, output, pools, .. } = self;
        let mut heads = full_heads(if cells == Cells::Nominal { array } else { noisy }, k_v, v_v)?;
        pools[threads - 1].install(|| {
            use rayon::prelude::*;
            let begin = Instant::now();
            for token in 0..tokens {
                heads.par_iter_mut().zip(output.par_chunks_mut(TOKENS * D)).enumerate().try_for_each(
                    |(number, (head, output))| {
                        let cells = (number * TOKENS + token % TOKENS) * D..(number * TOKENS + token % TOKENS + 1) * D;
                        head.write(&k_v[cells.clone()], &v_v[cells.clone()])?;
                        head.attend(&q[cells], &mut output[..D])
                    },
                )?;
            }
            Ok(begin.elapsed().as_secs_f64() / tokens as f64)
        })
    }

    /// Decodes with one head for a long time; prints time per token and memory, a tenth at a time.
    pub fn decode_long(&mut self, tokens: usize) -> Result<()> {
        let mut head = FactorizedHead::new(&self.array);
        let mut output = vec![0.0; D];
        println!("{:>10} {:>14} {:>14} {:>12}", "tokens", "us per token", "peak MB", "head bytes");
        for tenth in 0..10 {
            let begin = Instant::now();
            for token in tenth * tokens / 10..(tenth + 1) * tokens / 10 {
                let cells = token % (HEADS * TOKENS) * D..(token % (HEADS * TOKENS) + 1) * D;
                head.write(&self.k_v[cells.clone()], &self.v_v[cells.clone()])?;
                head.attend(&self.q[cells], &mut output)?;
            }
            let per_token = begin.elapsed().as_secs_f64() / (tokens as f64 / 10.0);
            println!(
                "{:>10} {:>14.1} {:>14.1} {:>12}",
                (tenth + 1) * tokens / 10,
                1e6 * per_token,
                results::peak_memory(&[std::process::id()]),
                head.bytes()
            );
        }
        Ok(())
    }

    /// Useful operations per second of prefill, over those of its inner loops alone with all data in the nearest cache.
    pub fn fraction_of_peak(&self, command: &str) -> Entry {
        let isa = self.array.isa();
        let [wide, narrow] = self.array.operations_per_pair().map(|per_pair| {
            let pairs = HEADS * TOKENS * (TOKENS + 1) / 2;
            (per_pair * pairs) as f64
        });
        let peak = peaks(isa);
        let at_peak_s = wide / peak[0] + narrow / peak[1];
        let prefill_s = median(&self.prefill_s);
        let (rate, fraction) = ((wide + narrow) / prefill_s, at_peak_s / prefill_s);
        println!(
            "peak of the inner loops: {:.0} and {:.0} Gop/s (16 and 8 bit); prefill: {:.0} Gop/s, {fraction:.2} of it",
            1e-9 * peak[0],
            1e-9 * peak[1],
            1e-9 * rate
        );
        let against =
            "the inner loops' own rate, 16-bit and 8-bit products in the proportion used, data in the nearest cache";
        Entry::new("emulate.prefill.fraction_of_peak", 1e-9 * rate, "Gop/s", Some(fraction), against, 1, command)
    }
}

/// How far sums of integers are from the evaluation cell by cell, on the tables that are here: worst and root-mean-square share of full
/// scale, of S and of phi.
pub fn nearness(root: &Path, command: &str) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for folder in [TABLE, OTHER_TABLE] {
        let Ok(table) = Table::read_json(&root.join(folder)) else { continue };
        let vdd_v = table.scale.vdd_v;
        let draw = |name: &str, at: usize| rng::uniform(2, at as u64, "nearness", name);
        let count = COMPARED * D;
        let inputs = Inputs {
            shape: [1, COMPARED, D],
            q: (0..count).map(|at| draw("q", at)).collect(),
            k: (0..count).map(|at| vdd_v * draw("k", at)).collect(),
            v: (0..count).map(|at| vdd_v * draw("v", at)).collect(),
        };
        let quantization = Quantization { output: Counter::Exact, ..Quantization::default() };
        let options =
            Options { level: Level::Table, vdd_v, window: COMPARED, tiles: 4, quantization, ..Options::default() };
        let of = |evaluation| run(inputs.clone(), &Options { evaluation, ..options.clone() }, Some(&table));
        let (cells, sums) = (of(Evaluation::PerCell)?, of(Evaluation::Factorized)?);
        for (what, a, b, full) in [("s", &cells.s, &sums.s, table.scale.s_sat), ("phi", &cells.phi, &sums.phi, 1.0)] {
            let errors = || a.iter().zip(b).map(|(a, b)| ((a - b) / full).abs());
            let worst = 100.0 * errors().fold(0.0, f64::max);
            let rms = 100.0 * (errors().map(|e| e * e).sum::<f64>() / a.len() as f64).sqrt();
            println!(
                "{}, {what}: {rms:.4} % rms, at most {worst:.3} % of full scale from cell by cell",
                table.technology
            );
            let name = format!("emulate.{what}.from_per_cell.{}", table.technology);
            let against =
                "the evaluation cell by cell, nominal cells, random levels; ratio: worst element [% of full scale]";
            entries.push(Entry::new(&name, rms, "% of full scale rms", Some(worst), against, 2, command));
        }
    }
    Ok(entries)
}

/// Heads whose window is full.
fn full_heads<'a>(array: &'a Factorized, k_v: &[f32], v_v: &[f32]) -> Result<Vec<FactorizedHead<'a>>> {
    (0..HEADS)
        .map(|number| {
            let mut head = FactorizedHead::numbered(array, number);
            for token in 0..TOKENS {
                let cells = (number * TOKENS + token) * D..(number * TOKENS + token + 1) * D;
                head.write(&k_v[cells.clone()], &v_v[cells])?;
            }
            Ok(head)
        })
        .collect()
}

/// Operations per second of 16-bit and of 8-bit sums of products, the best of some runs.
fn peaks(isa: Isa) -> [f64; 2] {
    const SLOTS: usize = 64;
    const REPEATS: usize = 20_000;
    let (wide, narrow) = (vec![3i16; SLOTS * D], vec![3i8; SLOTS * D]);
    // Queries for narrow weights have each four dimensions twice.
    let (wide_q, narrow_q) = (vec![5i16; D], vec![5u8; 2 * D]);
    let mut out = vec![0; 4 * SLOTS];
    let best = |mut work: Box<dyn FnMut() + '_>| -> f64 {
        let rate = |work: &mut dyn FnMut()| {
            let begin = Instant::now();
            (0..REPEATS).for_each(|_| work());
            (4 * 2 * SLOTS * D * REPEATS) as f64 / begin.elapsed().as_secs_f64()
        };
        (0..5).map(|_| rate(&mut work)).fold(0.0, f64::max)
    };
    let first = best(Box::new(|| {
        isa.dot_wide(std::hint::black_box(&wide), &[wide_q.as_slice(); 4], &mut out);
    }));
    let second = best(Box::new(|| {
        isa.dot_narrow(std::hint::black_box(&narrow), &[narrow_q.as_slice(); 4], &mut out);
    }));
    [first, second]
}
