//! Distributions per group of rows.

use std::cmp::Ordering;

use super::frame::number;
use super::{Group, Row, Summary};

/// See [`super::View::summarize`]; the columns are known to exist. A group's numbers are added in the order of its rows.
pub(super) fn summarize(rows: &[&Row], group_by: &[&str], column: &str) -> Vec<Summary> {
    let key = |row: &Row, name: &str| match row.labels.get(name) {
        Some(label) => Some(Group::Label(label.clone())),
        None => number(row, name).map(Group::Number),
    };
    let keys = |row: &Row| group_by.iter().map(|name| key(row, name)).collect::<Option<Vec<Group>>>();
    let mut keyed: Vec<(Vec<Group>, Option<f64>)> =
        rows.iter().filter_map(|row| Some((keys(row)?, number(row, column)))).collect();
    keyed.sort_by(|(a, _), (b, _)| compare(a, b));
    if keyed.is_empty() && group_by.is_empty() {
        return vec![distribution(Vec::new(), &[])];
    }
    keyed
        .chunk_by(|(a, _), (b, _)| compare(a, b) == Ordering::Equal)
        .map(|rows| distribution(rows[0].0.clone(), &rows.iter().map(|(_, number)| *number).collect::<Vec<_>>()))
        .collect()
}

/// Numbers before labels, each in rising order.
fn compare(a: &[Group], b: &[Group]) -> Ordering {
    let one = |pair: (&Group, &Group)| match pair {
        (Group::Number(a), Group::Number(b)) => a.total_cmp(b),
        (Group::Label(a), Group::Label(b)) => a.cmp(b),
        (Group::Number(_), Group::Label(_)) => Ordering::Less,
        (Group::Label(_), Group::Number(_)) => Ordering::Greater,
    };
    a.iter().zip(b).map(one).find(|order| *order != Ordering::Equal).unwrap_or(Ordering::Equal)
}

fn distribution(group: Vec<Group>, found: &[Option<f64>]) -> Summary {
    let numbers: Vec<f64> = found.iter().copied().flatten().collect();
    let mut sorted = numbers.clone();
    sorted.sort_by(f64::total_cmp);
    let n = numbers.len();
    let mean = (n > 0).then(|| numbers.iter().sum::<f64>() / n as f64);
    let squares = |mean: f64| numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
    let quantile = |share: f64| {
        let place = share * n.saturating_sub(1) as f64;
        let (below, above) = (sorted.get(place.floor() as usize)?, sorted.get(place.ceil() as usize)?);
        Some(below + (above - below) * place.fract())
    };
    Summary {
        group,
        n: n as u64,
        missing: (found.len() - n) as u64,
        mean,
        sigma: mean.filter(|_| n > 1).map(|mean| (squares(mean) / (n - 1) as f64).sqrt()),
        min: sorted.first().copied(),
        q05: quantile(0.05),
        median: quantile(0.5),
        q95: quantile(0.95),
        max: sorted.last().copied(),
    }
}

#[cfg(test)]
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
