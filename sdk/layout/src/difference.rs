//! One readable line about what abi_stable found to differ; its own account runs over pages.
//! Knows nothing of the contract.

use std::fmt::Debug;

use abi_stable::abi_stability::abi_checking::{
    AbiInstability, AbiInstabilityError, AbiInstabilityErrors, ExpectedFound,
};
use abi_stable::type_layout::TLFieldOrFunction;

/// Differences named in one text; the rest is counted.
const DIFFERENCES_MAX: usize = 4;

/// Says where the plug-in's layouts differ from the host's.
pub(crate) fn difference(errors: &AbiInstabilityErrors) -> String {
    let mut found: Vec<String> = Vec::new();
    for error in &errors.errors {
        for kind in &error.errs {
            found.push(format!("{}: {}", place(error), kind_text(kind)));
        }
    }
    let more = found.len().saturating_sub(DIFFERENCES_MAX);
    found.truncate(DIFFERENCES_MAX);
    let mut text = found.join("; ");
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

/// The path of members that leads to the difference, without the steps that only abi_stable sees: the inside of a
/// table's reference (`0`), and a function after the member that holds it.
fn place(error: &AbiInstabilityError) -> String {
    let mut names: Vec<&str> = error
        .stack_trace
        .iter()
        .map(|step| match step.expected {
            TLFieldOrFunction::Field(field) => field.name(),
            TLFieldOrFunction::Function(function) => function.name.as_str(),
        })
        .filter(|name| *name != "0")
        .collect();
    names.dedup();
    if names.is_empty() { "the contract".to_owned() } else { names.join(".") }
}

fn kind_text(kind: &AbiInstability) -> String {
    match kind {
        AbiInstability::Size(sizes) => pair("size", sizes),
        AbiInstability::Alignment(alignments) => pair("alignment", alignments),
        AbiInstability::FieldCountMismatch(counts) => pair("number of members", counts),
        AbiInstability::MismatchedPrefixSize(counts) => pair("number of first members", counts),
        AbiInstability::MismatchedPrimitive(primitives) => pair("primitive type", primitives),
        AbiInstability::UnexpectedField(members) => {
            between("member", members.expected.name(), members.found.name())
        }
        AbiInstability::Name(types) => {
            between("type", &types.expected.to_string(), &types.found.to_string())
        }
        AbiInstability::PackageVersion(versions) => between(
            "version of stagepost-layout",
            &versions.expected.to_string(),
            &versions.found.to_string(),
        ),
        other => format!("{other:?}").split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

fn pair<T: Debug>(what: &str, values: &ExpectedFound<T>) -> String {
    between(what, &format!("{:?}", values.expected), &format!("{:?}", values.found))
}

fn between(what: &str, plugin: &str, host: &str) -> String {
    format!("{what} is {plugin} in the plug-in and {host} in the host")
}
