//! What a rider's work list wants from others: that the roster knows whether they are at work.

use nakku_cluster::{Answer, Call, Effect, Outstanding, Ref};

use super::command::{Command, Presence};
use super::{Rider, State};
use crate::delivery::roster::{self, Roster};

/// The news to the roster. Whoever leaves with a delivery in hand stays on it until the delivery is off the list.
pub fn outstanding(state: &State) -> Outstanding<Rider> {
    let head = &state.head;
    let turn = head.turn;
    let (Some(rider), Some(store)) = (head.rider.clone(), &head.store) else { return Outstanding::none() };
    let (step, news) = match head.presence {
        Presence::Coming => ("join", roster::Command::RiderOnline { rider, turn }),
        Presence::Leaving if head.job.is_none() => ("leave", roster::Command::RiderOffline { rider, turn }),
        _ => return Outstanding::none(),
    };
    let call = Call::ask(&Ref::<Roster>::new(store.clone()), &news);
    Outstanding::none().effect(Effect::new(step, turn, vec![call], move |answers| {
        let done = matches!(answers.first().map(Answer::of::<Roster>), Some(Ok(_)));
        Command::RosterAnswered { turn, done }
    }))
}
