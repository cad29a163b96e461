//! Inputs of a validation, from a seed that no sweep uses.
//!
//! Every fourth column has independent, uniform levels. The others have levels nearer to the middle, shifted together by an
//! amount that rises from column to column, so that phi (and, with shifts of either sign, the output) fills its range.

use crate::rng;

/// Shift of the first and the last correlated K column [span of levels]: phi goes from none to full.
const K_SHIFT: (f64, f64) = (0.0, 0.12);
/// The same for V columns: the output goes from full negative to full positive.
const V_SHIFT: (f64, f64) = (-0.1, 0.1);

/// How old the stored values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AgeClass {
    /// Just written.
    Fresh,
    /// Every K column, and every V row, of its own age.
    Mixed,
    /// All of them at the end of the window.
    Oldest,
}

impl AgeClass {
    /// All classes.
    pub const ALL: [AgeClass; 3] = [AgeClass::Fresh, AgeClass::Mixed, AgeClass::Oldest];

    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            AgeClass::Fresh => "fresh",
            AgeClass::Mixed => "mixed",
            AgeClass::Oldest => "oldest",
        }
    }
}

/// Sizes of a validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Cells per column.
    pub rows: usize,
    /// K columns. Column j drives V rows j, j + k_columns, ...
    pub k_columns: usize,
    /// V columns.
    pub v_columns: usize,
    /// Levels of stored values.
    pub kv_levels: usize,
    /// Levels of the query.
    pub q_levels: usize,
    /// Tokens in the window.
    pub window: usize,
}

/// One tile's inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stimuli {
    /// Age class.
    pub ages: AgeClass,
    /// Query code per row.
    pub query: Vec<usize>,
    /// Level index by K column, then row.
    pub keys: Vec<Vec<usize>>,
    /// Age of each K column [tokens].
    pub key_ages: Vec<usize>,
    /// Level index by V column, then row (token).
    pub values: Vec<Vec<usize>>,
    /// Age of each V row [tokens].
    pub value_ages: Vec<usize>,
}

impl Stimuli {
    /// The tile of `ages` for `seed`.
    pub fn new(seed: u64, ages: AgeClass, size: Size) -> Stimuli {
        let uniform = |sample: usize, what: &str, item: usize| {
            rng::uniform(seed, sample as u64, &format!("validate.{}.{what}", ages.name()), &item.to_string())
        };
        let pick = |levels: usize, u: f64| ((u * levels as f64) as usize).min(levels - 1);
        let query: Vec<usize> = (0..size.rows).map(|i| pick(size.q_levels, uniform(0, "q", i))).collect();
        // A long query turns the same shift of levels into more charge.
        let sum: f64 = query.iter().map(|code| *code as f64 / (size.q_levels - 1) as f64).sum();
        let scale = (0.5 * size.rows as f64 / sum.max(1.0)).min(2.0);
        let column = |j: usize, count: usize, what: &str, (low, high): (f64, f64), scale: f64| {
            let span = size.kv_levels as f64;
            let correlated = !j.is_multiple_of(4);
            let place = (j as f64 + uniform(j, &format!("{what}.shift"), 0)) / count as f64;
            let shift = span * scale * (low + (high - low) * place);
            let level = |i: usize| {
                let u = uniform(j, what, i);
                if correlated {
                    let middle = 0.5 * (u + uniform(j, &format!("{what}.second"), i));
                    (span * middle + shift).floor().clamp(0.0, span - 1.0) as usize
                } else {
                    pick(size.kv_levels, u)
                }
            };
            (0..size.rows).map(level).collect::<Vec<_>>()
        };
        let age = |what: &str, item: usize| match ages {
            AgeClass::Fresh => 0,
            AgeClass::Mixed => pick(size.window, uniform(1, what, item)),
            AgeClass::Oldest => size.window - 1,
        };
        Stimuli {
            ages,
            query,
            keys: (0..size.k_columns).map(|j| column(j, size.k_columns, "k", K_SHIFT, scale)).collect(),
            key_ages: (0..size.k_columns).map(|j| age("k.age", j)).collect(),
            values: (0..size.v_columns).map(|j| column(j, size.v_columns, "v", V_SHIFT, 1.0)).collect(),
            value_ages: (0..size.rows).map(|i| age("v.age", i)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { rows: 64, k_columns: 64, v_columns: 16, kv_levels: 8, q_levels: 16, window: 1024 };

    #[test]
    fn a_seed_gives_the_same_tile_and_another_seed_another() {
        let one = Stimuli::new(1, AgeClass::Mixed, SIZE);
        assert_eq!(one, Stimuli::new(1, AgeClass::Mixed, SIZE));
        assert_ne!(one, Stimuli::new(2, AgeClass::Mixed, SIZE));
        assert!(one.key_ages.iter().any(|age| *age > 900) && one.key_ages.iter().any(|age| *age < 100));
        assert!(one.keys.iter().flatten().all(|level| *level < 8));
    }

    #[test]
    fn ages_follow_their_class() {
        assert!(Stimuli::new(1, AgeClass::Fresh, SIZE).value_ages.iter().all(|age| *age == 0));
        assert!(Stimuli::new(1, AgeClass::Oldest, SIZE).key_ages.iter().all(|age| *age == 1023));
    }
}
