//! The criteria language, row by row: what is valid and how it is written canonically, what is refused and
//! where, and what matches (wua.md section 5).

use uuid::Uuid;
use wua_types::criteria::{Criteria, CriteriaFacts, escape_string};
use wua_types::{DeploymentAction, HResult, UpdateType};

const ID: &str = "3da21691-e39d-4da6-8a4b-b43877bcb1b7";
const OTHER: &str = "117cab2d-82b1-4b5a-a08c-4d62dbee7782";

/// The text with `ID` and `OTHER` replaced by real ids.
fn with_ids(text: &str) -> String {
    text.replace("OTHER", OTHER).replace("'ID'", &format!("'{ID}'"))
}

/// `text` is valid and `canonical` is its canonical form.
#[track_caller]
fn valid(text: &str, canonical: &str) {
    let criteria =
        Criteria::parse(&with_ids(text)).unwrap_or_else(|error| panic!("{error}\n{}", error.caret()));
    assert_eq!(criteria.to_string(), with_ids(canonical), "{text}");
    assert_eq!(
        Criteria::parse(&criteria.to_string()).as_ref(),
        Ok(&criteria),
        "{text}"
    );
}

/// `text` is refused at this column (in characters, from 1), where something beginning with `expected` was expected.
#[track_caller]
fn refused(text: &str, column: usize, expected: &str) {
    match Criteria::parse(&with_ids(text)) {
        Ok(criteria) => panic!("`{text}` was read as {criteria}"),
        Err(error) => {
            assert_eq!(error.column(), column, "`{text}`: {error}");
            assert!(error.expected().starts_with(expected), "`{text}`: {error}");
            assert_eq!(error.code(), HResult::WU_E_INVALID_CRITERIA);
        }
    }
}

/// Which operators and which kinds of value a property takes.
struct Row {
    name: &'static str,
    operators: &'static [&'static str],
    values: &'static [&'static str],
}

const BITS: &[&str] = &["0", "1"];
const IDS: &[&str] = &["'ID'", "'{ID}'"];

const TABLE: [Row; 13] = [
    Row {
        name: "Type",
        operators: &["=", "!="],
        values: &["'Software'", "'Driver'"],
    },
    Row {
        name: "DeploymentAction",
        operators: &["="],
        values: &[
            "'Installation'",
            "'Uninstallation'",
            "'OptionalInstallation'",
            "'Detection'",
            "*",
        ],
    },
    Row {
        name: "IsAssigned",
        operators: &["="],
        values: BITS,
    },
    Row {
        name: "BrowseOnly",
        operators: &["="],
        values: BITS,
    },
    Row {
        name: "AutoSelectOnWebSites",
        operators: &["="],
        values: BITS,
    },
    Row {
        name: "UpdateID",
        operators: &["=", "!="],
        values: IDS,
    },
    Row {
        name: "RevisionNumber",
        operators: &["="],
        values: &["0", "1", "7", "-7"],
    },
    Row {
        name: "CategoryIDs",
        operators: &["contains"],
        values: IDS,
    },
    Row {
        name: "IsInstalled",
        operators: &["="],
        values: BITS,
    },
    Row {
        name: "IsHidden",
        operators: &["="],
        values: BITS,
    },
    Row {
        name: "IsPresent",
        operators: &["="],
        values: BITS,
    },
    Row {
        name: "RebootRequired",
        operators: &["="],
        values: BITS,
    },
    Row {
        name: "Product",
        operators: &["="],
        values: &["'Office'", "''", "'it''s'"],
    },
];

#[test]
fn each_property_takes_its_operators_and_values_and_no_others() {
    let operators = ["=", "!=", "contains", "<", ">", "<=", "==", ""];
    let values = [
        "0",
        "1",
        "2",
        "7",
        "-1",
        "-7",
        "00",
        "99999999999999999999",
        "*",
        "",
        "x",
        "()",
        "''",
        "'0'",
        "'1'",
        "'*'",
        "'Software'",
        "'Driver'",
        "'Firmware'",
        "'Installation'",
        "'Uninstallation'",
        "'OptionalInstallation'",
        "'Detection'",
        "'None'",
        "'ID'",
        "'{ID}'",
        "'Office'",
        "'it''s'",
        "'3da21691'",
    ];
    for row in &TABLE {
        for operator in operators {
            for value in values {
                // A revision number cannot stand alone; the id's term comes last so as not to move columns.
                let beside = if row.name == "RevisionNumber" {
                    " and UpdateID='ID'"
                } else {
                    ""
                };
                let text = with_ids(
                    &format!("{} {operator} {value}{beside}", row.name).replace("{ID}", &format!("{{{ID}}}")),
                );
                let fits = row.operators.contains(&operator) && takes(row, value);
                let read = Criteria::parse(&text);
                assert_eq!(read.is_ok(), fits, "{text}: {read:?}");
                if let Err(error) = read {
                    let operator_at = row.name.len() + 1;
                    let value_at = operator_at + operator.len() + 1;
                    let wrong_value = row.operators.contains(&operator);
                    assert!(
                        error.position() >= if wrong_value { value_at } else { operator_at },
                        "{text}: {error}"
                    );
                    assert_eq!(error.code(), HResult::WU_E_INVALID_CRITERIA);
                }
            }
        }
    }
}

/// A product's name is any text.
fn takes(row: &Row, value: &str) -> bool {
    row.values.contains(&value)
        || (row.name == "RevisionNumber" && value.parse::<i64>().is_ok())
        || (row.name == "Product" && value.starts_with('\''))
}

#[test]
fn the_documented_and_published_strings_are_valid() {
    valid(
        "( IsInstalled = 0 and IsHidden = 0 )",
        "IsInstalled=0 and IsHidden=0",
    );
    valid(
        "IsInstalled=0 and Type='Software' and IsHidden=0",
        "IsInstalled=0 and Type='Software' and IsHidden=0",
    );
    valid("IsInstalled=0", "IsInstalled=0");
    valid("IsInstalled = 0", "IsInstalled=0");
    valid("Type='Software'", "Type='Software'");
    valid("IsInstalled=1", "IsInstalled=1");
    valid("RebootRequired=1", "RebootRequired=1");
    let removal = "IsAssigned=1 and IsHidden=0 and IsInstalled=0 and Type='Software' and DeploymentAction='Uninstallation'";
    valid(removal, removal);
    valid("DeploymentAction=*", "DeploymentAction=*");
    valid(
        "(IsInstalled = 0 AND CategoryIds contains 'ID') OR (IsInstalled = 0 AND CategoryIds contains 'OTHER')",
        "(IsInstalled=0 and CategoryIDs contains 'ID') or (IsInstalled=0 and CategoryIDs contains 'OTHER')",
    );
    valid(
        "(IsInstalled=0 and IsHidden=1) or (IsHidden=0)",
        "(IsInstalled=0 and IsHidden=1) or IsHidden=0",
    );
}

#[test]
fn and_binds_tighter_than_or_without_parentheses() {
    valid(
        "IsHidden=0 and IsPresent=1 or BrowseOnly=1",
        "(IsHidden=0 and IsPresent=1) or BrowseOnly=1",
    );
    valid(
        "IsHidden=0 or IsPresent=1 and BrowseOnly=1",
        "IsHidden=0 or (IsPresent=1 and BrowseOnly=1)",
    );
}

#[test]
fn words_may_be_written_in_any_case_and_with_any_blanks() {
    valid(
        "\r\n\tISINSTALLED\t=\r\n0 AnD tYPE!='sOFTWARE'",
        "IsInstalled=0 and Type!='Software'",
    );
    valid("categoryids CONTAINS 'ID'", "CategoryIDs contains 'ID'");
    valid(
        "deploymentaction='uninstallation'",
        "DeploymentAction='Uninstallation'",
    );
    let upper = format!("UPDATEID='{}'", ID.to_uppercase());
    valid(&upper, "UpdateID='ID'");
    refused("IsHidden\u{a0}=0", 9, "`=`");
}

#[test]
fn parentheses_may_surround_and_but_never_or_r40() {
    valid(
        "((IsHidden=0) and ((IsPresent=1 and (BrowseOnly=1))))",
        "IsHidden=0 and IsPresent=1 and BrowseOnly=1",
    );
    refused("(IsHidden=0 or IsPresent=1)", 13, "`and` or `)`, as `or`");
    refused("((IsHidden=0) or (IsPresent=1))", 15, "`and` or `)`, as `or`");
    refused(
        "(IsHidden=0) and (IsPresent=1 or BrowseOnly=1)",
        31,
        "`and` or `)`, as `or`",
    );
    refused("(IsHidden=0", 12, "`and` or `)`");
    refused("IsHidden=0)", 11, "`and`, `or` or the end");
    refused("()", 2, "a property");
    let deep = "(".repeat(100_000) + "IsHidden=0";
    refused(&deep, 100_011, "`and` or `)`");
    valid(&(deep + &")".repeat(100_000)), "IsHidden=0");
}

#[test]
fn keywords_need_a_blank_only_where_no_parenthesis_stands_r41() {
    valid("(IsHidden=0)or(IsPresent=1)", "IsHidden=0 or IsPresent=1");
    valid("(IsHidden=0)and(IsPresent=1)", "IsHidden=0 and IsPresent=1");
    valid("(IsHidden=0)  OR(IsInstalled = 0)", "IsHidden=0 or IsInstalled=0");
    refused("IsHidden=0and IsPresent=1", 11, "a blank");
    refused("Type='Driver'or IsPresent=1", 14, "a blank");
    refused("(IsHidden=0) and'x'", 17, "a blank");
    refused("CategoryIDs contains'ID'", 21, "a blank");
}

#[test]
fn faults_are_reported_where_they_are() {
    refused("IsInstaled=0", 1, "a property");
    refused("BrowseOnly>0", 11, "`=`");
    refused("BrowseOnly!=0", 11, "`=`");
    refused("IsHidden=2", 10, "0 or 1");
    refused("IsHidden='0'", 10, "0 or 1");
    refused("Type=1", 6, "'Software' or 'Driver'");
    refused("UpdateID='nonsense'", 10, "an id");
    refused("CategoryIDs='ID'", 12, "`contains`");
    refused("IsHidden=0 IsPresent=1", 12, "`and`, `or` or the end");
    refused("IsHidden=0 xor IsPresent=1", 12, "`and`, `or` or the end");
    refused("not IsHidden=0", 1, "a property");
    refused("IsHidden=0 and", 15, "a property");
    refused("IsHidden=0 or ", 15, "a property");
    refused("or", 1, "a property");
    refused("Type='Software", 6, "a closing single quote");
    refused("é=0", 1, "a property");
    refused("Type=\"Software\"", 6, "'Software' or 'Driver'");
}

#[test]
fn a_revision_number_needs_its_update_beside_it() {
    valid(
        "RevisionNumber=3 and UpdateID='ID'",
        "RevisionNumber=3 and UpdateID='ID'",
    );
    valid(
        "(UpdateID='ID') and (RevisionNumber=-3)",
        "UpdateID='ID' and RevisionNumber=-3",
    );
    refused("IsHidden=0 and RevisionNumber=3", 16, "`UpdateID=`");
    refused("UpdateID!='ID' and RevisionNumber=3", 54, "`UpdateID=`");
    refused(
        "UpdateID='ID' and UpdateID!='OTHER' and RevisionNumber=3",
        106,
        "`UpdateID=`",
    );
    refused("UpdateID='ID' or RevisionNumber=3", 52, "`UpdateID=`");
}

#[test]
fn a_blank_text_is_the_default_r50() {
    for text in ["", " ", "\t\r\n "] {
        assert_eq!(Criteria::parse(text), Ok(Criteria::default()));
    }
    valid("", "IsInstalled=0 and IsHidden=0");
}

#[test]
fn a_quote_in_a_text_is_doubled_r43() {
    assert_eq!(escape_string("it's 'x' \\"), "it''s ''x'' \\");
    assert_eq!(escape_string(""), "");
    valid("Product='it''s'", "Product='it''s'");
    refused("Product='it's'", 13, "`and`, `or` or the end");
}

/// An update as criteria see it.
#[derive(Clone)]
struct Facts {
    kind: UpdateType,
    action: DeploymentAction,
    id: Uuid,
    revision: u32,
    category: Uuid,
    /// The names of the properties that are 1.
    set: &'static [&'static str],
}

impl Facts {
    fn new(set: &'static [&'static str]) -> Self {
        Self {
            kind: UpdateType::Software,
            action: DeploymentAction::Installation,
            id: ID.parse().unwrap(),
            revision: 7,
            category: OTHER.parse().unwrap(),
            set,
        }
    }

    fn fit(&self, text: &str) -> bool {
        Criteria::parse(&with_ids(text)).unwrap().matches(self)
    }
}

impl CriteriaFacts for Facts {
    fn update_type(&self) -> UpdateType {
        self.kind
    }
    fn deployment_action(&self) -> DeploymentAction {
        self.action
    }
    fn is_assigned(&self) -> bool {
        self.set.contains(&"IsAssigned")
    }
    fn browse_only(&self) -> bool {
        self.set.contains(&"BrowseOnly")
    }
    fn auto_select_on_web_sites(&self) -> bool {
        self.set.contains(&"AutoSelectOnWebSites")
    }
    fn update_id(&self) -> Uuid {
        self.id
    }
    fn revision_number(&self) -> u32 {
        self.revision
    }
    fn in_category(&self, category: Uuid) -> bool {
        self.category == category
    }
    fn is_installed(&self) -> bool {
        self.set.contains(&"IsInstalled")
    }
    fn is_hidden(&self) -> bool {
        self.set.contains(&"IsHidden")
    }
    fn is_present(&self) -> bool {
        self.set.contains(&"IsPresent")
    }
    fn reboot_required(&self) -> bool {
        self.set.contains(&"RebootRequired")
    }
}

#[test]
fn each_flag_asks_for_its_own_property() {
    let flags = [
        "IsAssigned",
        "BrowseOnly",
        "AutoSelectOnWebSites",
        "IsInstalled",
        "IsHidden",
        "IsPresent",
        "RebootRequired",
    ];
    for (index, set) in flags.chunks(1).enumerate() {
        let facts = Facts::new(Box::leak(set.to_vec().into_boxed_slice()));
        for (other, flag) in flags.iter().enumerate() {
            assert_eq!(facts.fit(&format!("{flag}=1")), index == other, "{flag}");
            assert_eq!(facts.fit(&format!("{flag}=0")), index != other, "{flag}");
        }
    }
}

#[test]
fn type_id_revision_and_category_are_compared() {
    let facts = Facts::new(&[]);
    for (text, fits) in [
        ("Type='Software'", true),
        ("Type='Driver'", false),
        ("Type!='Driver'", true),
        ("Type!='Software'", false),
        ("UpdateID='ID'", true),
        ("UpdateID='OTHER'", false),
        ("UpdateID!='ID'", false),
        ("UpdateID!='OTHER'", true),
        ("UpdateID='ID' and RevisionNumber=7", true),
        ("UpdateID='ID' and RevisionNumber=8", false),
        ("UpdateID='ID' and RevisionNumber=-7", false),
        ("CategoryIDs contains 'OTHER'", true),
        ("CategoryIDs contains 'ID'", false),
        ("IsHidden=1 or Type='Software'", true),
        ("IsHidden=1 and Type='Software'", false),
    ] {
        assert_eq!(facts.fit(text), fits, "{text}");
    }
}

#[test]
fn a_group_without_action_implies_installation() {
    let install = Facts::new(&[]);
    let remove = Facts {
        action: DeploymentAction::Uninstallation,
        ..install.clone()
    };
    let optional = Facts {
        action: DeploymentAction::OptionalInstallation,
        ..install.clone()
    };
    let [plain, named, any] = [
        "IsHidden=0",
        "IsHidden=0 and DeploymentAction='Uninstallation'",
        "DeploymentAction=*",
    ];
    assert_eq!(
        [plain, named, any].map(|text| install.fit(text)),
        [true, false, true]
    );
    assert_eq!(
        [plain, named, any].map(|text| remove.fit(text)),
        [false, true, true]
    );
    assert_eq!(
        [plain, named, any].map(|text| optional.fit(text)),
        [false, false, true]
    );
    // The implication is one of each group, not of the whole.
    assert!(remove.fit("IsHidden=1 or DeploymentAction='Uninstallation'"));
    assert!(!remove.fit("IsHidden=0 or DeploymentAction='Detection'"));
}

#[test]
fn contradictions_match_nothing_and_are_no_error() {
    let facts = Facts::new(&[]);
    for text in [
        "IsHidden=0 and IsHidden=1",
        "Type='Software' and Type='Driver'",
        "UpdateID='ID' and UpdateID='OTHER'",
        "UpdateID='ID' and UpdateID!='ID'",
        "UpdateID='ID' and RevisionNumber=7 and RevisionNumber=8",
        "DeploymentAction='Installation' and DeploymentAction='Detection'",
    ] {
        assert!(!facts.fit(text), "{text}");
    }
    assert!(facts.fit("IsHidden=0 and IsHidden=0"));
}

#[test]
fn a_product_matches_nothing_and_is_named_r42() {
    let criteria =
        Criteria::parse("Product='Office' and IsHidden=0 or IsHidden=0 or Product='it''s'").unwrap();
    assert_eq!(
        criteria.unsupported_products().collect::<Vec<_>>(),
        ["Office", "it's"]
    );
    assert!(criteria.matches(&Facts::new(&[])));
    assert!(!Facts::new(&[]).fit("Product='Office'"));
}

#[test]
fn criteria_tell_which_updates_need_no_look() {
    for (text, installed, not_installed, hidden) in [
        ("", false, true, false),
        ("IsInstalled=0", false, true, true),
        ("IsInstalled=1 and IsHidden=0", true, false, false),
        ("Type='Software'", true, true, true),
        (
            "IsInstalled=0 and IsHidden=0 or IsInstalled=1 and IsHidden=0",
            true,
            true,
            false,
        ),
        ("IsInstalled=0 and IsHidden=0 or Product='x'", false, true, false),
        ("IsInstalled=0 and IsInstalled=1", false, false, true),
    ] {
        let criteria = Criteria::parse(text).unwrap();
        let told = (
            criteria.wants_installed(),
            criteria.wants_not_installed(),
            criteria.wants_hidden(),
        );
        assert_eq!(told, (installed, not_installed, hidden), "{text}");
    }
}
