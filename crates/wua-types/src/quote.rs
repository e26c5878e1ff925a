//! Sentences that end with what another program printed: for whoever may act on the machine, not for everybody.
//!
//! A maintainer script may print secrets. What it said helps the administrator, so it stands in results and in the history; what is
//! published for all users goes through [`without_quote`].

/// What stands between a sentence and the words that it quotes.
const MARK: &str = "; it said: ";

/// The sentence with the last words of a program; alone where there are none.
pub fn quote(sentence: &str, said: &[String]) -> String {
    if said.is_empty() {
        sentence.to_owned()
    } else {
        format!("{sentence}{MARK}{}", said.join(" / "))
    }
}

/// The sentence without the words it quotes.
pub fn without_quote(message: &str) -> &str {
    message.split(MARK).next().unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_said_can_be_taken_away_again() {
        let message = quote(
            "the script failed",
            &["password=hunter2".into(), "; it said: more".into()],
        );
        assert!(message.ends_with("password=hunter2 / ; it said: more"));
        assert_eq!(without_quote(&message), "the script failed");
        assert_eq!(without_quote("nothing quoted"), "nothing quoted");
    }
}
