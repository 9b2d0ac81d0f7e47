//! What an event is to an intake, by its place in its shard.

use super::intake::{BATCH_MAX, Consumer, Event, Mark, Progress, Reply, State};
use super::{Envelope, SealedEnvelope};
use crate::entity::Decision;

/// What an event is to an intake that is this far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    Repeat,
    Next,
    Lacks,
}

pub(super) fn judge<D>(mark: Mark, event: &Envelope<D>, complete: bool) -> Judged {
    // The source was restored from a backup: it counts on from there, so sequences come a second time for
    // other events. What was consumed of the time that it has lost stays consumed.
    let restored = event.incarnation() > mark.incarnation;
    let high_water = if restored { mark.high_water.min(event.previous) } else { mark.high_water };
    if event.incarnation() < mark.incarnation || event.sequence <= high_water {
        Judged::Repeat
    } else if complete || event.previous <= high_water {
        Judged::Next
    } else {
        Judged::Lacks
    }
}

pub(super) fn consume<C: Consumer>(
    state: &State<C::State>,
    events: &[SealedEnvelope],
    complete: bool,
) -> Decision<Event<C::Event>, Reply<C::Reply>> {
    let mut mark = state.head.mark();
    let rebuild = state.head.rebuild.as_ref().filter(|rebuild| !rebuild.is_over());
    let mut owed = 0;
    let mut room = C::room(&state.gathered).min(BATCH_MAX);
    let mut progress = Progress::default();
    let mut changes = Vec::new();
    for event in events {
        match judge(mark, event, complete) {
            Judged::Repeat => progress.done += 1,
            // What it lacks it reads from the journal, and this one with it.
            Judged::Lacks if rebuild.is_some() => {
                progress.done += 1;
                owed = owed.max(event.sequence);
            }
            Judged::Lacks => {
                progress.lacks = Some(event.previous);
                break;
            }
            Judged::Next if room == 0 => {
                progress.full = true;
                break;
            }
            Judged::Next => match understood::<C>(event) {
                Ok(changed) => {
                    room -= 1;
                    progress.done += 1;
                    changes.extend(changed);
                    mark = event.mark();
                }
                Err(reason) => {
                    progress.refused = Some((event.sequence, reason));
                    break;
                }
            },
        }
    }
    progress.high_water = mark.high_water;
    let consumed = (mark != state.head.mark()).then_some(Event::Consumed { through: mark, events: changes });
    let is_new = rebuild.is_some_and(|rebuild| owed > rebuild.until);
    let owed = is_new.then_some(Event::Owed { until: owed });
    Decision::events(consumed.into_iter().chain(owed).collect(), Reply::Consumed(progress))
}

/// What an event means to the consumer. One that makes it panic is refused like any other that it does not
/// understand: the entity that holds the sums must not fall over it.
pub(super) fn understood<C: Consumer>(event: &SealedEnvelope) -> Result<Vec<C::Event>, String> {
    std::panic::catch_unwind(|| C::consume(event)).unwrap_or_else(|_| Err("the consumer panicked over it".into()))
}
