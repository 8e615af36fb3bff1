//! The rules of the house as a failing test: which crate may depend on which, what each room of a service may name, what no
//! file holds. The sources are read, not compiled; and each rule is shown to catch what it is for.

#[cfg(test)]
mod architecture {
    pub(crate) mod files;
    pub(crate) mod manifests;
    pub(crate) mod planted;
    pub(crate) mod references;
    pub(crate) mod rooms;
    mod tokens;
    pub(crate) mod tree;
}

use std::path::Path;

use architecture::tree::{Fault, Tree};
use architecture::{files, manifests, planted, rooms};

fn workspace() -> Tree {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    Tree::read(&root).unwrap_or_else(|error| unreachable!("the workspace can't be read: {error}"))
}

/// Where faults are planted: the real root manifest, nothing else.
fn stage() -> Tree {
    manifests::stage(workspace().text("Cargo.toml").unwrap_or_default())
}

fn none(faults: &[Fault]) {
    let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
    assert!(lines.is_empty(), "{} broken rules:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn nouns_know_nothing_of_the_world_and_each_door_touches_one_thing() {
    none(&rooms::check(&workspace()));
}

#[test]
fn services_depend_on_libs_and_never_on_each_other() {
    none(&manifests::check(&workspace()));
}

#[test]
fn files_are_short_and_plain() {
    let tree = workspace();
    println!("lines in a Rust file: {:?}", files::lengths(&tree));
    none(&files::check(&tree));
}

#[test]
fn the_tree_is_there_to_be_judged() {
    let tree = workspace();
    let members: Vec<&str> = tree.members().map(|(member, _)| member).collect();
    for member in [
        "libs/domain",
        "libs/egress",
        "services/registry",
        "services/evaluator",
        "services/dispatcher",
        "tests",
    ] {
        assert!(members.contains(&member), "{member} is no member: {members:?}");
    }
    assert!(files::lengths(&tree).files > 100);
}

#[test]
fn a_planted_path_is_caught_however_it_is_written() {
    planted::ways_to_name_a_crate(&stage());
}

#[test]
fn a_noun_that_names_the_world_is_caught() {
    planted::nouns(&stage());
}

#[test]
fn a_door_that_touches_a_second_thing_is_caught() {
    planted::doors(&stage());
}

#[test]
fn a_file_that_breaks_a_house_rule_is_caught() {
    planted::files(&stage());
}

#[test]
fn a_manifest_that_breaks_a_house_rule_is_caught() {
    planted::manifests(&stage());
}

#[test]
fn paths_are_resolved_from_where_they_stand() {
    let text = "use super::b::{self, C as D}; use tokio::time as t; mod m { fn f() { super::x(); D::new(); t::sleep(); } }";
    let named = rooms::named(text, &["store", "a"], &["tokio"]);
    let expected = [
        "crate::store::b",
        "crate::store::b::C",
        "tokio::time",
        "crate::store::a::x",
        "crate::store::b::C::new",
        "tokio::time::sleep",
    ];
    assert_eq!(named, expected);
}
