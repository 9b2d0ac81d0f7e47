//! How a user decides.

use nakku_cluster::{Context, Decision, Key};

use super::State;
use super::command::{
    ADDRESS_ID_BYTES_MAX, ADDRESSES_MAX, Address, CITY_CHARACTERS_MAX, Command, Erasure, FAMILY_BYTES_MAX,
    HASH_BYTES_MAX, LABEL_CHARACTERS_MAX, LINE_CHARACTERS_MAX, NAME_CHARACTERS_MAX, NewSession, PasswordHash,
    Rejection, Reply, Role, SESSIONS_MAX,
};
use super::email;
use super::event::{Event, SessionEnd};
use super::state::{PASSWORD, Standing};
use crate::position::Position;
use crate::text::check_line;

type Outcome = Result<Decision<Event, Reply>, Rejection>;

/// Decides one command.
///
/// # Errors
/// The user's refusal.
pub fn decide(state: &State, command: Command, context: &mut Context) -> Outcome {
    match command {
        Command::Register { email, name, password_hash, roles, store } => {
            register(state, Registration { email, name, password_hash, roles, store }, context)
        }
        Command::SettleEmail { email } => Ok(settle_email(state, &email)),
        Command::Erase { by, reason } => match &state.head.erased {
            Some(erasure) => Ok(Decision::reply(Reply::Erased { erasure: erasure.clone() })),
            None if state.head.standing != Standing::Registered => Err(Rejection::NotFound),
            None => {
                let erasure = Erasure { at: context.now, by, reason };
                let erased = Event::Erased { user: context.key.clone(), at: context.now, by, reason };
                Ok(Decision::event(erased, Reply::Erased { erasure }))
            }
        },
        Command::Wiped { step } => {
            let left = state.head.wiping.as_ref().map_or(&[][..], |wiping| &wiping.left);
            let wiped = step.filter(|step| left.contains(step)).map(|step| Event::Wiped { step });
            Ok(Decision::events(wiped.into_iter().collect(), Reply::Noted))
        }
        _ if state.head.standing != Standing::Registered => Err(Rejection::NotFound),
        Command::Get => Ok(profile_after(state, None)),
        Command::Credentials => {
            let password_hash = state.secrets.get(PASSWORD).cloned().ok_or(Rejection::NotFound)?;
            Ok(Decision::reply(Reply::Credentials { password_hash, profile: state.profile() }))
        }
        Command::LoggedIn { session } => log_in(state, session, context),
        Command::RotateRefresh { family, old_hash, new_hash, expires_at } => {
            check_hash("new_hash", new_hash.bytes())?;
            let session = state.sessions.get(&family).ok_or(Rejection::SessionEnded)?;
            let rotated = Reply::Rotated { profile: state.profile() };
            if session.previous.as_ref() == Some(&old_hash) && session.current == new_hash {
                Ok(Decision::reply(rotated))
            } else if session.current != old_hash {
                let ended = Event::SessionsEnded { families: vec![family.clone()], reason: SessionEnd::Reused };
                Ok(Decision::event(ended, Reply::Reused { family }))
            } else if session.expires_at <= context.now {
                Err(Rejection::SessionEnded)
            } else {
                Ok(Decision::event(Event::RefreshRotated { family, token_hash: new_hash, expires_at }, rotated))
            }
        }
        Command::RevokeRefresh { family } => {
            let known = state.sessions.contains_key(&family);
            let ended = Event::SessionsEnded { families: vec![family], reason: SessionEnd::Revoked };
            Ok(profile_after(state, known.then_some(ended)))
        }
        Command::RevokeAll => Ok(profile_after(state, end_all(state))),
        Command::Session { family } => {
            Ok(Decision::reply(Reply::Session { open: state.sessions.contains_key(&family) }))
        }
        Command::ChangePassword { password_hash } => {
            check_hash("password_hash", password_hash.expose().len())?;
            if state.secrets.get(PASSWORD) == Some(&password_hash) {
                return Ok(profile_after(state, None));
            }
            let mut events = vec![Event::PasswordSet { password_hash }, Event::PasswordChanged { at: context.now }];
            events.extend(end_all(state));
            Ok(profile_after(state, events))
        }
        Command::AddAddress { id, address } => add_address(state, id, address),
        Command::RemoveAddress { id } => {
            let known = state.addresses.contains_key(&id);
            Ok(profile_after(state, known.then_some(Event::AddressRemoved { id })))
        }
        Command::GrantRole { role, store } => {
            let place = store.or_else(|| state.head.store.clone());
            let changes = !state.head.roles.contains(&role) || place != state.head.store;
            let granted = Event::RoleGranted { role, store: place };
            Ok(profile_after(state, changes.then_some(granted)))
        }
        Command::RevokeRole { role } => {
            if !state.head.roles.contains(&role) {
                return Ok(profile_after(state, None));
            }
            if state.head.roles.len() == 1 {
                return Err(Rejection::LastRole);
            }
            let mut events = vec![Event::RoleRevoked { role }];
            events.extend(end_all(state));
            Ok(profile_after(state, events))
        }
    }
}

struct Registration {
    email: String,
    name: String,
    password_hash: PasswordHash,
    roles: Vec<Role>,
    store: Option<Key>,
}

fn register(state: &State, wanted: Registration, context: &Context) -> Outcome {
    match state.head.standing {
        Standing::Abandoned | Standing::Erased => return Err(Rejection::Abandoned),
        Standing::Registered if state.head.email == wanted.email => return Ok(profile_after(state, None)),
        Standing::Registered => return Err(Rejection::AlreadyRegistered),
        Standing::Unknown => {}
    }
    let Registration { email, name, password_hash, mut roles, store } = wanted;
    require(email::normalise(&email).as_ref() == Ok(&email), "email", || "is a normalised e-mail".into())?;
    check_text("name", &name, NAME_CHARACTERS_MAX)?;
    check_hash("password_hash", password_hash.expose().len())?;
    roles.sort_unstable();
    roles.dedup();
    require(!roles.is_empty(), "roles", || "holds one role at least".into())?;
    let registered = Event::Registered { email, name, roles, store, at: context.now };
    Ok(profile_after(state, vec![registered, Event::PasswordSet { password_hash }]))
}

fn settle_email(state: &State, asked: &Key) -> Decision<Event, Reply> {
    match state.head.standing {
        Standing::Registered if email::reference(&state.head.email).key() == asked => Decision::reply(Reply::EmailHeld),
        Standing::Unknown => Decision::event(Event::RegistrationAbandoned {}, Reply::EmailNotHeld),
        Standing::Registered | Standing::Abandoned | Standing::Erased => Decision::reply(Reply::EmailNotHeld),
    }
}

fn log_in(state: &State, session: NewSession, context: &Context) -> Outcome {
    let family_fits = (1..=FAMILY_BYTES_MAX).contains(&session.family.len())
        && session.family.bytes().all(|byte| byte.is_ascii_alphanumeric());
    require(family_fits, "family", || format!("has 1 to {FAMILY_BYTES_MAX} letters or digits"))?;
    check_hash("token_hash", session.token_hash.bytes())?;
    require(session.expires_at > context.now, "expires_at", || "lies ahead".into())?;
    if let Some(known) = state.sessions.get(&session.family) {
        let same = known.current == session.token_hash || known.previous.as_ref() == Some(&session.token_hash);
        require(same, "family", || "names another session".into())?;
        return Ok(profile_after(state, None));
    }
    let (expired, mut live): (Vec<_>, Vec<_>) =
        state.sessions.iter().partition(|(_, session)| session.expires_at <= context.now);
    live.sort_unstable_by_key(|(_, session)| session.number);
    let displaced = (live.len() + 1).saturating_sub(SESSIONS_MAX);
    let mut events = Vec::new();
    for (ended, reason) in [(&expired[..], SessionEnd::Expired), (&live[..displaced], SessionEnd::Displaced)] {
        if !ended.is_empty() {
            let families = ended.iter().map(|(family, _)| (*family).clone()).collect();
            events.push(Event::SessionsEnded { families, reason });
        }
    }
    events.push(Event::SessionOpened { session });
    events.push(Event::LoggedIn { at: context.now });
    Ok(profile_after(state, events))
}

fn add_address(state: &State, id: String, address: Address) -> Outcome {
    let id_fits = (1..=ADDRESS_ID_BYTES_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    require(id_fits, "id", || format!("has 1 to {ADDRESS_ID_BYTES_MAX} letters, digits or '-'"))?;
    check_text("label", &address.label, LABEL_CHARACTERS_MAX)?;
    check_text("line", &address.line, LINE_CHARACTERS_MAX)?;
    check_text("city", &address.city, CITY_CHARACTERS_MAX)?;
    let pin_code_fits = address.pin_code.len() == 6
        && address.pin_code.bytes().all(|byte| byte.is_ascii_digit())
        && !address.pin_code.starts_with('0');
    require(pin_code_fits, "pin_code", || "has six digits, the first of them not 0".into())?;
    let on_earth = address.position.is_none_or(Position::is_on_earth);
    require(on_earth, "position", || "is a place on earth".into())?;
    let known = state.addresses.get(&id);
    if known.is_none() && state.addresses.len() >= ADDRESSES_MAX {
        return Err(Rejection::TooMany { what: "addresses".into(), limit: ADDRESSES_MAX as u32 });
    }
    let (changes, replaced) = (known != Some(&address), known.is_some());
    Ok(profile_after(state, changes.then_some(Event::AddressSet { id, address, replaced })))
}

fn end_all(state: &State) -> Option<Event> {
    let families: Vec<String> = state.sessions.keys().cloned().collect();
    (!families.is_empty()).then_some(Event::SessionsEnded { families, reason: SessionEnd::Revoked })
}

/// Replies with the profile as it will be after the events.
fn profile_after(state: &State, events: impl IntoIterator<Item = Event>) -> Decision<Event, Reply> {
    let events: Vec<Event> = events.into_iter().collect();
    let profile = if events.is_empty() {
        state.profile()
    } else {
        let mut after = state.clone();
        events.iter().for_each(|event| after.evolve(event));
        after.profile()
    };
    Decision::events(events, Reply::Profile(profile))
}

fn check_hash(field: &str, bytes: usize) -> Result<(), Rejection> {
    require((1..=HASH_BYTES_MAX).contains(&bytes), field, || format!("has 1 to {HASH_BYTES_MAX} bytes"))
}

fn check_text(field: &str, text: &str, characters_max: usize) -> Result<(), Rejection> {
    check_line(text, characters_max).map_err(|problem| Rejection::Invalid { field: field.into(), problem })
}

fn require(holds: bool, field: &str, problem: impl FnOnce() -> String) -> Result<(), Rejection> {
    if holds { Ok(()) } else { Err(Rejection::Invalid { field: field.into(), problem: problem() }) }
}
