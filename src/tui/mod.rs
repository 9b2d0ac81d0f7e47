//! `nakku tui`: the cluster in a terminal, for whoever is on call. It sees and does what the admin API offers, nothing
//! more. What is on the screen is a pure function of a [`state::State`], which changes only by [`update`]; everything
//! that waits for the network or the keyboard is a task or a thread that sends events through a bounded channel.
//!
//! - [`run`]: the command, and the loop that all events come together in
//! - `terminal`: takes the terminal and gives it back, whatever happens; its keys
//! - `state`, `page`: what is known and where the reader is
//! - `update`, `keys`, `prompt`: what an event changes, and what it asks for
//! - `place`: what can be looked at, followed and done
//! - `answers`: what came back
//! - `pages`: each view as a table
//! - `table`: columns, sorting, filtering
//! - `draw`, `help`: the screen
//! - `endpoints`: the nodes that can be asked
//! - `fetch`, `follow`: asking them, once and on and on

mod answers;
mod draw;
mod endpoints;
mod fetch;
mod follow;
mod help;
mod keys;
mod page;
mod pages;
mod place;
mod prompt;
pub mod run;
mod state;
mod table;
mod terminal;
mod update;

#[cfg(test)]
mod draw_tests;
#[cfg(test)]
mod fetch_tests;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod update_tests;
