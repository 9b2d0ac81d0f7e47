//! A wire to a node's links that can be cut: its peers reach it through here.

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections until it is cut; cut again whole, new ones pass.
pub struct Wire {
    pub port: u16,
    cut: Arc<watch::Sender<bool>>,
}

impl Wire {
    /// Listens on a free port and forwards to another.
    pub async fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let cut = Arc::new(watch::Sender::new(false));
        let cuts = cut.subscribe();
        tokio::spawn(async move {
            while let Ok((inbound, _)) = listener.accept().await {
                tokio::spawn(forward(inbound, target, cuts.clone()));
            }
        });
        Self { port, cut }
    }

    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    pub fn mend(&self) {
        self.cut.send_replace(false);
    }
}

async fn forward(mut inbound: TcpStream, target: u16, mut cuts: watch::Receiver<bool>) {
    if *cuts.borrow() {
        return;
    }
    let Ok(mut outbound) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    tokio::select! {
        // An error is an end of the connection like any other.
        _ = tokio::io::copy_bidirectional(&mut inbound, &mut outbound) => {}
        _ = cuts.wait_for(|cut| *cut) => {}
    }
}
