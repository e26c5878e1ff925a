//! Whether the machine will stay on: its battery, and whether it is going down. Read from files below the machine's root, so
//! that a practice machine has the power it is given.

use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

/// Where the kernel tells of mains and batteries.
const SUPPLIES: &str = "sys/class/power_supply";
/// Where systemd writes down a shutdown that was ordered for later.
const SCHEDULED: &str = "run/systemd/shutdown/scheduled";
/// A shutdown that is nearer than this counts as begun: packages take that long.
const NEAR: Duration = Duration::from_secs(15 * 60);

/// The charge of a machine that runs on battery, in percent: the mean of its batteries. None on mains, without a battery, or
/// where nothing is known.
pub fn battery_percent(root: &Path) -> Option<u8> {
    let supplies = fs::read_dir(root.join(SUPPLIES)).ok()?.flatten();
    let (mut charges, mut is_drawn_from) = (Vec::new(), false);
    for supply in supplies {
        let text = |name: &str| fs::read_to_string(supply.path().join(name)).unwrap_or_default();
        let is = |name: &str, value: &str| text(name).trim() == value;
        if is("type", "Battery") {
            // A mouse's battery says nothing of the machine.
            if is("scope", "Device") || is("present", "0") {
                continue;
            }
            // Of two batteries one may rest while the other is drawn from.
            if is("status", "Charging") {
                return None;
            }
            is_drawn_from |= is("status", "Discharging");
            charges.extend(
                text("capacity")
                    .trim()
                    .parse::<u8>()
                    .ok()
                    .filter(|percent| *percent <= 100),
            );
        } else if is("online", "1") {
            return None;
        }
    }
    if !is_drawn_from {
        return None;
    }
    let sum: u32 = charges.iter().map(|percent| u32::from(*percent)).sum();
    let mean = sum.checked_div(u32::try_from(charges.len()).ok()?)?;
    u8::try_from(mean).ok()
}

/// Whether the machine is going down: systemd is stopping it, or somebody ordered that for the next quarter of an hour.
pub fn is_going_down(root: &Path, now: Timestamp) -> bool {
    let order = fs::read_to_string(root.join(SCHEDULED)).unwrap_or_default();
    is_ordered(&order, now) || (is_booted_by_systemd(root) && is_stopping())
}

/// `USEC=` is when, in microseconds since 1970; `MODE=` what, `dry-` before it for a rehearsal.
fn is_ordered(order: &str, now: Timestamp) -> bool {
    let value = |name: &str| order.lines().find_map(|line| line.strip_prefix(name));
    let time = value("USEC=").and_then(|text| Timestamp::from_microsecond(text.parse().ok()?).ok());
    let is_near = |time: Timestamp| time.duration_since(now) <= NEAR.try_into().expect("minutes");
    time.is_some_and(is_near) && value("MODE=").is_none_or(|mode| !mode.starts_with("dry-"))
}

/// Whether `root` is the running machine and systemd its first process (sd_booted(3)).
pub(crate) fn is_booted_by_systemd(root: &Path) -> bool {
    root == Path::new("/") && Path::new("/run/systemd/system").is_dir()
}

fn is_stopping() -> bool {
    let output = std::process::Command::new("systemctl")
        .arg("is-system-running")
        .output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"stopping")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with these supplies, each `NAME FILE=VALUE …`.
    fn machine(supplies: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("temporary folder");
        for supply in supplies {
            let (name, files) = supply.split_once(' ').expect("a name and files");
            let folder = root.path().join(SUPPLIES).join(name);
            fs::create_dir_all(&folder).expect("folder");
            for (file, value) in files.split(' ').filter_map(|file| file.split_once('=')) {
                fs::write(folder.join(file), format!("{value}\n")).expect("file");
            }
        }
        root
    }

    fn check(supplies: &[&str], expected: Option<u8>) {
        assert_eq!(
            battery_percent(machine(supplies).path()),
            expected,
            "{supplies:?}"
        );
    }

    #[test]
    fn only_a_battery_that_is_being_emptied_counts() {
        check(&[], None);
        check(
            &[
                "BAT0 type=Battery status=Discharging capacity=17",
                "AC type=Mains online=0",
            ],
            Some(17),
        );
        check(
            &[
                "BAT0 type=Battery status=Discharging capacity=17",
                "AC type=Mains online=1",
            ],
            None,
        );
        check(&["BAT0 type=Battery status=Charging capacity=17"], None);
        check(
            &[
                "BAT0 type=Battery status=Discharging capacity=10",
                "BAT1 type=Battery status=Discharging capacity=31",
            ],
            Some(20),
        );
        // One of two rests, and is charge all the same.
        for (rests, expected) in [("Unknown capacity=2", 6), ("Full capacity=100", 55)] {
            let other = format!("BAT1 type=Battery status={rests}");
            check(
                &["BAT0 type=Battery status=Discharging capacity=10", &other],
                Some(expected),
            );
        }
        check(&["BAT0 type=Battery status=Full capacity=100"], None);
        check(
            &["mouse type=Battery scope=Device status=Discharging capacity=3"],
            None,
        );
        check(&["BAT0 type=Battery status=Discharging capacity=odd"], None);
        check(&["AC type=Mains online=0"], None);
    }

    #[test]
    fn an_order_to_go_down_counts_when_it_is_near() {
        let now = Timestamp::from_second(1_000_000).expect("a time");
        let order =
            |seconds: i64, mode: &str| format!("USEC={}\nWARN_WALL=1\nMODE={mode}\n", seconds * 1_000_000);
        assert!(is_ordered(&order(1_000_060, "poweroff"), now));
        assert!(is_ordered(&order(999_990, "reboot"), now));
        assert!(!is_ordered(&order(1_010_000, "poweroff"), now));
        assert!(!is_ordered(&order(1_000_060, "dry-reboot"), now));
        assert!(!is_ordered("", now) && !is_ordered("USEC=soon", now));
    }
}
