//! `wua completions` and `wua man`: made from the command line's own definition.

use std::io::Write as _;

use clap::CommandFactory as _;

use crate::arguments::Arguments;
use crate::exit_code::Exit;
use crate::problem::Problem;
use crate::screen::Screen;

pub(crate) fn completions(screen: Screen, shell: clap_complete::Shell) -> Result<Exit, Problem> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "wua", &mut text);
    screen.text(&String::from_utf8_lossy(&text));
    Ok(Exit::Done)
}

/// One page with all commands: the program's own, then each command's.
pub(crate) fn man(screen: Screen) -> Result<Exit, Problem> {
    let mut text = Vec::new();
    let command = Arguments::command();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    for subcommand in command
        .get_subcommands()
        .filter(|subcommand| !subcommand.is_hide_set())
    {
        let title = format!("wua {}", subcommand.get_name());
        let page = clap_mangen::Man::new(subcommand.clone().bin_name(title.clone()));
        writeln!(text, ".SH \"{}\"", title.to_uppercase())?;
        let mut part = Vec::new();
        page.render_description_section(&mut part)?;
        page.render_options_section(&mut part)?;
        let part = String::from_utf8_lossy(&part)
            .replace(".SH DESCRIPTION", ".PP")
            .replace(".SH OPTIONS", ".SS OPTIONS");
        text.extend(part.into_bytes());
    }
    screen.text(&String::from_utf8_lossy(&text));
    Ok(Exit::Done)
}
