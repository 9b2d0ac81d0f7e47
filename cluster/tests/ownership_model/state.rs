//! Everything that a moment of the model consists of: one shard, its journal, the cluster database and the
//! nodes. Times are relative: how many ticks a lease still holds, for how many a beat has stood still.

/// A set of small numbers: writes, or nodes.
pub type Set = u8;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State<const N: usize> {
    /// The shard's rows; the place in the list is the seq, which is the primary key.
    pub journal: Vec<Row>,
    /// Transactions that have been sent and may land at any time, or never.
    pub network: Vec<Transaction>,
    /// All views, the first at 0; a view's version is its place plus one.
    pub views: Vec<[Member; N]>,
    /// What each node's lease row says that it has acknowledged.
    pub acknowledged: [u8; N],
    /// Whether the beat of a lease row is still the one by which the node was judged.
    pub judged_beat: [bool; N],
    pub nodes: [Node<N>; N],
    /// Writes that a client has been told are durable.
    pub told_durable: Set,
    /// Writes that a client has been told did certainly not happen.
    pub told_failed: Set,
    /// A read was answered without a write that had been acknowledged before it.
    pub stale_read: bool,
    pub budget: Budget,
    /// How many ticks a lease holds; never changes.
    pub lease: u8,
}

/// A row of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    pub writer: u8,
    pub epoch: u8,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Claim,
    /// The number of the write.
    Write(u8),
    /// A proof of ownership for reads.
    NoOp,
}

/// A row on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Transaction {
    pub seq: u8,
    pub writer: u8,
    pub epoch: u8,
    pub kind: Kind,
    /// Tells a repetition from what it repeats.
    pub attempt: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Member {
    Joining,
    /// Since which version.
    Up(u8),
    Down(u8),
}

impl Member {
    pub fn is_live(self) -> bool {
        !matches!(self, Self::Down(_))
    }

    /// The version in which it became up, if ever.
    pub fn up_since(self) -> Option<u8> {
        match self {
            Self::Up(since) | Self::Down(since) => (since > 0).then_some(since),
            Self::Joining => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node<const N: usize> {
    pub crashed: bool,
    /// The newest view that it knows.
    pub view: u8,
    /// What it has acknowledged, written or not.
    pub acknowledged: u8,
    /// For how many ticks its lease still holds.
    pub lease: u8,
    /// A renewal on its way: for how many ticks it will hold, which run from before it was sent.
    pub renewal: Option<u8>,
    /// For how many ticks each other's beat has stood still, as seen from here.
    pub silence: [u8; N],
    /// Whose beats have changed since this node looked.
    pub unseen: Set,
    /// For how many ticks this node has known that another is down.
    pub down_for: [Option<u8>; N],
    /// Whose lease has certainly run out.
    pub over: Set,
    /// The view by which it got the shard, of those that it knows, if it has had it since.
    pub gained: u8,
    /// Whether nobody serves any more what that view, or the newest when it has nothing, took away.
    pub settled: bool,
    /// A swap of the view that it has decided on, sent or not.
    pub swap: Option<Swap>,
    pub term: Option<Term>,
    pub flight: Flight,
    /// Whether it might serve at once when its claim was sent.
    pub claimed_open: bool,
}

/// The decision to call a node down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Swap {
    pub expected: u8,
    pub target: u8,
    /// Whether the target has renewed since it was judged.
    pub renewed: bool,
}

/// A shard in a node's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Term {
    pub epoch: u8,
    pub next_seq: u8,
    /// The writes in its memory.
    pub applied: Set,
    /// Whether it may answer.
    pub open: bool,
}

/// A node's transaction; it has one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flight {
    None,
    Awaiting { sent: Transaction, about: Kind, must_see: Set },
    Answered { sent: Transaction, about: Kind, must_see: Set, committed: bool },
    Unknown { sent: Transaction, about: Kind, must_see: Set },
}

impl Flight {
    /// Whether the node tries to take the shard.
    pub fn is_of_claim(self) -> bool {
        let (Self::Awaiting { about, .. } | Self::Answered { about, .. } | Self::Unknown { about, .. }) = self else {
            return false;
        };
        about == Kind::Claim
    }
}

/// What the environment may still do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    pub crashes: u8,
    pub losses: u8,
    pub writes: u8,
    pub no_ops: u8,
    pub ticks: Option<u8>,
}

impl<const N: usize> State<N> {
    pub fn version(&self) -> u8 {
        u8::try_from(self.views.len()).expect("few views")
    }

    /// The owner by a view: the up node of the highest number. Nobody before the first view.
    pub fn owner(&self, version: u8) -> Option<usize> {
        let view = self.views.get(usize::from(version).checked_sub(1)?)?;
        view.iter().rposition(|member| matches!(member, Member::Up(_)))
    }

    /// Whether a node's newest view gives it the shard, and nobody serves it any more by an older one.
    pub fn may_open(&self, node: usize) -> bool {
        let one = &self.nodes[node];
        self.owner(one.view) == Some(node) && one.settled
    }

    /// Whether a node answers reads by its lease, from memory and without a row.
    pub fn reads_by_lease(&self, node: usize) -> bool {
        let one = &self.nodes[node];
        !one.crashed && one.lease > 0 && one.term.is_some_and(|term| term.open)
    }

    /// A node answers as soon as it may.
    pub fn open(&mut self, node: usize, early: bool) {
        let may_open = early || self.may_open(node);
        if let Some(term) = self.nodes[node].term.as_mut().filter(|_| may_open) {
            term.open = true;
        }
    }

    /// Any answer that a node has not taken in yet: what was sent, what it was about, whether it landed, and
    /// the row that is there.
    pub fn answers(&self) -> impl Iterator<Item = (Transaction, Kind, bool, Row)> + '_ {
        self.nodes.iter().filter_map(|node| match node.flight {
            Flight::Answered { sent, about, committed, .. } => {
                Some((sent, about, committed, self.journal[usize::from(sent.seq)]))
            }
            _ => None,
        })
    }

    /// The writes in the journal up to a seq.
    pub fn writes_below(&self, seq: u8) -> Set {
        self.journal.iter().take(usize::from(seq)).fold(0, |set, row| set | row.write())
    }

    pub fn end_of_journal(&self) -> u8 {
        u8::try_from(self.journal.len()).expect("few rows")
    }
}

impl Row {
    pub fn write(self) -> Set {
        match self.kind {
            Kind::Write(number) => 1 << number,
            _ => 0,
        }
    }
}

impl<const N: usize> Node<N> {
    pub fn new(view: u8, lease: u8) -> Self {
        Self {
            crashed: false,
            view,
            acknowledged: view,
            lease,
            renewal: None,
            silence: [0; N],
            unseen: 0,
            down_for: [None; N],
            over: 0,
            gained: view,
            settled: true,
            swap: None,
            term: None,
            flight: Flight::None,
            claimed_open: false,
        }
    }

    /// What is left of it: what it had sent.
    pub fn crash(&mut self) {
        *self = Self { crashed: true, swap: self.swap, ..Self::new(0, 0) };
    }
}
