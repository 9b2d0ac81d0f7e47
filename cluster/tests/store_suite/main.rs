//! One suite for every store: SQLite, MariaDB and MySQL 8.
//!
//! - `commits`: what a batch does, and how it fails cleanly;
//! - `reads`: load, due, list, last rows, journal, pruning;
//! - `migrations`: twice, at once, after a crash;
//! - `agreements`: topology, view, leases, generations, incarnation;
//! - `faults`: links cut around a COMMIT, late COMMITs, frozen owners, deadlocks (the servers with links);
//! - `deaths`: a server and a process killed in mid-batch, processes that share a SQLite file;
//! - `snapshots`: all servers as of one moment, rows put back.

mod agreements;
mod commits;
mod deaths;
mod faults;
mod fixture;
mod migrations;
mod proxy;
mod reads;
#[path = "../support/servers.rs"]
mod servers;
mod snapshots;
