//! How an inbox decides.

use std::collections::BTreeMap;

use nakku_cluster::{Context, Decision};

use super::command::{
    CAUSE_BYTES_MAX, Command, Email, Message, PAGE_MAX, Rejection, Reply, VALUE_BYTES_MAX, VALUES_MAX,
};
use super::event::Event;
use super::mailer::MailAnswer;
use super::state::State;

type Decided = Result<Decision<Event, Reply>, Rejection>;

/// Decides one command.
///
/// # Errors
/// The inbox's refusal.
pub fn decide(state: &State, command: Command, context: &mut Context) -> Decided {
    match command {
        Command::Deliver { .. } | Command::Prefer { .. } if state.head.erased.is_some() => Err(Rejection::Erased),
        Command::Erase { at } => {
            let erased = state.head.erased.is_none().then_some(Event::Erased { at });
            Ok(Decision::events(erased.into_iter().collect(), Reply::Noted))
        }
        Command::Deliver { cause, template, values, at } => {
            check(&cause, &values)?;
            if state.knows(&cause) {
                return Ok(Decision::reply(Reply::Delivered));
            }
            let preferences = &state.head.preferences;
            let by_email = preferences.email && template.is_mailed() && !preferences.muted.contains(&template);
            let number = state.head.last_number + 1;
            Ok(Decision::event(Event::Delivered { number, cause, template, values, at, by_email }, Reply::Delivered))
        }
        Command::Reached { number, contact } => {
            let Some(message) = message(state, number, |email| *email == Email::Reaching) else {
                return Ok(Decision::reply(Reply::Noted));
            };
            let event = match contact {
                Some(contact) => Event::Reached { number, contact, language: state.head.preferences.language },
                None => failed(message, "there is no such user".into(), context),
            };
            Ok(Decision::event(event, Reply::Noted))
        }
        Command::Mailed { number, answer } => {
            let Some(message) = message(state, number, |email| matches!(email, Email::Sending { .. })) else {
                return Ok(Decision::reply(Reply::Noted));
            };
            let event = match answer {
                MailAnswer::Sent => {
                    Event::Sent { number, cause: message.cause.clone(), template: message.template, at: context.now }
                }
                MailAnswer::Refused { reason } => failed(message, reason, context),
            };
            Ok(Decision::event(event, Reply::Noted))
        }
        Command::List { before, limit } => {
            let messages = state.messages.iter().rev().map(|(_, message)| message);
            let messages = messages.filter(|message| before.is_none_or(|before| message.number < before));
            Ok(Decision::reply(Reply::Messages {
                messages: messages.take(limit.min(PAGE_MAX)).cloned().collect(),
                unread: state.unread(),
                read_through: state.head.read_through,
                language: state.head.preferences.language,
            }))
        }
        Command::MarkRead { through } => {
            let through = through.min(state.head.last_number);
            let event = (through > state.head.read_through).then_some(Event::Read { through });
            Ok(Decision::events(event.into_iter().collect(), Reply::Noted))
        }
        Command::Prefer { preferences } => {
            let reply = Reply::Preferences { preferences: preferences.clone() };
            let event = (preferences != state.head.preferences).then_some(Event::Preferred { preferences });
            Ok(Decision::events(event.into_iter().collect(), reply))
        }
        Command::GetPreferences => {
            Ok(Decision::reply(Reply::Preferences { preferences: state.head.preferences.clone() }))
        }
    }
}

/// The message, if its e-mail is at this step; what comes late or twice changes nothing.
fn message(state: &State, number: u64, is_there: impl Fn(&Email) -> bool) -> Option<&Message> {
    state.messages.get(&number).filter(|message| is_there(&message.email))
}

fn failed(message: &Message, reason: String, context: &Context) -> Event {
    let Message { number, cause, template, .. } = message.clone();
    Event::Failed { number, cause, template, reason, at: context.now }
}

fn check(cause: &str, values: &BTreeMap<String, String>) -> Result<(), Rejection> {
    let bad = |field: &str| Rejection::BadField { field: field.into() };
    let clean = |text: &str, max: usize| text.len() <= max && !text.chars().any(char::is_control);
    if cause.is_empty() || !clean(cause, CAUSE_BYTES_MAX) {
        return Err(bad("cause"));
    }
    let fits = |(name, value): (&String, &String)| clean(name, VALUE_BYTES_MAX) && clean(value, VALUE_BYTES_MAX);
    if values.len() > VALUES_MAX || !values.iter().all(fits) {
        return Err(bad("values"));
    }
    Ok(())
}
