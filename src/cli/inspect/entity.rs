//! `nakku entity` and `nakku history`.

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use nakku_cluster::Key;
use nakku_cluster::inspect::report::{EntityReport, EventReport, HistoryReport};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::watch::Page;
use super::{Look, address, completion, kind, units};
use crate::cli::client::Listener;
use crate::cli::outcome::{Done, Wrong};
use crate::cli::show::{self, Column::Number, Column::Text};

/// Characters of a changed value that are shown.
const VALUE_CHARACTERS: usize = 100;

/// Which entity.
#[derive(Clone, Debug, Args)]
pub struct Named {
    /// Its kind, such as order.order, or as much of it as is unique, such as order
    #[arg(add = ArgValueCompleter::new(completion::kinds))]
    pub kind: String,
    /// Its key
    pub key: String,
}

/// `nakku entity`.
#[derive(Debug, Args)]
pub struct Entity {
    /// Whom to ask, and for whom
    #[command(flatten)]
    pub look: Look,
    /// Which
    #[command(flatten)]
    pub named: Named,
    /// As it was after so many events
    #[arg(long, value_name = "VERSION")]
    pub at: Option<u64>,
    /// Show personal data too, though never secrets; the reason is kept in the log
    #[arg(long, value_name = "REASON")]
    pub reveal: Option<String>,
}

/// `nakku history`.
#[derive(Debug, Args)]
pub struct History {
    /// Whom to ask, and for whom
    #[command(flatten)]
    pub look: Look,
    /// Which
    #[command(flatten)]
    pub named: Named,
    /// Only what came after this version
    #[arg(long, value_name = "VERSION")]
    pub after: Option<u64>,
    /// At most so many events
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: u32,
    /// With the events themselves, and values in full
    #[arg(long)]
    pub full: bool,
    /// Show personal data too, though never secrets; the reason is kept in the log
    #[arg(long, value_name = "REASON")]
    pub reveal: Option<String>,
}

impl Named {
    /// Kind and key as the API wants them.
    ///
    /// # Errors
    /// When they can't name anything.
    pub fn parts(&self) -> Result<(String, String), Wrong> {
        let key = Key::new(self.key.as_str()).map_err(|error| Wrong::Usage(error.to_string()))?;
        Ok((kind::named(&self.kind)?, key.to_string()))
    }
}

/// Prints one entity.
pub async fn entity(arguments: &Entity) -> Done {
    let (kind, key) = arguments.named.parts()?;
    let query = [("version", arguments.at.map(|version| version.to_string())), ("reveal", arguments.reveal.clone())];
    let path = address::path(&["entities", &kind, &key], &query)?;
    one(&arguments.look, &path, |report: &EntityReport| entity_text(report, &Page::now())).await
}

/// Prints the history of one entity.
pub async fn history(arguments: &History) -> Done {
    let (kind, key) = arguments.named.parts()?;
    let query = [
        ("after", arguments.after.map(|version| version.to_string())),
        ("limit", Some(arguments.limit.to_string())),
        ("reveal", arguments.reveal.clone()),
    ];
    let path = address::path(&["entities", &kind, &key, "history"], &query)?;
    one(&arguments.look, &path, |report: &HistoryReport| {
        let mut text = history_text(report, arguments.full, &Page::now());
        if let (true, Some(last)) = (report.more, report.events.last()) {
            text.push_str(&format!("\n\nmore: nakku history {kind} {key} --after {}", last.version));
        }
        text
    })
    .await
}

/// Where it lives, what it does, its state.
pub fn entity_text(entity: &EntityReport, page: &Page) -> String {
    let mut lines = vec![format!("{}/{}", entity.kind, entity.key)];
    let mut place = format!("{} on {}, shard {}", entity.presence, entity.node, entity.shard);
    if entity.presence == "past" {
        place = format!("as it was after {} events, told by {}, shard {}", entity.version, entity.node, entity.shard);
    }
    if let Some(s) = entity.loaded_s {
        place.push_str(&format!(", in memory for {}", units::age(s * 1000)));
    }
    if let Some(ms) = entity.idle_ms {
        place.push_str(&format!(", asked {} ago", units::age(ms)));
    }
    lines.push(place);
    let mut size = format!("version {}", entity.version);
    if entity.durable_version != entity.version {
        size.push_str(&format!(" ({} durable)", entity.durable_version));
    }
    if entity.seq > 0 {
        size.push_str(&format!(", last journal row {}", entity.seq));
    }
    if entity.state_bytes > 0 {
        size.push_str(&format!(", head {}", units::bytes(units::figure(entity.state_bytes))));
    }
    lines.push(format!("{size}, {} commands waiting", entity.waiting));
    if let Some(at_ms) = entity.wake_at_ms {
        lines.push(format!("wakes {}, at {} UTC", units::ago(at_ms, page.now), units::date(at_ms)));
    }
    if !entity.masked.is_empty() {
        lines.push(format!("masked: {} (--reveal REASON shows all but secrets)", entity.masked.join(", ")));
    }
    let mut parts = vec![lines.join("\n")];
    if !entity.waiting_commands.is_empty() {
        let rows = entity.waiting_commands.iter().map(|one| vec![one.command.clone(), units::age(one.age_ms)]);
        parts.push(show::table(page.width, &[Text("waiting"), Number("for")], rows));
    }
    if !entity.recent.is_empty() {
        let rows = entity.recent.iter().map(|recent| {
            let ago = units::ago(recent.at_ms, page.now);
            vec![recent.command.clone(), recent.outcome.clone(), ago, units::micros(recent.decided_us)]
        });
        let columns = [Text("last commands"), Text("outcome"), Number("when"), Number("decided in")];
        parts.push(show::table(page.width, &columns, rows));
    }
    if !entity.effects.is_empty() {
        let rows = entity.effects.iter().map(|effect| {
            vec![
                format!("{} {}", effect.step, effect.ordinal),
                if effect.running { "under way" } else { "waits" }.to_owned(),
                effect.attempts.to_string(),
                effect.calls.join(", "),
            ]
        });
        let columns = [Text("outstanding"), Text("state"), Number("failed attempts"), Text("calls")];
        parts.push(show::table(page.width, &columns, rows));
    }
    if entity.state.is_null() {
        parts.push("its state can't be told".to_owned());
    } else {
        parts.push(serde_json::to_string_pretty(&entity.state).unwrap_or_default());
    }
    parts.join("\n\n")
}

/// The events, each with what it has changed.
pub fn history_text(history: &HistoryReport, full: bool, page: &Page) -> String {
    let mut lines = Vec::new();
    for event in &history.events {
        event_lines(event, full, history.incomplete.is_some(), page, &mut lines);
    }
    if history.events.is_empty() {
        lines.push("(none)".to_owned());
    }
    if let Some(reason) = &history.incomplete {
        lines.push(String::new());
        lines.push(format!("changes are not shown: {reason}"));
    }
    lines.join("\n")
}

fn event_lines(event: &EventReport, full: bool, incomplete: bool, page: &Page, lines: &mut Vec<String>) {
    let (version, name, at) = (event.version, &event.event, units::date(event.at_ms));
    let ago = units::ago(event.at_ms, page.now);
    lines.push(format!("{version}  {name}  {at} UTC ({ago}), row {} by {}", event.seq, event.writer));
    let mut origin = Vec::new();
    for (what, value) in [("because of", &event.cause), ("trace", &event.trace)] {
        if !value.is_empty() {
            origin.push(format!("{what} {value}"));
        }
    }
    if !origin.is_empty() {
        lines.push(format!("   {}", origin.join(", ")));
    }
    let characters = if full { usize::MAX } else { VALUE_CHARACTERS };
    let value = |value: &Value| units::json(value, characters);
    if full || (incomplete && event.changes.is_empty()) {
        lines.push(format!("   {}", value(&event.payload)));
    }
    let width = event.changes.iter().map(|change| change.path.chars().count()).max().unwrap_or_default();
    for change in &event.changes {
        let (path, before, after) = (&change.path, value(&change.before), value(&change.after));
        let told = match (&change.before, &change.after) {
            (Value::Null, _) => format!("+ {after}"),
            (_, Value::Null) => format!("- {before}"),
            _ => format!("{before} → {after}"),
        };
        lines.push(format!("   {path:width$}  {told}"));
    }
}

async fn one<T: DeserializeOwned>(look: &Look, path: &str, text: impl FnOnce(&T) -> String) -> Done {
    let client = look.client.client(Listener::Admin)?;
    let body = client.get(path).await?;
    if look.json {
        return show::as_json(&body);
    }
    let report: T = serde_json::from_value(body)
        .map_err(|error| Wrong::Failed(format!("{} answers something else: {error}", client.endpoint())))?;
    show::line(&text(&report))
}
