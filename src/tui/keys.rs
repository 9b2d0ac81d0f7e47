//! What a key does.

use nakku_cluster::inspect::TopBy;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::place::{Act, ENTITY_TAB, EntityName, Place, Subject, TABS, TailOf, by_next};
use super::prompt;
use super::state::{Effect, Mode, Question, State};
use super::table::Sort;

/// So many rows are a screen, near enough at any size.
const SCREEN_ROWS: isize = 15;

/// Takes a key in.
pub fn press(state: &mut State, key: KeyEvent) -> Option<Effect> {
    if key.modifiers.contains(KeyModifiers::CONTROL) && matches!(key.code, KeyCode::Char('c' | 'q')) {
        state.over = true;
        return None;
    }
    match &state.mode {
        Mode::Browse => {
            // To a terminal Esc with a key right behind it is that key with Alt.
            if key.modifiers.contains(KeyModifiers::ALT) {
                back(state);
            }
            browse(state, key.code);
        }
        Mode::Help => state.mode = Mode::Browse,
        Mode::Prompt { .. } | Mode::Confirm { .. } => return prompt::press(state, key),
    }
    None
}

fn browse(state: &mut State, code: KeyCode) {
    let now_at_ms = state.now_at_ms;
    match code {
        KeyCode::Char('q') => state.over = true,
        KeyCode::Char('?') | KeyCode::F(1) => state.mode = Mode::Help,
        KeyCode::Tab => state.show((state.tab + 1) % TABS.len()),
        KeyCode::BackTab => state.show((state.tab + TABS.len() - 1) % TABS.len()),
        KeyCode::Char(digit @ '1'..='8') => {
            state.show(digit as usize - '1' as usize);
            if state.tab == ENTITY_TAB && state.page().place == Place::NoEntity {
                prompt::ask(state, Question::Entity);
            }
        }
        KeyCode::Down | KeyCode::Char('j') => state.page_mut().go(1, now_at_ms),
        KeyCode::Up | KeyCode::Char('k') => state.page_mut().go(-1, now_at_ms),
        KeyCode::PageDown => state.page_mut().go(SCREEN_ROWS, now_at_ms),
        KeyCode::PageUp => state.page_mut().go(-SCREEN_ROWS, now_at_ms),
        KeyCode::End | KeyCode::Char('G') => state.page_mut().go(isize::MAX, now_at_ms),
        KeyCode::Home | KeyCode::Char('g') => state.page_mut().go_first(),
        KeyCode::Right | KeyCode::Char('l') => panel(state, 1),
        KeyCode::Left | KeyCode::Char('h') => panel(state, -1),
        KeyCode::Enter => enter(state),
        KeyCode::Esc | KeyCode::Backspace => back(state),
        KeyCode::Char('s') => sort(state),
        KeyCode::Char('S') => reverse(state),
        KeyCode::Char('/') => prompt::ask(state, Question::Filter),
        KeyCode::Char(':' | 'e') => prompt::ask(state, Question::Entity),
        KeyCode::Char('r') => state.ask_at_once(),
        KeyCode::Char(' ') => pause(state),
        KeyCode::Char('b') => by(state),
        KeyCode::Char('t') => top(state),
        KeyCode::Char('f') => follow(state),
        KeyCode::Char('w') => path(state),
        KeyCode::Char(older_or_newer @ ('[' | ']')) => window(state, older_or_newer == '['),
        KeyCode::Char(key @ ('p' | 'x' | 'u' | 'm' | 'd' | 'D')) => act(state, key),
        _ => {}
    }
}

fn enter(state: &mut State) {
    if let Some(place) = state.page().row(state.now_at_ms).and_then(|row| row.opens) {
        state.open(place);
    }
}

/// A filter goes first: it is what hides something.
fn back(state: &mut State) {
    if !state.page().filter.is_empty() {
        state.page_mut().filter.clear();
    } else if state.tabs[state.tab].len() > 1 {
        state.tabs[state.tab].pop();
        state.arrive();
    }
}

fn panel(state: &mut State, step: isize) {
    let page = state.page_mut();
    let count = page.panels().len();
    if count > 0 {
        let count = isize::try_from(count).unwrap_or(1);
        let next = (isize::try_from(page.panel).unwrap_or(0) + step).rem_euclid(count);
        page.panel = usize::try_from(next).unwrap_or(0);
        page.sort = None;
        page.go_first();
    }
}

/// As it came, then by each column from left to right.
fn sort(state: &mut State) {
    let columns = state.page().table(state.now_at_ms).columns.len();
    let page = state.page_mut();
    let next = page.sort.map_or(0, |sort| sort.column + 1);
    page.sort = (next < columns).then_some(Sort { column: next, reverse: false });
    page.go_first();
}

fn reverse(state: &mut State) {
    let columns = state.page().table(state.now_at_ms).columns.len();
    let page = state.page_mut();
    page.sort = match page.sort {
        Some(sort) => Some(Sort { reverse: !sort.reverse, ..sort }),
        None => (columns > 0).then_some(Sort { column: 0, reverse: true }),
    };
    page.go_first();
}

fn pause(state: &mut State) {
    state.paused = !state.paused;
    if !state.paused {
        state.ask_at_once();
    }
}

fn by(state: &mut State) {
    if let Place::Top { by, kind } = state.page().place.clone() {
        let page = state.page_mut();
        page.place = Place::Top { by: by_next(by), kind };
        page.content = None;
        page.go_first();
        state.arrive();
    }
}

fn top(state: &mut State) {
    if let Some(Subject::Kind(kind)) = state.page().subject(state.now_at_ms) {
        state.open(Place::Top { by: TopBy::Messages, kind: Some(kind) });
    }
}

fn follow(state: &mut State) {
    let of = match state.page().subject(state.now_at_ms) {
        Some(Subject::Kind(kind)) => TailOf { kind: Some(kind), key: None },
        Some(Subject::Entity(EntityName { kind, key })) => TailOf { kind: Some(kind), key: Some(key) },
        _ => return,
    };
    state.open(Place::Tail(of));
}

fn path(state: &mut State) {
    match state.page().trace(state.now_at_ms) {
        Some(trace) => state.open(Place::Path { trace }),
        None => state.tell("w needs a command or an event that has a trace", true),
    }
}

fn window(state: &mut State, older: bool) {
    let page = state.page_mut();
    if matches!(page.place, Place::Entity { version: None, .. }) {
        page.back = if older { page.back.saturating_add(1) } else { page.back.saturating_sub(1) };
        page.go_first();
        state.ask_at_once();
    }
}

/// Begins what ends with a confirmation.
fn act(state: &mut State, key: char) {
    let subject = state.page().subject(state.now_at_ms);
    let act = match (key, subject) {
        ('p', Some(Subject::Entity(entity))) => Act::Passivate(entity),
        ('x', Some(Subject::Entity(entity))) => Act::Restart(entity),
        ('u', Some(Subject::Entity(entity))) => Act::Release(entity),
        ('d', Some(Subject::Node(node))) => Act::Drain(node),
        ('D', Some(Subject::Node(node))) => Act::Undrain(node),
        ('m', Some(Subject::Shard { service, number })) => {
            prompt::ask(state, Question::MoveTo { service, number });
            return;
        }
        (key, _) => {
            let of = match key {
                'm' => "a shard",
                'd' | 'D' => "a node",
                _ => "an entity",
            };
            state.tell(format!("{key} needs {of}: go to one first"), true);
            return;
        }
    };
    prompt::ask(state, Question::Reason(act));
}
