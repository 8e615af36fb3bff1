//! registry: who may send what, and where to?
