//! What a rider's whereabouts want from others: that the directory knows the last one.

use nakku_cluster::{Answer, Call, Effect, Outstanding};

use super::command::Command;
use super::{Rider, State};
use crate::location::directory::{self, Directory};

/// The news to the directory; what has been overtaken by later news is not told any more.
pub fn outstanding(state: &State) -> Outstanding<Rider> {
    let head = &state.head;
    let Some(rider) = head.rider.clone().filter(|_| head.told != head.revision) else { return Outstanding::none() };
    let revision = head.revision;
    let news = match head.last {
        Some(last) => directory::Command::RiderAt { rider, revision, position: last.position, at: last.at },
        None => directory::Command::RiderGone { rider, revision },
    };
    let call = Call::ask(&directory::reference(), &news);
    Outstanding::none().effect(Effect::new("tell", revision, vec![call], move |answers| {
        // A refusal moves nothing, so that the directory is told again.
        let noted = matches!(answers.first().map(Answer::of::<Directory>), Some(Ok(_)));
        Command::DirectoryTold { revision: if noted { revision } else { 0 } }
    }))
}
