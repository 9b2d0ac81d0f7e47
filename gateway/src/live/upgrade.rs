//! From a request to a WebSocket session.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::response::Response;

use super::protocol::{BEARER, MESSAGE_BYTES_MAX, SUBPROTOCOL};
use super::session::Session;
use super::token::authenticate;
use crate::edge::Edge;
use crate::problem::{Code, Problem, ProblemBody};

/// For reading, eagerly allocated for each connection.
const READ_BUFFER_BYTES: usize = 1024;
/// The largest message that is read: one that is too large can be told so if it is not larger than this.
const READ_BYTES_MAX: usize = 16 * MESSAGE_BYTES_MAX;
/// What may have been written that the socket did not take: one message, which the largest snapshot fits in.
const WRITE_BUFFER_BYTES_MAX: usize = 1024 * 1024;

/// A WebSocket that tells of an order on its way, a rider's deliveries or a store's board as they change. The
/// access token comes as a subprotocol (`Sec-WebSocket-Protocol: nakku.live.v1, bearer.TOKEN`) or in the first
/// message. The messages are described in `docs/live.md`.
#[utoipa::path(get, path = "/api/v1/live", tag = "live",
    params(("Sec-WebSocket-Protocol" = Option<String>, Header, description = "`nakku.live.v1, bearer.TOKEN`")),
    responses((status = 101, description = "a WebSocket"), (status = "default", body = ProblemBody)))]
pub async fn open(
    State(edge): State<Arc<Edge>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let mut upgrade = upgrade.map_err(|rejection| Problem::new(Code::InvalidValue, rejection.body_text()))?;
    let offered: Vec<String> =
        upgrade.requested_protocols().filter_map(|name| Some(name.to_str().ok()?.to_owned())).collect();
    // One who offers subprotocols must be answered with one of them.
    if offered.iter().any(|name| name == SUBPROTOCOL) {
        upgrade.set_selected_protocol(axum::http::HeaderValue::from_static(SUBPROTOCOL));
    } else if !offered.is_empty() {
        return Err(Problem::new(Code::InvalidValue, format!("the subprotocol is {SUBPROTOCOL}")));
    }
    let shown = match offered.iter().find_map(|name| name.strip_prefix(BEARER)) {
        Some(token) => Some(authenticate(&edge, token.to_owned()).await?),
        None => None,
    };
    let connected = edge.live.connect("websocket")?;
    let runtime = tokio::runtime::Handle::current();
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(READ_BYTES_MAX)
        .max_frame_size(READ_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let updates = edge.live.clone();
        if updates.on_arbiter(move || Session::start(socket, edge, runtime, connected, shown)).is_err() {
            tracing::debug!("a live connection came too late");
        }
    }))
}
