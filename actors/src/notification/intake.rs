//! What other services' events mean to notifications: which of them a user is told, in which words.
//!
//! An intake forwards what it consumes to the inbox of the user, idempotent there by the event's id, and
//! takes no more events while too much is yet to be forwarded.

use std::collections::BTreeMap;

use nakku_cluster::events::intake::{Command as IntakeCommand, Gathered};
use nakku_cluster::events::{Consumer, Intake, SealedEnvelope};
use nakku_cluster::{Call, Context, Decision, Effect, Key, Kind, Outstanding, PartSet, Parts, Ref, Timestamp};
use serde::{Deserialize, Serialize};

use super::template::Template;
use super::{Command as InboxCommand, Inbox};
use crate::order::public::CancelCode;
use crate::public::PublicData;
use crate::{delivery, order, payment, user};

/// What is yet to be forwarded by one intake; beyond it the stream waits.
pub const FORWARDS_MAX: usize = 256;
/// What is forwarded at the same time.
const SIDE_BY_SIDE_MAX: usize = 16;

/// Consumes for the inboxes.
#[derive(Debug)]
pub struct Notices;

/// A message on its way to an inbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Of the event in its shard.
    pub sequence: u64,
    /// The event's id.
    pub cause: String,
    /// Who is told.
    pub user: Key,
    /// What is said.
    pub template: Template,
    /// What the template's names stand for.
    pub values: BTreeMap<String, String>,
    /// When the cause happened.
    pub at: Timestamp,
}

/// An inbox that is to forget its user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasing {
    /// Of the event in its shard.
    pub sequence: u64,
    /// Whose.
    pub user: Key,
    /// Since when there is no such user.
    pub at: Timestamp,
}

/// What consuming changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Changed {
    /// A message is to be forwarded.
    Noticed {
        /// Which.
        notice: Box<Notice>,
    },
    /// An inbox is to forget its user.
    Erasing {
        /// Which.
        erasing: Erasing,
    },
    /// The inboxes have it.
    Forwarded {
        /// Which.
        sequences: Vec<u64>,
    },
}

/// Told by the runtime when inboxes have messages, or have forgotten their users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarded {
    /// Which.
    pub sequences: Vec<u64>,
}

/// What is yet to be forwarded, by sequence.
#[derive(Debug, Default)]
pub struct Forwards {
    notices: Parts<u64, Notice>,
    erasures: Parts<u64, Erasing>,
}

impl Gathered for Forwards {
    fn parts(&mut self) -> Vec<(&'static str, &mut dyn PartSet)> {
        vec![("forward", &mut self.notices), ("erase", &mut self.erasures)]
    }
}

impl Consumer for Notices {
    const KIND: Kind = Kind { service: "notification", entity: "intake" };
    const GROUP: &'static str = "nakku-notification";
    const SOURCES: &'static [&'static str] = &["user", "order", "payment", "delivery"];
    type State = Forwards;
    type Event = Changed;
    type Command = Forwarded;
    type Reply = ();

    fn consume(event: &SealedEnvelope) -> Result<Vec<Changed>, String> {
        if event.event_type == user::public::Erased::TYPE {
            let user::public::Erased { user, erased_at_ms: at } = event.data()?;
            return Ok(vec![Changed::Erasing { erasing: Erasing { sequence: event.sequence, user, at } }]);
        }
        let notice = notice(event)?.map(|(user, template, mut values)| {
            values.insert("user".into(), user.to_string());
            let notice =
                Notice { sequence: event.sequence, cause: event.id.clone(), user, template, values, at: event.time };
            Changed::Noticed { notice: Box::new(notice) }
        });
        Ok(notice.into_iter().collect())
    }

    fn decide(state: &Forwards, Forwarded { sequences }: Forwarded, _: &mut Context) -> Decision<Changed, ()> {
        let is_open = |sequence| state.notices.contains_key(sequence) || state.erasures.contains_key(sequence);
        let event = sequences.iter().any(is_open).then_some(Changed::Forwarded { sequences });
        Decision::events(event.into_iter().collect(), ())
    }

    fn evolve(state: &mut Forwards, event: &Changed) {
        match event {
            Changed::Noticed { notice } => drop(state.notices.insert(notice.sequence, (**notice).clone())),
            Changed::Erasing { erasing } => drop(state.erasures.insert(erasing.sequence, erasing.clone())),
            Changed::Forwarded { sequences } => {
                for sequence in sequences {
                    state.notices.remove(sequence);
                    state.erasures.remove(sequence);
                }
            }
        }
    }

    /// Several at once, gathered into one command, so that a burst costs the intake few commits.
    fn outstanding(state: &Forwards) -> Outstanding<Intake<Self>> {
        let mut outstanding = Outstanding::none();
        let erasures: Vec<&Erasing> = state.erasures.values().take(SIDE_BY_SIDE_MAX).collect();
        let erase = erasures.iter().map(|Erasing { sequence, user, at }| {
            (*sequence, Call::ask(&Ref::<Inbox>::new(user.clone()), &InboxCommand::Erase { at: *at }))
        });
        let notices: Vec<&Notice> = state.notices.values().take(SIDE_BY_SIDE_MAX).collect();
        let deliver = notices.iter().map(|notice| {
            let Notice { sequence, cause, user, template, values, at } = (*notice).clone();
            let deliver = InboxCommand::Deliver { cause, template, values, at };
            (sequence, Call::ask(&Ref::<Inbox>::new(user), &deliver))
        });
        for (step, batch) in [("erase", erase.unzip()), ("forward", deliver.unzip())] {
            let (sequences, calls): (Vec<u64>, Vec<Call>) = batch;
            let Some(first) = sequences.first().copied() else { continue };
            // A refusal is as good: what the inbox won't take it never will.
            let effect = Effect::new(step, first, calls, move |_| IntakeCommand::Own(Forwarded { sequences }));
            outstanding = outstanding.effect(effect);
        }
        outstanding
    }

    fn room(state: &Forwards) -> usize {
        FORWARDS_MAX.saturating_sub(state.notices.len() + state.erasures.len())
    }
}

type Said = (Key, Template, BTreeMap<String, String>);

/// Whom an event is told to, in which words and with which values; nothing when it is told by another event
/// of the same cause, or to nobody.
fn notice(event: &SealedEnvelope) -> Result<Option<Said>, String> {
    let said = |user: Key, template, values: &[(&str, String)]| {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Some((user, template, values))
    };
    let of_order = |order: &Key| ("order", order.to_string());
    let amount = |minor: i64| ("amount", rupees(minor));
    Ok(match &*event.event_type {
        user::public::Registered::TYPE => {
            let data: user::public::Registered = event.data()?;
            said(data.user, Template::Welcome, &[])
        }
        order::public::Confirmed::TYPE => {
            let data: order::public::Confirmed = event.data()?;
            let mut values = vec![of_order(&data.order), amount(data.total_minor)];
            values.extend(data.promised_minutes.map(|minutes| ("minutes", minutes.to_string())));
            said(data.user, Template::OrderConfirmed, &values)
        }
        order::public::Cancelled::TYPE => {
            let data: order::public::Cancelled = event.data()?;
            // Refused at once, the customer has the answer on the screen; a declined card is told by the payment.
            let is_told = data.confirmed || data.code == CancelCode::DeadlinePassed;
            let reason = serde_json::to_value(data.code).ok().and_then(|code| code.as_str().map(str::to_owned));
            let values = [of_order(&data.order), amount(data.total_minor), ("reason", reason.unwrap_or_default())];
            said(data.user, Template::OrderCancelled, &values).filter(|_| is_told)
        }
        order::public::Completed::TYPE => {
            let data: order::public::Completed = event.data()?;
            said(data.user, Template::OrderDelivered, &[of_order(&data.order), amount(data.total_minor)])
        }
        payment::public::Failed::TYPE => {
            let data: payment::public::Failed = event.data()?;
            said(data.user, Template::PaymentFailed, &[of_order(&data.order), amount(data.amount_minor)])
        }
        payment::public::Refunded::TYPE => {
            let data: payment::public::Refunded = event.data()?;
            said(data.user, Template::PaymentRefunded, &[of_order(&data.order), amount(data.amount_minor)])
        }
        delivery::public::Assigned::TYPE => {
            let data: delivery::public::Assigned = event.data()?;
            said(data.user, Template::RiderAssigned, &[of_order(&data.order)])
        }
        delivery::public::Started::TYPE => {
            let data: delivery::public::Started = event.data()?;
            said(data.user, Template::OutForDelivery, &[of_order(&data.order)])
        }
        _ => None,
    })
}

/// `1234.50`, as the templates show it behind the currency's sign.
fn rupees(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, (minor % 100).abs())
}
