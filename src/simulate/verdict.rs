//! What ngspice's words mean. Its return codes are zero for nearly everything, so success has to be shown by the results
//! and failure is read from what it says.
//!
//! Messages are those of ngspice 39; the texts in the tests were recorded from it.

use crate::dataset::Outcome;
use crate::error::{Kind, Problem};

/// Longest message kept [characters].
const MAX_MESSAGE: usize = 300;

/// Why an analysis failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `Nonconvergence`, `Timeout` or `Refused`.
    pub outcome: Outcome,
    /// ngspice's words, in one line.
    pub message: String,
    /// The matrix was singular at some iteration.
    pub singular: bool,
    /// ngspice must be restarted.
    pub fatal: bool,
}

/// Reads what an analysis (with its alters) said; `None` if nothing in it speaks of failure.
pub fn analysis_failure(lines: &[String]) -> Option<Failure> {
    if lines.iter().any(|line| line.contains("condition met: stop")) {
        let message = "more time points than the limit".to_string();
        return Some(Failure { outcome: Outcome::Timeout, message, singular: false, fatal: false });
    }
    let singular = singular_at_last(lines);
    let mut telling: Vec<&str> = Vec::new();
    for line in lines.iter().map(|line| line.trim()).filter(|line| says_failure(line)) {
        if !telling.contains(&line) {
            telling.push(line);
        }
    }
    if telling.is_empty() && singular.is_none() {
        return None;
    }
    let contains = |words: &[&str]| telling.iter().any(|l| words.iter().any(|w| l.to_ascii_lowercase().contains(w)));
    let refused = contains(&[
        "no such",
        "invalid",
        "is not in the circuit",
        "circuit not parsed",
        "aren't any circuits",
        "no assignment",
        "syntax",
        "fatal",
        "can't find",
        "parameter value",
        "not found",
    ]);
    let outcome = if refused && singular.is_none() { Outcome::Refused } else { Outcome::Nonconvergence };
    let fatal = contains(&["fatal: ", "fatal error: detected", "fatal error(s) detected"]);
    let words: Vec<&str> = singular.as_deref().into_iter().chain(telling).collect();
    Some(Failure { outcome, message: one_line(&words), singular: singular.is_some(), fatal })
}

/// What is said of the last singular matrix that ngspice did not get over. A matrix that is singular at an operating point's first
/// iterations, as that of a floating node may be, is a warning only: stepped from greater conductances the analysis goes on.
fn singular_at_last(lines: &[String]) -> Option<String> {
    let last = lines.iter().rposition(|line| line.contains("singular matrix"))?;
    let over = lines[last..].iter().any(|line| line.contains("stepping completed"));
    let line = &lines[last];
    (!over).then(|| line[line.find("singular matrix").unwrap_or(0)..].trim().to_string())
}

/// What an operating point found this way is worth with `bypass=1`: nothing. True gmin stepping changes the gmin inside the
/// devices, and a device that is bypassed keeps the current of the step before: circuits were seen to "converge" with amperes
/// through devices that are off. (Dynamic gmin stepping puts its conductances beside the devices and is sound.)
pub fn stale_operating_point(lines: &[String]) -> bool {
    lines.iter().any(|line| line.contains("True gmin stepping completed"))
}

/// What is wrong with an operating point that ngspice found as the end of a transient: nothing says that the circuit had come to rest by
/// then. The current into a node that holds femtoamperes was seen four nanoamperes off.
pub fn unsettled_operating_point(lines: &[String]) -> bool {
    lines.iter().any(|line| line.contains("Transient op finished"))
}

/// Whether a line speaks of a failed analysis. Warnings and notes of runs that go on do not.
fn says_failure(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    if lower.starts_with("warning") || lower.starts_with("note") || lower.starts_with("trying gmin") {
        return false;
    }
    // "Transient op failed" ends in "aborted" when it matters.
    lower.starts_with("error")
        || lower.starts_with("fatal")
        || lower.starts_with("doanalyses:")
        || ["aborted", "timestep too small", "no such", "interrupted", "cannot alter", "is invalid"]
            .iter()
            .any(|word| lower.contains(word))
}

/// Reads what loading a circuit said; `None` if it loaded. `deck` is the circuit, to find the line that is meant.
pub fn load_problem(lines: &[String], deck: &[String], exited: bool) -> Option<Problem> {
    for (index, line) in lines.iter().enumerate() {
        let next = |offset: usize| lines.get(index + offset).map_or("", |line| line.trim());
        if let Some(name) = between(line, "Undefined parameter [", "]") {
            let near = index.checked_sub(1).and_then(|before| number_after(&lines[before], "line no. "));
            let problem = Problem::new(Kind::UndefinedParameter, format!("parameter `{name}` is not defined"))
                .help("define it with .param, or pass it to the subcircuit");
            return Some(at_line(problem, line_using(deck, &name, near)));
        }
        if let Some(expression) = after(line, "Expression err: ") {
            let near = index.checked_sub(1).and_then(|before| number_after(&lines[before], "line no. "));
            let problem =
                Problem::new(Kind::NetlistSyntax, format!("ngspice cannot read the expression `{expression}`"));
            // An undefined name inside an expression is told just before, and returned above.
            return Some(at_line(problem, near.filter(|n| *n <= deck.len()).or(line_with(deck, expression))));
        }
        if let Some(element) = after(line, "unknown subckt: ") {
            let name = element.split_whitespace().last().unwrap_or(element);
            let problem = Problem::new(Kind::NetlistSyntax, format!("unknown subcircuit `{name}`: {element}"));
            return Some(at_line(problem, line_of(deck, element)));
        }
        if let Some(file) = after(line, "Could not find include file ").or(after(line, "Could not find library file "))
        {
            let problem = Problem::new(Kind::MissingNetlist, format!("ngspice finds no file {file}"));
            return Some(at_line(problem, line_with(deck, file)));
        }
        let numbered = line.contains("substitute") || line.contains(" : ");
        if line.contains("Error on line") && (numbered || line.trim_end().ends_with("line:")) {
            let message = one_line(&[&format!("{}: {}", next(2), next(1))]);
            let number = number_after(line, "Error on line ");
            let mut problem = Problem::new(Kind::NetlistSyntax, message);
            if next(2).contains("modelname") {
                // Device, four nodes, model; ngspice puts the subcircuit's path before a name that it does not find.
                let model = next(1).split_whitespace().nth(5).and_then(|word| word.rsplit('.').next()).unwrap_or("?");
                problem = problem.help(format!(
                    "define model `{model}`, or name its library in [models] of tech.toml; if it is there, draw the device within \
                     the model's bins (lmin to lmax, wmin to wmax)"
                ));
            }
            return Some(at_line(problem, line_of(deck, next(1)).or(number)));
        }
        if let Some(rest) = after(line, "Check line no ") {
            let text = rest.split_once(':').map_or(rest, |(_, text)| text.trim());
            let message = format!("a line that ngspice would silently drop: {text}");
            return Some(at_line(Problem::new(Kind::NetlistSyntax, message), line_of(deck, text)));
        }
    }
    let error = lines.iter().find(|line| line.trim_start().to_ascii_lowercase().starts_with("error"));
    let cause = error.or_else(|| if exited { lines.last() } else { None })?;
    let context = lines.iter().find_map(|line| after(line, "Check line "));
    let words: Vec<&str> = std::iter::once(cause.trim()).chain(context).collect();
    let line = context.and_then(|text| line_of(deck, text)).or_else(|| quoted_line(deck, cause));
    Some(at_line(Problem::new(Kind::NetlistSyntax, one_line(&words)), line))
}

/// The deck line, counted from 1, of the device that a singular matrix names (`check node v1#branch`).
pub fn singular_problem(message: &str, deck: &[String]) -> Problem {
    let mut named = message.split("check node").nth(1).unwrap_or_default().trim_start_matches('s').split_whitespace();
    let name = named.next().unwrap_or_default().trim_end_matches([';', ',']);
    let device = name.trim_end_matches("#branch");
    let device_line = deck.iter().skip(1).position(|line| first_word(line) == device);
    let node_line =
        || deck.iter().skip(1).position(|line| is_element(line) && words(line).skip(1).any(|w| w == device));
    let help = if name.ends_with("#branch") {
        "look for a loop of voltage sources or inductors"
    } else {
        "look for a node without a path for direct current; give it a resistor, or start it with .ic and uic"
    };
    let message = message.split(';').next().unwrap_or(message).trim();
    let problem = Problem::new(Kind::SingularMatrix, message.to_string()).help(help);
    at_line(problem, device_line.or_else(node_line).map(|index| index + 2))
}

fn at_line(mut problem: Problem, line: Option<usize>) -> Problem {
    problem.line = line;
    problem
}

/// Joins words into one line of bounded length.
pub fn one_line(words: &[&str]) -> String {
    let mut message = String::new();
    for word in words.iter().map(|word| word.trim()).filter(|word| !word.is_empty()) {
        if !message.is_empty() {
            message.push_str("; ");
        }
        message.extend(word.chars().map(|c| if c.is_control() { ' ' } else { c }));
    }
    match message.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}...", &message[..end]),
        None => message,
    }
}

fn after<'a>(line: &'a str, marker: &str) -> Option<&'a str> {
    line.find(marker).map(|at| line[at + marker.len()..].trim())
}

fn between(line: &str, open: &str, close: &str) -> Option<String> {
    let rest = &line[line.find(open)? + open.len()..];
    rest.find(close).map(|end| rest[..end].to_string())
}

fn number_after(line: &str, marker: &str) -> Option<usize> {
    let digits: String = after(line, marker)?.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|number| *number > 0)
}

fn words(line: &str) -> impl Iterator<Item = String> {
    line.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '='))
        .filter(|w| !w.is_empty())
        .map(str::to_ascii_lowercase)
}

fn first_word(line: &str) -> String {
    words(line).next().unwrap_or_default()
}

fn is_element(line: &str) -> bool {
    line.trim_start().starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Blanks and case do not count: ngspice rewrites both.
fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase()
}

/// The line with this text: as a whole, else by element name and the most words in common (ngspice shows lines after
/// substitution, with `m.x1.m1` for the `m1` of a subcircuit).
fn line_of(deck: &[String], text: &str) -> Option<usize> {
    let wanted = squeezed(text);
    if wanted.is_empty() {
        return None;
    }
    if let Some(index) = deck.iter().skip(1).position(|line| squeezed(line) == wanted) {
        return Some(index + 2);
    }
    let name = first_word(text);
    let local = name.rsplit('.').next().unwrap_or(&name).to_string();
    let wanted: Vec<String> = words(text).skip(1).collect();
    let candidates = deck.iter().enumerate().skip(1).filter(|(_, line)| first_word(line) == local);
    candidates
        .map(|(index, line)| (words(line).filter(|word| wanted.contains(word)).count(), index))
        .max_by_key(|(common, index)| (*common, std::cmp::Reverse(*index)))
        .map(|(_, index)| index + 1)
}

fn line_with(deck: &[String], text: &str) -> Option<usize> {
    let wanted = squeezed(text);
    deck.iter().skip(1).position(|line| squeezed(line).contains(&wanted)).map(|index| index + 2)
}

/// A line of which ngspice quotes a good part within a longer message.
fn quoted_line(deck: &[String], message: &str) -> Option<usize> {
    let message = squeezed(message);
    let quoted = |line: &String| squeezed(line).len() >= 6 && message.contains(&squeezed(line));
    deck.iter().skip(1).position(quoted).map(|index| index + 2)
}

/// The line that uses parameter `name`: the one that ngspice numbers if it does, else the first.
fn line_using(deck: &[String], name: &str, near: Option<usize>) -> Option<usize> {
    let name = name.to_ascii_lowercase();
    let uses = |line: &str| {
        let line = line.to_ascii_lowercase();
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut found = line.match_indices(&name).map(|(at, m)| (at, at + m.len()));
        let is_element_name = |at: usize| line[..at].trim().is_empty();
        !line.trim_start().starts_with('*')
            && found.any(|(at, end)| {
                !line[..at].ends_with(is_word)
                    && !line[end..].starts_with(is_word)
                    && !is_element_name(at)
                    // `name=` gives it a value, which is not a use.
                    && !line[end..].trim_start().starts_with('=')
            })
    };
    if let Some(number) = near.filter(|number| deck.get(number - 1).is_some_and(|line| uses(line))) {
        return Some(number);
    }
    let bracketed = |line: &String| uses(line) && line.contains(['{', '\'', '=']);
    let rest = || deck.iter().skip(1);
    rest().position(bracketed).or_else(|| rest().position(|line| uses(line))).map(|index| index + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(|line| line.trim().to_string()).collect()
    }

    fn problem(said: &str, deck: &str, exited: bool) -> (Kind, Option<usize>, String) {
        let problem = load_problem(&lines(said), &lines(deck), exited).expect("a problem");
        (problem.kind, problem.line, problem.message)
    }

    #[test]
    fn clean_talk_is_no_failure() {
        let said = "Doing analysis at TEMP = 27.000000 and TNOM = 27.000000
                    Note: Starting dynamic gmin stepping
                    Trying gmin =   1.0000E-03 Note: One successful gmin step
                    Warning: source stepping failed
                    Note: Transient op finished successfully
                    No. of Data Rows : 511";
        assert_eq!(analysis_failure(&lines(said)), None);
        assert_eq!(
            load_problem(&lines("Note: No compatibility mode selected!\nCircuit: an error free title"), &[], false),
            None
        );
    }

    #[test]
    fn only_true_gmin_stepping_leaves_stale_devices() {
        assert!(stale_operating_point(&lines("Note: Starting true gmin stepping\nNote: True gmin stepping completed")));
        assert!(!stale_operating_point(&lines("Note: Dynamic gmin stepping completed")));
    }

    #[test]
    fn failed_analyses_have_outcomes() {
        let of = |said: &str| analysis_failure(&lines(said)).unwrap();
        let small = of("doAnalyses: TRAN:  Timestep too small; time = 1e-9, timestep = 1e-21: trouble with node \"a\"
                        tran simulation(s) aborted");
        assert_eq!(small.outcome, Outcome::Nonconvergence);
        assert!(small.message.contains("trouble with node \"a\"") && !small.fatal && !small.singular);
        assert_eq!(of("3 : condition met: stop  after 50\ntran simulation interrupted").outcome, Outcome::Timeout);
        let device = of("Fatal error: DC Transfer Function: Voltage source, current source, or resistor named \"v9\" is not in the circuit
                         doAnalyses: no such device\ndc simulation(s) aborted");
        assert_eq!((device.outcome, device.fatal), (Outcome::Refused, false));
        let model = of("Fatal: Toxe = -1e-09 is not positive.
                        Fatal error: detected during BSIM4.8.2 parameter checking for\nop simulation(s) aborted");
        assert_eq!((model.outcome, model.fatal), (Outcome::Refused, true));
        assert_eq!(of("Error: no such parameter foo.").outcome, Outcome::Refused);
        assert_eq!(of("Error: TSTOP is invalid, must be greater than zero.").outcome, Outcome::Refused);
        let singular = of("Warning: singular matrix:  check node v1#branch\nop simulation(s) aborted");
        assert_eq!((singular.outcome, singular.singular), (Outcome::Nonconvergence, true));
        // Only the end of a transient in its place.
        let unsettled =
            "Warning: source stepping failed\nNote: Transient op started\nNote: Transient op finished successfully";
        assert_eq!(analysis_failure(&lines(unsettled)), None);
        assert!(
            unsettled_operating_point(&lines(unsettled))
                && !unsettled_operating_point(&lines("Note: Transient op started"))
        );
        // A floating node's operating point that was found all the same, and one that was not.
        let stepped = "Warning: singular matrix:  check node x.st\nNote: Starting dynamic gmin stepping
                       Trying gmin =   1.0000E-03 Note: One successful gmin step\nNote: Dynamic gmin stepping completed";
        assert_eq!(analysis_failure(&lines(stepped)), None);
        let later = of(&format!("{stepped}\nWarning: singular matrix:  check node x.st\ntran simulation(s) aborted"));
        assert!(later.singular && later.message.starts_with("singular matrix:  check node x.st"), "{}", later.message);
    }

    #[test]
    fn singular_matrices_name_device_or_node() {
        let deck = lines("t\nv1 in 0 1\nv2 in 0 2\nc1 a b 1p\n.end");
        let loop_ = singular_problem("singular matrix:  check node v2#branch; op simulation(s) aborted", &deck);
        assert_eq!((loop_.kind, loop_.line), (Kind::SingularMatrix, Some(3)));
        assert_eq!(loop_.message, "singular matrix:  check node v2#branch");
        assert_eq!(singular_problem("singular matrix:  check node a", &deck).line, Some(4));
    }

    #[test]
    fn load_problems_find_their_line() {
        let deck = "t\nv1 in 0 1\nr1 in out {foo}\nr2 out 0 1k\n.end";
        let said = "Netlist line no. 3:\nUndefined parameter [foo]\nNetlist line no. 3:\nCannot compute substitute";
        assert_eq!(problem(said, deck, true).0, Kind::UndefinedParameter);
        assert_eq!(problem(said, deck, true).1, Some(3));

        let deck = "t\n.subckt s a b\n* q in a comment\nr1 a b {q*2}\n.ends\nv1 in 0 1\nx1 in 0 s\n.end";
        let said = "Netlist line no. 0:\nUndefined parameter [q]";
        assert_eq!(problem(said, deck, true).1, Some(4));

        let deck = "t\nv1 in 0 1\nx1 in  out NoSuch\n.end";
        assert_eq!(problem("Error: unknown subckt: x1 in out nosuch", deck, false).1, Some(3));

        let deck = "t\n.subckt s a\nm1 a a 0 0 nch w=1u\n.ends\nx1 in s\nv1 in 0 1\n.end";
        let said = "Error on line 3 or its substitute:\nm.x1.m1 in in 0 0 nch w=1u\ncould not find a valid modelname";
        let (kind, line, message) = problem(said, deck, false);
        assert_eq!((kind, line), (Kind::NetlistSyntax, Some(3)));
        assert!(message.starts_with("could not find a valid modelname: m.x1.m1"));

        let (kind, line, _) =
            problem("Error: Could not find include file nothere.inc", "t\nr1 a 0 1\n.include nothere.inc\n.end", false);
        assert_eq!((kind, line), (Kind::MissingNetlist, Some(3)));

        let said = "Netlist line no. 2:\nExpression err: 1+\nNetlist line no. 2:\nFormula() error.";
        assert_eq!(problem(said, "t\n.param a={1+}\nv1 in 0 {a}\n.end", true).1, Some(2));

        let said = "Error: Mismatch of .subckt ... .ends statements!\nCheck line .subckt s a b";
        assert_eq!(problem(said, "t\n.subckt s a b\nr1 a b 1\n.end", true).1, Some(2));

        let said = "in netlist or included files, will be replaced with '*'.\nCheck line no 3:  !foo 1 2 3";
        assert_eq!(problem(said, "t\nv1 in 0 1\n!foo 1 2 3\n.end", false).1, Some(3));
        assert_eq!(problem("Please check your input netlist.", "t", true).0, Kind::NetlistSyntax);
    }

    #[test]
    fn messages_are_one_bounded_line() {
        assert_eq!(one_line(&["a\tb ", "", "c"]), "a b; c");
        assert_eq!(one_line(&["é".repeat(400).as_str()]).chars().count(), MAX_MESSAGE + 3);
    }
}
