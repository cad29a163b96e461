//! Which lines of two decks differ.

/// Lines kept around a change.
const CONTEXT: usize = 1;

/// Above this product of lengths the middle of two decks is not aligned line by line but told as a whole.
const MOST_CELLS: usize = 4_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Same,
    Less,
    More,
}

/// The lines that differ, `-` only in `a`, `+` only in `b`, with a line of context; at most `most` lines, the last of which says
/// how many are left out. Empty if nothing differs.
pub fn diff(a: &[&str], b: &[&str], most: usize) -> Vec<String> {
    let head = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let tail = a[head..].iter().rev().zip(b[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (inner_a, inner_b) = (&a[head..a.len() - tail], &b[head..b.len() - tail]);
    if inner_a.is_empty() && inner_b.is_empty() {
        return Vec::new();
    }
    let mut steps = vec![(Step::Same, ""); 0];
    steps.extend(a[..head].iter().map(|line| (Step::Same, *line)));
    steps.extend(aligned(inner_a, inner_b));
    steps.extend(a[a.len() - tail..].iter().map(|line| (Step::Same, *line)));
    let near = |k: usize| {
        let (from, to) = (k.saturating_sub(CONTEXT), (k + CONTEXT + 1).min(steps.len()));
        steps[from..to].iter().any(|(step, _)| *step != Step::Same)
    };
    let (mut text, mut gap) = (Vec::new(), false);
    for (k, (step, line)) in steps.iter().enumerate() {
        if !near(k) {
            gap = !text.is_empty();
            continue;
        }
        if std::mem::take(&mut gap) {
            text.push("  ...".to_string());
        }
        let sign = match step {
            Step::Same => ' ',
            Step::Less => '-',
            Step::More => '+',
        };
        text.push(format!("{sign} {line}"));
    }
    if text.len() > most {
        let left_out = text.len() - most + 1;
        text.truncate(most - 1);
        text.push(format!("  ... {left_out} more lines"));
    }
    text
}

/// The longest common subsequence as steps.
fn aligned<'a>(a: &[&'a str], b: &[&'a str]) -> Vec<(Step, &'a str)> {
    let less = || a.iter().map(|line| (Step::Less, *line));
    let more = || b.iter().map(|line| (Step::More, *line));
    if a.len().saturating_mul(b.len()) > MOST_CELLS {
        return less().chain(more()).collect();
    }
    // common[i][j]: how many lines a[i..] and b[j..] share at most.
    let width = b.len() + 1;
    let mut common = vec![0u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i * width + j] = if a[i] == b[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut steps) = (0, 0, Vec::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            steps.push((Step::Same, a[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < a.len() && (j == b.len() || common[(i + 1) * width + j] >= common[i * width + j + 1]) {
            steps.push((Step::Less, a[i]));
            i += 1;
        } else {
            steps.push((Step::More, b[j]));
            j += 1;
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_changed_line_stands_between_its_neighbours() {
        let a = ["t", "r1 a b 1k", "c1 b 0 1p", "v1 a 0 1", "x", "y", "z 1"];
        let b = ["t", "r1 a b 2k", "c1 b 0 1p", "v1 a 0 1", "x", "y", "z 2"];
        let text = diff(&a, &b, 40);
        assert_eq!(
            text,
            ["  t", "- r1 a b 1k", "+ r1 a b 2k", "  c1 b 0 1p", "  ...", "  y", "- z 1", "+ z 2"].map(str::to_string)
        );
        assert_eq!(diff(&a, &b, 3).last().map(String::as_str), Some("  ... 6 more lines"));
        assert!(diff(&a, &a, 40).is_empty());
    }

    proptest! {
        #[test]
        fn taking_away_and_adding_gives_the_other(
            a in proptest::collection::vec("[abc]", 0..12), b in proptest::collection::vec("[abc]", 0..12)
        ) {
            let (a, b): (Vec<&str>, Vec<&str>) =
                (a.iter().map(String::as_str).collect(), b.iter().map(String::as_str).collect());
            let steps = aligned(&a, &b);
            let of = |not: Step| steps.iter().filter(|(s, _)| *s != not).map(|(_, l)| *l).collect::<Vec<_>>();
            prop_assert_eq!(of(Step::More), a);
            prop_assert_eq!(of(Step::Less), b);
        }
    }
}
