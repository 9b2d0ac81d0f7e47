//! What an event changes, and what has to be done about it.

use super::answers::{Content, Tail};
use super::keys;
use super::place::{Place, TailOf};
use super::state::{Asked, Effect, Event, Followed, State};

/// Between two questions for the same page.
pub const REFRESH_MS: i64 = 2_000;
/// What is older than three refreshes is said to be stale.
pub const STALE_MS: i64 = 3 * REFRESH_MS;
/// For how long something is told.
pub const NOTICE_MS: i64 = 8_000;

/// Takes an event in.
pub fn update(state: &mut State, event: Event) -> Vec<Effect> {
    let mut effects = Vec::new();
    match event {
        Event::Key(key) => effects.extend(keys::press(state, key)),
        Event::Resized => {}
        Event::Tick { now_at_ms } => {
            state.now_at_ms = now_at_ms;
            state.notice.take_if(|notice| notice.until_ms <= now_at_ms);
        }
        Event::Looked { number, result } => looked(state, number, result),
        Event::Acted { act, result } => {
            match result {
                Ok(said) => state.tell(format!("{}: {said}", act.describe()), false),
                Err(reason) => state.tell(format!("{}: {reason}", act.describe()), true),
            }
            // The next look shows what has become of it.
            state.ask_at_once();
        }
        Event::Endpoint { url, instead } => {
            if let Some(instead) = instead {
                state.tell(format!("{instead} does not answer; asking {url}"), true);
            }
            state.endpoint = url;
        }
        Event::Followed { number, what } => followed(state, number, what),
        Event::Stop => state.over = true,
    }
    effects.extend(look(state));
    effects.extend(follow(state));
    effects
}

fn looked(state: &mut State, number: u64, result: Result<Content, String>) {
    let Some(asked) = state.asked.take_if(|asked| asked.number == number) else {
        return;
    };
    match result {
        Err(reason) => state.trouble = Some(reason),
        Ok(content) => {
            state.trouble = None;
            let now_at_ms = state.now_at_ms;
            // The reader may have gone on, and the page is still below the one in front.
            for page in state.tabs.iter_mut().flatten().filter(|page| page.ask().as_ref() == Some(&asked.ask)) {
                page.content = Some(content.clone());
                page.came_at_ms = now_at_ms;
            }
        }
    }
}

fn followed(state: &mut State, number: u64, what: Followed) {
    if state.following.0 != number {
        return;
    }
    let of = state.following.1.clone();
    let now_at_ms = state.now_at_ms;
    let mut trouble = state.trouble.take();
    let pages = state.tabs.iter_mut().flatten();
    for page in pages.filter(|page| matches!(&page.place, Place::Tail(own) if Some(own) == of.as_ref())) {
        page.came_at_ms = now_at_ms;
        let content = page.content.get_or_insert_with(|| Content::Tail(Tail::default()));
        let Content::Tail(tail) = content else { continue };
        match &what {
            Followed::Command(command) => tail.take(command.as_ref().clone()),
            Followed::Missed(count) => tail.missed += count,
            Followed::Silent(silent) => tail.silent(silent.clone()),
            Followed::Begun => {
                tail.silent.clear();
                trouble = None;
            }
            Followed::Broken(reason) => trouble = Some(reason.clone()),
        }
    }
    state.trouble = trouble;
}

/// The page in front is asked for when it has just come to the front, and then again and again.
fn look(state: &mut State) -> Option<Effect> {
    let page = state.page();
    let ask = page.ask()?;
    let waiting = state.asked.as_ref().is_some_and(|asked| asked.ask == ask);
    let due = match state.asked_at_ms {
        None => true,
        Some(asked_at_ms) => !state.paused && !page.is_settled() && state.now_at_ms - asked_at_ms >= REFRESH_MS,
    };
    if state.over || waiting || !due {
        return None;
    }
    state.last_number += 1;
    let number = state.last_number;
    state.asked_at_ms = Some(state.now_at_ms);
    state.asked = Some(Asked { number, ask: ask.clone() });
    Some(Effect::Look { number, ask })
}

/// The tail in front is followed, none otherwise.
fn follow(state: &mut State) -> Option<Effect> {
    let wanted: Option<TailOf> = match &state.page().place {
        Place::Tail(of) if !state.paused && !state.over => Some(of.clone()),
        _ => None,
    };
    if state.following.1 == wanted {
        return None;
    }
    state.last_number += 1;
    state.following = (state.last_number, wanted.clone());
    Some(Effect::Follow { number: state.last_number, of: wanted })
}
