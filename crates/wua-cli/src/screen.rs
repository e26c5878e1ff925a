//! Where words go: results to the standard output, everything else to the error output, and no more than was asked for.

use std::io::{self, IsTerminal as _, Write as _};

use console::style;

use crate::arguments::{Color, Format, Global};
use crate::problem::Problem;

/// The terminal, file or pipe that a command talks to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    pub(crate) format: Format,
    pub(crate) quiet: bool,
}

impl Screen {
    pub(crate) fn new(global: &Global) -> Self {
        let colors = match global.color {
            Color::Auto => io::stdout().is_terminal() && console::colors_enabled(),
            Color::Always => true,
            Color::Never => false,
        };
        console::set_colors_enabled(colors);
        console::set_colors_enabled_stderr(colors);
        Self { format: global.output, quiet: global.quiet }
    }

    /// Whether sentences and tables are wanted.
    pub(crate) fn is_text(self) -> bool {
        self.format == Format::Text
    }

    /// Whether a person watches.
    pub(crate) fn is_live(self) -> bool {
        self.is_text() && !self.quiet && io::stdout().is_terminal()
    }

    /// How many columns there are; where nobody watches, as many as tables want.
    pub(crate) fn width(self) -> usize {
        if io::stdout().is_terminal() { usize::from(console::Term::stdout().size().1).max(40) } else { 100 }
    }

    /// A line of the result. Whoever closed the pipe has read enough.
    pub(crate) fn line(self, text: impl AsRef<str>) {
        let mut out = io::stdout().lock();
        if let Err(error) = writeln!(out, "{}", text.as_ref())
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            std::process::exit(0);
        }
    }

    /// A line of text that belongs to the story, not to the result.
    pub(crate) fn aside(self, text: impl AsRef<str>) {
        if self.is_text() && !self.quiet {
            self.line(text);
        }
    }

    /// A heading.
    pub(crate) fn heading(self, text: &str) {
        self.line(style(text).bold().to_string());
    }

    /// The last word of a command: its document, where one is wanted.
    pub(crate) fn result(self, mut document: serde_json::Value) {
        match self.format {
            Format::Text => {}
            Format::Json => self.line(serde_json::to_string_pretty(&document).unwrap_or_else(|_| document.to_string())),
            Format::Jsonl => {
                if let serde_json::Value::Object(object) = &mut document {
                    object.insert("event".into(), "result".into());
                    object.insert("time".into(), jiff::Timestamp::now().to_string().into());
                }
                self.line(document.to_string());
            }
        }
    }

    /// Something to know that ends nothing.
    pub(crate) fn warn(self, text: &str) {
        self.error_line(&format!("{} {text}", style("warning:").for_stderr().yellow().bold()));
    }

    /// Why the command ended early.
    pub(crate) fn problem(self, problem: &Problem) {
        for (number, line) in problem.lines().iter().enumerate() {
            match number {
                0 => self.error_line(&style(line).for_stderr().red().to_string()),
                _ => self.error_line(line),
            }
        }
    }

    fn error_line(self, text: &str) {
        // A closed error output leaves nobody to tell.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}
