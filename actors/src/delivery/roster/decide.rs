//! How a roster decides.

use std::collections::{BTreeMap, BTreeSet};

use nakku_cluster::{Context, Decision, Key, Timestamp};

use super::State;
use super::command::{AVOID_MAX, CHECK_MS, Command, QUEUE_MAX, RIDERS_MAX, Rejection, Reply};
use super::event::Event;

/// How many waiting deliveries are looked at for one rider: those in front have usually avoided nobody.
const SERVE_SCAN_MAX: usize = 64;
/// How many deliveries are asked at a time whether they still need their riders.
const CHECKS_MAX: usize = 32;

/// Decides one command.
///
/// # Errors
/// The roster's refusal.
pub fn decide(state: &State, command: Command, context: &mut Context) -> Result<Decision<Event, Reply>, Rejection> {
    match command {
        Command::RiderOnline { rider, turn } => {
            let outdated = state.left.get(&rider).is_some_and(|left| turn <= *left);
            if outdated || state.riders.contains_key(&rider) {
                return Ok(Decision::reply(Reply::Done));
            }
            if state.riders.len() >= RIDERS_MAX {
                return Err(Rejection::Full { what: "riders".into(), limit: RIDERS_MAX as u32 });
            }
            let mut plan = Plan::new(state);
            plan.join(rider, turn);
            plan.serve();
            Ok(plan.decision(Reply::Done))
        }
        Command::RiderOffline { rider, turn } => {
            let slot = state.riders.get(&rider);
            let latest = slot.map(|slot| slot.turn).or_else(|| state.left.get(&rider).copied());
            if latest.is_some_and(|latest| turn <= latest) {
                return Ok(Decision::reply(Reply::Done));
            }
            if let Some(kept) = slot.and_then(|slot| slot.kept.as_ref()) {
                return Err(Rejection::Occupied { delivery: kept.delivery.clone() });
            }
            let mut plan = Plan::new(state);
            plan.leave(rider, turn);
            // Whoever waits may have avoided all who are left, and is then served by them after all.
            plan.serve();
            Ok(plan.decision(Reply::Done))
        }
        Command::RequestRider { delivery, attempt, avoid } => request(state, delivery, attempt, avoid, context),
        Command::Release { delivery } => {
            if let Some(rider) = state.kept_for.get(&delivery) {
                let mut plan = Plan::new(state);
                plan.free(rider.clone());
                plan.serve();
                return Ok(plan.decision(Reply::Done));
            }
            let waits = state.queue.contains_key(&delivery);
            Ok(Decision::events(waits.then_some(Event::Unqueued { delivery }).into_iter().collect(), Reply::Done))
        }
        Command::FoundTold { delivery, attempt, needed } => {
            let Some(rider) = state.open.iter().find(|rider| is_kept(state, rider, &delivery, attempt)) else {
                return Ok(Decision::reply(Reply::Done));
            };
            if needed {
                return Ok(Decision::event(Event::Told { rider: rider.clone() }, Reply::Done));
            }
            let mut plan = Plan::new(state);
            plan.free(rider.clone());
            plan.serve();
            Ok(plan.decision(Reply::Done))
        }
        Command::CheckDue => {
            let due = state.checks.iter().take_while(|(check_at, _)| *check_at <= context.now).take(CHECKS_MAX);
            let events = due.map(|(_, rider)| Event::Checked { rider: rider.clone() }).collect();
            Ok(Decision::events(events, Reply::Done))
        }
        Command::Get => {
            let riders = state.riders.iter();
            Ok(Decision::reply(Reply::Roster {
                riders: riders
                    .map(|(rider, slot)| (rider.clone(), slot.kept.as_ref().map(|kept| kept.delivery.clone())))
                    .collect(),
                waiting: u32::try_from(state.queue.len()).unwrap_or(u32::MAX),
            }))
        }
    }
}

fn request(
    state: &State,
    delivery: Key,
    attempt: u32,
    avoid: Vec<Key>,
    context: &Context,
) -> Result<Decision<Event, Reply>, Rejection> {
    if avoid.len() > AVOID_MAX {
        return Err(Rejection::Outdated);
    }
    let mut plan = Plan::new(state);
    let kept = state.kept_for.get(&delivery).and_then(|rider| Some((rider, state.riders.get(rider)?.kept.as_ref()?)));
    if let Some((rider, kept)) = kept {
        if kept.attempt == attempt {
            return Ok(Decision::reply(Reply::Found { rider: rider.clone() }));
        }
        if kept.attempt > attempt {
            return Err(Rejection::Outdated);
        }
        plan.free(rider.clone());
    }
    if let Some(waiting) = state.queue.get(&delivery) {
        if waiting.attempt == attempt {
            return Ok(Decision::reply(Reply::Queued));
        }
        if waiting.attempt > attempt {
            return Err(Rejection::Outdated);
        }
        plan.unqueue(delivery.clone());
    }
    let check_at = Timestamp(context.now.0.saturating_add(CHECK_MS));
    let reply = match plan.find(&avoid) {
        Some(rider) => {
            plan.reserve(rider.clone(), delivery, attempt, Some(check_at));
            Reply::Found { rider }
        }
        None if state.queue.len() >= QUEUE_MAX => {
            return Err(Rejection::Full { what: "waiting deliveries".into(), limit: QUEUE_MAX as u32 });
        }
        None => {
            plan.events.push(Event::Queued { delivery, attempt, avoid });
            Reply::Queued
        }
    };
    plan.serve();
    Ok(plan.decision(reply))
}

fn is_kept(state: &State, rider: &Key, delivery: &Key, attempt: u32) -> bool {
    let kept = state.riders.get(rider).and_then(|slot| slot.kept.as_ref());
    kept.is_some_and(|kept| kept.delivery == *delivery && kept.attempt == attempt)
}

/// Events that build on one another, with the little of the state that they change kept beside it: the queue
/// may be long and is never copied.
struct Plan<'a> {
    state: &'a State,
    events: Vec<Event>,
    idle: BTreeMap<u64, Key>,
    next_ticket: u64,
    joined: Option<Key>,
    left: Option<Key>,
    served: BTreeSet<Key>,
}

impl<'a> Plan<'a> {
    fn new(state: &'a State) -> Self {
        Self {
            state,
            events: Vec::new(),
            idle: state.idle.clone(),
            next_ticket: state.head.next_ticket,
            joined: None,
            left: None,
            served: BTreeSet::new(),
        }
    }

    fn join(&mut self, rider: Key, turn: u64) {
        self.joined = Some(rider.clone());
        self.becomes_idle(rider.clone());
        self.events.push(Event::RiderJoined { rider, turn });
    }

    fn leave(&mut self, rider: Key, turn: u64) {
        self.idle.retain(|_, idle| *idle != rider);
        self.left = Some(rider.clone());
        self.events.push(Event::RiderLeft { rider, turn });
    }

    fn free(&mut self, rider: Key) {
        self.becomes_idle(rider.clone());
        self.events.push(Event::Freed { rider });
    }

    fn unqueue(&mut self, delivery: Key) {
        self.served.insert(delivery.clone());
        self.events.push(Event::Unqueued { delivery });
    }

    fn reserve(&mut self, rider: Key, delivery: Key, attempt: u32, check_at: Option<Timestamp>) {
        self.idle.retain(|_, idle| *idle != rider);
        self.served.insert(delivery.clone());
        self.events.push(Event::Reserved { rider, delivery, attempt, check_at });
    }

    /// Gives idle riders to those who wait, in turn, as far as they fit.
    fn serve(&mut self) {
        let state = self.state;
        for delivery in state.order.values().take(SERVE_SCAN_MAX) {
            if self.idle.is_empty() {
                return;
            }
            let waiting = state.queue.get(delivery).filter(|_| !self.served.contains(delivery));
            if let Some(waiting) = waiting
                && let Some(rider) = self.find(&waiting.avoid)
            {
                self.reserve(rider, delivery.clone(), waiting.attempt, None);
            }
        }
    }

    /// Who has been idle longest and has not been asked; when everyone has been asked, anyone.
    fn find(&self, avoid: &[Key]) -> Option<Key> {
        let fresh = self.idle.values().find(|rider| !avoid.contains(rider));
        let everyone_asked = || {
            let at_work =
                self.state.riders.keys().chain(&self.joined).filter(|rider| self.left.as_ref() != Some(rider));
            at_work.into_iter().all(|rider| avoid.contains(rider))
        };
        fresh.or_else(|| self.idle.values().next().filter(|_| everyone_asked())).cloned()
    }

    fn becomes_idle(&mut self, rider: Key) {
        self.next_ticket += 1;
        self.idle.insert(self.next_ticket, rider);
    }

    fn decision(self, reply: Reply) -> Decision<Event, Reply> {
        Decision::events(self.events, reply)
    }
}
