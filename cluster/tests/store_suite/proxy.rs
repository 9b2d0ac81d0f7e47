//! A link to a MySQL server that can be cut, or can hold back a COMMIT, on purpose.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The packet by which the writer commits: length, number, COM_QUERY, text.
const COMMIT: &[u8] = b"\x07\x00\x00\x00\x03COMMIT";
/// The packet by which it begins.
const BEGIN: &[u8] = b"\x12\x00\x00\x00\x03START TRANSACTION";

/// What happens to the next transaction that comes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Both sides are cut as soon as the transaction has begun and the next packet arrives.
    CutInMidBatch,
    /// Both sides are cut, and the server never sees the COMMIT.
    CutBeforeCommit,
    /// The server commits, the client is cut and never hears of it.
    CutAfterCommit,
    /// The client is cut; the COMMIT reaches the server once it is released.
    HoldCommitAndCutClient,
    /// The COMMIT reaches the server once it is released; the client waits.
    HoldCommit,
    /// The server commits, the client waits for an answer that never comes.
    SwallowAnswer,
}

/// See the module.
pub struct Proxy {
    /// The address through it.
    pub url: String,
    state: Arc<State>,
}

struct State {
    fault: Mutex<Fault>,
    /// How many COMMITs have been held.
    held: watch::Sender<u32>,
    /// How many of them may go on.
    released: watch::Sender<u32>,
    /// Raised to cut every link.
    cuts: watch::Sender<u32>,
    /// Whether new links are cut at once.
    refuses: AtomicBool,
}

impl Proxy {
    /// Listens, and sends everything on to the server of the address.
    pub async fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let own = listener.local_addr().expect("a port").to_string();
        let rest = url.rsplit_once('@').expect("the address has a user").1;
        let server = rest.split('?').next().expect("a first piece").to_owned();
        // What is encrypted could not be told apart.
        let url = format!("{}?ssl-mode=disabled", url.split('?').next().expect("a first piece").replace(&server, &own));
        let state = Arc::new(State {
            fault: Mutex::new(Fault::None),
            held: watch::Sender::new(0),
            released: watch::Sender::new(0),
            cuts: watch::Sender::new(0),
            refuses: AtomicBool::new(false),
        });
        let accepting = state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if accepting.refuses.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(upstream) = TcpStream::connect(&server).await else { continue };
                tokio::spawn(link(client, upstream, accepting.clone()));
            }
        });
        Self { url, state }
    }

    /// Arms a fault for the next transaction.
    pub fn arm(&self, fault: Fault) {
        *self.state.fault.lock().expect("nobody panics with it") = fault;
    }

    /// Cuts every link that there is.
    pub fn cut_all(&self) {
        self.state.cuts.send_modify(|count| *count += 1);
    }

    /// Cuts every link and every new one.
    pub fn refuse(&self) {
        self.state.refuses.store(true, Ordering::SeqCst);
        self.cut_all();
    }

    /// Ends that.
    pub fn accept(&self) {
        self.state.refuses.store(false, Ordering::SeqCst);
    }

    /// Waits until a COMMIT is held.
    pub async fn held(&self) {
        let released = *self.state.released.borrow();
        let mut held = self.state.held.subscribe();
        held.wait_for(|count| *count > released).await.expect("the proxy lives");
    }

    /// Lets what is held go on.
    pub fn release(&self) {
        let held = *self.state.held.borrow();
        self.state.released.send_replace(held);
    }
}

async fn link(mut client: TcpStream, mut upstream: TcpStream, state: Arc<State>) {
    let mut from_client = vec![0; 65_536];
    let mut from_server = vec![0; 65_536];
    let mut cuts = state.cuts.subscribe();
    cuts.mark_unchanged();
    let mut begun = false;
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(count @ 1..) = read else { return };
                let packets = &from_client[..count];
                let fault = *state.fault.lock().expect("nobody panics with it");
                if begun && fault == Fault::CutInMidBatch {
                    state.disarm();
                    return;
                }
                begun = packets.ends_with(BEGIN) || begun && !packets.ends_with(COMMIT);
                if packets.ends_with(COMMIT) && !at_commit(fault, packets, &mut client, &mut upstream, &state).await {
                    return;
                }
                if !packets.ends_with(COMMIT) && upstream.write_all(packets).await.is_err() {
                    return;
                }
            }
            read = upstream.read(&mut from_server) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&from_server[..count]).await.is_err() {
                    return;
                }
            }
            _ = cuts.changed() => return,
        }
    }
}

/// Does to a COMMIT what is armed; false when the link is cut by it.
async fn at_commit(
    fault: Fault,
    packets: &[u8],
    client: &mut TcpStream,
    upstream: &mut TcpStream,
    state: &State,
) -> bool {
    let mut answer = [0; 1024];
    if fault != Fault::None {
        state.disarm();
    }
    match fault {
        Fault::None | Fault::CutInMidBatch => upstream.write_all(packets).await.is_ok(),
        Fault::CutBeforeCommit => false,
        Fault::CutAfterCommit => {
            let _ = upstream.write_all(packets).await;
            let _ = upstream.read(&mut answer).await;
            false
        }
        Fault::HoldCommitAndCutClient => {
            let _ = client.shutdown().await;
            state.hold().await;
            let _ = upstream.write_all(packets).await;
            let _ = upstream.read(&mut answer).await;
            false
        }
        Fault::HoldCommit => {
            state.hold().await;
            upstream.write_all(packets).await.is_ok()
        }
        Fault::SwallowAnswer => {
            let _ = upstream.write_all(packets).await;
            let _ = upstream.read(&mut answer).await;
            let _ = client.read(&mut answer).await;
            false
        }
    }
}

impl State {
    fn disarm(&self) {
        *self.fault.lock().expect("nobody panics with it") = Fault::None;
    }

    async fn hold(&self) {
        let mut released = self.released.subscribe();
        self.held.send_modify(|count| *count += 1);
        let held = *self.held.borrow();
        let _ = released.wait_for(|count| *count >= held).await;
    }
}
