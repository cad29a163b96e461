//! docs/own-bench.md, file by file and command by command, in a folder that is no project; docs/own-cell.md, in a copy of
//! this one.
#![cfg(all(feature = "simulate", feature = "dataset"))]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A fenced block: the info string's words, and the text.
fn blocks(text: &str) -> Vec<(Vec<String>, String)> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((info.split_whitespace().map(str::to_string).collect(), body.join("\n") + "\n"));
        }
    }
    blocks
}

/// The commands of a console block, each with the output that the page shows.
fn commands(block: &str) -> Vec<(&str, Vec<&str>)> {
    let mut commands: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command, Vec::new())),
            (None, Some((_, output))) => output.push(line),
            (None, None) => panic!("output before a command: {line}"),
        }
    }
    commands
}

/// Words agree if they are equal, if the page says `...`, or if both are numbers within 5 %: another version of ngspice
/// may move the last digits, and the page is no reference for them.
fn agrees(shown: &str, found: &str) -> bool {
    if shown == "..." || shown == found {
        return true;
    }
    match (shown.parse::<f64>(), found.parse::<f64>()) {
        (Ok(a), Ok(b)) => shown.contains(['e', '.']) && (a - b).abs() <= 0.05 * a.abs().max(b.abs()),
        _ => false,
    }
}

fn run(command: &str, folder: &Path) -> String {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_gaincell"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {command}")])
        .current_dir(folder)
        .env("PATH", path)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Writes a page's files below `dir` and runs its commands there; how many of each.
fn follow(page: &str, dir: &Path) -> (usize, usize) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let (mut files, mut ran) = (0, 0);
    for (info, body) in blocks(&fs::read_to_string(page).unwrap()) {
        match info.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [_, file] => {
                let path = dir.join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, body).unwrap();
                files += 1;
            }
            ["console"] => {
                for (command, shown) in commands(&body) {
                    let found = run(command, dir);
                    let words = |line: &str| line.split_whitespace().map(str::to_string).collect::<Vec<_>>();
                    let lines: Vec<_> = found.lines().collect();
                    let same = lines.len() == shown.len()
                        && lines.iter().zip(&shown).all(|(found, shown)| {
                            let (found, shown) = (words(found), words(shown));
                            // The rule below a header is as long as its column, which times make wider.
                            let rule = shown.iter().all(|word| word.bytes().all(|b| b == b'-')) && !shown.is_empty();
                            found.len() == shown.len() && (rule || found.iter().zip(&shown).all(|(f, s)| agrees(s, f)))
                        });
                    assert!(same, "$ {command}\nshown:\n{}\nfound:\n{found}", shown.join("\n"));
                    ran += 1;
                }
            }
            _ => {}
        }
    }
    (files, ran)
}

#[test]
fn the_page_of_own_benches_does_what_it_says() {
    let dir = tempfile::Builder::new().prefix("my own bench ").tempdir().unwrap();
    assert!(dir.path().ancestors().all(|folder| !folder.join("gaincell.toml").exists()));
    let (files, ran) = follow("docs/own-bench.md", dir.path());
    assert!(files >= 7 && ran >= 8, "{files} files, {ran} commands");
}

#[test]
fn the_page_of_own_cells_does_what_it_says() {
    let dir = tempfile::Builder::new().prefix("my own cell ").tempdir().unwrap();
    for name in ["gaincell.toml", "netlists", "sweeps"] {
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(name), &dir.path().join(name));
    }
    let (files, ran) = follow("docs/own-cell.md", dir.path());
    assert_eq!((files, ran), (3, 3));
}

/// A file or a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

#[test]
fn without_a_project_the_program_brings_its_own_and_writes_here_or_to_out() {
    let dir = tempfile::Builder::new().prefix("no project ").tempdir().unwrap();
    let out = dir.path().join("else where");
    let text = run("gaincell lint write --json && gaincell sweep write --json --out 'else where'", dir.path());
    assert!(text.contains("\"errors\": 0") && text.contains("\"failed\": 0"), "{text}");
    assert!(out.join("results/write").is_dir(), "{text}");
    assert!(text.contains("no project here"), "{text}");
    // A deck by itself asks for nothing, so nothing is unpacked for it.
    let alone = tempfile::tempdir().unwrap();
    fs::write(alone.path().join("x.cir"), "rc\nv1 a 0 1\nr1 a 0 1k\n.op\n.end\n").unwrap();
    assert_eq!(run("gaincell lint x.cir", alone.path()), "x.cir: 0 errors, 0 warnings, 0 notes in 1 file\n");
    assert_eq!(fs::read_dir(alone.path()).unwrap().count(), 1);
}
