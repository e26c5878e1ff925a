//! The figures as a Markdown table.

use std::fmt::Write as _;

use crate::client::Client;
use crate::figures::{EtaSource, Figures, Full};
use crate::panel::Panel;

const HEAD: &str = "\
| transaction | client | seconds | falls | last value | 100 % | RMS gap, points | to the best peer | longest silence, s | ETA error |
|---|---|---|---|---|---|---|---|---|---|
";

pub(crate) fn table(panels: &[Panel]) -> String {
    let mut text = String::from(HEAD);
    for panel in panels {
        for (number, (client, figures)) in panel.figures().enumerate() {
            let name = if number == 0 { panel.name.as_str() } else { "" };
            let ratio = panel
                .best_peer()
                .filter(|_| client.is_wua())
                .map(|peer| format!("{:.2}", figures.rms / peer))
                .unwrap_or_default();
            text.push_str(&row(name, client, &figures, &ratio));
        }
    }
    text
}

fn row(name: &str, client: Client, figures: &Figures, ratio: &str) -> String {
    let mut row = String::new();
    let full = match figures.full {
        Full::AtTheEnd => "at the end".to_owned(),
        Full::Never => "never".to_owned(),
        Full::Early(share) => format!("at {:.0} % of the time", share * 100.0),
    };
    let error = match figures.eta_error {
        error if error.is_infinite() => "none".to_owned(),
        error => format!("{:.0} %", error * 100.0),
    };
    let source = match figures.eta_source {
        EtaSource::Told => "",
        EtaSource::Linear => " (linear)",
    };
    // Writing to a string does not fail.
    let _ = writeln!(
        row,
        "| {name} | {} | {:.1} | {} | {:.0} % | {full} | {:.1} | {ratio} | {:.2} | {error}{source} |",
        client.name(),
        figures.seconds,
        figures.regressions,
        figures.end * 100.0,
        figures.rms * 100.0,
        figures.silence,
    );
    row
}
