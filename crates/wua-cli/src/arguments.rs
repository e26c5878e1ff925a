//! The words of the command line (design.md section 3).

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use uuid::Uuid;
use wua_types::HResult;

use crate::selection::Selector;

/// Keeps a Debian or Ubuntu machine up to date: searches, downloads, installs and takes back updates, with progress that tells
/// the truth.
#[derive(Debug, Parser)]
#[command(name = "wua", version, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// The machine to work on: a folder with a Debian tree, such as a practice machine
    #[arg(long, global = true, default_value = "/", value_name = "DIR")]
    pub(crate) root: PathBuf,
    /// What to print: sentences and tables, one JSON document, or one JSON object a line while it happens
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// Work through the agent that listens in this folder. Without this, what acts on this machine goes through its own agent
    /// where one answers
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) sockets: Option<PathBuf>,
    /// The time the command may take in all, such as `90s`, `10m` or `2h`; then its job is asked to stop
    #[arg(long, global = true, value_parser = parse_duration, value_name = "TIME")]
    pub(crate) timeout: Option<Duration>,
    /// Print results only
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say on the error output what happens inside
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    /// Whether to use colour
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
    Jsonl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a practice machine and show on it all that wua does; needs no root and no network
    Demo {
        /// Where to make it, and keep it; without this a temporary folder is used and removed
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Make practice machines
    #[command(subcommand)]
    Sandbox(SandboxCommand),
    /// List the updates that this machine can have
    Search(SearchArguments),
    /// Show one update whole
    Show {
        /// The update: a name or an id
        #[arg(value_name = "ID")]
        update: Selector,
    },
    /// Leave updates out of later searches
    Hide(Selection),
    /// Bring hidden updates back into searches
    Unhide(Selection),
    /// Accept the licence terms of updates
    AcceptEula(Selection),
    /// Fetch updates, and keep the installed versions for a later undo
    Download(ActArguments),
    /// Fetch and install updates
    Install(ActArguments),
    /// Take installed updates back: return to the versions before
    Uninstall(UninstallArguments),
    /// List what was done
    History {
        /// The most entries to list
        #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// Only what this job did
        #[arg(long, value_name = "ID")]
        job: Option<Uuid>,
    },
    /// Say how the machine stands: restart needed, busy, unfinished work
    Status,
    /// Say what is wrong with the packages, touching nothing; ends with 0 if all is well, else with 1
    Doctor,
    /// Heal what interrupted runs left, of wua or of other programs
    Repair(RepairArguments),
    /// List the jobs of this machine, running and past
    Jobs,
    /// Follow a job that somebody began
    Attach {
        /// The job
        job: Uuid,
    },
    /// Ask a running job to stop at the next safe point
    Abort {
        /// The job
        job: Uuid,
    },
    /// List the archives that are kept for undo
    Store {
        #[command(subcommand)]
        command: Option<StoreCommand>,
    },
    /// List the update services of this machine
    Services,
    /// Explain result codes
    Codes {
        /// The code: `0x8024200B`, `-2145116149` or `WU_E_UH_INSTALLERFAILURE`; without it all are listed
        #[arg(allow_negative_numbers = true)]
        code: Option<HResult>,
    },
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
    /// Show or change what is done by itself: automatic updates
    Settings {
        #[command(subcommand)]
        command: Option<SettingsCommand>,
    },
    /// Serve this machine's updates to others, on Unix sockets
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Show this machine's updates in your browser, until Ctrl-C; prints the address, which opens once
    Web {
        /// The port of 127.0.0.1; 0 is any free one
        #[arg(long, value_name = "N", default_value_t = 0)]
        port: u16,
    },
    /// Let your programs that have no Unix sockets, such as those under Wine, reach the agent, with your rights, until Ctrl-C
    Bridge {
        /// Where to say port and token; only you can read it, and it is removed at the end. Without this
        /// `$XDG_RUNTIME_DIR/wua/bridge.json`, or `~/.cache/wua/bridge.json` where there is no such folder
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Let the Windows programs of a Wine prefix use this machine's updates by the Windows Update Agent API
    #[command(subcommand)]
    Wine(WineCommand),
    /// Carry out a job; started by wua itself
    #[command(subcommand, hide = true)]
    Job(JobCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum SettingsCommand {
    /// Set a value
    Set {
        /// The key, as `wua settings` lists it
        key: String,
        /// A word, a number, or JSON for lists: `install`, `12`, `[{"start":"02:00","length_minutes":180}]`
        value: String,
    },
    /// Take a key back to what holds without it
    Unset {
        /// The key
        key: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum WineCommand {
    /// Put wuapi.dll into a prefix of yours, in place of Wine's own, and register it; it reaches the agent while `wua bridge` runs
    Setup {
        /// The prefix, such as `~/.wine`
        #[arg(value_name = "PREFIX")]
        prefix: PathBuf,
        /// The DLL
        #[arg(long, value_name = "FILE", default_value = crate::wine::USUAL_DLL)]
        dll: PathBuf,
        /// Where `wua bridge` says how it is reached; without this where it does so unless it is told otherwise
        #[arg(long, value_name = "FILE")]
        bridge_file: Option<PathBuf>,
    },
    /// Take that back
    Remove {
        /// The prefix
        #[arg(value_name = "PREFIX")]
        prefix: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Run the agent until it is told to end; jobs that run then go on. `--sockets` says where it listens
    Run,
    /// Play the settings of automatic updates on a made-up calendar, and print what would be done when, and why
    Simulate {
        /// For how many days
        #[arg(long, default_value_t = 14, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=400))]
        days: u16,
    },
    /// Carry out a job that the agent wrote down; started by the agent itself
    #[command(hide = true)]
    Work {
        /// The job
        job: Uuid,
    },
    /// Answer a question on the input; started by the agent itself
    #[command(hide = true)]
    Ask,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SandboxCommand {
    /// Make a practice machine and its signed archive
    Create {
        /// Where; the folder must be empty, new, or a practice machine, which is then made anew
        dir: PathBuf,
        /// How many updates it has, besides those of the faults
        #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=500))]
        updates: u16,
        /// The same seed gives the same machine
        #[arg(long, default_value_t = 1, value_name = "S")]
        seed: u64,
        /// Faults to build in
        #[arg(long, value_name = "FAULT", num_args = 1.., value_delimiter = ',')]
        with: Vec<wua_sandbox::Fault>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Remove the archives that the policy does not keep; done after each job, too
    Clean {
        /// Print what would be removed, and remove nothing
        #[arg(long)]
        what_if: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// Carry out a job whose order is written; the machine's lock comes as standard input
    Run {
        /// The job
        job: Uuid,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SearchArguments {
    /// Which updates, such as `IsInstalled=1` or `CategoryIDs contains '…'`; without this those not installed and not hidden
    #[arg(value_name = "CRITERIA")]
    pub(crate) criteria: Option<String>,
    /// Fetch the archives' indexes first
    #[arg(long)]
    pub(crate) refresh: bool,
    /// List the packages of each update
    #[arg(long)]
    pub(crate) details: bool,
}

/// Which updates a command is about.
#[derive(Clone, Debug, Args)]
pub(crate) struct Selection {
    /// Names, ids, `category:security`, `cve:CVE-…` or `title:REGEX`
    #[arg(value_name = "SEL")]
    pub(crate) selectors: Vec<Selector>,
    /// Every update that the search finds
    #[arg(long, conflicts_with = "selectors")]
    pub(crate) all: bool,
    /// Search with these criteria, and take what they find
    #[arg(long, value_name = "C")]
    pub(crate) criteria: Option<String>,
    /// Leave these out; the same words as SEL
    #[arg(long, value_name = "SEL")]
    pub(crate) exclude: Vec<Selector>,
    /// End with code 4 if there is nothing to do
    #[arg(long)]
    pub(crate) fail_if_none: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ActArguments {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Fetch the archives' indexes first
    #[arg(long)]
    pub(crate) refresh: bool,
    #[command(flatten)]
    pub(crate) plan: PlanArguments,
}

#[derive(Debug, Args)]
pub(crate) struct UninstallArguments {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Everything that this job installed
    #[arg(long, value_name = "ID", conflicts_with_all = ["selectors", "all", "criteria"])]
    pub(crate) job: Option<Uuid>,
    #[command(flatten)]
    pub(crate) plan: PlanArguments,
}

#[derive(Debug, Args)]
pub(crate) struct RepairArguments {
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub(crate) what_if: bool,
    /// Remove packages where nothing else helps
    #[arg(long, conflicts_with = "what_if")]
    pub(crate) allow_removals: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    /// Print what would be done, and why what is left out, and do nothing
    #[arg(long)]
    pub(crate) what_if: bool,
    /// Do only the plan with this hash, as `--what-if` printed it
    #[arg(long, value_name = "HASH", conflicts_with = "what_if")]
    pub(crate) plan: Option<wua_types::PlanHash>,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number
        .parse()
        .map_err(|_| format!("`{text}` is not a time such as `90s`, `10m` or `2h`"))?;
    let factor = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(format!("`{unit}` is not a unit of time; `s`, `m` and `h` are")),
    };
    number
        .checked_mul(factor)
        .map(Duration::from_secs)
        .ok_or_else(|| format!("`{text}` is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent_in_itself() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn times_are_read_with_their_units() {
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("2h"), Ok(Duration::from_secs(7200)));
        assert!(parse_duration("10 days").is_err());
    }
}
