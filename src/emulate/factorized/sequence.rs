//! Whole sequences: queries of one run of slots read together, runs and sequences in parallel.

use rayon::prelude::*;

use super::cells::RUN;
use super::engine::{Factorized, Kept, Work};
use super::levels::Levelled;
use super::store::Store;

/// Queries of one parallel task, whole runs.
const QUERIES_PER_TASK: usize = 4 * RUN;
/// Queries of one task beyond the window, which first writes the window before them.
const QUERIES_PER_LATE_TASK: usize = 256;

/// Results of a run of queries.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// Shape (queries, slots), if wanted.
    pub s: Vec<f64>,
    pub phi: Vec<f64>,
    /// Counts of the outputs, shape (queries, d).
    pub counts: Vec<f32>,
}

impl Factorized {
    /// Causal attention of sequences: Q, K, V and the result of shape (sequences, tokens, d); Q in [0, 1], K and V in
    /// volts within the supply; sequence n is head n. Values are taken as they are: out of range they are clipped, NaN counts as 0.
    pub fn prefill(&self, tokens: usize, q: &[f32], k_v: &[f32], v_v: &[f32], output: &mut [f32]) {
        let heads = q.len().div_ceil((tokens * self.d()).max(1)).max(1);
        let parts = self.sequences(tokens, q, k_v, v_v, false, heads);
        let mut rest = output;
        for part in &parts {
            let (to, others) = rest.split_at_mut(part.counts.len().min(rest.len()));
            to.iter_mut().zip(&part.counts).for_each(|(to, count)| *to = (f64::from(*count) * self.step()) as f32);
            rest = others;
        }
    }

    /// As [`Factorized::prefill`], in parts in the order of the queries; with S and phi if `keep`; sequence n is on the
    /// arrays of head n modulo `heads`.
    pub(crate) fn sequences<T: Levelled>(
        &self,
        tokens: usize,
        q: &[T],
        k_v: &[T],
        v_v: &[T],
        keep: bool,
        heads: usize,
    ) -> Vec<Results> {
        let (d, window) = (self.d(), self.window());
        let early = tokens.min(window);
        let stores: Vec<Store> = (k_v.par_chunks(tokens * d), v_v.par_chunks(tokens * d))
            .into_par_iter()
            .enumerate()
            .map(|(sequence, (k_v, v_v))| {
                let mut store = self.store(sequence % heads);
                self.write_all(&mut store, 0..early, k_v, v_v, &mut Work::default());
                store
            })
            .collect();
        let mut tasks = Vec::new();
        for sequence in 0..stores.len() {
            let starts = (0..early).step_by(QUERIES_PER_TASK).map(|t| (t, (t + QUERIES_PER_TASK).min(early)));
            let late = (early..tokens).step_by(QUERIES_PER_LATE_TASK);
            let late = late.map(|t| (t, (t + QUERIES_PER_LATE_TASK).min(tokens)));
            tasks.extend(starts.chain(late).map(|(from, to)| (sequence, from..to)));
        }
        tasks
            .into_par_iter()
            .map_init(Work::default, |work, (sequence, queries)| {
                let whole = sequence * tokens * d..(sequence + 1) * tokens * d;
                let (q, k_v, v_v) = (&q[whole.clone()], &k_v[whole.clone()], &v_v[whole]);
                let mut results = Results::new(queries.len(), if keep { early } else { 0 }, d);
                if queries.end <= early {
                    for from in queries.clone().step_by(RUN) {
                        let run = from..(from + RUN).min(queries.end);
                        let kept = results.kept(run.start - queries.start..run.end - queries.start, early);
                        self.attend(&stores[sequence], from, &q[from * d..run.end * d], work, kept);
                        results.put(run.start - queries.start, self, work);
                    }
                } else {
                    let mut store = self.store(sequence % heads);
                    let before = queries.start + 1 - window;
                    self.write_all(&mut store, before..queries.start, k_v, v_v, work);
                    for token in queries.clone() {
                        self.write_all(&mut store, token..token + 1, k_v, v_v, work);
                        let at = token - queries.start;
                        let kept = results.kept(at..at + 1, early);
                        self.attend(&store, token, &q[token * d..(token + 1) * d], work, kept);
                        results.put(at, self, work);
                    }
                }
                results
            })
            .collect()
    }

    fn write_all<T: Levelled>(
        &self,
        store: &mut Store,
        tokens: std::ops::Range<usize>,
        k_v: &[T],
        v_v: &[T],
        work: &mut Work,
    ) {
        let d = self.d();
        for token in tokens {
            let cells = token * d..(token + 1) * d;
            self.write(store, token, &k_v[cells.clone()], &v_v[cells], work);
        }
    }
}

impl Results {
    /// Outputs in fractions of a full pulse, shape (queries, d).
    pub fn output(&self, array: &Factorized) -> impl Iterator<Item = f64> {
        let step = array.step();
        self.counts.iter().map(move |count| f64::from(*count) * step)
    }

    fn new(queries: usize, slots: usize, d: usize) -> Self {
        Results {
            s: vec![0.0; queries * slots],
            phi: vec![0.0; queries * slots],
            counts: Vec::with_capacity(queries * d),
        }
    }

    /// The rows of these queries, if S and phi are kept.
    fn kept(&mut self, queries: std::ops::Range<usize>, slots: usize) -> Option<Kept<'_>> {
        if self.s.is_empty() {
            return None;
        }
        let rows = queries.start * slots..queries.end * slots;
        Some(Kept { s: &mut self.s[rows.clone()], phi: &mut self.phi[rows], slots })
    }

    /// Appends the outputs that `work` holds, which are those from query `first` on.
    fn put(&mut self, first: usize, array: &Factorized, work: &Work) {
        debug_assert_eq!(self.counts.len(), first * array.d());
        for counts in work.counts.chunks_exact(array.columns()) {
            self.counts.extend_from_slice(&counts[..array.d()]);
        }
    }
}
