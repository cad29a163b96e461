//! The order of modules, and who may print, held by reading the sources.

use std::path::{Path, PathBuf};

/// Every module, each importing only modules above it.
const ORDER: &[&str] = &[
    "error", "units", "expr", "keys", "rng", "spline", "waveform", "project", "tech", "netlist", "dataset", "measure",
    "spec", "sweep", "simulate", "lint", "fit", "compare", "lut", "emulate", "campaign", "validate", "plot", "report",
    "cli",
];

/// Stages that re-run from files: they never import `simulate`, wherever it stands in the order.
const FROM_FILES: &[&str] = &["fit", "compare", "lut", "emulate", "plot", "report"];

/// What only `cli` and `main.rs` may do, and the files that may do it nevertheless, with the reason.
const TALKING: &[&str] = &["println!", "eprintln!", "print!", "eprint!", "process::exit"];
const TALKING_EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "simulate/worker.rs",
    "process::exit",
    "a worker is a process of its own; after ngspice has called its exit handler nothing of it may be unwound or dropped",
)];

#[test]
fn a_module_imports_only_modules_above_it() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let Some(here) = module_of(&file) else { continue };
        let Some(place) = ORDER.iter().position(|module| *module == here) else {
            wrong.push(format!(
                "{}: module `{here}` is not in the order; give it its place in {}",
                file.display(),
                file!()
            ));
            continue;
        };
        for import in imports(&code_of(&text)) {
            let Some(of_import) = ORDER.iter().position(|module| *module == import) else { continue };
            if of_import > place {
                wrong.push(format!("{}: `{here}` imports `{import}`, which stands below it", file.display()));
            }
            if import == "simulate" && FROM_FILES.contains(&here.as_str()) {
                wrong.push(format!("{}: `{here}` works from files and never imports `simulate`", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn only_the_command_line_prints_or_exits() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        if module_of(&file).is_none_or(|module| module == "cli") {
            continue;
        }
        let code = code_of(&text);
        for word in TALKING {
            let excepted = TALKING_EXCEPTIONS.iter().any(|(path, what, _)| file == Path::new(path) && what == word);
            if !excepted && mentions(&code, word) {
                wrong.push(format!("{}: {word} belongs into `cli`", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Every source file below `src/`, by its path there, and its text.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(&root).unwrap().to_path_buf(), text));
            }
        }
    }
    found.sort();
    assert!(found.len() > 5, "no sources below {}", root.display());
    found
}

/// The top-level module that a file of `src/` belongs to; `lib.rs` and `main.rs` stand above all.
fn module_of(file: &Path) -> Option<String> {
    let first = file.components().next().unwrap().as_os_str().to_str().unwrap();
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (!["lib", "main"].contains(&name)).then(|| name.to_string())
}

/// The text without line comments (and so without doc links) and without string contents.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    for line in text.lines() {
        let mut in_string = false;
        let mut previous = ' ';
        let mut characters = line.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\\' if in_string => {
                    characters.next();
                }
                // A quote in single quotes is a character.
                '"' if previous != '\'' => in_string = !in_string,
                '/' if !in_string && characters.peek() == Some(&'/') => break,
                _ if !in_string => code.push(character),
                _ => {}
            }
            previous = character;
        }
        code.push('\n');
    }
    code
}

/// Names that follow `crate::` or a chain of `super::`, also in braces; those that are modules of the crate's root count.
fn imports(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for root in ["crate::", "super::"] {
        for (at, _) in code.match_indices(root) {
            let rest = code[at + root.len()..].trim_start();
            match rest.strip_prefix('{') {
                Some(group) => names.extend(first_names(group)),
                None => names.push(identifier(rest)),
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The first name of every item of a group, `a::{b, c}, d}` giving a and d.
fn first_names(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut names = vec![identifier(group.trim_start())];
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(identifier(group[at + 1..].trim_start())),
            _ => {}
        }
    }
    names
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

/// Whether `code` has `word` where no longer word ends in it (`eprintln!` is not `println!`).
fn mentions(code: &str, word: &str) -> bool {
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_'))
}

#[test]
fn the_reader_of_sources_sees_what_it_should() {
    let text = "use crate::{error::{Kind, Problem}, units, dataset::row};\n\
                // use crate::cli;\n let x = crate::simulate::run(\"crate::plot \\\" //\"); use super::super::fit::Fit;";
    assert_eq!(imports(&code_of(text)), ["error", "units", "dataset", "simulate", "super", "fit"]);
    assert!(mentions("a; println!()", "println!") && !mentions("eprintln!()", "println!"));
    assert_eq!(module_of(Path::new("fit/retention.rs")).as_deref(), Some("fit"));
    assert_eq!(module_of(Path::new("units.rs")).as_deref(), Some("units"));
    assert_eq!(module_of(Path::new("lib.rs")), None);
}
