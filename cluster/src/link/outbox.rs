//! What waits to be sent on one link, gathered into as few messages as possible.
//!
//! Every message passes seven mailboxes on its way to the other node. While there is much to send, what
//! gathers until the sending task gets its turn goes as one cast; a lone message goes as it is, at once.

use std::borrow::Cow;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Buf, BufMut, Bytes};
use tokio::sync::Notify;

use super::wire::{self, kind};

/// A batch takes no more than this, so that one is never large enough to delay a ping much.
const BATCH_BYTES_MAX: usize = 256 << 10;
/// A larger body travels alone, without being copied.
const BATCHED_BODY_BYTES_MAX: usize = 32 << 10;

/// A message that waits to be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// One of [`kind`].
    pub kind: Cow<'static, str>,
    /// Route and header.
    pub metadata: Vec<u8>,
    /// The body.
    pub body: Bytes,
}

/// Messages in the order in which they are to be sent. Bounded by the credits and windows before it.
#[derive(Default)]
pub struct Outbox {
    waiting: Mutex<Vec<Outgoing>>,
    filled: Notify,
}

impl Outbox {
    /// Adds a message and wakes the sending task if it sleeps.
    pub fn push(&self, message: Outgoing) {
        let mut waiting = self.waiting();
        waiting.push(message);
        let is_first = waiting.len() == 1;
        drop(waiting);
        if is_first {
            self.filled.notify_one();
        }
    }

    /// Waits for the first message.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Everything that waits.
    pub fn take(&self) -> Vec<Outgoing> {
        mem::take(&mut *self.waiting())
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Outgoing>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Splits messages into runs that fit into one batch, keeping their order; a run of one goes as it is.
pub fn runs(messages: Vec<Outgoing>) -> Vec<Vec<Outgoing>> {
    let mut runs: Vec<Vec<Outgoing>> = Vec::new();
    let mut run_bytes = BATCH_BYTES_MAX;
    for message in messages {
        let bytes = size(&message);
        let is_alone = message.body.len() > BATCHED_BODY_BYTES_MAX;
        if is_alone || run_bytes + bytes > BATCH_BYTES_MAX {
            runs.push(Vec::new());
            run_bytes = 0;
        }
        // After one that goes alone the next begins a new run.
        run_bytes = if is_alone { BATCH_BYTES_MAX } else { run_bytes + bytes };
        runs.last_mut().expect("a run was begun").push(message);
    }
    runs
}

/// One cast for a run of messages.
pub fn pack(run: &mut Vec<Outgoing>) -> ractor::message::SerializedMessage {
    if run.len() == 1 {
        let message = &mut run[0];
        // The route stays readable in case that it can't be sent.
        return wire::cast(&message.kind, message.metadata.clone(), mem::take(&mut message.body));
    }
    let mut batch = Vec::with_capacity(run.iter().map(size).sum());
    for message in run {
        batch.put_u8(u8::try_from(message.kind.len()).expect("kinds are words"));
        batch.put_slice(message.kind.as_bytes());
        batch.put_u32(u32::try_from(message.metadata.len()).expect("messages are far below 4 GiB"));
        batch.put_slice(&message.metadata);
        batch.put_u32(u32::try_from(message.body.len()).expect("messages are far below 4 GiB"));
        batch.put_slice(&message.body);
    }
    wire::cast(kind::BATCH, Vec::new(), batch.into())
}

/// Takes the next message off a batch; `None` at its end, or where it is broken.
pub fn unpack(batch: &mut Bytes) -> Option<(Bytes, Bytes, Bytes)> {
    let kind_bytes = batch.try_get_u8().ok()?.into();
    let kind = split(batch, kind_bytes)?;
    let metadata_bytes = batch.try_get_u32().ok()? as usize;
    let metadata = split(batch, metadata_bytes)?;
    let body_bytes = batch.try_get_u32().ok()? as usize;
    let body = split(batch, body_bytes)?;
    Some((kind, metadata, body))
}

fn split(bytes: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= bytes.len()).then(|| bytes.split_to(length))
}

fn size(message: &Outgoing) -> usize {
    9 + message.kind.len() + message.metadata.len() + message.body.len()
}

#[cfg(test)]
mod tests {
    use ractor::message::SerializedMessage;

    use super::*;

    fn message(number: u8, body_bytes: usize) -> Outgoing {
        let body = Bytes::from(vec![number; body_bytes]);
        Outgoing { kind: kind::REQUEST.into(), metadata: vec![number; 20], body }
    }

    #[test]
    fn runs_keep_the_order_and_the_limits() {
        let sizes = [10, 10, 40_000, 10, 30_000, 30_000, 30_000, 30_000, 30_000, 30_000, 30_000, 30_000, 30_000, 5];
        let messages: Vec<_> = sizes.iter().enumerate().map(|(at, bytes)| message(at as u8, *bytes)).collect();
        let runs = runs(messages);
        let lengths: Vec<_> = runs.iter().map(Vec::len).collect();
        assert_eq!(lengths, [2, 1, 9, 2]);
        let order: Vec<_> = runs.iter().flatten().map(|message| message.metadata[0]).collect();
        assert_eq!(order, (0..14).collect::<Vec<_>>());
    }

    #[test]
    fn a_batch_survives_the_wire_and_a_broken_one_ends_early() {
        let mut run = vec![message(1, 3), message(2, 0), message(3, 1000)];
        let SerializedMessage::Cast { variant, args, .. } = pack(&mut run) else { panic!("a cast") };
        assert_eq!(variant, kind::BATCH);
        let whole = Bytes::from(args);
        let mut rest = whole.clone();
        for expected in &run {
            let (kind, metadata, body) = unpack(&mut rest).unwrap();
            assert_eq!(kind, expected.kind.as_bytes());
            assert_eq!((metadata.as_ref(), &body), (expected.metadata.as_slice(), &expected.body));
        }
        assert!(rest.is_empty() && unpack(&mut rest).is_none());
        for cut in 0..whole.len() {
            let mut broken = whole.slice(..cut);
            let read = std::iter::from_fn(|| unpack(&mut broken)).count();
            assert!(read < 3);
        }
    }
}
