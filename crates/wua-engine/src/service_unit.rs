//! The keeper as a service of systemd's, where systemd runs the machine: a unit of its own for each job.
//!
//! A process that a session or another service started is killed with it; a unit of its own is not, and it is started again
//! when it is killed. The shipped template `wua-job@.service` is used if it is installed and runs the same program; else a
//! transient unit with the same properties is made.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use uuid::Uuid;

use crate::folders::JobFolder;
use crate::power::is_booted_by_systemd;

/// What makes a unit a keeper; the shipped template has the same lines.
const PROPERTIES: [&str; 9] = [
    "Type=exec",
    "StandardInput=null",
    "KillMode=process",
    "OOMPolicy=continue",
    "Restart=on-failure",
    "RestartSec=1",
    "RestartPreventExitStatus=2 3 5",
    "StartLimitIntervalSec=600",
    "StartLimitBurst=5",
];

/// Whether systemd runs the machine at `root`, so that units can be started on it.
pub(crate) fn runs(root: &Path) -> bool {
    // A chroot may see systemd's folders too, and systemd would then look for its files elsewhere.
    let place = |path: &str| fs::metadata(path).ok().map(|place| (place.dev(), place.ino()));
    is_booted_by_systemd(root) && place("/").is_some_and(|own| place("/proc/1/root") == Some(own))
}

/// Starts the unit of a job. Returns when its program runs; a unit that already waits to be started again starts at once.
/// Returns the unit's name.
///
/// # Errors
/// systemd cannot be asked or did not start it; the error holds what it said.
pub(crate) fn start(program: &Path, root: &Path, job: Uuid, folder: &JobFolder) -> io::Result<String> {
    // The second name is for programs that bring a wua of their own to a machine that has one.
    for unit in [format!("wua-job@{job}.service"), format!("wua-job-{job}.service")] {
        let started = match Known::of(&unit, program)? {
            Known::No => make(&unit, program, root, &["job", "run", &job.to_string()], folder),
            Known::Ours => {
                // One that died too often would not be started again. That nothing has failed is no error here.
                let _ = run(systemctl(&["reset-failed", &unit]));
                run(systemctl(&["start", &unit])).map(drop)
            }
            Known::OfAnotherProgram => continue,
        };
        return started.inspect_err(|_| stop(&unit)).map(|()| unit);
    }
    Err(io::Error::other(format!(
        "the units of job {job} belong to another program"
    )))
}

/// Stops the unit's keeper and keeps systemd from starting it again. Blocks until it is gone.
pub(crate) fn stop(unit: &str) {
    if let Err(error) = run(systemctl(&["stop", unit])) {
        tracing::error!(%unit, %error, "a keeper that did not start could not be stopped");
    }
}

/// What systemd knows of a unit's name.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    No,
    Ours,
    OfAnotherProgram,
}

impl Known {
    fn of(unit: &str, program: &Path) -> io::Result<Self> {
        let said = run(systemctl(&[
            "show",
            "--property=LoadState",
            "--property=ExecStart",
            unit,
        ]))?;
        Ok(Self::read(&said, program))
    }

    fn read(said: &str, program: &Path) -> Self {
        if said.lines().any(|line| line == "LoadState=not-found") {
            Self::No
        } else if said.contains(&format!("path={} ;", program.display())) {
            Self::Ours
        } else {
            Self::OfAnotherProgram
        }
    }
}

/// Makes a transient unit that runs `PROGRAM --root ROOT WORDS`, and starts it.
pub(crate) fn make(
    unit: &str,
    program: &Path,
    root: &Path,
    words: &[&str],
    folder: &JobFolder,
) -> io::Result<()> {
    let mut command = command("systemd-run");
    command.args(["--quiet", "--no-ask-password"]);
    command
        .arg(format!("--unit={unit}"))
        .arg(format!("--description=wua {}", words.join(" ")));
    command.args(PROPERTIES.map(|property| format!("--property={property}")));
    let log = folder.log();
    for stream in ["StandardOutput", "StandardError"] {
        command.arg(format!("--property={stream}=append:{}", log.display()));
    }
    command.arg("--").arg(program).arg("--root").arg(root).args(words);
    run(command).map(drop)
}

/// A command that runs a program in a transient unit, with the command's own standard files, and ends as the program does.
pub(crate) fn outside(program: &str, words: &[String], limit: Duration) -> Command {
    let mut command = command("systemd-run");
    command
        .args(["--quiet", "--no-ask-password", "--pipe", "--wait", "--collect"])
        .args(["--service-type=exec", "--setenv=LC_ALL=C.UTF-8"])
        .arg(format!("--description=wua runs {program}"))
        .arg(format!("--property=RuntimeMaxSec={}", limit.as_secs()))
        .args(["--", program])
        // systemd puts variables in where it reads `$`.
        .args(words.iter().map(|word| word.replace('$', "$$")));
    command
}

fn systemctl(words: &[&str]) -> Command {
    let mut command = command("systemctl");
    command.arg("--no-ask-password").args(words);
    command
}

/// A program in an environment of our own: the caller's could lead one of systemd's to another manager.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8");
    command
}

fn run(mut command: Command) -> io::Result<String> {
    let ended = command.stdin(Stdio::null()).output()?;
    if ended.status.success() {
        return Ok(String::from_utf8_lossy(&ended.stdout).into_owned());
    }
    let program = command.get_program().display();
    let said = String::from_utf8_lossy(&ended.stderr);
    Err(io::Error::other(format!(
        "`{program}` ended with {}: {}",
        ended.status,
        said.trim()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_template_and_a_transient_unit_have_the_same_properties() {
        let template = concat!(env!("CARGO_MANIFEST_DIR"), "/../../systemd/wua-job@.service");
        let template = fs::read_to_string(template).expect("shipped");
        let mut shipped: Vec<&str> = template
            .lines()
            .filter(|line| line.contains('=') && !line.starts_with('#'))
            .collect();
        for stream in ["StandardOutput", "StandardError"] {
            let line = format!("{stream}=append:/var/lib/wua/jobs/%i/keeper.log");
            assert!(shipped.contains(&line.as_str()), "{line}");
        }
        let of_the_template = ["Description=", "ExecStart=", "StandardOutput=", "StandardError="];
        shipped.retain(|line| !of_the_template.iter().any(|key| line.starts_with(key)));
        shipped.sort_unstable();
        let mut transient = PROPERTIES;
        transient.sort_unstable();
        assert_eq!(shipped, transient);
    }

    #[test]
    fn a_unit_is_ours_if_it_runs_our_program() {
        let of = |said: &str| Known::read(said, Path::new("/usr/bin/wua"));
        assert_eq!(of("LoadState=not-found\n"), Known::No);
        let shipped = "ExecStart={ path=/usr/bin/wua ; argv[]=/usr/bin/wua --root / job run x ; ignore_errors=no }\nLoadState=loaded\n";
        assert_eq!(of(shipped), Known::Ours);
        let other =
            "ExecStart={ path=/opt/panel/usr/bin/wua ; argv[]=x ; ignore_errors=no }\nLoadState=loaded\n";
        assert_eq!(of(other), Known::OfAnotherProgram);
    }

    #[test]
    fn a_program_outside_gets_its_words_as_they_are_and_no_more_than_its_time() {
        let command = outside("/bin/echo", &["$HOME".into()], Duration::from_secs(7));
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        assert_eq!(words[words.len() - 3..], ["--", "/bin/echo", "$$HOME"]);
        assert!(words.contains(&"--property=RuntimeMaxSec=7".into()), "{words:?}");
    }

    #[test]
    fn systemd_starts_nothing_for_a_practice_machine() {
        assert!(!runs(Path::new("/srv/tree")));
    }
}
