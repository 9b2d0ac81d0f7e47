//! How a store's place decides.

use nakku_cluster::{Context, Decision, Timestamp};

use super::State;
use super::command::{
    AMOUNT_MINOR_MAX, Command, Description, NAME_CHARACTERS_MAX, PRIORITY_MAX, PROMISED_MINUTES_MAX, Pause,
    REASON_CHARACTERS_MAX, Rejection, Reply, Terms, VERTICES_MAX, ZONE_ID_BYTES_MAX, ZONES_MAX, Zone,
};
use super::event::Event;
use crate::text::check_line;

type Outcome = Result<Decision<Event, Reply>, Rejection>;

/// Decides one command.
///
/// # Errors
/// The store's refusal.
pub fn decide(state: &State, command: Command, context: &mut Context) -> Outcome {
    let head = &state.head;
    match command {
        Command::Describe { description } => {
            check_description(&description)?;
            let changes = head.description.as_ref() != Some(&description);
            then(state, changes.then(|| Event::Described { store: context.key.clone(), description }))
        }
        Command::PauseDue => {
            let over = head.pause.as_ref().is_some_and(|pause| !pause.lasts(context.now));
            Ok(noted(over.then_some(Event::Resumed {})))
        }
        Command::DirectoryTold { revision } => {
            let news = (head.told + 1..=head.revision).contains(&revision);
            Ok(noted(news.then_some(Event::Told { revision })))
        }
        _ if head.description.is_none() => Err(Rejection::Unknown),
        Command::SetZone { id, zone } => set_zone(state, id, zone),
        Command::RemoveZone { id } => {
            let known = state.zones.contains_key(&id);
            then(state, known.then_some(Event::ZoneRemoved { id }))
        }
        Command::Pause { pause } => {
            check_pause(&pause, context.now)?;
            let changes = head.pause.as_ref() != Some(&pause);
            then(state, changes.then_some(Event::Paused { pause }))
        }
        Command::Resume => then(state, head.pause.is_some().then_some(Event::Resumed {})),
        Command::Get => then(state, None),
    }
}

fn set_zone(state: &State, id: String, zone: Zone) -> Outcome {
    let id_fits = (1..=ZONE_ID_BYTES_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    require(id_fits, "zone", || format!("has 1 to {ZONE_ID_BYTES_MAX} letters, digits, '-' or '_'"))?;
    require(zone.priority.unsigned_abs() <= PRIORITY_MAX.unsigned_abs(), "priority", || {
        format!("is -{PRIORITY_MAX} to {PRIORITY_MAX}")
    })?;
    check_terms(&zone.terms)?;
    zone.area.check().map_err(|problem| Rejection::Invalid { field: "area".into(), problem })?;
    if state.zones.get(&id) == Some(&zone) {
        return then(state, None);
    }
    let others = || state.zones.iter().filter(|(other, _)| **other != id);
    if others().count() >= ZONES_MAX {
        return Err(Rejection::TooMany { what: "zones".into(), limit: ZONES_MAX as u32 });
    }
    let vertices: usize = others().map(|(_, other)| other.area.vertices()).sum();
    if vertices + zone.area.vertices() > VERTICES_MAX {
        return Err(Rejection::TooMany { what: "vertices in all zones".into(), limit: VERTICES_MAX as u32 });
    }
    then(state, Some(Event::ZoneSet { id, zone }))
}

fn check_description(description: &Description) -> Result<(), Rejection> {
    let unfit = |problem| Rejection::Invalid { field: "name".into(), problem };
    check_line(&description.name, NAME_CHARACTERS_MAX).map_err(unfit)?;
    require(description.position.is_on_earth(), "position", || "is a place on earth".into())?;
    description.hours.check().map_err(|(field, problem)| Rejection::Invalid { field: field.into(), problem })?;
    check_terms(&description.base)
}

fn check_terms(terms: &Terms) -> Result<(), Rejection> {
    for (field, amount) in [("fee_minor", terms.fee_minor), ("minimum_minor", terms.minimum_minor)] {
        require((0..=AMOUNT_MINOR_MAX).contains(&amount), field, || format!("is 0 to {AMOUNT_MINOR_MAX}"))?;
    }
    require(terms.promised_minutes <= PROMISED_MINUTES_MAX, "promised_minutes", || {
        format!("is 0 to {PROMISED_MINUTES_MAX}")
    })
}

fn check_pause(pause: &Pause, now: Timestamp) -> Result<(), Rejection> {
    let reason = &pause.reason;
    let clean = reason.chars().count() <= REASON_CHARACTERS_MAX && !reason.chars().any(char::is_control);
    require(clean, "reason", || format!("has at most {REASON_CHARACTERS_MAX} characters and no control characters"))?;
    require(pause.lasts(now), "until", || "lies ahead".into())
}

/// Replies with the store as it will be after the event.
fn then(state: &State, event: Option<Event>) -> Outcome {
    let Some(event) = event else {
        let view = state.view().ok_or(Rejection::Unknown)?;
        return Ok(Decision::reply(Reply::Store(Box::new(view))));
    };
    let mut after = state.clone();
    after.evolve(&event);
    let view = after.view().ok_or(Rejection::Unknown)?;
    Ok(Decision::event(event, Reply::Store(Box::new(view))))
}

fn noted(event: Option<Event>) -> Decision<Event, Reply> {
    Decision::events(event.into_iter().collect(), Reply::Noted)
}

fn require(holds: bool, field: &str, problem: impl FnOnce() -> String) -> Result<(), Rejection> {
    if holds { Ok(()) } else { Err(Rejection::Invalid { field: field.into(), problem: problem() }) }
}
