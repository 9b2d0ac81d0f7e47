//! What can happen, and what must never.

use stateright::{Model, Property};

use crate::state::{Budget, Flight, Kind, Member, Node, Row, State, Swap, Term, Transaction};

/// The protocol with its bounds, whole or with one rule broken.
#[derive(Clone, Debug)]
pub struct Ownership<const N: usize> {
    pub broken: Option<Broken>,
    pub budget: Budget,
    /// How many ticks a lease holds.
    pub lease: u8,
    /// No more views than this.
    pub views_max: u8,
    /// Time passes only when no node has anything to do, as it does for nodes that are fast enough. Then
    /// every run ends, and it can be asked what must have happened by its end.
    pub urgent: bool,
}

/// A rule left out, to show that it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A new owner writes no claim row.
    NoClaim,
    /// An unknown outcome is looked up.
    UnknownBySelect,
    /// A successor answers before the former owner has acknowledged.
    OpenEarly,
    /// A lease counts as run out as soon as the view says that its node is down.
    DownWithoutBeat,
    /// A renewal counts though the view read after it says that the node is down.
    RenewalAfterDown,
    /// A claim is written over a higher epoch.
    ClaimOverHigher,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Tick,
    Crash(usize),
    BecomeUp(usize),
    SendRenewal(usize),
    Round(usize),
    SwapLands(usize),
    Acknowledge(usize),
    SendClaim(usize),
    TakeWithoutClaim(usize),
    SendWrite(usize),
    SendNoOp(usize),
    Lands(Transaction),
    AnswerLost(usize),
    Learn(usize),
    Resolve(usize),
}

impl<const N: usize> Model for Ownership<N> {
    type State = State<N>;
    type Action = Action;

    fn init_states(&self) -> Vec<State<N>> {
        let mut members = [Member::Joining; N];
        members[0] = Member::Up(1);
        vec![State {
            journal: Vec::new(),
            network: Vec::new(),
            views: vec![members],
            acknowledged: [1; N],
            judged_beat: [false; N],
            nodes: std::array::from_fn(|_| Node::new(1, self.lease)),
            told_durable: 0,
            told_failed: 0,
            stale_read: false,
            budget: self.budget,
            lease: self.lease,
        }]
    }

    fn actions(&self, state: &State<N>, actions: &mut Vec<Action>) {
        self.steps(state, actions);
        if !self.urgent || actions.is_empty() {
            actions.push(Action::Tick);
        }
        for node in 0..N {
            self.disturbances(state, node, actions);
        }
    }

    fn next_state(&self, before: &State<N>, action: Action) -> Option<State<N>> {
        let mut state = before.clone();
        match action {
            Action::Tick => state.tick(),
            Action::Crash(node) => {
                state.budget.crashes -= 1;
                state.nodes[node].crash();
                // A run goes on long enough to see what follows.
                state.budget.ticks = self.budget.ticks;
            }
            Action::BecomeUp(node) => state.change_view(node, Member::Up(state.version() + 1)),
            Action::SendRenewal(node) => state.nodes[node].renewal = Some(self.lease),
            Action::Round(node) => {
                state.renewal_lands(node);
                self.read_view(&mut state, node);
            }
            Action::SwapLands(node) => {
                let swap = state.nodes[node].swap.take()?;
                if swap.expected == state.version() && swap.expected < self.views_max {
                    let target = usize::from(swap.target);
                    state.judged_beat[target] = !swap.renewed;
                    let since = state.views.last()?[target].up_since().unwrap_or(0);
                    state.change_view(target, Member::Down(since));
                }
            }
            Action::Acknowledge(node) => {
                let owns = state.owner(state.nodes[node].view) == Some(node);
                let one = &mut state.nodes[node];
                one.acknowledged = one.view;
                one.term = one.term.filter(|_| owns);
                // A claim that is under way may still land; its answer is not taken in any more.
                one.flight = Flight::None;
            }
            Action::SendClaim(node) => {
                let epoch = state.nodes[node].view;
                state.nodes[node].claimed_open = state.may_open(node);
                state.send(node, epoch, state.end_of_journal(), Kind::Claim);
            }
            Action::TakeWithoutClaim(node) => {
                let (epoch, next_seq) = (state.nodes[node].view, state.end_of_journal());
                let applied = state.writes_below(next_seq);
                state.nodes[node].term = Some(Term { epoch, next_seq, applied, open: false });
            }
            Action::SendWrite(node) => {
                let term = state.nodes[node].term?;
                state.budget.writes -= 1;
                state.send(node, term.epoch, term.next_seq, Kind::Write(state.budget.writes));
            }
            Action::SendNoOp(node) => {
                let term = state.nodes[node].term?;
                state.budget.no_ops -= 1;
                state.send(node, term.epoch, term.next_seq, Kind::NoOp);
            }
            Action::Lands(transaction) => state.lands(transaction),
            Action::AnswerLost(node) => {
                state.budget.losses -= 1;
                state.answer_lost(node);
            }
            Action::Learn(node) => state.learn(node),
            Action::Resolve(node) => self.resolve(&mut state, node),
        }
        for node in 0..N {
            state.acknowledge_idle(node);
            state.open(node, self.broken == Some(Broken::OpenEarly));
        }
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("epochs only rise and each has one writer", |_: &Self, state: &State<N>| {
                state.journal.windows(2).all(|pair| {
                    pair[0].epoch < pair[1].epoch || (pair[0].epoch, pair[0].writer) == (pair[1].epoch, pair[1].writer)
                })
            }),
            Property::always("an acknowledged write is in the journal", |_: &Self, state: &State<N>| {
                state.told_durable & !state.writes_below(state.end_of_journal()) == 0
            }),
            Property::always("a write called failed never happens", |_: &Self, state: &State<N>| {
                state.told_failed & state.writes_below(state.end_of_journal()) == 0
            }),
            Property::always("the newest owner knows every acknowledged write", |_: &Self, state: &State<N>| {
                let newest = state.journal.last().map(|row| (row.writer, row.epoch));
                state.nodes.iter().zip(0u8..).all(|(node, number)| {
                    let term = node.term.filter(|term| Some((number, term.epoch)) == newest);
                    term.is_none_or(|term| state.told_durable & !term.applied == 0)
                })
            }),
            Property::always("a read reflects all writes acknowledged before it", |_: &Self, state: &State<N>| {
                let current = |node: usize| {
                    let applied = state.nodes[node].term.map_or(0, |term| term.applied);
                    !state.reads_by_lease(node) || state.told_durable & !applied == 0
                };
                !state.stale_read && (0..N).all(current)
            }),
        ];
        if self.urgent {
            properties.push(Property::eventually("after a crash somebody serves", |_: &Self, state: &State<N>| {
                state.nodes.iter().any(|node| node.crashed) && (0..N).any(|node| state.reads_by_lease(node))
            }));
        } else {
            properties.extend([
                Property::sometimes("ownership moves", |_: &Self, state: &State<N>| {
                    let first = state.journal.first().map(|row| row.writer);
                    (0..N).any(|node| first.is_some_and(|first| first as usize != node) && state.reads_by_lease(node))
                }),
                Property::sometimes("a late write of a former owner collides", |_: &Self, state: &State<N>| {
                    state.answers().any(|(sent, _, committed, row)| {
                        matches!(sent.kind, Kind::Write(_)) && !committed && row.writer != sent.writer
                    })
                }),
                Property::sometimes("an unknown outcome proves committed", |_: &Self, state: &State<N>| {
                    state.answers().any(|(sent, about, _, row)| {
                        sent.kind == Kind::Claim && about != Kind::Claim && row.kind == about
                    })
                }),
                Property::sometimes("an unknown outcome proves lost", |_: &Self, state: &State<N>| {
                    state.answers().any(|(sent, about, committed, _)| {
                        sent.kind == Kind::Claim && about != Kind::Claim && committed
                    })
                }),
                Property::sometimes("all writes are acknowledged", |model: &Self, state: &State<N>| {
                    state.told_durable.count_ones() == u32::from(model.budget.writes)
                }),
            ]);
        }
        properties
    }
}

impl<const N: usize> Ownership<N> {
    /// What nodes and network do by themselves.
    fn steps(&self, state: &State<N>, actions: &mut Vec<Action>) {
        actions.extend(state.network.iter().map(|transaction| Action::Lands(*transaction)));
        for (node, one) in state.nodes.iter().enumerate() {
            if one.swap.is_some() {
                actions.push(Action::SwapLands(node));
            }
            if one.crashed {
                continue;
            }
            if one.renewal.is_some() {
                actions.push(Action::Round(node));
            } else if self.wants_to_renew(state, node) {
                actions.push(Action::SendRenewal(node));
            }
            self.steps_of_shard(state, node, actions);
        }
    }

    fn steps_of_shard(&self, state: &State<N>, node: usize, actions: &mut Vec<Action>) {
        let one = &state.nodes[node];
        let owns = state.owner(one.view) == Some(node);
        if !owns && one.term.is_none() && one.acknowledged < one.view && one.flight.is_of_claim() {
            actions.push(Action::Acknowledge(node));
        }
        match one.flight {
            Flight::None => {}
            Flight::Awaiting { .. } => return,
            Flight::Answered { .. } => return actions.push(Action::Learn(node)),
            Flight::Unknown { .. } => return actions.push(Action::Resolve(node)),
        }
        if one.acknowledged < one.view {
            // Nothing is in flight: what it had decided is flushed.
            actions.push(Action::Acknowledge(node));
        }
        match one.term {
            None if owns && self.may_claim(state, node) => actions.push(match self.broken {
                Some(Broken::NoClaim) => Action::TakeWithoutClaim(node),
                _ => Action::SendClaim(node),
            }),
            Some(term) if term.open => {
                if state.budget.writes > 0 {
                    actions.push(Action::SendWrite(node));
                }
                if state.budget.no_ops > 0 && one.lease == 0 {
                    actions.push(Action::SendNoOp(node));
                }
            }
            _ => {}
        }
    }

    /// What the environment does to a node.
    fn disturbances(&self, state: &State<N>, node: usize, actions: &mut Vec<Action>) {
        let one = &state.nodes[node];
        let running = !one.crashed;
        let newest = state.views.last().expect("a first view")[node];
        if state.budget.crashes > 0 && running && (!self.urgent || one.term.is_some()) {
            actions.push(Action::Crash(node));
        }
        if running && newest == Member::Joining && state.version() < self.views_max {
            actions.push(Action::BecomeUp(node));
        }
        let sent = matches!(one.flight, Flight::Awaiting { .. } | Flight::Answered { .. });
        if state.budget.losses > 0 && running && sent {
            actions.push(Action::AnswerLost(node));
        }
    }

    /// Without haste at any time; else only when it would change something.
    fn wants_to_renew(&self, state: &State<N>, node: usize) -> bool {
        if !self.urgent {
            return true;
        }
        let mut after = state.clone();
        after.nodes[node].renewal = Some(self.lease);
        after.renewal_lands(node);
        self.read_view(&mut after, node);
        after.nodes[node] != state.nodes[node] || after.acknowledged != state.acknowledged
    }

    fn may_claim(&self, state: &State<N>, node: usize) -> bool {
        let Some(last) = state.journal.last() else { return true };
        let epoch = state.nodes[node].view;
        let own = usize::from(last.writer) == node && last.epoch == epoch;
        own || last.epoch < epoch || self.broken == Some(Broken::ClaimOverHigher)
    }

    /// The second half of a round: view and leases as they are after the renewal.
    fn read_view(&self, state: &mut State<N>, node: usize) {
        let version = state.version();
        let view = *state.views.last().expect("a first view");
        let rows = state.acknowledged;
        let (judged_beat, lease) = (state.judged_beat, state.lease);
        let owners: Vec<Option<usize>> = (0..=version).map(|version| state.owner(version)).collect();
        let owner = |version: u8| owners[usize::from(version)] == Some(node);
        let one = &mut state.nodes[node];
        let (had, has) = (owner(one.view), owner(version));
        if !(had && has) {
            one.gained = version;
        }
        one.view = version;
        let counts = view[node].is_live() || self.broken == Some(Broken::RenewalAfterDown);
        if let Some(left) = one.renewal.take().filter(|_| counts) {
            one.lease = one.lease.max(left);
        }
        let mut all_acknowledged = one.acknowledged;
        for other in (0..N).filter(|other| *other != node) {
            if one.unseen & (1 << other) != 0 {
                one.silence[other] = 0;
            }
            if !view[other].is_live() {
                let down_for = *one.down_for[other].get_or_insert(0);
                let ran_out = judged_beat[other] || down_for >= lease || view[other].up_since().is_none();
                if ran_out || self.broken == Some(Broken::DownWithoutBeat) {
                    one.over |= 1 << other;
                }
            } else if one.silence[other] >= lease && one.swap.is_none() {
                let target = u8::try_from(other).expect("few nodes");
                one.swap = Some(Swap { expected: version, target, renewed: false });
            }
            if let Some(since) = view[other].up_since().filter(|_| one.over & (1 << other) == 0) {
                all_acknowledged = all_acknowledged.min(rows[other].max(since));
            }
        }
        one.unseen = 0;
        one.settled = all_acknowledged >= one.gained;
    }

    /// An unknown outcome: the lost row's place is claimed, and whichever row is there tells.
    fn resolve(&self, state: &mut State<N>, node: usize) {
        let Flight::Unknown { sent, about, must_see } = state.nodes[node].flight else { return };
        if self.broken == Some(Broken::UnknownBySelect) {
            let wanted = Row { writer: sent.writer, epoch: sent.epoch, kind: sent.kind };
            let committed = state.journal.get(usize::from(sent.seq)).map(|row| *row == wanted);
            if let Some(committed) = committed {
                state.nodes[node].flight = Flight::Answered { sent, about, must_see, committed };
            } else {
                state.call_failed(about);
                state.nodes[node].flight = Flight::None;
            }
            return;
        }
        let fence = Transaction { kind: Kind::Claim, attempt: sent.attempt + 1, ..sent };
        state.nodes[node].flight = Flight::Awaiting { sent: fence, about, must_see };
        state.put_on_network(fence);
    }
}
