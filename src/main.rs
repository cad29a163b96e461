//! The `gaincell` command: parse, dispatch, exit code.

fn main() -> std::process::ExitCode {
    gaincell::cli::run()
}
