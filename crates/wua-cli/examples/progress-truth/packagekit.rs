//! PackageKit as a client: its daemon on a private bus in namespaces of its own (`packagekit.sh`), asked by `pkcon`, with all that
//! it signals read by `gdbus monitor`.
//!
//! Measured is the transaction that updates, from its role's announcement to `Finished`; the daemon's start and pkcon's
//! questions before it are not counted. The value is the property `Percentage`, where 101 says that none is known, and the estimate
//! `RemainingTime`, where 0 says so.

use std::fs::{self, File};

use crate::Outcome;
use crate::ground::Ground;
use crate::trace::{Notice, Recording, Trace, record};
use crate::transaction::Part;

const SCRIPT: &str = include_str!("packagekit.sh");
/// The role of a transaction that updates packages (`PK_ROLE_ENUM_UPDATE_PACKAGES`).
const UPDATES: &str = "{'Role': <uint32 22>";

/// Does a part of the upgrade and traces it.
pub(crate) fn measure(ground: &Ground, part: Part) -> Outcome<Trace> {
    let recording = run(
        ground,
        match part {
            Part::Fetch => &["update", "--only-download"],
            Part::Install => &["update"],
        },
    )?;
    trace(&recording)
}

/// Whether it can be started on this machine at all; the error says why not.
pub(crate) fn check(ground: &Ground) -> Outcome<()> {
    run(ground, &["backend-details"]).map(drop)
}

fn run(ground: &Ground, words: &[&str]) -> Outcome<Recording> {
    let log = ground.folder().join("packagekit.log");
    let mut command = ground.program("unshare")?;
    command.args([
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "sh",
        "-c",
        SCRIPT,
        "sh",
    ]);
    command
        .arg(ground.folder())
        .args(words)
        .stderr(File::create(&log)?);
    let recording = record(&mut command)?;
    if recording.status.success() {
        return Ok(recording);
    }
    let said = fs::read_to_string(&log)?;
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    Err(last.unwrap_or("it ended without a word").trim().into())
}

fn trace(recording: &Recording) -> Outcome<Trace> {
    let mut lines = recording.lines.iter();
    let (begun, first) = lines
        .find(|(_, line)| line.contains(UPDATES))
        .ok_or("PackageKit updated nothing")?;
    let path = first.split(':').next().unwrap_or_default();
    let mut notices = Vec::new();
    for (at, line) in
        lines.filter(|(_, line)| line.strip_prefix(path).is_some_and(|rest| rest.starts_with(':')))
    {
        let at = (*at - *begun).as_secs_f64();
        if line.contains("PackageKit.Transaction.Finished") {
            return Ok(Trace { notices, length: at });
        }
        notices.push(Notice {
            at,
            value: property(line, "Percentage")
                .filter(|percent| *percent <= 100.0)
                .map(|percent| percent / 100.0),
            remaining: property(line, "RemainingTime").filter(|seconds| *seconds > 0.0),
        });
    }
    Err("PackageKit's transaction did not finish".into())
}

/// The number in `'NAME': <uint32 NUMBER>`; the type is named where it was not before.
fn property(line: &str, name: &str) -> Option<f64> {
    let (_, rest) = line.split_once(&format!("'{name}': <"))?;
    let (value, _) = rest.split_once('>')?;
    value.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_the_transaction_that_updates_is_traced_and_101_is_no_value() {
        let changed = |path: &str, what: &str| {
            format!(
                "{path}: org.freedesktop.DBus.Properties.PropertiesChanged ('org.freedesktop.PackageKit.Transaction', {{{what}}}, @as [])"
            )
        };
        let lines = [
            changed("/1_aa", "'Role': <uint32 9>"),
            changed("/1_aa", "'Percentage': <uint32 100>"),
            changed("/2_bb", "'Role': <uint32 22>"),
            changed("/2_bb", "'Percentage': <uint32 101>, 'RemainingTime': <uint32 0>"),
            changed("/2_bb", "'Percentage': <uint32 40>, 'RemainingTime': <uint32 7>"),
            "/2_bb: org.freedesktop.PackageKit.Transaction.Finished (uint32 1, uint32 6)".to_owned(),
        ];
        let at = |(second, line)| (Duration::from_secs(second), line);
        let recording = Recording {
            lines: (0..).zip(lines).map(at).collect(),
            length: Duration::from_secs(9),
            status: std::process::ExitStatus::default(),
        };
        let trace = trace(&recording).expect("it finished");
        let told: Vec<_> = trace
            .notices
            .iter()
            .map(|told| (told.at, told.value, told.remaining))
            .collect();
        assert_eq!(
            (trace.length, told),
            (3.0, vec![(1.0, None, None), (2.0, Some(0.4), Some(7.0))])
        );
    }
}
