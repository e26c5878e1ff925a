//! Properties of the criteria parser over random texts: canonical forms read back, hostile texts only give
//! errors, and errors point into the text.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use wua_types::criteria::{Criteria, CriteriaError, HistoryCriteria, Term, escape_string};

const ID: &str = "'3da21691-e39d-4da6-8a4b-b43877bcb1b7'";

/// Few enough cases to stay fast, the same in each run; failures are reported, not stored in files.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 500,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(50),
        ..ProptestConfig::default()
    }
}

fn blank() -> impl Strategy<Value = String> {
    "[ \t\r\n]{1,3}"
}

/// A valid criterion in any form of writing.
fn criterion() -> impl Strategy<Value = String> {
    let flags = prop::sample::select(vec![
        "IsAssigned",
        "browseonly",
        "AutoSelectOnWebSites",
        "ISINSTALLED",
        "IsHidden",
        "IsPresent",
        "RebootRequired",
    ]);
    let gap = "[ \t\r\n]{0,2}";
    prop_oneof![
        (flags, gap, gap, 0..=1)
            .prop_map(|(name, before, after, bit)| format!("{name}{before}={after}{bit}")),
        (any::<bool>(), any::<bool>()).prop_map(|(equal, software)| {
            format!(
                "Type{}'{}'",
                if equal { "=" } else { "!=" },
                if software { "sOFTWARE" } else { "Driver" }
            )
        }),
        prop::sample::select(vec![
            "*",
            "'Installation'",
            "'uninstallation'",
            "'OptionalInstallation'"
        ])
        .prop_map(|action| format!("DeploymentAction={action}")),
        any::<bool>().prop_map(|equal| format!("UpdateID{}{ID}", if equal { "=" } else { "!=" })),
        any::<i64>().prop_map(|number| format!("(UpdateID={ID} and RevisionNumber={number})")),
        Just(format!("CategoryIDs contains {ID}")),
        any::<String>().prop_map(|name| format!("Product='{}'", escape_string(&name))),
    ]
}

fn group() -> impl Strategy<Value = String> {
    let term = (criterion(), 0..3_usize)
        .prop_map(|(text, depth)| format!("{}{text}{}", "(".repeat(depth), ")".repeat(depth)));
    (prop::collection::vec(term, 1..5), blank())
        .prop_map(|(terms, blank)| terms.join(&format!("{blank}AND{blank}")))
}

/// Criteria that are valid but for a revision number beside `UpdateID!=`.
fn criteria() -> impl Strategy<Value = String> {
    (prop::collection::vec((group(), any::<bool>()), 1..5), blank()).prop_map(|(groups, blank)| {
        let groups: Vec<_> = groups
            .into_iter()
            .map(|(text, wrap)| if wrap { format!("({text})") } else { text })
            .collect();
        groups.join(&format!("{blank}Or{blank}"))
    })
}

/// Texts made of the language's own pieces, most of them invalid.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "(",
        ")",
        " ",
        "=",
        "!=",
        "*",
        "and",
        "or",
        "contains",
        "IsHidden",
        "UpdateID",
        "RevisionNumber",
        "Type",
        "CategoryIDs",
        "Product",
        "0",
        "1",
        "-1",
        "'",
        "''",
        "'Driver'",
        ID,
        "é",
        "\u{1F980}",
        "<",
        "\0",
        "\n",
    ]);
    prop::collection::vec(piece, 0..25).prop_map(|pieces| pieces.concat())
}

fn points_into(text: &str, error: &CriteriaError) -> Result<(), TestCaseError> {
    prop_assert!(text.is_char_boundary(error.position()), "{error:?}");
    prop_assert_eq!(text[..error.position()].chars().count() + 1, error.column());
    prop_assert!(!error.to_string().chars().any(char::is_control));
    let caret = error.caret();
    let lines: Vec<_> = caret.split('\n').collect();
    prop_assert_eq!(lines.len(), 2);
    prop_assert!(lines[1].trim_start() == "^" && lines[1].len() <= lines[0].chars().count() + 1);
    Ok(())
}

fn reads_back_or_points_into(text: &str) -> Result<(), TestCaseError> {
    match Criteria::parse(text) {
        Ok(criteria) => prop_assert_eq!(Criteria::parse(&criteria.to_string()), Ok(criteria)),
        Err(error) => points_into(text, &error)?,
    }
    if let Err(error) = HistoryCriteria::parse(text) {
        points_into(text, &error)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_canonical_form_of_valid_criteria_reads_back(text in criteria()) {
        match Criteria::parse(&text) {
            Ok(criteria) => prop_assert_eq!(Criteria::parse(&criteria.to_string()), Ok(criteria)),
            Err(error) => prop_assert_eq!(error.found(), "`UpdateID!=`", "{}", error),
        }
    }

    #[test]
    fn any_text_is_read_or_refused_inside_it(text in any::<String>()) {
        reads_back_or_points_into(&text)?;
    }

    #[test]
    fn any_mixture_of_pieces_is_read_or_refused_inside_it(text in pieces()) {
        reads_back_or_points_into(&text)?;
    }

    #[test]
    fn an_escaped_text_is_read_as_it_was(name in any::<String>()) {
        let criteria = Criteria::parse(&format!("Product='{}'", escape_string(&name))).unwrap();
        prop_assert_eq!(criteria.groups()[0].terms(), [Term::Product(name)]);
    }
}
