//! Which `alter` commands bring an element to new values.

use super::tokens;
use crate::expr::spice_number;

/// What a change of an element's line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlterPlan {
    /// These commands suffice.
    Commands(Vec<String>),
    /// The circuit has to be loaded again.
    Reload,
}

const FUNCTIONS: [&str; 5] = ["pulse", "pwl", "sin", "exp", "sffm"];

/// Plans the change of one top-level line. Whether an element is alterable does not depend on the values in its line, so
/// a line with `{...}` may be asked too; then only the variant of the answer counts.
pub fn plan_line(text: &str) -> AlterPlan {
    let words = tokens(text);
    let name = words.first().map(|w| w.to_ascii_lowercase()).unwrap_or_default();
    match name.as_bytes().first() {
        Some(b'v' | b'i') => plan_source(&name, &words),
        Some(b'r' | b'c' | b'l') if words.len() == 4 && !words[3].contains('=') => {
            AlterPlan::Commands(vec![format!("alter {name} = {}", words[3])])
        }
        _ => AlterPlan::Reload,
    }
}

fn plan_source(name: &str, words: &[String]) -> AlterPlan {
    // `pulse(0 1 2n)`, `pulse (0 1)` and `pulse 0 1` are the same to SPICE: open the parentheses, then read word by word.
    let rest = words.iter().skip(3).map(String::as_str).collect::<Vec<_>>().join(" ");
    let flat = rest.replace(['(', ')', ','], " ");
    let flat = tokens(&flat);
    let is_value = |word: &str| spice_number(word).is_some() || word.starts_with('{');
    let mut commands = Vec::new();
    let mut i = 0;
    while i < flat.len() {
        let word = flat[i].to_ascii_lowercase();
        if FUNCTIONS.contains(&word.as_str()) {
            let values: Vec<_> = flat[i + 1..].iter().take_while(|w| is_value(w)).cloned().collect();
            i += 1 + values.len();
            let plain: Vec<_> = values.iter().map(|v| plain_number(v)).collect();
            commands.push(format!("alter @{name}[{word}] = [ {} ]", plain.join(" ")));
        } else if word == "dc" && i + 1 < flat.len() {
            commands.push(format!("alter {name} dc = {}", flat[i + 1]));
            i += 2;
        } else if word == "ac" {
            i += 1 + flat[i + 1..].iter().take_while(|w| is_value(w)).count();
        } else if i == 0 && is_value(&word) {
            commands.push(format!("alter {name} dc = {word}"));
            i += 1;
        } else {
            return AlterPlan::Reload;
        }
    }
    if commands.is_empty() { AlterPlan::Reload } else { AlterPlan::Commands(commands) }
}

/// `alter`'s vectors know no suffixes of their own in every version: write plain numbers.
fn plain_number(word: &str) -> String {
    match spice_number(word) {
        Some(value) if word.bytes().any(|b| b.is_ascii_alphabetic()) => format!("{value:e}"),
        _ => word.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(text: &str) -> Vec<String> {
        match plan_line(text) {
            AlterPlan::Commands(commands) => commands,
            AlterPlan::Reload => vec!["reload".into()],
        }
    }

    #[test]
    fn sources_and_passives_are_altered_the_rest_is_loaded_again() {
        assert_eq!(commands("VBL bl 0 0.45"), ["alter vbl dc = 0.45"]);
        assert_eq!(commands("v1 a 0 dc 1 pulse (0, 1, 2n)"), ["alter v1 dc = 1", "alter @v1[pulse] = [ 0 1 2e-9 ]"]);
        assert_eq!(commands("i1 a 0 pwl(0 0 1n 1u)"), ["alter @i1[pwl] = [ 0 0 1e-9 1e-6 ]"]);
        assert_eq!(commands("c1 a 0 8f"), ["alter c1 = 8f"]);
        assert_eq!(commands("x1 a sub w=1u"), ["reload"]);
        assert_eq!(commands("c1 a 0 8f ic=0"), ["reload"]);
        assert_eq!(commands(".ic v(a)=1"), ["reload"]);
    }
}
