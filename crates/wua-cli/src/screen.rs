//! Where words go: results to the standard output, everything else to the error output, and no more than was asked for.
//!
//! Nothing that is printed as a line can do more to a terminal than stand on it in one of this program's own styles. Whoever
//! closes the output has read enough: the command goes on in silence. Any other failure to write is kept for the command's end.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::OnceLock;

use console::style;

use crate::arguments::{Color, Format, Global};
use crate::problem::Problem;
use crate::text::is_unfit;

/// Why the standard output takes no more words. One for the program, as the output is.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// The escape sequences that this program's own styles are made of.
const STYLES: [&str; 5] = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m"];

/// The error that kept results from being written; a closed pipe is none.
pub(crate) fn failure() -> Option<&'static io::Error> {
    LOST.get()
        .filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
}

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
        Self {
            format: global.output,
            quiet: global.quiet,
        }
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
        if io::stdout().is_terminal() {
            usize::from(console::Term::stdout().size().1).max(40)
        } else {
            100
        }
    }

    /// A line of the result.
    pub(crate) fn line(self, text: impl AsRef<str>) {
        self.text(&(harmless(text.as_ref()) + "\n"));
    }

    /// Text of this program's own, as it is: documents, manual pages.
    pub(crate) fn text(self, text: &str) {
        if LOST.get().is_some() {
            return;
        }
        let mut out = io::stdout().lock();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // The first failure is the one to tell.
            let _ = LOST.set(error);
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
            Format::Json => self.text(&format!("{document:#}\n")),
            Format::Jsonl => {
                if let serde_json::Value::Object(object) = &mut document {
                    object.insert("event".into(), "result".into());
                    object.insert("time".into(), jiff::Timestamp::now().to_string().into());
                }
                self.text(&format!("{document}\n"));
            }
        }
    }

    /// Something to know that ends nothing.
    pub(crate) fn warn(self, text: &str) {
        self.error_line(&format!(
            "{} {text}",
            style("warning:").for_stderr().yellow().bold()
        ));
    }

    /// Why the command ended early. A stream of lines gets it as its last line, too.
    pub(crate) fn problem(self, problem: &Problem) {
        if self.format == Format::Jsonl {
            self.result(serde_json::json!({
                "problem": problem.sentence,
                "hresult": problem.code,
                "next_step": problem.next_step(),
            }));
        }
        let lines = problem.lines();
        for (number, line) in lines.iter().flat_map(|line| line.lines()).enumerate() {
            match number {
                0 => self.error_line(&style(line).for_stderr().red().to_string()),
                _ => self.error_line(line),
            }
        }
    }

    fn error_line(self, text: &str) {
        // A closed error output leaves nobody to tell.
        let _ = writeln!(io::stderr().lock(), "{}", harmless(text));
    }
}

/// The text with nothing in it that moves a cursor: of all controls only this program's own styles stay.
pub(crate) fn harmless(text: &str) -> String {
    let mut rest = text;
    let mut clean = String::with_capacity(text.len());
    while let Some(character) = rest.chars().next() {
        let own = STYLES.iter().find(|style| rest.starts_with(**style));
        let (piece, length) = match own {
            Some(style) => (*style, style.len()),
            None if is_unfit(character) => (" ", character.len_utf8()),
            None => (&rest[..character.len_utf8()], character.len_utf8()),
        };
        clean.push_str(piece);
        rest = &rest[length..];
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_all_controls_only_the_own_styles_get_through() {
        let own = style("done").green().bold().force_styling(true).to_string();
        assert_eq!(harmless(&own), own);
        assert_eq!(
            harmless("a\u{1b}[2J\nb\u{1b}]0;title\u{7}\u{1b}[8m\u{202e}"),
            "a [2J b ]0;title  [8m "
        );
    }
}
