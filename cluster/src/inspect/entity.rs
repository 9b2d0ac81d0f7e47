//! One entity from memory or from its rows, its past from the journal, and what of it is not for every eye.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::question::EntityAt;
use super::report::{Change, EntityReport, EventReport, HistoryReport, Report};
use crate::databases::Server;
use crate::instance::EntityType;
use crate::reference::ShardId;
use crate::router::NodeRouter;
use crate::shard::{Inspect, Presence, ShardMessage};
use crate::store::{JournalRow, StoreError};

/// How long a shard or an entity may take to say how it is; after that what is committed is shown.
const PATIENCE: Duration = Duration::from_millis(500);
/// Events that are replayed for one look into the past.
pub const REPLAYED_MAX: u32 = 10_000;
/// Rows of one read.
const ROWS: u32 = 500;
/// Bytes of the events of one answer, as JSON; a single event may have more.
pub(super) const HISTORY_BYTES_MAX: usize = 96 * 1024;
/// Members that differ by one event and are shown.
const CHANGES_MAX: usize = 200;
/// What stands in place of what is masked.
const MASK: &str = "•••";

/// Who is looked at, and where it lives.
struct Place<'a> {
    router: &'a NodeRouter,
    entity_type: &'a dyn EntityType,
    shard: ShardId,
    server: &'a Server,
    at: &'a EntityAt,
}

/// How an entity of this node is, or was.
pub(crate) async fn look(router: &NodeRouter, at: &EntityAt) -> Report {
    let answer = match (place(router, at), at.version) {
        (Err(report), _) => return report,
        (Ok(place), None) => now(&place).await,
        (Ok(place), Some(version)) => past(&place, version).await,
    };
    answer.unwrap_or_else(|error| Report::Refused { reason: error.to_string() })
}

/// The events of an entity of this node behind a version.
pub(crate) async fn history(router: &NodeRouter, at: &EntityAt, after_version: u64, limit: u32) -> Report {
    let answer = match place(router, at) {
        Err(report) => return report,
        Ok(place) => events(&place, after_version, limit as usize).await,
    };
    answer.map_or_else(|error| Report::Refused { reason: error.to_string() }, Report::History)
}

/// Says so when an entity is neither in memory nor stored.
pub(crate) async fn missing(router: &NodeRouter, at: &EntityAt) -> Option<Report> {
    let place = match place(router, at) {
        Ok(place) => place,
        Err(report) => return Some(report),
    };
    if presence(&place).await.is_some_and(|presence| presence.loaded.is_some()) {
        return None;
    }
    match place.server.store.load(&place.entity_type.table(), place.shard.number, &at.key).await {
        Ok(Some(_)) => None,
        Ok(None) => Some(Report::Absent { what: format!("{}/{}", at.kind, at.key) }),
        Err(error) => Some(Report::Refused { reason: error.to_string() }),
    }
}

fn place<'a>(router: &'a NodeRouter, at: &'a EntityAt) -> Result<Place<'a>, Report> {
    let shard =
        router.shard_of(&at.kind, &at.key).map_err(|failure| Report::Refused { reason: failure.to_string() })?;
    let absent = |what: String| Report::Absent { what };
    let entity_type =
        router.runtime.entity_type(&at.kind).ok_or_else(|| absent(format!("{} on this node", at.kind)))?;
    let server = router.databases.of_shard(shard).ok_or_else(|| absent(format!("the database of {shard}")))?;
    Ok(Place { router, entity_type: &**entity_type, shard, server, at })
}

async fn now(place: &Place<'_>) -> Result<Report, StoreError> {
    let Place { router, entity_type, shard, server, at } = place;
    let mut report = EntityReport {
        kind: at.kind.clone(),
        key: at.key.to_string(),
        shard: shard.to_string(),
        node: router.node.to_string(),
        presence: "passivated".to_owned(),
        ..EntityReport::default()
    };
    if let Some(Presence { quarantined, loaded }) = presence(place).await {
        if quarantined {
            report.presence = "quarantined".to_owned();
        }
        if let Some(loaded) = loaded {
            report.waiting = loaded.waiting;
            report.waiting_commands = loaded.first;
            report.loaded_s = Some(loaded.loaded_for.as_secs());
            report.idle_ms = Some(u64::try_from(loaded.idle_for.as_millis()).unwrap_or(u64::MAX));
            report.presence = "busy".to_owned();
            if let Ok(Ok(look)) = tokio::time::timeout(PATIENCE, loaded.look).await {
                report.presence = "loaded".to_owned();
                report.recent = look.recent;
                if !look.state.is_null() {
                    report.version = look.version;
                    report.durable_version = look.durable_version;
                    report.seq = look.seq;
                    report.state_bytes = look.state_bytes;
                    report.effects = look.effects;
                    report.wake_at_ms = look.wake_at.map(|at| at.0);
                    return Ok(shown(report, look.state, *entity_type, at.reveal));
                }
            }
        }
    }
    let Some(stored) = server.store.load(&entity_type.table(), shard.number, &at.key).await? else {
        if report.presence == "passivated" || report.presence == "loaded" {
            return Ok(Report::Absent { what: format!("{}/{}", at.kind, at.key) });
        }
        return Ok(Report::Entity(Box::new(report)));
    };
    report.version = stored.version;
    report.durable_version = stored.version;
    report.seq = stored.seq;
    report.state_bytes = stored.head.len() as u64;
    match entity_type.restore(&stored) {
        Ok(mut instance) => {
            report.wake_at_ms = instance.outstanding().wake.map(|(at, _)| at.0);
            let state = instance.to_json();
            Ok(shown(report, state, *entity_type, at.reveal))
        }
        Err(error) => Ok(Report::Refused { reason: format!("{}/{} can't be read: {error}", at.kind, at.key) }),
    }
}

async fn presence(place: &Place<'_>) -> Option<Presence> {
    let actor = place.router.open.get(place.shard)?;
    let (answer, presence) = oneshot::channel();
    let (kind, key) = (place.entity_type.kind(), place.at.key.clone());
    actor.cast(ShardMessage::Inspect(Inspect::Presence { kind, key, answer })).ok()?;
    tokio::time::timeout(PATIENCE, presence).await.ok()?.ok()
}

async fn past(place: &Place<'_>, version: u64) -> Result<Report, StoreError> {
    let mut instance = place.entity_type.create();
    let mut report = EntityReport {
        kind: place.at.kind.clone(),
        key: place.at.key.to_string(),
        shard: place.shard.to_string(),
        node: place.router.node.to_string(),
        presence: "past".to_owned(),
        ..EntityReport::default()
    };
    let mut rows = Rows::new(place);
    while report.version < version {
        let Some(row) = rows.next().await? else {
            let what = format!("{}/{} has had {} events", place.at.kind, place.at.key, report.version);
            return Ok(Report::Absent { what });
        };
        if row.entity_version != report.version + 1 {
            return Ok(Report::Refused { reason: rows.gap(&row) });
        }
        if let Err(reason) = instance.replay(&row.payload) {
            return Ok(Report::Refused { reason });
        }
        (report.version, report.seq) = (row.entity_version, row.seq);
    }
    report.durable_version = report.version;
    report.state_bytes = instance.head_row().data.len() as u64;
    let state = instance.to_json();
    Ok(shown(report, state, place.entity_type, place.at.reveal))
}

async fn events(place: &Place<'_>, after_version: u64, limit: usize) -> Result<HistoryReport, StoreError> {
    let mut history = HistoryReport::default();
    let mut instance = place.entity_type.create();
    let mut state = instance.to_json();
    let mut version = 0;
    let mut rows = Rows::new(place);
    let mut bytes = 0;
    while let Some(row) = rows.next().await? {
        if history.incomplete.is_none() && row.entity_version != version + 1 {
            history.incomplete = Some(rows.gap(&row));
        }
        version = row.entity_version;
        let mut changes = Vec::new();
        if history.incomplete.is_none() {
            match instance.replay(&row.payload) {
                Ok(()) if version > after_version => {
                    let after = instance.to_json();
                    compare("", &state, &after, &mut changes);
                    state = after;
                }
                Ok(()) if version == after_version => state = instance.to_json(),
                Ok(()) => {}
                Err(reason) => history.incomplete = Some(reason),
            }
        }
        if version <= after_version {
            continue;
        }
        let told = event(place, &row, changes);
        bytes += serde_json::to_vec(&told).map_or(0, |json| json.len());
        if history.events.len() >= limit || (bytes > HISTORY_BYTES_MAX && !history.events.is_empty()) {
            history.more = true;
            break;
        }
        history.events.push(told);
    }
    Ok(history)
}

fn event(place: &Place<'_>, row: &JournalRow, mut changes: Vec<Change>) -> EventReport {
    let mut payload = serde_json::from_slice(&row.payload).unwrap_or(Value::Null);
    let hidden = hidden(place.entity_type, place.at.reveal);
    mask(&mut payload, hidden, &mut Vec::new());
    for change in &mut changes {
        let named = change.path.split('/').any(|step| hidden.contains(&step));
        for value in [&mut change.before, &mut change.after] {
            if named && !value.is_null() {
                *value = MASK.into();
            } else {
                mask(value, hidden, &mut Vec::new());
            }
        }
    }
    EventReport {
        version: row.entity_version,
        seq: row.seq,
        event: row.event_type.clone(),
        at_ms: row.occurred_at.0,
        writer: row.writer.to_string(),
        cause: row.command_id.clone(),
        trace: row.traceparent.split('-').nth(1).unwrap_or_default().to_owned(),
        payload,
        changes,
    }
}

/// The journal rows of an entity, page by page.
struct Rows<'a> {
    place: &'a Place<'a>,
    entity: String,
    after_seq: u64,
    page: std::vec::IntoIter<JournalRow>,
    left: u32,
    at_end: bool,
}

impl<'a> Rows<'a> {
    fn new(place: &'a Place<'a>) -> Self {
        let entity = format!("{}/{}", place.entity_type.kind().entity, place.at.key);
        Self { place, entity, after_seq: 0, page: Vec::new().into_iter(), left: REPLAYED_MAX, at_end: false }
    }

    async fn next(&mut self) -> Result<Option<JournalRow>, StoreError> {
        if let Some(row) = self.page.next() {
            return Ok(Some(row));
        }
        if self.at_end || self.left == 0 {
            return Ok(None);
        }
        let (store, shard) = (&self.place.server.store, self.place.shard);
        let limit = ROWS.min(self.left);
        let rows = store.entity_journal(shard.service, shard.number, &self.entity, self.after_seq, limit).await?;
        self.at_end = rows.len() < limit as usize;
        self.left -= limit;
        self.after_seq = rows.last().map_or(self.after_seq, |row| row.seq);
        self.page = rows.into_iter();
        Ok(self.page.next())
    }

    fn gap(&self, row: &JournalRow) -> String {
        format!("the journal holds {} only from version {} on; older rows are pruned", self.entity, row.entity_version)
    }
}

fn shown(mut report: EntityReport, mut state: Value, entity_type: &dyn EntityType, reveal: bool) -> Report {
    mask(&mut state, hidden(entity_type, reveal), &mut report.masked);
    report.state = state;
    Report::Entity(Box::new(report))
}

/// Members that are not shown: secrets never, what is personal for a reason only.
fn hidden(entity_type: &dyn EntityType, reveal: bool) -> &'static [&'static str] {
    if reveal { entity_type.secret() } else { entity_type.personal() }
}

/// Hides members by their names wherever they stand, and notes which.
fn mask(value: &mut Value, personal: &[&str], masked: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if !personal.contains(&name.as_str()) {
                    mask(value, personal, masked);
                } else if !value.is_null() {
                    *value = MASK.into();
                    if !masked.contains(name) {
                        masked.push(name.clone());
                    }
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| mask(value, personal, masked)),
        _ => {}
    }
}

/// What differs, member by member.
fn compare(path: &str, before: &Value, after: &Value, changes: &mut Vec<Change>) {
    if before == after || changes.len() >= CHANGES_MAX {
        return;
    }
    if let (Value::Object(before), Value::Object(after)) = (before, after) {
        let gone = before.keys().filter(|name| !after.contains_key(*name));
        for name in after.keys().chain(gone) {
            let of = |members: &Map<String, Value>| members.get(name).cloned().unwrap_or(Value::Null);
            // As RFC 6901 wants it.
            let step = name.replace('~', "~0").replace('/', "~1");
            compare(&format!("{path}/{step}"), &of(before), &of(after), changes);
        }
        return;
    }
    changes.push(Change { path: path.to_owned(), before: before.clone(), after: after.clone() });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn personal_members_are_masked_wherever_they_stand() {
        let mut state = json!({ "email": "a@b", "addresses": [{ "line": "1", "zip": null }], "zip": null, "n": 1 });
        let mut masked = Vec::new();
        mask(&mut state, &["email", "line", "zip"], &mut masked);
        assert_eq!(state, json!({ "email": MASK, "addresses": [{ "line": MASK, "zip": null }], "zip": null, "n": 1 }));
        masked.sort();
        assert_eq!(masked, ["email", "line"]);
    }

    #[test]
    fn changes_name_the_innermost_member() {
        let (before, after) =
            (json!({ "a": { "b": 1, "c": [1] }, "d": 1 }), json!({ "a": { "b": 2, "c": [1] }, "e/f": 3 }));
        let mut changes = Vec::new();
        compare("", &before, &after, &mut changes);
        let told: Vec<_> = changes.iter().map(|one| format!("{} {} {}", one.path, one.before, one.after)).collect();
        assert_eq!(told, ["/a/b 1 2", "/e~1f null 3", "/d 1 null"]);
    }
}
