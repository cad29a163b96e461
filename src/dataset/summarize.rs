//! Distributions per group: a lazy polars query.

use super::{Manifest, Row, Summary};
use crate::error::Result;

#[cfg(not(feature = "dataset"))]
pub(super) fn summarize(_: &Manifest, _: &[&Row], _: &[&str], _: &str) -> Result<Vec<Summary>> {
    Err(super::feature_missing("summarize groups of rows"))
}

/// See [`super::View::summarize`]; the columns are known to exist. Groups keep the order of rows inside them, so sums
/// are added in the same order whatever the number of threads.
#[cfg(feature = "dataset")]
pub(super) fn summarize(manifest: &Manifest, rows: &[&Row], group_by: &[&str], column: &str) -> Result<Vec<Summary>> {
    use polars::prelude::*;

    use super::Group;
    use crate::error::{Error, Kind};

    let internal = |error: PolarsError| Error::new(Kind::Internal, format!("polars cannot summarize: {error}"));
    let keys: Vec<Expr> = group_by.iter().map(|name| col(*name)).collect();
    let number = || col(column);
    let quantile = |q: f64| number().quantile(lit(q), QuantileMethod::Linear);
    let statistics = [
        number().count().cast(DataType::UInt64).alias("n of rows"),
        number().null_count().cast(DataType::UInt64).alias("missing of rows"),
        number().mean().alias("mean of rows"),
        number().std(1).alias("sigma of rows"),
        number().min().alias("min of rows"),
        quantile(0.05).alias("q05 of rows"),
        quantile(0.5).alias("median of rows"),
        quantile(0.95).alias("q95 of rows"),
        number().max().alias("max of rows"),
    ];
    let mut query = super::parquet::points_frame(manifest, rows)?.lazy();
    for key in &keys {
        query = query.filter(key.clone().is_not_null());
    }
    let found = if keys.is_empty() {
        query.select(statistics)
    } else {
        query.group_by_stable(keys.clone()).agg(statistics).sort_by_exprs(keys, SortMultipleOptions::default())
    };
    let found = found.collect().map_err(internal)?;
    let whole = |name: &str, i: usize| -> PolarsResult<u64> { Ok(found.column(name)?.u64()?.get(i).unwrap_or(0)) };
    let float = |name: &str, i: usize| -> PolarsResult<Option<f64>> { Ok(found.column(name)?.f64()?.get(i)) };
    let group = |i: usize| -> PolarsResult<Vec<Group>> {
        let key = |name: &&str| {
            let column = found.column(name)?;
            Ok(match column.str() {
                Ok(labels) => Group::Label(labels.get(i).unwrap_or_default().to_string()),
                Err(_) => Group::Number(column.f64()?.get(i).unwrap_or(f64::NAN)),
            })
        };
        group_by.iter().map(key).collect()
    };
    let summary = |i: usize| -> PolarsResult<Summary> {
        Ok(Summary {
            group: group(i)?,
            n: whole("n of rows", i)?,
            missing: whole("missing of rows", i)?,
            mean: float("mean of rows", i)?,
            sigma: float("sigma of rows", i)?,
            min: float("min of rows", i)?,
            q05: float("q05 of rows", i)?,
            median: float("median of rows", i)?,
            q95: float("q95 of rows", i)?,
            max: float("max of rows", i)?,
        })
    };
    (0..found.height()).map(|i| summary(i).map_err(internal)).collect()
}

#[cfg(all(test, feature = "dataset"))]
mod tests {
    use super::super::samples::{manifest, row};
    use super::super::{Dataset, Group};

    #[test]
    fn groups_are_sorted_and_their_statistics_are_the_textbook_ones() {
        let dataset = Dataset::new(manifest(), (0..60).map(row));
        let found = dataset.all().summarize(&["corner", "v_in_v"], "charge_c").unwrap();
        let groups: Vec<_> = found.iter().map(|summary| summary.group.clone()).collect();
        let expected: Vec<Vec<Group>> = ["ss", "tt"]
            .iter()
            .flat_map(|corner| [0u8, 1, 2].map(|v| (corner, 0.1 * f64::from(v))))
            .map(|(corner, v)| vec![Group::Label(corner.to_string()), Group::Number(v)])
            .collect();
        assert_eq!(groups, expected);
        for (summary, (corner, v)) in
            found.iter().zip(["ss", "tt"].iter().flat_map(|c| [0.0, 0.1, 0.2].map(|v| (c, v))))
        {
            let view = dataset.all().labelled("corner", corner).at("v_in_v", v);
            let mut numbers: Vec<f64> = view.column("charge_c").into_iter().flatten().collect();
            numbers.sort_by(f64::total_cmp);
            let n = numbers.len() as f64;
            let mean = numbers.iter().sum::<f64>() / n;
            let sigma = (numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
            let quantile = |q: f64| {
                let place = q * (n - 1.0);
                let below = numbers[place.floor() as usize];
                below + (numbers[place.ceil() as usize] - below) * place.fract()
            };
            assert_eq!((summary.n as usize, summary.missing as usize), (numbers.len(), view.len() - numbers.len()));
            let pairs = [
                (summary.mean, mean),
                (summary.sigma, sigma),
                (summary.min, numbers[0]),
                (summary.q05, quantile(0.05)),
                (summary.median, quantile(0.5)),
                (summary.q95, quantile(0.95)),
                (summary.max, numbers[numbers.len() - 1]),
            ];
            for (found, expected) in pairs {
                // Sums of ten numbers in another order differ by a few units in the last place.
                assert!((found.unwrap() - expected).abs() <= 1e-13 * expected.abs(), "{found:?} {expected}");
            }
        }
    }

    #[test]
    fn small_and_empty_groups_and_no_groups_are_told_apart() {
        let dataset = Dataset::new(manifest(), [row(0), row(4), row(5), row(10)]);
        let by_value = dataset.all().summarize(&["t_pulse_s"], "charge_c").unwrap();
        assert_eq!(by_value.len(), 4);
        assert_eq!((by_value[1].n, by_value[1].missing, by_value[1].mean), (0, 1, None));
        assert_eq!((by_value[0].n, by_value[0].sigma), (1, None));
        let whole = dataset.all().summarize(&[], "t_pulse_s").unwrap();
        assert_eq!((whole.len(), whole[0].n, whole[0].max), (1, 4, Some(1e-8)));
        assert!(dataset.all().summarize(&["corner"], "nothing").is_err());
        assert_eq!(dataset.all().at("v_in_v", 99.0).summarize(&["corner"], "charge_c"), Ok(vec![]));
    }
}
