//! One suite for every store: SQLite, MariaDB and MySQL 8.
//!
//! - `commits`: what a batch does, and how it fails cleanly;
//! - `reads`: load, due, list, last rows, journal, pruning;
//! - `migrations`: twice, at once, after a crash;
//! - `agreements`: topology, view, leases, generations, incarnation.

mod agreements;
mod commits;
mod fixture;
mod migrations;
mod reads;
#[path = "../support/servers.rs"]
mod servers;
