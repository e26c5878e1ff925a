//! Turns `codes.tsv` into the constants of `HResult` and the table `HResult::ALL`.
//!
//! The table is the only place where result codes are written down. This script checks its form
//! (columns, order, uniqueness) and stops the build with the line number of the first fault.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

const COLUMNS: &str = "value\tname\tmeaning\tcause\tnext step";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=codes.tsv");
    let table = fs::read_to_string("codes.tsv").expect("codes.tsv lies beside build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("codes.rs");
    fs::write(out, generate(&table)).expect("OUT_DIR can be written");
}

/// The Rust text for the whole table.
fn generate(table: &str) -> String {
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some(COLUMNS), "codes.tsv:1: wrong heading");

    let (mut constants, mut entries) = (String::new(), String::new());
    let (mut names, mut previous) = (HashSet::new(), None);
    for (index, line) in lines.enumerate() {
        let number = index + 2;
        let cells: Vec<&str> = line.split('\t').collect();
        let [value, name, meaning, cause, next_step] = cells[..] else {
            panic!("codes.tsv:{number}: {} columns instead of 5", cells.len());
        };
        let code = u32::from_str_radix(value, 16)
            .unwrap_or_else(|error| panic!("codes.tsv:{number}: value `{value}`: {error}"));
        assert!(previous < Some(code), "codes.tsv:{number}: values must rise");
        assert!(names.insert(name), "codes.tsv:{number}: `{name}` stands twice");
        assert!(!meaning.is_empty(), "codes.tsv:{number}: `{name}` has no meaning");
        assert_eq!(
            cause.is_empty(),
            next_step.is_empty(),
            "codes.tsv:{number}: cause without next step"
        );
        previous = Some(code);

        writeln!(
            constants,
            "    #[doc = {:?}]",
            format!("`0x{code:08X}`: {meaning}.")
        )
        .expect("text");
        writeln!(constants, "    pub const {name}: Self = Self(0x{code:08X});").expect("text");
        writeln!(
            entries,
            "    CodeInfo {{ value: HResult::{name}, name: {name:?}, meaning: {meaning:?}, cause: {:?}, next_step: {:?} }},",
            optional(cause),
            optional(next_step),
        )
        .expect("text");
    }
    format!("impl HResult {{\n{constants}}}\n\nconst CODES: &[CodeInfo] = &[\n{entries}];\n")
}

fn optional(cell: &str) -> Option<&str> {
    (!cell.is_empty()).then_some(cell)
}
