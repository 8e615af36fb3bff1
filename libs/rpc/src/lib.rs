//! What every gRPC server and client of the house shares: server, layers, errors, transport.
