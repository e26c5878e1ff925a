//! Starting programs outside of what holds their starter: wua's own as a process that belongs to nobody, which outlives its starter,
//! its session and its terminal; the administrator's with all rights that a service has.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use uuid::Uuid;

use crate::machine::{Keeper, Machine};
use crate::service_unit;

/// Starts the agent's worker of a job, `PROGRAM --root ROOT agent work ID`; where systemd runs the machine, in a unit of its own and
/// so outside of whatever holds the agent. Returns as soon as it runs.
///
/// # Errors
/// The program cannot be started, or the machine's jobs are threads of this process.
pub fn start_worker(machine: &Machine, job: Uuid) -> io::Result<()> {
    let Keeper::Process { program } = &machine.keeper else {
        return Err(io::Error::other("jobs run in this process, and have no workers"));
    };
    let (root, folder) = (machine.folders.root(), machine.folders.agent_job(job));
    let words = ["agent", "work", &job.to_string()];
    if service_unit::runs(root) {
        return service_unit::make(&format!("wua-work-{job}.service"), program, root, &words, &folder);
    }
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(folder.log())?;
    run(program, root, &words, Stdio::null(), &log)
}

/// What runs a program of the administrator's and waits for it: where systemd runs the machine at `root`, in a unit of its own and so
/// outside of whatever its starter is shut in, ended after `limit`; else as a child, which the starter has to end. Either way its
/// environment is made, and it has the command's standard files.
pub fn outside(root: &Path, program: &str, words: &[String], limit: Duration) -> Command {
    if service_unit::runs(root) {
        return service_unit::outside(program, words, limit);
    }
    let mut command = service_unit::command(program);
    command.args(words);
    command
}

/// Starts `program` in a session of its own, with what it says going to `log`. Its environment is made, not inherited.
pub(crate) fn run(program: &Path, root: &Path, words: &[&str], input: Stdio, log: &File) -> io::Result<()> {
    // A program that was replaced meanwhile is still to be had from the kernel.
    let own = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
    // `setsid --fork` leaves it to no parent.
    let status = Command::new("/usr/bin/setsid")
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .arg("--fork")
        .arg(if program.exists() { program } else { &own })
        .arg("--root")
        .arg(root)
        .args(words)
        .stdin(input)
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .process_group(0)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("`setsid` ended with {status}")))
    }
}
