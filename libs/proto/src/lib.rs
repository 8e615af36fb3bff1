//! Generated gRPC types and their descriptor set; nothing by hand.
