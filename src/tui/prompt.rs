//! A line that is typed, and the question before something is done.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::place::{Act, EntityName, Place};
use super::state::{Effect, Mode, Question, State};

/// The API takes no longer reasons.
pub const REASON_MAX: usize = 200;
/// Nothing that is typed is longer.
const LINE_MAX: usize = 300;

/// Begins a line.
pub fn ask(state: &mut State, question: Question) {
    let text = match question {
        Question::Filter => state.page().filter.clone(),
        _ => String::new(),
    };
    state.notice = None;
    state.mode = Mode::Prompt { question, text };
}

/// What stands before the line.
pub fn label(question: &Question) -> String {
    match question {
        Question::Filter => "filter: ".into(),
        Question::Entity => "open KIND KEY: ".into(),
        Question::MoveTo { service, number } => format!("move {service}/{number} to node: "),
        Question::Reason(act) => format!("{}, reason: ", act.describe()),
    }
}

/// Takes a key in.
pub fn press(state: &mut State, key: KeyEvent) -> Option<Effect> {
    match std::mem::take(&mut state.mode) {
        Mode::Prompt { question, text } => {
            typed(state, question, text, key);
            None
        }
        Mode::Confirm { act, reason } => match key.code {
            KeyCode::Char('y' | 'Y') => {
                state.tell(format!("{} …", act.describe()), false);
                Some(Effect::Act { act, reason })
            }
            KeyCode::Char('n' | 'N') | KeyCode::Esc => {
                state.tell("nothing was done", false);
                None
            }
            // Neither yes nor no: the question stands.
            _ => {
                state.mode = Mode::Confirm { act, reason };
                None
            }
        },
        other => {
            state.mode = other;
            None
        }
    }
}

fn typed(state: &mut State, question: Question, mut text: String, key: KeyEvent) {
    match key.code {
        KeyCode::Enter => return done(state, question, text.trim()),
        KeyCode::Esc => {
            if question == Question::Filter {
                state.page_mut().filter.clear();
            }
            return;
        }
        KeyCode::Backspace => {
            text.pop();
        }
        KeyCode::Char('u') if key.modifiers.contains(KeyModifiers::CONTROL) => text.clear(),
        KeyCode::Char(character) if !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => {
            let most = if matches!(question, Question::Reason(_)) { REASON_MAX } else { LINE_MAX };
            if text.chars().count() < most {
                text.push(character);
            }
        }
        _ => {}
    }
    if question == Question::Filter {
        // Rows go while one types.
        let page = state.page_mut();
        page.filter.clone_from(&text);
        page.go_first();
    }
    state.mode = Mode::Prompt { question, text };
}

fn done(state: &mut State, question: Question, text: &str) {
    match question {
        Question::Filter => text.clone_into(&mut state.page_mut().filter),
        Question::Entity => match EntityName::parse(text) {
            Some(entity) => state.open(Place::Entity { entity, version: None }),
            None if text.is_empty() => {}
            None => state.tell(format!("{text:?} is no KIND KEY, such as user.user u-1"), true),
        },
        Question::MoveTo { service, number } => {
            let known = state.node_names();
            if text.is_empty() {
                state.tell("nothing was done", false);
            } else if known.is_empty() || known.iter().any(|name| name == text) {
                let act = Act::Move { service, number, node: text.to_owned() };
                ask(state, Question::Reason(act));
            } else {
                state.tell(format!("there is no node {text}; there are {}", known.join(", ")), true);
            }
        }
        Question::Reason(act) if text.is_empty() => {
            // Esc is the way out; an empty line is a slip.
            ask(state, Question::Reason(act));
            state.tell("a reason is needed: it goes to the audit log", true);
        }
        Question::Reason(act) => state.mode = Mode::Confirm { act, reason: text.to_owned() },
    }
}
