//! How true the progress of update clients is: the same upgrades done by wua, apt-get and PackageKit, with all that each tells
//! about its progress noted and held against the clock. docs/progress.md tells the method and the figures.
//!
//! `cargo run --release -p wua-cli --example progress-truth -- --rounds N --markdown FILE --svg FILE`
//!
//! Practice machines need no rights; PackageKit and `--root` need root's. Nothing outside a temporary folder is changed.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people, with a table of figures"
)]

mod apt;
mod client;
#[path = "../common/mod.rs"]
mod common;
mod figures;
mod ground;
mod packagekit;
mod panel;
mod plot;
mod server;
mod table;
mod trace;
mod transaction;
mod wua;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::client::Client;
use crate::common::wua_beside_this_program;
use crate::figures::{Figures, Full};
use crate::ground::Ground;
use crate::panel::Panel;
use crate::transaction::{Part, Transaction};

type Outcome<T> = Result<T, Box<dyn Error>>;

#[derive(Debug, Parser)]
#[command(about = "Measures how true the progress of wua, apt-get and PackageKit is")]
struct Options {
    /// How often each client does each transaction.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// One round of two short transactions, which only shows that the bench works and that wua's value keeps its law.
    #[arg(long)]
    quick: bool,
    /// Only this transaction; may be given several times.
    #[arg(long, value_enum, value_name = "NAME")]
    only: Vec<Transaction>,
    /// Also a real root with pending updates, of which copies are made.
    #[arg(long, value_name = "TREE")]
    root: Option<PathBuf>,
    /// Measure that root again on copies in this folder, which is to lie in memory: there the disk has no say.
    #[arg(long, value_name = "FOLDER", requires = "root")]
    memory: Option<PathBuf>,
    /// Write the table to this file.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Draw the traces to this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write every trace to this file, as a line of JSON.
    #[arg(long, value_name = "FILE")]
    traces: Option<PathBuf>,
    /// The `wua` that is measured; the one built with this program unless told.
    #[arg(long, value_name = "PROGRAM")]
    wua: Option<PathBuf>,
}

impl Options {
    fn transactions(&self) -> Vec<Transaction> {
        let is_wanted = |transaction: &Transaction| match (self.quick, &self.only) {
            (true, _) => matches!(transaction, Transaction::Small | Transaction::Triggers),
            (false, only) => only.is_empty() || only.contains(transaction),
        };
        Transaction::ALL.into_iter().filter(is_wanted).collect()
    }
}

fn main() -> Outcome<ExitCode> {
    let mut options = Options::parse();
    if options.quick {
        options.rounds = 1;
    }
    let wua = options
        .wua
        .clone()
        .map_or_else(wua_beside_this_program, Ok)?
        .canonicalize()?;
    let folder = tempfile::Builder::new().prefix("wua-progress-").tempdir()?;
    let mut panels = Vec::new();
    let mut clients = Client::ALL.to_vec();
    for (number, transaction) in options.transactions().into_iter().enumerate() {
        eprintln!("{}: the machine is being made", transaction.name());
        let ground = Ground::practice(&folder.path().join(transaction.name()), &wua, transaction)?;
        if number == 0 {
            leave_out_what_does_not_start(&mut clients, &ground);
        }
        panels.extend(measure(
            transaction.name(),
            transaction.parts(),
            &ground,
            &clients,
            options.rounds,
        )?);
    }
    if let Some(root) = &options.root {
        // PackageKit would need a bus and a policy in that root.
        clients.retain(|client| *client != Client::PackageKit);
        let memory = options
            .memory
            .as_deref()
            .map(|place| ("real root, in memory", place));
        for (name, place) in [("real root", folder.path())].into_iter().chain(memory) {
            let folder = tempfile::Builder::new()
                .prefix("wua-progress-")
                .tempdir_in(place)?;
            let ground = Ground::real(&folder.path().join("real"), &wua, root)?;
            panels.extend(measure(
                name,
                &[Part::Install],
                &ground,
                &clients,
                options.rounds,
            )?);
        }
    }
    let table = table::table(&panels);
    println!("{table}");
    if let Some(file) = &options.markdown {
        fs::write(file, &table)?;
    }
    if let Some(file) = &options.svg {
        plot::draw(file, &panels)?;
    }
    if let Some(file) = &options.traces {
        let lines: Vec<String> = panels.iter().flat_map(Panel::lines).collect();
        fs::write(file, lines.join("\n") + "\n")?;
    }
    Ok(if keeps_the_law(&panels, options.quick) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// PackageKit needs rights and programs that a machine may lack; the table is then without it.
fn leave_out_what_does_not_start(clients: &mut Vec<Client>, ground: &Ground) {
    if let Err(reason) = packagekit::check(ground) {
        println!("PackageKit: cannot be started here: {reason}\n");
        clients.retain(|client| *client != Client::PackageKit);
    }
}

/// All rounds of one transaction: in each, every client in turn and another one first, so that what else the machine does
/// meets all of them.
fn measure(
    name: &str,
    parts: &[Part],
    ground: &Ground,
    clients: &[Client],
    rounds: u32,
) -> Outcome<Vec<Panel>> {
    let mut panels: Vec<Panel> = parts
        .iter()
        .map(|part| {
            Panel::new(match (parts.len(), part) {
                (1, _) => name.to_owned(),
                (_, Part::Fetch) => format!("{name}/fetch"),
                (_, Part::Install) => format!("{name}/install"),
            })
        })
        .collect();
    for round in 1..=rounds {
        eprintln!("{name}: round {round} of {rounds}, the earlier run");
        ground.teach()?;
        let first = (round as usize - 1) % clients.len();
        for client in clients.iter().cycle().skip(first).take(clients.len()) {
            eprintln!("{name}: round {round} of {rounds}, {}", client.name());
            let traces = client
                .measure(ground, parts)
                .map_err(|error| format!("{}: {error}", client.name()))?;
            for (panel, trace) in panels.iter_mut().zip(traces) {
                panel.add(*client, trace);
            }
        }
    }
    Ok(panels)
}

/// Whether everybody's notices were recorded, and in each round wua's value never fell and was 100 % at the end and not before. When
/// that was is a matter of clocks, and not asked where only the bench is tried.
fn keeps_the_law(panels: &[Panel], is_quick: bool) -> bool {
    let mut traces = panels.iter().flat_map(|panel| &panel.traces);
    let is_lawful = |client: &Client, trace: &trace::Trace| {
        let figures = Figures::of(trace);
        let keeps =
            figures.regressions == 0 && figures.end >= 1.0 && (is_quick || figures.full == Full::AtTheEnd);
        trace.values().next().is_some() && (keeps || !client.is_wua())
    };
    !panels.is_empty() && traces.all(|(client, traces)| traces.iter().all(|trace| is_lawful(client, trace)))
}
