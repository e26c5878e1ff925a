//! How updates stand right now, for fronts that ask property by property (`IsDownloaded`, `IsInstalled`, …).
//!
//! Such an answer comes from a search of everything, which takes a process of its own. What it said of each update, five words, is
//! kept and believed as long as nothing that it was made from looks different: dpkg's and APT's files, wua's state and its content.
//! Looks are those of `stat`, taken before the search, so that what changes meanwhile makes the next question a search again.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use wua_engine::Folders;
use wua_types::api::UpdateStateDocument;
use wua_types::{SearchResult, Update, UpdateId};

use crate::ask::{EVERYTHING, Question};
use crate::caller::Caller;
use crate::machine::Agent;
use crate::problem::Problem;

/// How long an answer is believed at the most: something might decide that is not looked at.
const LONGEST: Duration = Duration::from_secs(30);

/// What decides what is offered and what is installed, below a machine's root. Of a folder it counts that files were put into it.
const SOURCES: [&str; 12] = [
    "var/lib/dpkg/status",
    "var/lib/dpkg/updates",
    "var/lib/dpkg/arch",
    "var/lib/apt/lists",
    "var/lib/apt/extended_states",
    "etc/apt",
    "etc/apt/sources.list",
    "etc/apt/sources.list.d",
    "etc/apt/preferences",
    "etc/apt/preferences.d",
    "etc/apt/apt.conf.d",
    "etc/wua/wua.toml",
];

/// How files look: which, how long, and when changed, to the nanosecond; none that is not there.
#[derive(Debug, PartialEq, Eq)]
struct Looks(Vec<Option<[i64; 6]>>);

impl Looks {
    fn of(folders: &Folders) -> Self {
        let database = folders.database();
        let mut journal = database.clone().into_os_string();
        journal.push("-wal");
        let sources = SOURCES.iter().map(|path| folders.root().join(path));
        let own = [database, PathBuf::from(journal), folders.public_state()];
        let mut looks: Vec<_> = sources.chain(own).map(|path| look(&path)).collect();
        let contents = folders.store().join("sha256");
        looks.push(look(&contents));
        let mut below: Vec<PathBuf> = fs::read_dir(&contents)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        below.sort();
        looks.extend(below.iter().map(|path| look(path)));
        Self(looks)
    }
}

fn look(path: &Path) -> Option<[i64; 6]> {
    let found = fs::metadata(path).ok()?;
    Some([
        found.ino().cast_signed(),
        found.size().cast_signed(),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec(),
    ])
}

/// What the last search said.
#[derive(Debug)]
struct Known {
    looks: Looks,
    at: Instant,
    states: HashMap<UpdateId, UpdateStateDocument>,
}

/// What is remembered between two questions.
#[derive(Debug, Default)]
pub(crate) struct States(Mutex<Option<Arc<Known>>>);

impl States {
    fn known(&self, looks: &Looks) -> Option<Arc<Known>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        (known.looks == *looks && known.at.elapsed() < LONGEST).then_some(known)
    }

    fn keep(&self, known: Known) -> Arc<Known> {
        let known = Arc::new(known);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&known));
        known
    }
}

/// The state of an update, or of one inside a bundle; none where the machine has no such update now.
pub(crate) async fn of(
    agent: &Arc<Agent>,
    caller: Caller,
    id: UpdateId,
) -> Result<Option<UpdateStateDocument>, Problem> {
    let at = Instant::now();
    let looks = agent
        .aside(caller, |agent| Ok(Looks::of(agent.folders())))
        .await?;
    let known = match agent.states.known(&looks) {
        Some(known) => known,
        None => {
            let criteria = EVERYTHING.into();
            let found: SearchResult = agent.ask(caller, &Question::Search { criteria }).await?;
            let mut states = HashMap::new();
            note(&mut states, &found.updates);
            agent.states.keep(Known { looks, at, states })
        }
    };
    Ok(known.states.get(&id).copied())
}

fn note(states: &mut HashMap<UpdateId, UpdateStateDocument>, updates: &[Update]) {
    for update in updates {
        states.insert(update.id(), UpdateStateDocument::from(update));
        note(states, &update.bundled_updates);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_changes_looks_different() {
        let root = tempfile::tempdir().expect("a folder");
        let folders = Folders::new(root.path());
        let content = folders.store().join("sha256/ab");
        for folder in [&root.path().join("var/lib/dpkg"), &content] {
            fs::create_dir_all(folder).expect("a folder");
        }
        let mut last = Looks::of(&folders);
        assert_eq!(last, Looks::of(&folders));
        let status = root.path().join("var/lib/dpkg/status");
        let steps: [(&str, &dyn Fn()); 4] = [
            ("a file comes", &|| fs::write(&status, "old").expect("written")),
            ("it is replaced by one of its length", &|| {
                let new = status.with_extension("new");
                fs::write(&new, "new").expect("written");
                fs::rename(&new, &status).expect("renamed");
            }),
            ("content comes", &|| {
                fs::write(content.join("x.deb"), "").expect("written")
            }),
            ("it goes", &|| {
                fs::remove_file(content.join("x.deb")).expect("removed")
            }),
        ];
        for (what, step) in steps {
            // The kernel's clock for files has ticks.
            std::thread::sleep(Duration::from_millis(15));
            step();
            let now = Looks::of(&folders);
            assert_ne!(last, now, "{what}");
            last = now;
        }
    }
}
