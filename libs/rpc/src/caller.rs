//! Who calls a handler: what the door left in the request's extensions.

use std::sync::Arc;

use sluice_auth::Principal;

use crate::fault::Fault;

/// The caller, put there by the door and by nobody else.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Arc<Principal>);

/// The caller of this request.
///
/// # Errors
/// `UNAUTHENTICATED` when the RPC is open to everybody and so nobody is known to call.
pub fn principal<T>(request: &tonic::Request<T>) -> Result<&Principal, Fault> {
    let caller = request.extensions().get::<Caller>();
    caller.map(|caller| caller.0.as_ref()).ok_or_else(|| Fault::unauthenticated("this call needs a token"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    #[test]
    fn a_request_that_came_through_no_door_has_no_principal() {
        assert_eq!(principal(&tonic::Request::new(())).unwrap_err().code(), Code::Unauthenticated);
    }
}
