//! What a builder refuses.

use sluice_auth::{Access, AccessError, AccessTable};
use tonic::Code;

use super::{GRANTS, METHODS, NAME, Stage, code, descriptors, path, request, table, verifier};
use crate::server::{Server, ServerError, methods_of};

#[test]
fn an_access_table_that_does_not_fit_the_services_is_refused() {
    let short = AccessTable::new(METHODS[1..].iter().map(|(name, _)| (path(name), Access::AnyOf(GRANTS))));
    let refused = Server::builder("test").access(table()).build(verifier(), || super::NOW);
    assert!(
        matches!(refused, Err(ServerError::Access(AccessError::Mismatch { unknown, .. })) if unknown.len() == METHODS.len())
    );
    let methods = methods_of(&descriptors(), &[NAME]).unwrap();
    assert_eq!(table().check(&methods), Ok(()));
    let refused = short.unwrap().check(&methods);
    assert!(matches!(refused, Err(AccessError::Mismatch { unlisted, .. }) if unlisted == [path("Greet")]));
}

#[test]
fn unreadable_descriptors_and_odd_origins_are_refused() {
    let build = |builder: super::ServerBuilder| builder.build(verifier(), || super::NOW);
    let refused = build(Server::builder("test").descriptors(b"\xff"));
    assert!(matches!(refused, Err(ServerError::Descriptors(_))));
    for odd in ["app.example.com", "https://app.example.com/", "https://a\nb"] {
        let refused = build(Server::builder("test").origins(vec![odd.to_owned()]));
        assert!(matches!(refused, Err(ServerError::Origin(_))), "{odd}");
    }
    assert!(build(Server::builder("test").origins(vec!["https://app.example.com".to_owned()])).is_ok());
}

#[tokio::test]
async fn reflection_needs_no_token_and_is_gone_when_switched_off() {
    for version in ["v1", "v1alpha"] {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        assert_eq!(code(&Stage::new().answer(request(&path, &[])).await), Code::Ok);
        let off = Stage::with(|builder| builder.reflection(false));
        assert_eq!(code(&off.answer(request(&path, &[])).await), Code::Unimplemented);
    }
}
