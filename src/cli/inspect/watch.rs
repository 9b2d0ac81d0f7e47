//! One look at a list, or one every few seconds until Ctrl-C.

use std::time::Duration;

use clap::Args;
use nakku_cluster::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Look, units};
use crate::cli::client::{Client, Listener};
use crate::cli::outcome::{Done, Wrong};
use crate::cli::show;

/// Once, or again and again.
#[derive(Clone, Debug, Args)]
pub struct Watched {
    /// Whom to ask, and for whom
    #[command(flatten)]
    pub look: Look,
    /// Again every so many seconds (2 unless given) until Ctrl-C; with --json one line each
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub watch: Option<u64>,
}

/// What a text is made for.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The most columns, if there is a limit.
    pub width: Option<u16>,
    /// Ages are counted from here.
    pub now: Timestamp,
}

impl Page {
    /// Of this terminal, now.
    pub fn now() -> Self {
        Self { width: show::screen().map(|(width, _)| width), now: Timestamp::now() }
    }
}

/// A list over all nodes.
#[derive(Deserialize)]
struct List<T> {
    items: Vec<T>,
    #[serde(default)]
    silent: Vec<Silent>,
}

/// A node that did not answer.
#[derive(Deserialize)]
pub struct Silent {
    /// `name@generation`.
    pub node: String,
    /// What is known of it.
    pub reason: String,
}

/// Shows a list of the API, as text or JSON. It fails when no node has answered.
pub async fn list<T: DeserializeOwned>(watched: &Watched, path: &str, draw: impl Fn(&[T], &Page) -> String) -> Done {
    let client = watched.look.client.client(Listener::Admin)?;
    let body = client.get(path).await?;
    let Some(seconds) = watched.watch else {
        let json = watched.look.json;
        let (text, answered) = text(&client, &body, &draw)?;
        if json {
            show::as_json(&body)?
        } else {
            show::line(&text)?
        }
        return if answered { Ok(()) } else { Err(Wrong::Failed("no node has answered".into())) };
    };
    let every = Duration::from_secs(seconds);
    tokio::select! {
        done = again(watched, path, client, body, every, &draw) => done,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// What stands under a list when nodes did not answer.
pub fn silent_lines(silent: &[Silent]) -> String {
    silent.iter().map(|Silent { node, reason }| format!("\nno answer from {node}: {reason}")).collect()
}

async fn again<T: DeserializeOwned>(
    watched: &Watched,
    path: &str,
    mut client: Client,
    first: Value,
    every: Duration,
    draw: &impl Fn(&[T], &Page) -> String,
) -> Done {
    let mut body = first;
    let mut trouble = None;
    let mut is_first = true;
    loop {
        let shown = if watched.look.json {
            if trouble.is_none() { format!("{body}\n") } else { String::new() }
        } else {
            let (mut text, _) = text(&client, &body, draw)?;
            if let Some(trouble) = &trouble {
                text = format!("{text}\n\nstale: {trouble}");
            }
            let head = format!(
                "{} UTC, every {}, Ctrl-C ends",
                units::clock(Timestamp::now().0),
                units::age(u64::try_from(every.as_millis()).unwrap_or(u64::MAX))
            );
            match show::screen() {
                Some((_, lines)) => frame(&format!("{head}\n\n{text}"), lines.into(), is_first),
                None => format!("{text}\n\n"),
            }
        };
        is_first = false;
        if !show::told(&shown)? {
            return Ok(());
        }
        tokio::time::sleep(every).await;
        let asked = client.get(path).await;
        trouble = match asked {
            Ok(new) => {
                body = new;
                None
            }
            Err(Wrong::Failed(message) | Wrong::Usage(message)) => {
                // The node may be gone, and another one of a local cluster be there.
                client = watched.look.client.client(Listener::Admin)?;
                if watched.look.json {
                    eprintln!("nakku: {message}");
                }
                Some(message)
            }
        };
    }
}

/// The list as text, and whether any node has answered.
fn text<T: DeserializeOwned>(
    client: &Client,
    body: &Value,
    draw: &impl Fn(&[T], &Page) -> String,
) -> Result<(String, bool), Wrong> {
    let list: List<T> = List::deserialize(body)
        .map_err(|error| Wrong::Failed(format!("{} answers something else: {error}", client.endpoint())))?;
    let answered = !list.items.is_empty() || list.silent.is_empty();
    let mut text = draw(&list.items, &Page::now());
    if !list.silent.is_empty() {
        text.push('\n');
        text.push_str(&silent_lines(&list.silent));
    }
    Ok((text, answered))
}

/// Draws over what stands there, without a flicker in between, and no more lines than there are.
fn frame(text: &str, lines: usize, is_first: bool) -> String {
    let room = if lines == 0 { usize::MAX } else { lines.saturating_sub(1).max(3) };
    let all: Vec<&str> = text.lines().collect();
    let (shown, left) = if all.len() > room { (&all[..room - 1], all.len() - (room - 1)) } else { (&all[..], 0) };
    let mut frame = String::from(if is_first { "\x1b[2J\x1b[H" } else { "\x1b[H" });
    for line in shown {
        frame.push_str(line);
        frame.push_str("\x1b[K\n");
    }
    if left > 0 {
        frame.push_str(&format!("… and {left} more lines\x1b[K\n"));
    }
    frame.push_str("\x1b[J");
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_no_more_lines_than_the_terminal() {
        let all = frame("a\nb\nc", 24, true);
        assert_eq!(all, "\x1b[2J\x1b[Ha\x1b[K\nb\x1b[K\nc\x1b[K\n\x1b[J");
        let cut = frame("a\nb\nc\nd\ne", 5, false);
        assert_eq!(cut, "\x1b[Ha\x1b[K\nb\x1b[K\nc\x1b[K\n… and 2 more lines\x1b[K\n\x1b[J");
        assert_eq!(frame("a\nb", 0, false), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
    }
}
