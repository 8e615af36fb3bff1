//! Between the crates: who may depend on whom, and what every manifest says.

use toml::{Table, Value};

use super::rooms::SERVICES;
use super::tree::{Fault, Tree};

/// One line of a manifest's dependencies.
#[derive(Debug, Clone)]
pub(crate) struct Dependency {
    /// What the crate is called in the code, with dashes.
    pub(crate) key: String,
    /// What the crate is.
    pub(crate) package: String,
    /// Whether it is for tests only.
    pub(crate) dev: bool,
}

fn table(tree: &Tree, path: &str) -> Table {
    tree.text(path).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// The dependencies of a member, of every kind and for every target.
pub(crate) fn dependencies(tree: &Tree, member: &str) -> Vec<Dependency> {
    let root = table(tree, "Cargo.toml");
    let shared = root.get("workspace").and_then(|w| w.get("dependencies")).and_then(Value::as_table);
    let manifest = table(tree, &format!("{member}/Cargo.toml"));
    let mut sections = vec![&manifest];
    if let Some(targets) = manifest.get("target").and_then(Value::as_table) {
        sections.extend(targets.values().filter_map(Value::as_table));
    }
    let mut found = Vec::new();
    for section in sections {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (key, value) in section.get(kind).and_then(Value::as_table).into_iter().flatten() {
                let inherited =
                    value.get("workspace").is_some().then(|| shared.and_then(|s| s.get(key))).flatten();
                let package =
                    inherited.unwrap_or(value).get("package").and_then(Value::as_str).unwrap_or(key);
                found.push(Dependency {
                    key: key.clone(),
                    package: package.to_owned(),
                    dev: kind == "dev-dependencies",
                });
            }
        }
    }
    found
}

/// A workspace whose services depend on all that the root manifest offers: what a planted file is judged beside, whatever
/// the services happen to depend on.
pub(crate) fn stage(root: &str) -> Tree {
    let mut tree = Tree::default();
    tree.plant("Cargo.toml", root);
    let offered = table(&tree, "Cargo.toml")
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"))
        .and_then(Value::as_table)
        .map(|offered| offered.keys().map(|key| format!("{key}.workspace = true\n")).collect::<String>())
        .unwrap_or_default();
    for service in SERVICES {
        tree.plant(&format!("services/{service}/Cargo.toml"), &format!("[dependencies]\n{offered}"));
    }
    tree
}

fn is_service(package: &str) -> bool {
    package == "sluice" || package.strip_prefix("sluice-").is_some_and(|name| SERVICES.contains(&name))
}

/// The broken rules of all manifests.
pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = check_root(tree);
    for (member, _) in tree.members() {
        let path = format!("{member}/Cargo.toml");
        let mut fault = |rule: String| faults.push(Fault { path: path.clone(), line: 0, rule });
        let manifest = table(tree, &path);
        let inherits = |table: &str, key: Option<&str>| {
            let mut value = manifest.get(table);
            if let Some(key) = key {
                value = value.and_then(|value| value.get(key));
            }
            value.and_then(|value| value.get("workspace")).and_then(Value::as_bool) == Some(true)
        };
        if manifest.is_empty() {
            fault("the manifest can't be read".to_owned());
        }
        if !inherits("package", Some("license")) {
            fault("every member sets license.workspace = true".to_owned());
        }
        if !inherits("lints", None) {
            fault("every member sets [lints] workspace = true, which forbids unsafe code".to_owned());
        }
        let is_suite = ["tests", "tests/bench"].contains(&member);
        let names_all_services = member == "services/sluice" || is_suite;
        for dependency in dependencies(tree, member) {
            let Dependency { package, dev, .. } = dependency;
            if is_service(&package) && !names_all_services {
                fault(match member.starts_with("libs/") {
                    true => format!("libs never depend on services: {package}"),
                    false => format!("services never depend on each other: {package}"),
                });
            }
            if package == "reqwest" && !is_suite && !["libs/egress", "libs/testkit"].contains(&member) {
                fault("reqwest only in libs/egress, where addresses are judged first".to_owned());
            }
            if package == "sluice-testkit" && !dev && !is_suite {
                fault("sluice-testkit only among dev-dependencies".to_owned());
            }
        }
    }
    faults
}

fn check_root(tree: &Tree) -> Vec<Fault> {
    let root = table(tree, "Cargo.toml");
    let unsafe_code = root
        .get("workspace")
        .and_then(|w| w.get("lints"))
        .and_then(|l| l.get("rust"))
        .and_then(|r| r.get("unsafe_code"));
    let forbidden = unsafe_code.is_some_and(|level| {
        level.as_str() == Some("forbid") || level.get("level").and_then(Value::as_str) == Some("forbid")
    });
    let rule = "the workspace's lints forbid unsafe code".to_owned();
    if forbidden { Vec::new() } else { vec![Fault { path: "Cargo.toml".to_owned(), line: 0, rule }] }
}
