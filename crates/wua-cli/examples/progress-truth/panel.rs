//! All that was measured of one transaction, or of one part of it: a panel of the plot and a group of rows of the table.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::client::Client;
use crate::figures::Figures;
use crate::trace::Trace;

#[derive(Debug)]
pub(crate) struct Panel {
    pub(crate) name: String,
    /// The traces of all rounds of each client.
    pub(crate) traces: BTreeMap<Client, Vec<Trace>>,
}

impl Panel {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            traces: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, client: Client, trace: Trace) {
        self.traces.entry(client).or_default().push(trace);
    }

    /// One line of JSON for each trace, with all its notices as `[time, value, remaining]`: for other programs to look at.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.traces.iter().flat_map(|(client, traces)| {
            traces.iter().map(|trace| {
                let notices = trace.notices.iter();
                let notices: Vec<Value> = notices
                    .map(|told| json!([told.at, told.value, told.remaining]))
                    .collect();
                json!({
                    "transaction": self.name,
                    "client": client.name(),
                    "seconds": trace.length,
                    "notices": notices,
                })
                .to_string()
            })
        })
    }

    /// Each client with its figures.
    pub(crate) fn figures(&self) -> impl Iterator<Item = (Client, Figures)> {
        self.traces
            .iter()
            .filter_map(|(client, traces)| Some((*client, Figures::of_rounds(traces)?)))
    }

    /// The smallest RMS gap of those that are not wua.
    pub(crate) fn best_peer(&self) -> Option<f64> {
        self.figures()
            .filter(|(client, _)| !client.is_wua())
            .map(|(_, figures)| figures.rms)
            .min_by(f64::total_cmp)
    }
}
