//! The candidates of random machines, compared with what the installed APT answers for the same machines.
//!
//! Each machine is a practice tree written by hand: a dpkg status, index and Release files in the lists folder, and
//! preferences. Nothing is downloaded, and nothing outside the temporary folders is touched.

#[path = "reader/generator.rs"]
mod generator;
#[path = "reader/machine.rs"]
mod machine;
#[path = "reader/machines.rs"]
mod machines;

use std::collections::BTreeSet;

use generator::Random;
use machine::{Machine, Upgrade};

use wua_apt::reader::Reading;

/// What our reader and what APT think of a machine.
fn compare(seed: u64) {
    let machine = machines::machine(&mut Random::new(seed));
    let tree = machine.write();
    let apt = tree.apt_list_upgradable();
    let reading = Reading::of(&tree.open()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let ours: BTreeSet<_> = reading
        .candidates
        .iter()
        .map(|candidate| Upgrade::of(candidate, &reading))
        .collect();
    let differing: Vec<_> = apt
        .symmetric_difference(&ours)
        .map(|upgrade| upgrade.package.as_str())
        .collect();
    let missing: Vec<_> = apt.difference(&ours).collect();
    let invented: Vec<_> = ours.difference(&apt).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "seed {seed}\nmissing: {missing:?}\ninvented: {invented:?}\n{}",
        tree.describe(&differing)
    );
    let held: BTreeSet<_> = reading
        .candidates
        .iter()
        .filter(|candidate| candidate.held)
        .map(|one| &*one.record.package)
        .collect();
    assert!(
        held.iter().all(|name| machine.holds(name)),
        "seed {seed}: {held:?}"
    );
}

/// Several tests, so that they run side by side.
macro_rules! compare_machines {
    ($($name:ident: $seeds:expr;)*) => {
        $(#[test]
        fn $name() {
            $seeds.for_each(compare);
        })*
    };
}

compare_machines! {
    random_machines_have_apts_candidates_1: 0..50;
    random_machines_have_apts_candidates_2: 50..100;
    random_machines_have_apts_candidates_3: 100..150;
    random_machines_have_apts_candidates_4: 150..200;
}

#[test]
fn the_random_machines_reach_every_rule() {
    let all: Vec<Machine> = (0..200)
        .map(|seed| machines::machine(&mut Random::new(seed)))
        .collect();
    let preferences: String = all.iter().map(|machine| machine.preferences.join("\n")).collect();
    for form in [
        "Pin: version",
        "Pin: release a=",
        "Pin: origin",
        "never",
        "src:",
        ":any",
        "*",
        "/",
        "Package: *\n",
    ] {
        assert!(preferences.contains(form), "{form}");
    }
    assert!(all.iter().any(|machine| machine.default_release.is_some()));
}
