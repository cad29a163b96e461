//! `setup.sh` on machines that it is told it is on: a PATH of pretended commands, and an empty system.
#![cfg(unix)]

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A machine without anything but what is put onto it.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    /// Rust 1.89, nobody's root, no package manager; the few tools that the script itself uses.
    fn bare() -> Machine {
        let machine = Machine { folder: tempfile::Builder::new().prefix("a machine").tempdir().unwrap() };
        std::fs::create_dir(machine.bin()).unwrap();
        for tool in ["sed", "dirname", "env"] {
            let found = std::env::split_paths(&std::env::var_os("PATH").unwrap())
                .map(|folder| folder.join(tool))
                .find(|path| path.exists())
                .unwrap_or_else(|| panic!("{tool} is on no PATH"));
            symlink(found, machine.bin().join(tool)).unwrap();
        }
        machine.command("cargo", "exit 0").command("rustc", "echo 'rustc 1.89.0 (29483883e 2025-08-04)'");
        machine.command("id", "echo 1000");
        machine
    }

    fn bin(&self) -> PathBuf {
        self.folder.path().join("bin")
    }

    fn system(&self) -> PathBuf {
        self.folder.path().join("system")
    }

    /// Puts a command onto the PATH.
    fn command(&self, name: &str, body: &str) -> &Machine {
        let path = self.bin().join(name);
        std::fs::write(&path, format!("#!/bin/bash\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        self
    }

    /// Puts a file into the system's folders.
    fn file(&self, path: &str) -> &Machine {
        let path = self.system().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
        self
    }

    /// Puts everything that building needs into the system's folders.
    fn complete(&self) -> &Machine {
        self.command("cc", "exit 0");
        self.file("usr/include/ngspice/sharedspice.h").file("usr/lib/x86_64-linux-gnu/libngspice.so.0");
        self.file("usr/lib/llvm-14/lib/libclang.so.1").file("usr/lib/llvm-14/lib/clang/14.0.6/include/stdbool.h")
    }

    fn setup(&self, arguments: &[&str]) -> Output {
        Command::new("/bin/bash")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("setup.sh"))
            .args(arguments)
            .env_clear()
            .env("PATH", self.bin())
            .env("HOME", self.folder.path())
            .env("GAINCELL_SETUP_ROOT", self.system())
            .output()
            .unwrap()
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn without_root_or_sudo_the_commands_for_every_system_are_printed() {
    let output = Machine::bare().setup(&[]);
    let told = told(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    for line in [
        "sudo apt-get update && sudo apt-get install gcc libc6-dev libngspice0-dev libclang-dev\n",
        "sudo dnf install gcc glibc-devel libngspice-devel clang-devel\n",
        "sudo pacman -S --needed base-devel ngspice clang\n",
        "nix-shell -p gcc libngspice rustPlatform.bindgenHook\n",
    ] {
        assert!(told.contains(line), "{told}");
    }
}

#[test]
fn only_what_is_missing_is_asked_for() {
    let machine = Machine::bare();
    machine.complete();
    std::fs::remove_file(machine.system().join("usr/lib/llvm-14/lib/libclang.so.1")).unwrap();
    // The C++ library of that name is another one.
    machine.file("usr/lib/llvm-14/lib/libclang-cpp.so.14");
    let told = told(&machine.setup(&[]));
    assert!(told.contains("sudo apt-get install libclang-dev\n"), "{told}");
    assert!(told.contains("nix-shell -p rustPlatform.bindgenHook\n"), "{told}");
}

#[test]
fn where_nothing_is_missing_nothing_is_said_or_done() {
    let machine = Machine::bare();
    machine.complete().command("apt-get", "echo called; exit 1");
    let output = machine.setup(&[]);
    assert_eq!((output.status.code(), told(&output).as_str()), (Some(0), ""));
}

#[test]
fn root_installs_after_saying_what_and_a_dry_run_installs_nothing() {
    let machine = Machine::bare();
    let log = machine.folder.path().join("log");
    machine.complete().command("id", "echo 0");
    let header = machine.system().join("usr/include/ngspice/sharedspice.h");
    std::fs::remove_file(&header).unwrap();
    // This pretended apt-get brings the header.
    let body = format!("echo \"$*\" >>'{}'\n[ \"$1\" = update ] || : >'{}'", log.display(), header.display());
    machine.command("apt-get", &body);

    let dry = machine.setup(&["--dry-run"]);
    assert_eq!(dry.status.code(), Some(0), "{}", told(&dry));
    assert!(told(&dry).contains("apt-get install -y -qq --no-install-recommends"), "{}", told(&dry));
    assert!(!log.exists());

    let real = machine.setup(&[]);
    assert_eq!(real.status.code(), Some(0), "{}", told(&real));
    assert!(
        told(&real).starts_with("gaincell needs, and this machine does not have:\n  libngspice"),
        "{}",
        told(&real)
    );
    let log = std::fs::read_to_string(log).unwrap();
    let expected = "update -qq\ninstall -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 libngspice0-dev\n";
    assert_eq!(log, expected);
    assert_eq!(told(&machine.setup(&[])), "", "a second time there is nothing to do");
}

#[test]
fn a_sudo_is_used_only_if_it_asks_for_no_password() {
    let machine = Machine::bare();
    machine.command("apt-get", "exit 0").command("sudo", "exit 1");
    assert_eq!(machine.setup(&["--dry-run"]).status.code(), Some(3));
    machine.command("sudo", "exit 0");
    let output = machine.setup(&["--dry-run"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(told(&output).contains("sudo -n apt-get update"), "{}", told(&output));
}

#[test]
fn an_installation_that_brings_nothing_is_a_failure() {
    let machine = Machine::bare();
    machine.command("id", "echo 0").command("apt-get", "exit 100");
    let output = machine.setup(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("Still missing after the installation:\n  cc "), "{}", told(&output));
}

#[test]
fn a_missing_or_old_rust_is_told_first() {
    let machine = Machine::bare();
    machine.complete().command("rustc", "echo 'rustc 1.88.0 (6b00bc388 2025-06-23)'");
    let output = machine.setup(&[]);
    assert_eq!(output.status.code(), Some(4));
    assert!(told(&output).contains("Rust 1.88 is too old; gaincell needs 1.89 or newer."), "{}", told(&output));
    std::fs::remove_file(machine.bin().join("rustc")).unwrap();
    let output = machine.setup(&[]);
    assert_eq!(output.status.code(), Some(4));
    assert!(told(&output).contains("Rust (cargo and rustc) is missing"), "{}", told(&output));
    machine.command("rustc", "echo 'rustc 2.0.0 (000000000 2030-01-01)'");
    assert_eq!(machine.setup(&[]).status.code(), Some(0));
}

#[test]
fn an_unknown_option_is_refused() {
    let output = Machine::bare().setup(&["--fast"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("accepted: --for-tests, --dry-run, --help"), "{}", told(&output));
}
