//! The words two or more services use: ids, accounts, plans, events, endpoint URLs, pages, time. No I/O.
