//! The command line of wua. It only translates: arguments in, calls of the engine, results out in words or JSON, and an exit
//! code. Everything about updates is in the crates behind it.

mod arguments;
mod commands;
mod documents;
mod exit_code;
mod front;
mod interrupt;
mod machine;
mod problem;
mod progress;
mod report;
mod screen;
mod selection;
mod text;
mod wine;

use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::arguments::{AgentCommand, Arguments, Command, Global, JobCommand, SandboxCommand, StoreCommand};
use crate::commands::{
    act, agent, bridge, codes, demo, flags, history, jobs, repair, sandbox, search, settings, shell, show,
    status, store, web, wine as wine_command,
};
use crate::exit_code::Exit;
use crate::front::Front;
use crate::problem::Problem;
use crate::screen::Screen;

fn main() -> ExitCode {
    // What is written is readable by all unless it says otherwise, whatever the caller's habits are.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let Arguments { global, command } = Arguments::parse();
    #[cfg(feature = "seams")]
    wua_engine::seam::arm(&global.root);
    let level = match (&command, global.verbose) {
        (_, true) => tracing::Level::DEBUG,
        (Command::Job(_) | Command::Agent(_), false) => tracing::Level::INFO,
        (Command::Web { .. } | Command::Bridge { .. }, false) => tracing::Level::WARN,
        _ => tracing::Level::ERROR,
    };
    log(level);
    let mut ended = run(&global, command);
    if let Some(error) = screen::failure() {
        ended = Err(Problem::unwritten(error));
    }
    let exit = ended.unwrap_or_else(|problem| {
        Screen::new(&global).problem(&problem);
        problem.exit
    });
    ExitCode::from(exit as u8)
}

/// Sends what the program says of itself to the journal with its fields where the standard error goes there anyway, else there as text.
fn log(level: tracing::Level) {
    let least = LevelFilter::from_level(level);
    let journal = is_journal().then(tracing_journald::layer).and_then(Result::ok);
    let text = journal.is_none().then(|| {
        tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(false)
    });
    let journal = journal.map(|layer| layer.with_field_prefix(Some("WUA".into())));
    tracing_subscriber::registry()
        .with(least)
        .with(journal)
        .with(text)
        .init();
}

/// Whether the standard error is the journal's stream, which systemd names by device and inode (systemd.exec(5)).
fn is_journal() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    rustix::fs::fstat(std::io::stderr())
        .is_ok_and(|stream| named == format!("{}:{}", stream.st_dev, stream.st_ino))
}

/// Runs one command.
fn run(global: &Global, command: Command) -> Result<Exit, Problem> {
    let screen = Screen::new(global);
    let front = || Front::open(screen, global);
    match command {
        Command::Demo { dir } => demo::run(screen, global, dir.as_deref()),
        Command::Sandbox(SandboxCommand::Create {
            dir,
            updates,
            seed,
            with,
        }) => sandbox::create(screen, &dir, updates, seed, &with),
        Command::Search(arguments) => search::run(&front()?, &arguments),
        Command::Show { update } => show::run(&front()?, &update),
        Command::Hide(selection) => flags::hide(&front()?, &selection),
        Command::Unhide(selection) => flags::unhide(&front()?, &selection),
        Command::AcceptEula(selection) => flags::accept_eula(&front()?, &selection),
        Command::Download(arguments) => act::download(&front()?, &arguments),
        Command::Install(arguments) => act::install(&front()?, &arguments),
        Command::Uninstall(arguments) => act::uninstall(&front()?, &arguments),
        Command::History { limit, job } => history::run(&front()?, limit, job),
        Command::Status => status::status(&front()?),
        Command::Doctor => repair::doctor(&front()?),
        Command::Repair(arguments) => repair::repair(&front()?, &arguments),
        Command::Jobs => jobs::jobs(&front()?),
        Command::Attach { job } => jobs::attach(&front()?, job),
        Command::Abort { job } => jobs::abort(&front()?, job),
        Command::Store { command: None } => store::run(&front()?),
        Command::Store {
            command: Some(StoreCommand::Clean { what_if }),
        } => store::clean(&front()?, what_if),
        Command::Services => status::services(&front()?),
        Command::Codes { code } => codes::run(screen, code),
        Command::Completions { shell } => shell::completions(screen, shell),
        Command::Man => shell::man(screen),
        Command::Settings { command } => settings::run(&front()?, command),
        Command::Agent(AgentCommand::Run) => agent::run(global),
        Command::Agent(AgentCommand::Simulate { days }) => settings::simulate(&front()?, days),
        Command::Agent(AgentCommand::Work { job }) => agent::work(global, job),
        Command::Agent(AgentCommand::Ask) => agent::ask(global),
        Command::Web { port } => web::run(screen, global, port),
        Command::Bridge { file } => bridge::run(screen, global, file.as_deref()),
        Command::Wine(command) => wine_command::run(screen, &command),
        Command::Job(JobCommand::Run { job }) => jobs::run(&front()?, job),
    }
}
