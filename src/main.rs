//! The `gaincell` command: parse, dispatch, exit code.

/// libngspice, which a worker loads, allocates at every time point of a transient; it finds this allocator before the C library's.
#[cfg(all(feature = "simulate", target_os = "linux"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    gaincell::cli::run()
}
