//! What is so around the packages: power, network, sessions, services, other programs that install by themselves. Whatever cannot
//! be found out counts as not so.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;
use wua_engine::{SystemInformation, power, resume};
use wua_types::Update;

use crate::caller::Caller;
use crate::machine::Agent;
use crate::problem::Problem;
use crate::schedule::Situation;

/// How long a question to systemd or NetworkManager may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks at the machine. `pending` is what the last search found.
pub(crate) async fn look(agent: &std::sync::Arc<Agent>, pending: Vec<Update>) -> Result<Situation, Problem> {
    let is_this_machine = agent.folders().root() == Path::new("/");
    let (is_metered, users_logged_in) = if is_this_machine {
        (is_metered().await, sessions().await)
    } else {
        // Another tree has no network and no sessions of its own.
        (false, 0)
    };
    agent
        .aside(Caller::itself(), move |agent| {
            // What lost its keeper goes on.
            if let Err(failure) = resume::resume_lost(agent.machine()) {
                tracing::warn!(failure = failure.sentence(), "an interrupted job cannot go on");
            }
            let system = SystemInformation::read(agent.machine())?;
            let root = agent.folders().root();
            let job = system.busy.map(|_| "a job of wua".to_owned());
            let other = system
                .lock_holder
                .map(|holder| format!("another program, `{holder}`,"));
            Ok(Situation {
                seed: seed(root),
                battery_percent: power::battery_percent(root),
                is_metered,
                busy: job.or(other),
                restart_pending: system.restart_required,
                stale_services: if is_this_machine {
                    stale_services(Path::new("/proc"))
                } else {
                    Vec::new()
                },
                users_logged_in,
                unattended_upgrades: agent.machine().handler.installs_by_itself(),
                booted: booted(),
                pending,
            })
        })
        .await
}

/// A number of this machine's own that tells nothing of its id, which is confidential (machine-id(5)).
fn seed(root: &Path) -> u64 {
    let id = fs::read_to_string(root.join("etc/machine-id")).unwrap_or_default();
    let digest = Sha256::digest(format!("wua schedule {}", id.trim()));
    let first: [u8; 8] = std::array::from_fn(|place| digest[place]);
    u64::from_le_bytes(first)
}

/// When the machine was started, by the clock as it is now.
fn booted() -> Timestamp {
    let since = clock_gettime(ClockId::Boottime);
    Timestamp::now() - SignedDuration::from_secs(since.tv_sec)
}

/// The services that run programs or libraries which are not there any more: replaced by an update, most likely.
pub(crate) fn stale_services(proc: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(proc) else {
        return Vec::new();
    };
    let processes = entries.flatten().map(|entry| entry.path()).filter(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().parse::<u32>().is_ok())
    });
    let services: BTreeSet<String> = processes
        .filter(|process| uses_replaced_files(process))
        .filter_map(|process| service_of(&process))
        .collect();
    services.into_iter().collect()
}

fn uses_replaced_files(process: &Path) -> bool {
    const PROGRAMS: [&str; 5] = ["/usr/", "/lib", "/bin/", "/sbin/", "/opt/"];
    let maps = fs::read_to_string(process.join("maps")).unwrap_or_default();
    maps.lines().any(|line| {
        // Address, rights, offset, device, inode, path; only what is executed counts.
        let mut fields = line.split_ascii_whitespace();
        let is_executed = fields.nth(1).is_some_and(|rights| rights.contains('x'));
        let path = fields.nth(3).unwrap_or_default();
        is_executed && line.ends_with(" (deleted)") && PROGRAMS.iter().any(|folder| path.starts_with(folder))
    })
}

/// The service that a process belongs to; none for those of users, and of wua's own jobs.
fn service_of(process: &Path) -> Option<String> {
    let groups = fs::read_to_string(process.join("cgroup")).ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    // The outermost one: what is inside of a service, such as a container, chooses names of its own.
    let mut parts = group.strip_prefix("/system.slice/")?.split('/');
    let service = parts.find(|part| !part.ends_with(".slice"))?;
    let is_meant = service.ends_with(".service") && !service.starts_with("wua-");
    is_meant.then(|| service.to_owned())
}

/// Whether the network is paid by use, as NetworkManager knows or guesses.
async fn is_metered() -> bool {
    let said = ask(
        "busctl",
        &[
            "get-property",
            "org.freedesktop.NetworkManager",
            "/org/freedesktop/NetworkManager",
            "org.freedesktop.NetworkManager",
            "Metered",
        ],
    )
    .await;
    // 1 yes, 2 no, 3 probably yes, 4 probably no.
    matches!(said.trim(), "u 1" | "u 3")
}

/// How many people are logged in.
async fn sessions() -> usize {
    let listed = ask("loginctl", &["--no-legend", "list-sessions"]).await;
    let mut people = 0;
    for id in listed
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().next())
    {
        let shown = ask(
            "loginctl",
            &["show-session", "--property=Class", "--property=State", id],
        )
        .await;
        let is = |line: &str| shown.lines().any(|shown| shown == line);
        people += usize::from(is("Class=user") && !is("State=closing"));
    }
    people
}

async fn ask(program: &str, words: &[&str]) -> String {
    let asking = Command::new(program)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .args(words)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok(output)) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(proc: &Path, pid: u32, maps: &str, group: &str) {
        let folder = proc.join(pid.to_string());
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join("maps"), maps).expect("written");
        fs::write(folder.join("cgroup"), format!("0::{group}\n")).expect("written");
    }

    #[test]
    fn a_service_that_runs_replaced_files_is_named_once() {
        let proc = tempfile::tempdir().expect("a folder");
        let code = "7f00-7f01 r-xp 00000000 08:01 42 /usr/lib/libssl.so.3 (deleted)\n";
        let data = "7f00-7f01 rw-s 00000000 08:01 42 /usr/share/data (deleted)\n";
        let memory = "7f00-7f01 r-xp 00000000 00:01 42 /memfd:jit (deleted)\n";
        process(proc.path(), 1, code, "/system.slice/nginx.service");
        process(proc.path(), 2, code, "/system.slice/nginx.service");
        process(proc.path(), 3, data, "/system.slice/data.service");
        process(proc.path(), 4, memory, "/system.slice/jit.service");
        process(
            proc.path(),
            5,
            code,
            "/user.slice/user-1000.slice/user@1000.service/app.service",
        );
        process(proc.path(), 6, code, "/system.slice/wua-job@1.service");
        process(proc.path(), 7, code, "/init.scope");
        process(
            proc.path(),
            8,
            code,
            "/machine.slice/box.service/payload/system.slice/bind.service",
        );
        process(
            proc.path(),
            9,
            code,
            "/system.slice/system-inner.slice/inner@1.service/payload/other.service",
        );
        assert_eq!(stale_services(proc.path()), ["inner@1.service", "nginx.service"]);
    }
}
