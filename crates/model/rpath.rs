//! Build script of every package that links libtorch: it sets the programs' search path to
//! `../lib`, where `cargo xtask dist` puts the libraries, and then to the library that they
//! were linked with, so that they run without `LD_LIBRARY_PATH`, under cargo, directly, and
//! on a machine without this checkout.

// Cargo reads a build script's standard output.
#![allow(clippy::print_stdout)]

fn main() {
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    println!("cargo:rustc-check-cfg=cfg(fuzzing)"); // what cargo-fuzz sets
    let Some(lib) = std::env::var_os("DEP_TCH_LIBTORCH_LIB") else {
        return;
    };
    // Resolves the link `.libtorch`, so that a program that was copied out of the checkout
    // still finds the library in the cache.
    let lib = std::fs::canonicalize(&lib).unwrap_or_else(|_| lib.into());
    let linux = std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux");
    let own_folder = if linux { "$ORIGIN" } else { "@loader_path" };
    println!("cargo:rustc-link-arg=-Wl,-rpath,{own_folder}/../lib");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    if linux {
        println!("cargo:rustc-link-arg=-Wl,--no-as-needed");
        println!("cargo:rustc-link-arg=-ltorch");
    }
}
