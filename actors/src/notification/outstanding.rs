//! What an inbox wants from others: where its user is reached, and that the mail server takes the e-mail.

use nakku_cluster::{Call, Effect, Key, Outstanding, Ref};

use super::command::{Command, Contact, Email, Message};
use super::mailer::{MAILER, MailAnswer, MailRequest};
use super::{Inbox, State};
use crate::user::{self, User};

/// E-mails of one inbox that are under way at the same time.
const MAILS_MAX: usize = 4;
/// After so many attempts an e-mail is given up: with the runtime's backoff that is a matter of hours.
pub const ATTEMPTS_MAX: u32 = 60;

/// The oldest e-mails that are not sent yet.
pub fn outstanding(state: &State) -> Outstanding<Inbox> {
    let mut outstanding = Outstanding::none();
    let open = state.messages.values().filter_map(effect);
    for effect in open.take(MAILS_MAX) {
        outstanding = outstanding.effect(effect);
    }
    outstanding
}

fn effect(message: &Message) -> Option<Effect<Inbox>> {
    let number = message.number;
    match &message.email {
        Email::Reaching => {
            let user = Key::new(message.values.get("user")?.as_str()).ok()?;
            let call = Call::ask(&Ref::<User>::new(user), &user::Command::Get);
            Some(Effect::new("reach", number, vec![call], move |answers| {
                let contact = match answers[0].of::<User>() {
                    Ok(user::Reply::Profile(profile)) => Some(Contact { email: profile.email, name: profile.name }),
                    _ => None,
                };
                Command::Reached { number, contact }
            }))
        }
        Email::Sending { contact, language } => {
            let request = MailRequest {
                email: contact.email.clone(),
                name: contact.name.clone(),
                language: *language,
                template: message.template,
                values: message.values.clone(),
            };
            let call = Call::provider(MAILER, &request);
            let effect = Effect::new("mail", number, vec![call], move |answers| Command::Mailed {
                number,
                answer: answers[0].provided(),
            });
            let reason = "the mail server could not be reached".to_owned();
            let given_up = Command::Mailed { number, answer: MailAnswer::Refused { reason } };
            Some(effect.give_up_after(ATTEMPTS_MAX, given_up))
        }
        Email::Unwanted | Email::Sent { .. } | Email::Failed { .. } => None,
    }
}
