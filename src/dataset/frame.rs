//! Reading a run: what fits and figures take their numbers from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::manifest::count;
use super::parquet::{POINTS, RUNTIME, decode_points, decode_runtime};
use super::run::{JOURNAL, MANIFEST};
use super::{FileSeal, Journal, Manifest, Outcome, Record, Row, Runtime, Status};
use crate::error::{Error, Kind, Problem, Result};

/// A run's rows, sorted by index, and what made them.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// What the rows' columns are and what made them.
    pub manifest: Manifest,
    /// One row per point, sorted by index.
    pub rows: Vec<Row>,
}

/// Some rows of a dataset, in the order of their index. Cheap to narrow: nothing is copied.
#[derive(Debug, Clone)]
pub struct View<'a> {
    manifest: &'a Manifest,
    rows: Vec<&'a Row>,
}

/// What a group of rows has in common.
#[derive(Debug, Clone, PartialEq)]
pub enum Group {
    /// A swept number, in the base unit.
    Number(f64),
    /// A swept name.
    Label(String),
}

/// A column's distribution within one group, in the column's unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// What the group has in common, in the order in which the columns were named.
    pub group: Vec<Group>,
    /// Rows that have the number.
    pub n: u64,
    /// Rows that have not.
    pub missing: u64,
    /// Mean; `None` if no row has the number, as are the following.
    pub mean: Option<f64>,
    /// Sample standard deviation (n - 1); `None` below two rows.
    pub sigma: Option<f64>,
    /// Least.
    pub min: Option<f64>,
    /// 5 % quantile, linearly interpolated between order statistics, as are the following.
    pub q05: Option<f64>,
    /// Median.
    pub median: Option<f64>,
    /// 95 % quantile.
    pub q95: Option<f64>,
    /// Greatest.
    pub max: Option<f64>,
}

impl Dataset {
    /// A dataset of these rows, in whatever order they come. Of several rows of one index the last counts.
    pub fn new(manifest: Manifest, rows: impl IntoIterator<Item = Row>) -> Dataset {
        let by_index: BTreeMap<u64, Row> = rows.into_iter().map(|row| (row.index, row)).collect();
        Dataset { manifest, rows: by_index.into_values().collect() }
    }

    /// Reads the run in `dir`. A run that was finished is read from its table, any other (or one without a table) from
    /// its journal, as far as it has come; nothing is written or locked.
    ///
    /// # Errors
    /// [`Kind::DataDamaged`] if the manifest, the table or the journal is damaged or of another schema version;
    /// [`Kind::FeatureMissing`] if only the table is there and this build has no polars; [`Kind::Io`].
    pub fn read(dir: &Path) -> Result<Dataset> {
        let manifest = Manifest::read(&dir.join(MANIFEST))?;
        let rows = match table(dir, &manifest, POINTS)? {
            Some((path, bytes)) => decode_points(&path, bytes)?,
            None => journal(dir, &manifest)?.into_values().map(|(row, _)| row).collect(),
        };
        Ok(Dataset::new(manifest, rows))
    }

    /// How the rows of the run in `dir` were made, by index; from where [`Dataset::read`] takes the rows.
    ///
    /// # Errors
    /// As [`Dataset::read`].
    pub fn read_runtimes(dir: &Path) -> Result<BTreeMap<u64, Runtime>> {
        let manifest = Manifest::read(&dir.join(MANIFEST))?;
        Ok(match table(dir, &manifest, RUNTIME)? {
            Some((path, bytes)) => decode_runtime(&path, bytes)?.into_iter().collect(),
            None => journal(dir, &manifest)?.into_iter().map(|(index, (_, runtime))| (index, runtime)).collect(),
        })
    }

    /// Every row, failed ones too.
    pub fn all(&self) -> View<'_> {
        View { manifest: &self.manifest, rows: self.rows.iter().collect() }
    }

    /// The good rows: what fits use. Rows of a relaxed tier and a guard's repetitions are not among them.
    pub fn ok(&self) -> View<'_> {
        self.all().filter(|row| row.good_up_to(0))
    }

    /// Rows that ended well at a relaxed tier, and that [`Dataset::ok`] leaves out.
    pub fn relaxed(&self) -> View<'_> {
        self.all().filter(|row| row.outcome == Outcome::Ok && row.tier > 0)
    }

    /// Rows by the name of their outcome, every outcome named.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        count(&self.rows)
    }

    /// The axis values that a curve is sampled at; `None` if there is no such curve.
    pub fn grid(&self, name: &str) -> Option<&[f64]> {
        self.manifest.measurements.iter().find(|measurement| measurement.name == name)?.curve_at.as_deref()
    }
}

impl<'a> View<'a> {
    /// The rows.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a Row> + '_ {
        self.rows.iter().copied()
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows that `keep` keeps.
    pub fn filter(&self, keep: impl Fn(&Row) -> bool) -> View<'a> {
        View { manifest: self.manifest, rows: self.iter().filter(|row| keep(row)).collect() }
    }

    /// The rows whose swept value `name` is `value`, to one part in a billion (the same number computed in two ways).
    pub fn at(&self, name: &str, value: f64) -> View<'a> {
        self.filter(|row| row.values.get(name).is_some_and(|found| same(*found, value)))
    }

    /// The rows whose label `name` is `label`.
    pub fn labelled(&self, name: &str, label: &str) -> View<'a> {
        self.filter(|row| row.labels.get(name).is_some_and(|found| found == label))
    }

    /// A column's numbers, one per row: a swept value or a scalar measurement; `None` where a row has none.
    pub fn column(&self, name: &str) -> Vec<Option<f64>> {
        self.iter().map(|row| number(row, name)).collect()
    }

    /// A column's numbers where every row must have one.
    ///
    /// # Errors
    /// [`Kind::BadInput`] if there is no such column, naming those there are, or a row has no number.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        self.known(name)?;
        let found = |row: &Row| {
            number(row, name).ok_or_else(|| {
                Problem::new(Kind::BadInput, format!("point {} ({}) has no number here", row.index, row.outcome))
                    .key(name)
                    .help("take good rows only, or a column's optional numbers")
                    .into()
            })
        };
        self.iter().map(found).collect()
    }

    /// A curve, one per row; `None` where a row has none. [`Dataset::grid`] says where it is sampled.
    pub fn curve(&self, name: &str) -> Vec<Option<&'a [f64]>> {
        self.iter().map(|row| row.measured.get(name).and_then(|value| value.curve())).collect()
    }

    /// The different numbers of a column, ascending.
    pub fn unique(&self, name: &str) -> Vec<f64> {
        let mut numbers: Vec<f64> = self.column(name).into_iter().flatten().collect();
        numbers.sort_by(f64::total_cmp);
        numbers.dedup_by(|b, a| same(*a, *b));
        numbers
    }

    /// The different labels of a column, sorted.
    pub fn unique_labels(&self, name: &str) -> Vec<&'a str> {
        let mut labels: Vec<&str> = self.iter().filter_map(|row| row.labels.get(name)).map(String::as_str).collect();
        labels.sort_unstable();
        labels.dedup();
        labels
    }

    /// The rows apart by a swept value, ascending; rows without it are in none.
    pub fn split(&self, name: &str) -> Vec<(f64, View<'a>)> {
        let keys: Vec<f64> = self.filter(|row| row.values.contains_key(name)).unique(name);
        keys.into_iter().map(|key| (key, self.at(name, key))).collect()
    }

    /// The distribution of `column` (a swept value or a scalar measurement) over each group of rows that agree in every
    /// column of `group_by` (swept values and labels; none means one group); sorted by group. Numbers are grouped by
    /// exact equality; rows without one of the keys are in no group.
    ///
    /// # Errors
    /// [`Kind::BadInput`] if there is no such column, naming those there are.
    pub fn summarize(&self, group_by: &[&str], column: &str) -> Result<Vec<Summary>> {
        for key in group_by {
            self.known(key)?;
        }
        self.known(column)?;
        Ok(super::summarize::summarize(&self.rows, group_by, column))
    }

    /// The rows as a polars data frame with the columns of `points.parquet`, for queries beyond [`View::summarize`].
    ///
    /// # Errors
    /// [`Kind::Internal`] if polars refuses the columns.
    #[cfg(feature = "dataset")]
    pub fn to_polars(&self) -> Result<polars::prelude::DataFrame> {
        super::parquet::points_frame(self.manifest, &self.rows)
    }

    fn known(&self, name: &str) -> Result<()> {
        let mut names: Vec<&str> = self.manifest.values.iter().map(|column| column.name.as_str()).collect();
        names.extend(self.manifest.labels.iter().map(String::as_str));
        let scalars = self.manifest.measurements.iter().filter(|measurement| measurement.curve_at.is_none());
        names.extend(scalars.map(|measurement| measurement.name.as_str()));
        if names.contains(&name) {
            return Ok(());
        }
        Err(Problem::new(Kind::BadInput, format!("sweep `{}` has no such column", self.manifest.sweep))
            .key(name)
            .accepted(names.join(", "))
            .into())
    }
}

/// A finished run's table, if this build should read it; checked against the manifest's seal.
fn table(dir: &Path, manifest: &Manifest, name: &str) -> Result<Option<(PathBuf, Vec<u8>)>> {
    let Some(seal) = manifest.files.get(name).filter(|_| manifest.status != Status::Running) else { return Ok(None) };
    if cfg!(not(feature = "dataset")) && dir.join(JOURNAL).exists() {
        return Ok(None);
    }
    let path = dir.join(name);
    let bytes = std::fs::read(&path).map_err(|error| Error::io(&path, "read the table", error))?;
    if FileSeal::of(&bytes) != *seal {
        return Err(Problem::new(Kind::DataDamaged, "the table is not what the run wrote")
            .file(&path)
            .accepted(format!("{} bytes, BLAKE3 {}", seal.bytes, seal.blake3))
            .help("run the sweep again: rows that are in the journal or the store are not simulated twice")
            .into());
    }
    Ok(Some((path, bytes)))
}

/// The journal's records by index. A point may have been tried again: its last record counts.
fn journal(dir: &Path, manifest: &Manifest) -> Result<BTreeMap<u64, Record>> {
    let records = Journal::read(&dir.join(JOURNAL), &manifest.identity())?;
    Ok(records.into_iter().map(|record| (record.0.index, record)).collect())
}

pub(super) fn number(row: &Row, name: &str) -> Option<f64> {
    row.values.get(name).copied().or_else(|| row.measured.get(name)?.scalar())
}

fn same(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

#[cfg(test)]
mod tests {
    use super::super::samples::{manifest, row};
    use super::*;

    fn dataset() -> Dataset {
        Dataset::new(manifest(), (0..12).rev().map(|index| Row { tier: 0, ..row(index) }))
    }

    #[test]
    fn relaxed_tiers_and_guards_are_kept_apart_from_what_fits_use() {
        let mut rows: Vec<Row> = (0..4).map(|index| Row { tier: 0, outcome: Outcome::Ok, ..row(index) }).collect();
        rows[1].tier = 2;
        rows[2].labels.insert("set".into(), "guard".into());
        let dataset = Dataset::new(manifest(), rows);
        let indices = |view: View<'_>| view.iter().map(|row| row.index).collect::<Vec<_>>();
        assert_eq!((indices(dataset.ok()), indices(dataset.relaxed())), (vec![0, 3], vec![1]));
    }

    #[test]
    fn views_narrow_and_keep_the_order_of_the_design() {
        let dataset = dataset();
        assert_eq!(dataset.ok().len(), 10);
        assert_eq!((dataset.counts()["ok"], dataset.counts()["nonconvergence"], dataset.counts()["crash"]), (10, 2, 0));
        let view = dataset.ok().at("v_in_v", 0.1 * (1.0 + 1e-12)).labelled("corner", "ss");
        assert_eq!(view.iter().map(|row| row.index).collect::<Vec<_>>(), [1, 7]);
        assert_eq!(dataset.all().unique("v_in_v"), [0.0, 0.1, 0.2]);
        assert_eq!(dataset.all().unique_labels("corner"), ["ss", "tt"]);
        let sizes: Vec<(f64, usize)> = dataset.ok().split("v_in_v").iter().map(|(v, view)| (*v, view.len())).collect();
        assert_eq!(sizes, [(0.0, 3), (0.1, 3), (0.2, 4)]);
    }

    #[test]
    fn columns_and_curves_are_aligned_with_rows_and_tell_what_is_missing() {
        let dataset = dataset();
        let charges = dataset.all().column("charge_c");
        assert_eq!((charges.len(), charges[2], charges[4]), (12, Some(-1e-15 * 2.1), None));
        assert_eq!(dataset.ok().curve("v_store_v")[1], Some(&[0.9, 0.9 - 0.01, 0.45][..]));
        assert_eq!(dataset.grid("v_store_v"), Some(&[0.0, 1e-3, 1e-2][..]));
        assert_eq!(dataset.ok().numbers("charge_c").map(|numbers| numbers.len()), Ok(10));
        let error = dataset.all().numbers("charge_c").unwrap_err();
        assert!(error.to_string().contains("point 4 (nonconvergence) has no number"), "{error}");
        let error = dataset.ok().numbers("charge").unwrap_err();
        assert!(error.to_string().contains("accepted: t_pulse_s, v_in_v, corner, charge_c"), "{error}");
    }
}
