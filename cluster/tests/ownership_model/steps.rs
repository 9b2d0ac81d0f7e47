//! The steps that are the same whether or not a rule is broken.

use crate::state::{Flight, Kind, Member, Row, Set, State, Term, Transaction};

impl<const N: usize> State<N> {
    pub fn tick(&mut self) {
        if let Some(ticks) = &mut self.budget.ticks {
            if *ticks == 0 {
                return;
            }
            *ticks -= 1;
        }
        let lease = self.lease;
        for node in self.nodes.iter_mut().filter(|node| !node.crashed) {
            node.lease = node.lease.saturating_sub(1);
            if let Some(renewal) = &mut node.renewal {
                *renewal = renewal.saturating_sub(1);
            }
            for silence in &mut node.silence {
                *silence = (*silence + 1).min(lease);
            }
            for down_for in node.down_for.iter_mut().flatten() {
                *down_for = (*down_for + 1).min(lease);
            }
        }
        for (number, node) in self.nodes.iter_mut().enumerate() {
            // Nobody times itself.
            node.silence[number] = 0;
        }
    }

    pub fn change_view(&mut self, node: usize, member: Member) {
        let mut view = *self.views.last().expect("a first view");
        view[node] = member;
        self.views.push(view);
        let version = self.version();
        for one in &mut self.nodes {
            // It would lose.
            one.swap = one.swap.filter(|swap| swap.expected == version);
        }
    }

    pub fn renewal_lands(&mut self, node: usize) {
        self.judged_beat[node] = false;
        self.acknowledged[node] = self.nodes[node].acknowledged;
        for one in &mut self.nodes {
            one.unseen |= 1 << node;
            if let Some(swap) = one.swap.as_mut().filter(|swap| usize::from(swap.target) == node) {
                swap.renewed = true;
            }
        }
    }

    /// A node that has nothing to stop acknowledges at once; to do so later would only make others wait.
    pub fn acknowledge_idle(&mut self, node: usize) {
        let owns = self.owner(self.nodes[node].view) == Some(node);
        let one = &mut self.nodes[node];
        if one.flight == Flight::None && (owns || one.term.is_none()) {
            one.acknowledged = one.view;
        }
    }

    pub fn send(&mut self, node: usize, epoch: u8, seq: u8, kind: Kind) {
        let writer = u8::try_from(node).expect("few nodes");
        let sent = Transaction { seq, writer, epoch, kind, attempt: 0 };
        self.nodes[node].flight = Flight::Awaiting { sent, about: kind, must_see: self.told_durable };
        self.put_on_network(sent);
    }

    pub fn put_on_network(&mut self, transaction: Transaction) {
        self.network.push(transaction);
        self.network.sort_unstable();
    }

    /// The primary key decides.
    pub fn lands(&mut self, transaction: Transaction) {
        let Some(place) = self.network.iter().position(|one| *one == transaction) else { return };
        self.network.remove(place);
        let Transaction { seq, writer, epoch, kind, .. } = transaction;
        assert!(seq <= self.end_of_journal(), "nobody leaves a gap");
        let committed = seq == self.end_of_journal();
        if committed {
            self.journal.push(Row { writer, epoch, kind });
        }
        let node = &mut self.nodes[usize::from(writer)];
        if let Flight::Awaiting { sent, about, must_see } = node.flight
            && sent == transaction
        {
            node.flight = Flight::Answered { sent, about, must_see, committed };
        }
    }

    pub fn answer_lost(&mut self, node: usize) {
        let (Flight::Awaiting { sent, about, must_see } | Flight::Answered { sent, about, must_see, .. }) =
            self.nodes[node].flight
        else {
            return;
        };
        self.nodes[node].flight = Flight::Unknown { sent, about, must_see };
    }

    /// A node takes in the answer to its transaction.
    pub fn learn(&mut self, node: usize) {
        let Flight::Answered { sent, about, must_see, committed } = self.nodes[node].flight else { return };
        self.nodes[node].flight = Flight::None;
        let row = self.journal[usize::from(sent.seq)];
        let own = usize::from(row.writer) == node && row.epoch == sent.epoch;
        let fences = sent.kind == Kind::Claim && about != Kind::Claim;
        if own && row.kind == Kind::Claim && sent.kind == Kind::Claim {
            // By this answer or by an earlier one that was lost; in any case what was asked for is lost.
            self.call_failed(about);
            self.begin_term(node, sent);
        } else if own && row.kind == about && (committed || fences) {
            self.done(node, about, must_see, sent.seq);
        } else {
            self.call_failed(about);
            self.nodes[node].term = None;
        }
    }

    pub fn call_failed(&mut self, about: Kind) {
        if let Kind::Write(number) = about {
            self.told_failed |= 1 << number;
        }
    }

    fn begin_term(&mut self, node: usize, claim: Transaction) {
        // Entities load after the claim, from a journal that is fixed up to it.
        let applied = self.writes_below(claim.seq);
        let one = &mut self.nodes[node];
        let open = one.term.map_or(one.claimed_open, |term| term.open);
        one.term = Some(Term { epoch: claim.epoch, next_seq: claim.seq + 1, applied, open });
    }

    fn done(&mut self, node: usize, about: Kind, must_see: Set, seq: u8) {
        let Some(term) = &mut self.nodes[node].term else { return };
        term.next_seq = seq + 1;
        match about {
            Kind::Write(number) => {
                term.applied |= 1 << number;
                self.told_durable |= 1 << number;
            }
            Kind::NoOp => self.stale_read |= must_see & !term.applied != 0,
            Kind::Claim => {}
        }
    }
}
