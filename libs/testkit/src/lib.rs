//! For tests only: a database per test, a scriptable receiver, a clock to move.
