//! Compares `spec/daos.tbl` with the code, both ways: every function, struct layout and constant
//! that is stated must be the one compiled, and every compiled one must be stated.
use crate::{api, constants, error, types};

const TABLE: &str = include_str!("../../../spec/daos.tbl");

/// Rows of one kind, each as its words.
fn rows(kind: &str) -> Vec<Vec<&'static str>> {
    TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.first() == Some(&kind))
        .map(|mut words| words.split_off(1))
        .collect()
}

fn compare(kind: &str, stated: Vec<String>, compiled: Vec<String>) {
    let missing: Vec<_> = compiled
        .iter()
        .filter(|row| !stated.contains(row))
        .collect();
    assert!(
        missing.is_empty(),
        "{kind}: compiled but not stated: {missing:#?}"
    );
    let surplus: Vec<_> = stated
        .iter()
        .filter(|row| !compiled.contains(row))
        .collect();
    assert!(
        surplus.is_empty(),
        "{kind}: stated but not compiled: {surplus:#?}"
    );
    assert_eq!(stated.len(), compiled.len(), "{kind}: stated twice");
}

#[test]
fn every_row_is_of_a_known_kind_and_says_since_when() {
    for line in TABLE
        .lines()
        .filter(|l| !l.starts_with('#') && !l.trim().is_empty())
    {
        let words: Vec<_> = line.split_whitespace().collect();
        assert!(
            ["func", "struct", "const", "error"].contains(&words[0]),
            "{line}"
        );
        assert!(words[2].starts_with("2."), "{line}");
    }
}

#[test]
fn functions_are_those_of_the_table() {
    let stated = rows("func")
        .iter()
        .map(|w| format!("{} {}", w[0], w[2]))
        .collect();
    let need = |required| if required { "required" } else { "optional" };
    let compiled = api::FUNCTIONS
        .iter()
        .map(|(name, required)| format!("{name} {}", need(*required)))
        .collect();
    compare("func", stated, compiled);
}

#[test]
fn structs_are_laid_out_as_the_table_says() {
    let stated = rows("struct")
        .iter()
        .map(|w| format!("{} {}", w[0], w[2..].join(" ")))
        .collect();
    let compiled = types::layouts()
        .iter()
        .map(|(name, size, fields)| {
            let fields: Vec<_> = fields.iter().map(|(f, at)| format!("{f}@{at}")).collect();
            format!("{name} {size} {}", fields.join(" "))
        })
        .collect();
    compare("struct", stated, compiled);
}

#[test]
fn constants_have_the_values_of_the_table() {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).expect("a hexadecimal number"),
        None => text.parse::<i128>().expect("a decimal number") as u64,
    };
    let stated = rows("const")
        .iter()
        .map(|w| format!("{} {}", w[0], number(w[2])))
        .collect();
    let compiled = constants::CONSTANTS
        .iter()
        .map(|(n, v)| format!("{n} {v}"))
        .collect();
    compare("const", stated, compiled);
}

#[test]
fn error_numbers_have_the_values_of_the_table() {
    let stated = rows("error")
        .iter()
        .map(|w| format!("{} {}", w[0], w[2]))
        .collect();
    let compiled = error::DER.iter().map(|(n, v)| format!("{n} {v}")).collect();
    compare("error", stated, compiled);
}
