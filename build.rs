//! Linker options of the program.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let set = |name: &str| std::env::var_os(name).is_some();
    let linux = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux");
    if linux && set("CARGO_FEATURE_SIMULATE") {
        // libngspice is to find these functions of `simulate/ffi.rs` before those of the system's libraries.
        for function in ["GOMP_parallel", "ftime"] {
            println!("cargo:rustc-link-arg-bins=-Wl,--export-dynamic-symbol={function}");
        }
    }
}
