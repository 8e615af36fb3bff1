//! What the contracts say of the services of one server: their methods, and a descriptor set with nothing else in it.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

use super::ServerError;

/// One RPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Method {
    /// `/package.Service/Method`.
    pub(crate) path: String,
    /// Whether its answer is a stream.
    pub(crate) watch: bool,
}

/// The paths (`/package.Service/Method`) of all RPCs of these services, for checking an access table in a test.
///
/// # Errors
/// When the descriptor set does not decode or does not have one of the services.
pub fn methods_of(encoded: &[u8], services: &[&str]) -> Result<Vec<String>, ServerError> {
    Ok(methods(&decode(encoded)?, services)?.into_iter().map(|method| method.path).collect())
}

pub(crate) fn decode(encoded: &[u8]) -> Result<FileDescriptorSet, ServerError> {
    FileDescriptorSet::decode(encoded).map_err(|error| ServerError::Descriptors(error.to_string()))
}

/// The RPCs of these services.
pub(crate) fn methods(set: &FileDescriptorSet, services: &[&str]) -> Result<Vec<Method>, ServerError> {
    let mut found = Vec::new();
    let mut missing: BTreeSet<&str> = services.iter().copied().collect();
    for file in &set.file {
        for service in &file.service {
            let name = full_name(file, service.name());
            if !missing.remove(name.as_str()) {
                continue;
            }
            found.extend(service.method.iter().map(|method| Method {
                path: format!("/{name}/{}", method.name()),
                watch: method.server_streaming(),
            }));
        }
    }
    match missing.first() {
        Some(name) => Err(ServerError::Undescribed((*name).to_owned())),
        None => Ok(found),
    }
}

/// The files of these services and what they import; other services are taken out of them.
pub(crate) fn restricted(set: &FileDescriptorSet, services: &[&str]) -> FileDescriptorSet {
    let files: BTreeMap<&str, &FileDescriptorProto> =
        set.file.iter().map(|file| (file.name(), file)).collect();
    let serves = |file: &FileDescriptorProto, name: &str| services.contains(&full_name(file, name).as_str());
    let mut wanted: Vec<&FileDescriptorProto> = set
        .file
        .iter()
        .filter(|file| file.service.iter().any(|service| serves(file, service.name())))
        .collect();
    let mut kept = BTreeMap::new();
    while let Some(file) = wanted.pop() {
        if kept.contains_key(file.name()) {
            continue;
        }
        let mut only = file.clone();
        let before = only.service.len();
        only.service.retain(|service| serves(file, service.name()));
        if only.service.len() != before {
            // Comments are found by position, which has changed.
            only.source_code_info = None;
        }
        kept.insert(file.name(), only);
        wanted.extend(file.dependency.iter().filter_map(|import| files.get(import.as_str())));
    }
    FileDescriptorSet { file: kept.into_values().collect() }
}

fn full_name(file: &FileDescriptorProto, name: &str) -> String {
    if file.package().is_empty() { name.to_owned() } else { format!("{}.{name}", file.package()) }
}

#[cfg(test)]
mod tests {
    use prost_types::{MethodDescriptorProto, ServiceDescriptorProto};

    use super::*;

    fn service(name: &str, methods: &[(&str, bool)]) -> ServiceDescriptorProto {
        let method = |(name, watch): &(&str, bool)| MethodDescriptorProto {
            name: Some((*name).to_owned()),
            server_streaming: Some(*watch),
            ..Default::default()
        };
        ServiceDescriptorProto {
            name: Some(name.to_owned()),
            method: methods.iter().map(method).collect(),
            options: None,
        }
    }

    fn file(name: &str, imports: &[&str], services: Vec<ServiceDescriptorProto>) -> FileDescriptorProto {
        FileDescriptorProto {
            name: Some(name.to_owned()),
            package: Some("x.v1".to_owned()),
            dependency: imports.iter().map(|import| (*import).to_owned()).collect(),
            service: services,
            ..Default::default()
        }
    }

    fn set() -> FileDescriptorSet {
        FileDescriptorSet {
            file: vec![
                file("shared.proto", &[], vec![]),
                file(
                    "public.proto",
                    &["shared.proto"],
                    vec![service("Public", &[("Get", false), ("Watch", true)])],
                ),
                file("internal.proto", &["shared.proto"], vec![service("Internal", &[("Put", false)])]),
                file("both.proto", &[], vec![service("A", &[("Do", false)]), service("B", &[("Do", false)])]),
            ],
        }
    }

    #[test]
    fn methods_are_told_with_their_paths_and_whether_they_stream() {
        let methods = methods(&set(), &["x.v1.Public"]).unwrap();
        let expected = [("/x.v1.Public/Get", false), ("/x.v1.Public/Watch", true)];
        let expected = expected.map(|(path, watch)| Method { path: path.to_owned(), watch });
        assert_eq!(methods, expected);
        assert_eq!(methods_of(&set().encode_to_vec(), &["x.v1.A"]).unwrap(), ["/x.v1.A/Do"]);
    }

    #[test]
    fn a_service_that_is_not_described_is_named() {
        let missing = methods(&set(), &["x.v1.Public", "x.v1.Nowhere"]).unwrap_err();
        assert!(matches!(missing, ServerError::Undescribed(name) if name == "x.v1.Nowhere"));
        assert!(matches!(methods_of(b"\xff", &[]), Err(ServerError::Descriptors(_))));
    }

    #[test]
    fn nothing_is_left_of_services_that_are_not_served() {
        let only = restricted(&set(), &["x.v1.Public", "x.v1.B"]);
        let names: Vec<&str> = only.file.iter().map(FileDescriptorProto::name).collect();
        assert_eq!(names, ["both.proto", "public.proto", "shared.proto"]);
        let services: Vec<&str> =
            only.file.iter().flat_map(|file| file.service.iter().map(ServiceDescriptorProto::name)).collect();
        assert_eq!(services, ["B", "Public"]);
    }
}
