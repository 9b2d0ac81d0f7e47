//! The supervisor of the links: it owns ractor_cluster's node server and this node's port, hands sockets to
//! the one, and learns from both and from the process groups when a link is ready and when it has ended.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use ractor::pg::{self, GroupChangeMessage};
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, ActorStatus, SupervisionEvent};
use ractor_cluster::node::{NodeConnectionMode, NodeServerSessionInformation};
use ractor_cluster::{IncomingEncryptionMode, NodeEventSubscription, NodeServer, NodeServerMessage, RactorMessage};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::connection::Connection;
use super::dial::{is_dialing_side, keep_dialing};
use super::inbound::Inbound;
use super::port::Port;
use super::settings::Peer;
use super::stream::LinkStream;
use super::table::Table;
use super::tls::Tls;
use super::wire::{self, Frame, SCOPE};
use crate::membership::NodeId;
use crate::metrics;

/// How long the node server may take to stop.
const SERVER_STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// What the supervisor is told.
#[derive(RactorMessage)]
pub enum Message {
    /// The table lists other peers than before.
    PeersChanged,
    /// A listed peer is at the door: answered once no former link of it is left, dropped if overtaken.
    Admit {
        /// Who.
        peer: NodeId,
        /// The answer.
        admit: oneshot::Sender<()>,
    },
    /// Both sides have said hello.
    Established(Box<Established>),
    /// It has had the time to become ready.
    ReadyDeadline(u64),
    /// ractor_cluster has made a session of a connection.
    SessionOpened {
        /// The connection.
        number: u64,
        /// What remote actors of that session bear.
        session: u64,
    },
    /// Both sides know each other's actors.
    SessionReady {
        /// The connection.
        number: u64,
        /// What the peer called itself.
        peer_name: String,
    },
    /// The session has ended, for whatever reason.
    SessionEnded(u64),
    /// No new work: leave the group and stop dialing.
    Leave(oneshot::Sender<()>),
    /// End all links.
    StopServer(oneshot::Sender<()>),
}

/// A connection and its socket.
pub struct Established {
    /// The connection.
    pub connection: Arc<Connection>,
    /// Its socket.
    pub stream: LinkStream,
    /// Dropped when the session has ended.
    pub ended: Option<oneshot::Sender<()>>,
}

/// See the module.
pub struct LinkSupervisor {
    /// Shared with everything else.
    pub table: Arc<Table>,
    /// Who executes requests.
    pub inbound: Arc<dyn Inbound>,
    /// Mutual TLS, if set.
    pub tls: Option<Tls>,
}

/// What the supervisor knows.
pub struct SupervisorState {
    server: ActorRef<NodeServerMessage>,
    port: ActorRef<Frame>,
    links: HashMap<u64, LinkEntry>,
    /// By session; the group says whose port it is.
    ports: HashMap<u64, (String, ActorCell)>,
    admissions: HashMap<NodeId, oneshot::Sender<()>>,
    dialing: BTreeMap<NodeId, (String, AbortHandle)>,
    stopping: bool,
}

struct LinkEntry {
    connection: Arc<Connection>,
    session: Option<u64>,
    session_ready: bool,
    /// Whether requests have ever gone over it.
    was_open: bool,
    /// The peer has left its group while its session went on: it is about to stop.
    said_goodbye: bool,
    _ended: Option<oneshot::Sender<()>>,
}

impl Actor for LinkSupervisor {
    type Msg = Message;
    type State = SupervisorState;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<Message>, (): ()) -> Result<SupervisorState, ActorProcessingErr> {
        let settings = &self.table.settings;
        // Its own listener can't be switched off; it is kept from the network, and behind TLS where that is on.
        let encryption = self.tls.as_ref().map(|tls| IncomingEncryptionMode::Tls(tls.acceptor.clone()));
        let host_name = format!("{:016x}", rand::random::<u64>());
        let server = NodeServer::new(
            0,
            settings.cookie.clone(),
            settings.node.to_string(),
            host_name,
            encryption,
            Some(NodeConnectionMode::Isolated),
        )
        .with_listen_addr(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let (server, _) = Actor::spawn_linked(None, server, (), myself.get_cell()).await?;
        server.cast(NodeServerMessage::SubscribeToEvents {
            id: SCOPE.to_owned(),
            subscription: Box::new(Sessions(myself.clone())),
        })?;
        pg::monitor_scope(SCOPE.to_owned(), myself.get_cell());
        let port = self.start_port(&myself).await?;
        Ok(SupervisorState {
            server,
            port,
            links: HashMap::new(),
            ports: HashMap::new(),
            admissions: HashMap::new(),
            dialing: BTreeMap::new(),
            stopping: false,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::PeersChanged => self.follow_peers(&myself, state),
            Message::Admit { peer, admit } => self.admit(state, peer, admit),
            Message::Established(established) => self.established(&myself, state, *established),
            Message::ReadyDeadline(number) => self.ready_deadline(state, number),
            Message::SessionOpened { number, session } => {
                if let Some(entry) = state.links.get_mut(&number) {
                    entry.session = Some(session);
                }
            }
            Message::SessionReady { number, peer_name } => self.session_ready(state, number, &peer_name),
            Message::SessionEnded(number) => self.session_ended(state, number),
            Message::Leave(left) => {
                state.stopping = true;
                for (_, (_, dialing)) in std::mem::take(&mut state.dialing) {
                    dialing.abort();
                }
                state.admissions.clear();
                let group = wire::group(&self.table.settings.node);
                pg::leave_scoped(SCOPE.to_owned(), group, vec![state.port.get_cell()]);
                let _ = left.send(());
            }
            Message::StopServer(stopped) => {
                state.stopping = true;
                let reason = Some("the node stops".to_owned());
                if state.server.stop_and_wait(reason, Some(SERVER_STOP_TIMEOUT)).await.is_err() {
                    tracing::warn!("the node server did not stop in time");
                }
                for number in state.links.keys().copied().collect::<Vec<_>>() {
                    self.session_ended(state, number);
                }
                let _ = stopped.send(());
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Message>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ProcessGroupChanged(GroupChangeMessage::Join(_, group, actors)) => {
                for actor in actors {
                    if let ActorId::Remote { node_id, .. } = actor.get_id() {
                        self.port_joined(state, node_id, group.clone(), actor);
                    }
                }
            }
            SupervisionEvent::ProcessGroupChanged(GroupChangeMessage::Leave(_, _, actors)) => {
                for actor in actors {
                    if let ActorId::Remote { node_id, .. } = actor.get_id() {
                        self.port_left(state, node_id, &actor);
                    }
                }
            }
            SupervisionEvent::ActorFailed(actor, error) if actor.get_id() == state.port.get_id() => {
                tracing::error!(%error, "the port failed and starts again");
                state.port = self.start_port(&myself).await?;
            }
            SupervisionEvent::ActorFailed(actor, error) if actor.get_id() == state.server.get_id() => {
                // Another one in the same process would not be known to the peers' sessions.
                tracing::error!(%error, "the node server failed; this process has no links any more");
                for number in state.links.keys().copied().collect::<Vec<_>>() {
                    self.session_ended(state, number);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl LinkSupervisor {
    async fn start_port(&self, myself: &ActorRef<Message>) -> Result<ActorRef<Frame>, ActorProcessingErr> {
        let port = Port { table: self.table.clone(), inbound: self.inbound.clone() };
        let (port, _) = Actor::spawn_linked(None, port, (), myself.get_cell()).await?;
        pg::join_scoped(SCOPE.to_owned(), wire::group(&self.table.settings.node), vec![port.get_cell()]);
        Ok(port)
    }

    fn follow_peers(&self, myself: &ActorRef<Message>, state: &mut SupervisorState) {
        if state.stopping {
            return;
        }
        let mut wanted: BTreeMap<NodeId, String> =
            self.table.peers().into_iter().map(|peer| (peer.node, peer.address)).collect();
        for entry in state.links.values() {
            if !wanted.contains_key(&entry.connection.peer) {
                entry.connection.closer.close("the peer is no longer listed");
            }
        }
        wanted.retain(|peer, _| is_dialing_side(&self.table.settings.node, peer));
        state.dialing.retain(|peer, (address, dialing)| {
            let stays = wanted.get(peer) == Some(address);
            if !stays {
                dialing.abort();
            }
            stays
        });
        for (node, address) in wanted {
            state.dialing.entry(node.clone()).or_insert_with(|| {
                let peer = Peer { node, address: address.clone() };
                let dialing = keep_dialing(self.table.clone(), self.tls.clone(), myself.clone(), peer);
                (address, tokio::spawn(dialing).abort_handle())
            });
        }
    }

    fn admit(&self, state: &mut SupervisorState, peer: NodeId, admit: oneshot::Sender<()>) {
        if state.stopping || !self.table.is_listed(&peer) {
            return;
        }
        let former = state.links.values().find(|entry| entry.connection.peer == peer);
        if let Some(former) = former {
            former.connection.closer.close("the peer connects anew");
            state.admissions.insert(peer, admit);
        } else {
            // It may have given up.
            let _ = admit.send(());
        }
    }

    fn established(&self, myself: &ActorRef<Message>, state: &mut SupervisorState, established: Established) {
        let Established { connection, stream, ended } = established;
        let peer = &connection.peer;
        let is_taken = state.links.values().any(|entry| entry.connection.peer == *peer);
        if state.stopping || is_taken || !self.table.is_listed(peer) {
            tracing::debug!(%peer, "a connection is not needed any more");
            return;
        }
        let number = connection.number;
        self.table.connected(&connection);
        connection.start();
        let is_server = !is_dialing_side(&self.table.settings.node, peer);
        let opened = NodeServerMessage::ConnectionOpenedExternal { stream: Box::new(stream), is_server };
        let entry = LinkEntry {
            connection,
            session: None,
            session_ready: false,
            was_open: false,
            said_goodbye: false,
            _ended: ended,
        };
        state.links.insert(number, entry);
        if state.server.cast(opened).is_err() {
            return self.session_ended(state, number);
        }
        let (myself, patience) = (myself.clone(), self.table.settings.connect_timeout);
        tokio::spawn(async move {
            tokio::time::sleep(patience).await;
            // The supervisor may have stopped.
            let _ = myself.cast(Message::ReadyDeadline(number));
        });
    }

    fn ready_deadline(&self, state: &mut SupervisorState, number: u64) {
        let Some(entry) = state.links.get(&number).filter(|entry| !entry.was_open) else { return };
        entry.connection.closer.close("the link did not become ready in time");
        if entry.session.is_none() {
            // ractor_cluster dropped it without a word.
            self.session_ended(state, number);
        }
    }

    fn session_ready(&self, state: &mut SupervisorState, number: u64, peer_name: &str) {
        let Some(entry) = state.links.get_mut(&number) else { return };
        // What follows the last @ is its host name, which says nothing.
        let node = peer_name.rsplit_once('@').map_or(peer_name, |(node, _)| node);
        if node == entry.connection.peer.to_string() {
            entry.session_ready = true;
            self.open_if_complete(state, number);
        } else {
            entry.connection.closer.close(format!("the peer now calls itself {node}"));
        }
    }

    fn port_joined(&self, state: &mut SupervisorState, session: u64, group: String, port: ActorCell) {
        state.ports.insert(session, (group, port));
        if let Some(number) = number_of(state, session) {
            self.open_if_complete(state, number);
        }
    }

    fn port_left(&self, state: &mut SupervisorState, session: u64, port: &ActorCell) {
        if state.ports.get(&session).is_none_or(|(_, known)| known.get_id() != port.get_id()) {
            return;
        }
        state.ports.remove(&session);
        let Some(entry) = number_of(state, session).and_then(|number| state.links.get_mut(&number)) else { return };
        self.table.closed_to_requests(&entry.connection);
        // What stands for the port here stops with the session, or when the port itself fails over there.
        if port.get_status() < ActorStatus::Stopping {
            tracing::info!(peer = %entry.connection.peer, "the peer takes no more requests");
            entry.said_goodbye = true;
        }
    }

    fn open_if_complete(&self, state: &mut SupervisorState, number: u64) {
        let Some(entry) = state.links.get_mut(&number).filter(|entry| entry.session_ready) else { return };
        let connection = &entry.connection;
        let port = entry.session.and_then(|session| state.ports.get(&session));
        let Some((_, port)) = port.filter(|(group, _)| *group == wire::group(&connection.peer)) else { return };
        connection.port_found(port.clone());
        if self.table.is_listed(&connection.peer) {
            (entry.was_open, entry.said_goodbye) = (true, false);
            self.table.opened(connection);
            connection.ping();
            tracing::info!(peer = %connection.peer, "a link is ready");
        }
    }

    fn session_ended(&self, state: &mut SupervisorState, number: u64) {
        let Some(entry) = state.links.remove(&number) else { return };
        let connection = &entry.connection;
        connection.closer.close("the session ended");
        if let Some(session) = entry.session {
            state.ports.remove(&session);
        }
        self.table.closed_to_requests(connection);
        self.table.disconnected(connection);
        let (peer, unanswered) = (&connection.peer, connection.gone());
        let reason = connection.closer.reason().unwrap_or_default();
        let is_listed = self.table.is_listed(peer);
        if entry.was_open && !entry.said_goodbye && is_listed && !state.stopping {
            metrics::link_ended("lost");
            tracing::warn!(%peer, reason, unanswered, "a link is lost");
            // Nobody may be listening.
            let _ = self.table.suspicions.send(peer.clone());
        } else {
            metrics::link_ended("closed");
            tracing::info!(%peer, reason, unanswered, "a link is closed");
        }
        if let Some(admit) = state.admissions.remove(peer).filter(|_| is_listed) {
            let _ = admit.send(());
        }
    }
}

fn number_of(state: &SupervisorState, session: u64) -> Option<u64> {
    state.links.iter().find(|(_, entry)| entry.session == Some(session)).map(|(number, _)| *number)
}

/// Tells the supervisor what becomes of sessions; their label is the connection's number.
struct Sessions(ActorRef<Message>);

impl Sessions {
    fn tell(&self, session: &NodeServerSessionInformation, message: impl FnOnce(u64) -> Message) {
        // Others than ours can only come by the node server's own listener.
        if let Ok(number) = session.peer_addr.parse() {
            // The supervisor may have stopped.
            let _ = self.0.cast(message(number));
        }
    }
}

impl NodeEventSubscription for Sessions {
    fn node_session_opened(&self, session: NodeServerSessionInformation) {
        let id = session.node_id;
        self.tell(&session, |number| Message::SessionOpened { number, session: id });
    }

    fn node_session_disconnected(&self, session: NodeServerSessionInformation) {
        self.tell(&session, Message::SessionEnded);
    }

    fn node_session_authenticated(&self, _session: NodeServerSessionInformation) {}

    fn node_session_ready(&self, session: NodeServerSessionInformation) {
        let peer_name = session.peer_name.as_ref().map(|name| name.name.clone()).unwrap_or_default();
        self.tell(&session, |number| Message::SessionReady { number, peer_name });
    }
}
