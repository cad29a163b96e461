//! A bench plus values makes a deterministic deck, and its hash.

mod alter;
mod deck;
mod instances;
mod library;
mod parameter;
mod reach;
mod source;
mod technology;

pub use deck::{Analysis, AnalysisKind, Deck, LoadedCircuit};
pub use instances::{DRAWN_SOURCES, DeviceInstance};
pub(crate) use reach::dropped;
pub use source::{Line, Origin, Source, locate};
pub use technology::{TechFiles, TechLibrary};

/// Splits a SPICE line into tokens: white space outside braces, quotes and parentheses separates; `a = b` is one token `a=b`.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut current = String::new();
    let (mut depth, mut quoted) = (0usize, false);
    for c in text.chars() {
        match c {
            '{' | '(' if !quoted => depth += 1,
            '}' | ')' if !quoted => depth = depth.saturating_sub(1),
            '\'' => quoted = !quoted,
            _ => {}
        }
        if c.is_whitespace() && depth == 0 && !quoted {
            if !current.is_empty() {
                tokens.push(std::mem::take(&mut current));
            }
        } else {
            current.push(c);
        }
    }
    if !current.is_empty() {
        tokens.push(current);
    }
    let mut joined: Vec<String> = Vec::new();
    for token in tokens {
        match joined.last_mut() {
            Some(last) if token.starts_with('=') || last.ends_with('=') => last.push_str(&token),
            _ => joined.push(token),
        }
    }
    joined
}

/// The expressions inside `{...}` and `'...'` of a line.
pub(crate) fn braced(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(['{', '\'']) {
        let close = if rest.as_bytes()[start] == b'{' { '}' } else { '\'' };
        let Some(length) = rest[start + 1..].find(close) else { break };
        found.push(rest[start + 1..start + 1 + length].to_string());
        rest = &rest[start + length + 2..];
    }
    found
}

/// What the `.options` among a deck's lines give an option, as it is written; the last one counts in ngspice.
pub(crate) fn option_text<'a>(lines: impl Iterator<Item = &'a str>, name: &str) -> Option<String> {
    let words = lines.map(tokens).filter(|words| {
        words.first().is_some_and(|head| [".options", ".option", ".opt"].iter().any(|o| head.eq_ignore_ascii_case(o)))
    });
    let given = words.flatten().filter_map(|word| {
        let (key, value) = word.split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim_matches(['{', '}', '\'']).to_string())
    });
    given.last()
}

/// Whether a circuit's options let ngspice leave out devices whose voltages hardly move.
pub fn bypasses(lines: &[String]) -> bool {
    option_text(lines.iter().map(String::as_str), "bypass").is_some_and(|value| value != "0")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_last_option_counts() {
        let deck =
            |text: &str| format!("bypass=1 in a title\n{text}\n.end").lines().map(String::from).collect::<Vec<_>>();
        assert!(super::bypasses(&deck(".options reltol=1e-3 BYPASS = 1")));
        assert!(!super::bypasses(&deck(".options bypass=1 gmin=1e-15\n.opt itl1=1000 bypass=0")));
        assert!(!super::bypasses(&deck("* .options bypass=1")));
    }

    #[test]
    fn tokens_keep_braces_and_join_assignments() {
        assert_eq!(
            super::tokens("xa n1 n2 sub w = {2 * w} l='a + b'"),
            ["xa", "n1", "n2", "sub", "w={2 * w}", "l='a + b'"]
        );
        assert_eq!(super::tokens("v1 a 0 pulse(0 {v} 1n)"), ["v1", "a", "0", "pulse(0 {v} 1n)"]);
        assert_eq!(super::braced("a {x+1} 'y' {z}"), ["x+1", "y", "z"]);
    }
}
