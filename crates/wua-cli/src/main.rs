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

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::{Arguments, Command, Global, JobCommand, SandboxCommand};
use crate::commands::{act, codes, demo, flags, history, jobs, sandbox, search, shell, show, status, store};
use crate::exit_code::Exit;
use crate::front::Front;
use crate::problem::Problem;
use crate::screen::Screen;

fn main() -> ExitCode {
    let Arguments { global, command } = Arguments::parse();
    let level = match (&command, global.verbose) {
        (_, true) => tracing::Level::DEBUG,
        (Command::Job(_), false) => tracing::Level::INFO,
        _ => tracing::Level::ERROR,
    };
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_ansi(false).init();
    let exit = run(&global, command).unwrap_or_else(|problem| {
        Screen::new(&global).problem(&problem);
        problem.exit
    });
    ExitCode::from(exit as u8)
}

/// Runs one command.
fn run(global: &Global, command: Command) -> Result<Exit, Problem> {
    let screen = Screen::new(global);
    let front = || Front::open(screen, global);
    match command {
        Command::Demo { dir } => demo::run(screen, global, dir.as_deref()),
        Command::Sandbox(SandboxCommand::Create { dir, updates, seed, with }) => {
            sandbox::create(screen, &dir, updates, seed, &with)
        }
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
        Command::Jobs => jobs::jobs(&front()?),
        Command::Attach { job } => jobs::attach(&front()?, job),
        Command::Abort { job } => jobs::abort(&front()?, job),
        Command::Store => store::run(&front()?),
        Command::Services => status::services(&front()?),
        Command::Codes { code } => codes::run(screen, code),
        Command::Completions { shell } => shell::completions(shell),
        Command::Man => shell::man(),
        Command::Job(JobCommand::Run { job }) => jobs::run(&front()?, job),
    }
}
