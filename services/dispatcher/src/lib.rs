//! dispatcher: when is it sent, and how did it go?
