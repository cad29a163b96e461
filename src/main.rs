//! The `gaincell` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        #[cfg(feature = "simulate")]
        ["worker", "--fd", fd] => match fd.parse() {
            Ok(fd) => ExitCode::from(gaincell::simulate::worker_main(fd)),
            Err(_) => ExitCode::from(gaincell::Kind::Usage.exit_code()),
        },
        _ => ExitCode::from(gaincell::Kind::Usage.exit_code()),
    }
}
