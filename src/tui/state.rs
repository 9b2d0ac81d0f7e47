//! All that is known, and where the reader is.

use ratatui::crossterm::event::KeyEvent;

use super::answers::{Content, Silent, Tailed, name_of};
use super::page::Page;
use super::place::{Act, Ask, ENTITY_TAB, Place, TABS, TailOf};

/// So many pages one after the other are kept, so that going round in circles does not fill the memory.
const WAY_LONGEST: usize = 20;

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A key was pressed.
    Key(KeyEvent),
    /// The screen has another size.
    Resized,
    /// Time has passed.
    Tick {
        /// What time it is.
        now_at_ms: i64,
    },
    /// A question was answered, or could not be.
    Looked {
        /// Which.
        number: u64,
        /// With what.
        result: Result<Content, String>,
    },
    /// Something was done, or could not be.
    Acted {
        /// What.
        act: Act,
        /// What the API said.
        result: Result<String, String>,
    },
    /// From now on this node is asked.
    Endpoint {
        /// Its base URL.
        url: String,
        /// Why not the one before, if there was one.
        instead: Option<String>,
    },
    /// Something of what is followed.
    Followed {
        /// Which following.
        number: u64,
        /// What.
        what: Followed,
    },
    /// The process is told to end.
    Stop,
}

/// What a live tail tells.
#[derive(Clone, Debug)]
pub enum Followed {
    /// A command was answered.
    Command(Box<Tailed>),
    /// So many came too fast.
    Missed(u64),
    /// A node can't be followed.
    Silent(Silent),
    /// The connection stands.
    Begun,
    /// It does not; it is tried again.
    Broken(String),
}

/// What has to be done about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask; an earlier question need not be answered any more.
    Look {
        /// Comes back with the answer.
        number: u64,
        /// What.
        ask: Ask,
    },
    /// Follow this, or nothing any more.
    Follow {
        /// Comes back with everything.
        number: u64,
        /// Whose commands.
        of: Option<TailOf>,
    },
    /// Do something.
    Act {
        /// What.
        act: Act,
        /// Why, for the audit log.
        reason: String,
    },
}

/// What keys mean right now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Look around.
    #[default]
    Browse,
    /// Help covers the page.
    Help,
    /// A line is typed.
    Prompt {
        /// For what.
        question: Question,
        /// What there is of it.
        text: String,
    },
    /// Yes or no.
    Confirm {
        /// To what.
        act: Act,
        /// Why it is done.
        reason: String,
    },
}

/// What a line is typed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Which rows.
    Filter,
    /// Which entity.
    Entity,
    /// Where a shard shall go.
    MoveTo {
        /// The service.
        service: String,
        /// Its number.
        number: u32,
    },
    /// Why something is done.
    Reason(Act),
}

/// Something to tell, for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What.
    pub text: String,
    /// Whether it is bad news.
    pub bad: bool,
    /// Until when.
    pub until_ms: i64,
}

/// A question that is not answered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Comes back with the answer.
    pub number: u64,
    /// What.
    pub ask: Ask,
}

/// See the module's description.
#[derive(Clone, Debug)]
pub struct State {
    /// By tab, how the reader got to the last page of it.
    pub tabs: Vec<Vec<Page>>,
    /// The one in front.
    pub tab: usize,
    /// What keys mean.
    pub mode: Mode,
    /// Whether nothing is asked for now.
    pub paused: bool,
    /// What time it is.
    pub now_at_ms: i64,
    /// The node that is asked.
    pub endpoint: String,
    /// Why the last question has no answer.
    pub trouble: Option<String>,
    /// What to tell.
    pub notice: Option<Notice>,
    /// What is not answered yet.
    pub asked: Option<Asked>,
    /// When the last question was sent; none when the next is to be sent at once.
    pub asked_at_ms: Option<i64>,
    /// What is followed, under which number.
    pub following: (u64, Option<TailOf>),
    /// The last number of a question.
    pub last_number: u64,
    /// Whether it is over.
    pub over: bool,
}

impl State {
    /// At its beginning.
    pub fn new(now_at_ms: i64, endpoint: String) -> Self {
        Self {
            tabs: (0..TABS.len()).map(|tab| vec![Page::new(Place::of_tab(tab))]).collect(),
            tab: 0,
            mode: Mode::default(),
            paused: false,
            now_at_ms,
            endpoint,
            trouble: None,
            notice: None,
            asked: None,
            asked_at_ms: None,
            following: (0, None),
            last_number: 0,
            over: false,
        }
    }

    /// The page that is shown.
    pub fn page(&self) -> &Page {
        self.tabs[self.tab].last().expect("a tab keeps its first page")
    }

    /// The same, to change it.
    pub fn page_mut(&mut self) -> &mut Page {
        self.tabs[self.tab].last_mut().expect("a tab keeps its first page")
    }

    /// How old what is shown is, when that is older than it should be.
    pub fn stale_ms(&self) -> Option<i64> {
        let page = self.page();
        if page.content.is_none() || page.ask().is_none() || page.is_settled() || self.paused {
            return None;
        }
        let age = self.now_at_ms - page.came_at_ms;
        (age > super::update::STALE_MS).then_some(age)
    }

    /// Names of nodes that are known from the list of nodes.
    pub fn node_names(&self) -> Vec<String> {
        match &self.tabs[0][0].content {
            Some(Content::Nodes(listed)) => {
                listed.items.iter().map(|report| name_of(&report.node).to_owned()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Has the page in front asked for without delay.
    pub fn ask_at_once(&mut self) {
        (self.asked, self.asked_at_ms) = (None, None);
    }

    /// Another page has come to the front: it is asked for at once, unless all stands still and it shows something.
    pub fn arrive(&mut self) {
        self.trouble = None;
        self.ask_at_once();
        if self.paused && self.page().content.is_some() {
            self.asked_at_ms = Some(self.now_at_ms);
        }
    }

    /// Goes on to a place, from where Esc leads back.
    pub fn open(&mut self, place: Place) {
        self.tabs[self.tab].push(Page::new(place.clone()));
        if let Place::Entity { version: None, .. } = &place
            && self.tab != ENTITY_TAB
        {
            self.tabs[ENTITY_TAB] = vec![Page::new(place)];
        }
        let way = &mut self.tabs[self.tab];
        if way.len() > WAY_LONGEST {
            way.remove(1);
        }
        self.arrive();
    }

    /// Brings a tab to the front.
    pub fn show(&mut self, tab: usize) {
        self.tab = tab.min(TABS.len() - 1);
        self.arrive();
    }

    /// Tells something.
    pub fn tell(&mut self, text: impl Into<String>, bad: bool) {
        let until_ms = self.now_at_ms + super::update::NOTICE_MS;
        self.notice = Some(Notice { text: text.into(), bad, until_ms });
    }
}
