//! The tracing subscriber and trace context propagation.
