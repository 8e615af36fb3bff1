//! Clock, configuration, supervised tasks, drain.
