//! Debian's version order, compared with dpkg's own answer.

#[path = "reader/generator.rs"]
mod generator;

use std::cmp::Ordering;
use std::process::Command;

use generator::Random;
use wua_apt::version::{compare, is_version};

#[test]
fn random_versions_are_ordered_as_dpkg_orders_them() {
    let mut random = Random::new(7);
    for _ in 0..400 {
        let first = version(&mut random);
        let second = if random.chance(60) {
            changed(&first, &mut random)
        } else {
            version(&mut random)
        };
        assert!(is_version(&first), "{first}");
        if !is_version(&second) {
            continue;
        }
        let expected = match compare(&first, &second) {
            Ordering::Less => "lt",
            Ordering::Equal => "eq",
            Ordering::Greater => "gt",
        };
        let status = Command::new("dpkg")
            .args(["--compare-versions", &first, expected, &second])
            .status();
        assert!(status.unwrap().success(), "{first} {expected} {second}");
    }
}

fn version(random: &mut Random) -> String {
    let mut text = if random.chance(25) {
        format!("{}:", random.below(3))
    } else {
        String::new()
    };
    text.push_str(&random.below(12).to_string());
    for _ in 0..random.below(5) {
        text.push_str(random.pick(&[
            ".", "+", "~", "-", "a", "Z", "rc", "00", "10", "9", "deb", "b", "~~",
        ]));
    }
    text.push_str(random.pick(&["", "", "-1", "-0", "-1+b1", "-1~bpo12+1", "1"]));
    if text.ends_with('-') { text + "0" } else { text }
}

/// Nearly the same version: the interesting neighbours.
fn changed(version: &str, random: &mut Random) -> String {
    let place = 1 + random.below(version.len());
    let (before, after) = version.split_at(place.min(version.len()));
    format!(
        "{before}{}{after}",
        random.pick(&["0", "1", "~", "+", ".", "a", "-0", "-"])
    )
}
