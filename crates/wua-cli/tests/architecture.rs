//! The crate graph is the one that ARCHITECTURE.md draws: whoever adds an arrow says so there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use cargo_metadata::{DependencyKind, MetadataCommand};

const HEADING: &str = "## The crate graph";

/// The lines `CRATE -> CRATE CRATE …` of the first fenced block below the heading.
fn drawn() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ARCHITECTURE.md");
    let text = fs::read_to_string(path).expect("ARCHITECTURE.md");
    let mut lines = text
        .lines()
        .skip_while(|line| *line != HEADING)
        .skip_while(|line| !line.starts_with("```"))
        .skip(1);
    let block: Vec<String> = lines
        .by_ref()
        .take_while(|line| !line.starts_with("```"))
        .map(|line| line.trim_end().to_owned())
        .collect();
    assert!(
        !block.is_empty(),
        "ARCHITECTURE.md has no block below `{HEADING}`"
    );
    block
}

/// The same lines from what cargo knows: normal dependencies among the crates of the workspace.
fn built() -> Vec<String> {
    let metadata = MetadataCommand::new()
        .manifest_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .other_options(["--offline".into(), "--locked".into()])
        .no_deps()
        .exec()
        .expect("cargo metadata");
    let packages = metadata.workspace_packages();
    let names: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut lines: Vec<String> = packages
        .iter()
        .map(|package| {
            let normal = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind == DependencyKind::Normal);
            let ours: BTreeSet<&str> = normal
                .map(|dependency| &*dependency.name)
                .filter(|name| names.contains(name))
                .collect();
            let arrow = format!(
                "{} -> {}",
                package.name,
                ours.into_iter().collect::<Vec<_>>().join(" ")
            );
            arrow.trim_end().to_owned()
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn the_crate_graph_is_the_one_that_is_drawn() {
    assert_eq!(drawn(), built());
}

#[test]
fn nothing_points_at_a_front_and_arrows_point_inward() {
    for line in built() {
        let (from, to) = line.split_once(" ->").expect("an arrow");
        for crate_name in to.split_whitespace() {
            assert_ne!(crate_name, "wua-cli", "{line}");
            assert_ne!(crate_name, "wua-testkit", "{line}: it is for development");
            assert!(from != "wua-types", "the vocabulary knows nobody: {line}");
            assert!(
                !(from == "wua-engine" && crate_name == "wua-apt"),
                "the engine knows no package manager: {line}"
            );
        }
    }
}
