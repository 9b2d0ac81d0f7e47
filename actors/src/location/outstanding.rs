//! What a store's place wants from others: that the directory knows it.

use nakku_cluster::{Answer, Call, Effect, Outstanding};

use super::command::Command;
use super::directory::{self, Directory};
use super::{State, Store};

/// The news to the directory, always all of the store, and the end of its pause.
pub fn outstanding(state: &State) -> Outstanding<Store> {
    let head = &state.head;
    let mut outstanding = Outstanding::none();
    if let Some(until) = head.pause.as_ref().and_then(|pause| pause.until) {
        outstanding = outstanding.wake(until, Command::PauseDue);
    }
    if head.told == head.revision {
        return outstanding;
    }
    let (Some(store), Some(view)) = (head.store.clone(), state.view()) else { return outstanding };
    let revision = head.revision;
    let news = directory::Command::StoreIs { store, revision, view: Box::new(view) };
    let call = Call::ask(&directory::reference(), &news);
    outstanding.effect(Effect::new("tell", revision, vec![call], move |answers| {
        // A refusal moves nothing, so that the directory is told again.
        let noted = matches!(answers.first().map(Answer::of::<Directory>), Some(Ok(_)));
        Command::DirectoryTold { revision: if noted { revision } else { 0 } }
    }))
}
