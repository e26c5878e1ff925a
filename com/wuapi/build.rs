//! Makes three things of `../idl`: the vtables and traits of all interfaces (`interfaces.rs`, from layout.tsv), the type library
//! (by widl, from wuapi.idl), and a resource that carries the type library inside the DLL.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

#[path = "build/interfaces.rs"]
mod interfaces;

fn main() {
    println!("cargo::rerun-if-changed=build");
    // Not the folder: widl's own passing files there would make it look changed each time.
    for file in ["wuapi.idl", "oaidl.idl", "layout.tsv", "enums.tsv"] {
        println!("cargo::rerun-if-changed=../idl/{file}");
    }
    println!("cargo::rerun-if-env-changed=STDOLE");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let idl = Path::new("../idl")
        .canonicalize()
        .expect("the folder idl is beside this crate");
    let layout = fs::read_to_string(idl.join("layout.tsv")).expect("layout.tsv is readable");
    let enums = fs::read_to_string(idl.join("enums.tsv")).expect("enums.tsv is readable");
    fs::write(out.join("interfaces.rs"), interfaces::generate(&layout, &enums)).expect("OUT_DIR is writable");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("windows") {
        type_library(&idl, &out);
        shield(&out);
    }
}

/// Compiles the type library and links it as resource `1 TYPELIB`, where `LoadTypeLib` of the DLL's path finds it.
fn type_library(idl: &Path, out: &Path) {
    let library = out.join("wuapi.tlb");
    // A fixed time and a relative name make the same bytes everywhere.
    run(Command::new("x86_64-w64-mingw32-widl")
        .current_dir(idl)
        .env("WIDL_TIME_OVERRIDE", "0")
        .args(["--win64", "-t", "-L"])
        .arg(stdole())
        .arg("-o")
        .arg(&library)
        .arg("wuapi.idl"));
    fs::write(out.join("wuapi.rc"), "1 TYPELIB \"wuapi.tlb\"\n").expect("OUT_DIR is writable");
    run(Command::new("x86_64-w64-mingw32-windres").current_dir(out).args([
        "-O",
        "coff",
        "wuapi.rc",
        "wuapi.res.o",
    ]));
    println!("cargo::rustc-link-arg={}", out.join("wuapi.res.o").display());
}

/// Compiles what stands between Rust and clients that throw.
fn shield(out: &Path) {
    println!("cargo::rerun-if-changed=shield");
    let object = out.join("shield.o");
    run(Command::new("x86_64-w64-mingw32-g++")
        .args(["-c", "-O2", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&object)
        .arg("shield/shield.cpp"));
    println!("cargo::rustc-link-arg={}", object.display());
    // C++'s run time comes along, as a prefix has none, with what it needs itself.
    println!(
        "cargo::rustc-link-arg=-Wl,--start-group,-l:libsupc++.a,-lgcc_eh,-lgcc,-lmingw32,-lmingwex,-lmsvcrt,-lkernel32,--end-group"
    );
}

/// The folder of `stdole2.tlb`, which widl imports: what `STDOLE` says, or where Debian's libwine has it.
fn stdole() -> PathBuf {
    if let Some(folder) = env::var_os("STDOLE") {
        return folder.into();
    }
    let listed = Command::new("dpkg").args(["-L", "libwine"]).output();
    let files = listed
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    files
        .lines()
        .map(Path::new)
        .find(|file| file.ends_with("x86_64-windows/stdole2.tlb"))
        .and_then(Path::parent)
        .expect("stdole2.tlb is in Debian's package libwine; elsewhere set STDOLE to its folder")
        .to_owned()
}

fn run(command: &mut Command) {
    let status = command
        .status()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?} ended with {status}");
}
