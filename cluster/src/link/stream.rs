//! The two halves of a link's socket, with the deadlines that ractor_cluster's sessions lack.
//!
//! The reading half fails when nothing has come for the idle time-out, also when it notices only
//! afterwards because this process stood still: the peer has then given the link up, and what still lies
//! in the socket must not be executed. The writing half fails when the operating system has taken no byte
//! for the write time-out. Either failure ends the session, and so does [`Closer::close`].

use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::task::AtomicWaker;
use ractor_cluster::{BoxRead, BoxWrite, ClusterBidiStream};
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Small frames are read many at a time.
const READ_BUFFER_BYTES: usize = 64 << 10;

/// Ends a link from outside of its session, which is never stopped itself.
#[derive(Clone, Debug, Default)]
pub struct Closer(Arc<CloserState>);

#[derive(Debug, Default)]
struct CloserState {
    reason: OnceLock<String>,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

/// A connected socket as ractor_cluster takes it.
pub struct LinkStream {
    reader: BoxRead,
    writer: BoxWrite,
    label: String,
}

impl Closer {
    /// Ends the link. The first reason counts.
    pub fn close(&self, reason: impl Into<String>) {
        let _ = self.0.reason.set(reason.into());
        self.0.reader.wake();
        self.0.writer.wake();
    }

    /// Why the link ended, once it has.
    pub fn reason(&self) -> Option<&str> {
        self.0.reason.get().map(String::as_str)
    }

    fn check(&self) -> Result<()> {
        match self.reason() {
            Some(reason) => Err(Error::new(ErrorKind::ConnectionAborted, reason)),
            None => Ok(()),
        }
    }

    fn fail(&self, kind: ErrorKind, reason: String) -> Error {
        self.close(reason.clone());
        Error::new(kind, reason)
    }
}

impl LinkStream {
    /// Puts the deadlines around the halves of a socket. The label is what the session is known by.
    pub fn new<R, W>(
        (reader, writer): (R, W),
        label: String,
        closer: &Closer,
        idle_timeout: Duration,
        write_timeout: Duration,
    ) -> Self
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let reader = TimedRead {
            inner: reader,
            closer: closer.clone(),
            idle_timeout,
            read_at: Instant::now(),
            timer: Box::pin(tokio::time::sleep(idle_timeout)),
        };
        let writer = TimedWrite {
            inner: writer,
            closer: closer.clone(),
            write_timeout,
            stuck: false,
            timer: Box::pin(tokio::time::sleep(write_timeout)),
        };
        Self { reader: Box::new(BufReader::with_capacity(READ_BUFFER_BYTES, reader)), writer: Box::new(writer), label }
    }
}

impl ClusterBidiStream for LinkStream {
    fn split(self: Box<Self>) -> (BoxRead, BoxWrite) {
        (self.reader, self.writer)
    }

    fn peer_label(&self) -> Option<String> {
        Some(self.label.clone())
    }
}

struct TimedRead<R> {
    inner: R,
    closer: Closer,
    idle_timeout: Duration,
    read_at: Instant,
    timer: Pin<Box<Sleep>>,
}

impl<R: AsyncRead + Unpin> AsyncRead for TimedRead<R> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        this.closer.check()?;
        let before = buffer.filled().len();
        match Pin::new(&mut this.inner).poll_read(context, buffer) {
            Poll::Ready(Ok(())) if buffer.filled().len() == before => {
                this.closer.close("the peer closed the link");
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(())) => {
                let silent = this.read_at.elapsed();
                if silent > this.idle_timeout {
                    buffer.set_filled(before);
                    return Poll::Ready(Err(this.silent()));
                }
                this.read_at = Instant::now();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => {
                this.closer.close(format!("reading failed: {error}"));
                Poll::Ready(Err(error))
            }
            Poll::Pending => {
                this.closer.0.reader.register(context.waker());
                this.closer.check()?;
                // The timer is moved only when it fires, not at every read.
                while this.timer.as_mut().poll_elapsed(context).is_ready() {
                    if this.read_at.elapsed() >= this.idle_timeout {
                        return Poll::Ready(Err(this.silent()));
                    }
                    this.timer.as_mut().reset(this.read_at + this.idle_timeout);
                }
                Poll::Pending
            }
        }
    }
}

impl<R> TimedRead<R> {
    fn silent(&self) -> Error {
        let reason = format!("the peer was silent for {} ms", self.idle_timeout.as_millis());
        self.closer.fail(ErrorKind::TimedOut, reason)
    }
}

struct TimedWrite<W> {
    inner: W,
    closer: Closer,
    write_timeout: Duration,
    stuck: bool,
    timer: Pin<Box<Sleep>>,
}

impl<W: AsyncWrite + Unpin> TimedWrite<W> {
    fn poll_in_time<T>(
        &mut self,
        context: &mut Context<'_>,
        operation: impl FnOnce(Pin<&mut W>, &mut Context<'_>) -> Poll<Result<T>>,
    ) -> Poll<Result<T>> {
        self.closer.check()?;
        match operation(Pin::new(&mut self.inner), context) {
            Poll::Ready(outcome) => {
                self.stuck = false;
                if let Err(error) = &outcome {
                    self.closer.close(format!("writing failed: {error}"));
                }
                Poll::Ready(outcome)
            }
            Poll::Pending => {
                self.closer.0.writer.register(context.waker());
                self.closer.check()?;
                if !self.stuck {
                    self.stuck = true;
                    self.timer.as_mut().reset(Instant::now() + self.write_timeout);
                }
                ready!(self.timer.as_mut().poll_elapsed(context));
                let reason = format!("no byte could be written for {} ms", self.write_timeout.as_millis());
                Poll::Ready(Err(self.closer.fail(ErrorKind::TimedOut, reason)))
            }
        }
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for TimedWrite<W> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        self.get_mut().poll_in_time(context, |inner, context| inner.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_mut().poll_in_time(context, |inner, context| inner.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_mut().poll_in_time(context, |inner, context| inner.poll_shutdown(context))
    }
}

/// `Sleep` as something to poll.
trait PollElapsed {
    fn poll_elapsed(self, context: &mut Context<'_>) -> Poll<()>;
}

impl PollElapsed for Pin<&mut Sleep> {
    fn poll_elapsed(self, context: &mut Context<'_>) -> Poll<()> {
        Future::poll(self, context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(250);

    fn stream(buffer_bytes: usize) -> (BoxRead, BoxWrite, Closer, DuplexStream) {
        let (ours, theirs) = duplex(buffer_bytes);
        let closer = Closer::default();
        let (reader, writer) =
            Box::new(LinkStream::new(tokio::io::split(ours), "1".to_owned(), &closer, TIMEOUT, TIMEOUT)).split();
        (reader, writer, closer, theirs)
    }

    #[tokio::test]
    async fn silence_ends_reading_and_speaking_keeps_it_up() {
        let (mut reader, _writer, closer, mut peer) = stream(64);
        let started = Instant::now();
        let speaking = async {
            for _ in 0..10 {
                tokio::time::sleep(TIMEOUT / 2).await;
                peer.write_all(b"x").await.unwrap();
            }
        };
        let listening = async {
            let mut read = Vec::new();
            (reader.read_to_end(&mut read).await.unwrap_err().kind(), read.len())
        };
        let ((), heard) = tokio::join!(speaking, listening);
        assert_eq!(heard, (ErrorKind::TimedOut, 10));
        assert!(started.elapsed() >= TIMEOUT * 6 && started.elapsed() < TIMEOUT * 30);
        assert_eq!(closer.reason(), Some("the peer was silent for 250 ms"));
    }

    #[tokio::test]
    async fn what_came_while_this_process_stood_still_is_not_read() {
        let (mut reader, _writer, _closer, mut peer) = stream(64);
        peer.write_all(b"late").await.unwrap();
        tokio::time::sleep(TIMEOUT * 2).await;
        assert_eq!(reader.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_stuck_writer_ends_and_a_slow_one_goes_on() {
        let (_reader, mut writer, closer, mut peer) = stream(64);
        let slow = async {
            for _ in 0..10 {
                tokio::time::sleep(TIMEOUT / 2).await;
                peer.read_exact(&mut [0; 64]).await.unwrap();
            }
        };
        let ((), written) = tokio::join!(slow, writer.write_all(&[7; 64 * 10]));
        written.unwrap();
        writer.write_all(&[7; 64]).await.unwrap();
        let started = Instant::now();
        assert_eq!(writer.write_all(&[7; 64]).await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(started.elapsed() >= TIMEOUT && started.elapsed() < TIMEOUT * 5);
        assert_eq!(closer.reason(), Some("no byte could be written for 250 ms"));
    }

    #[tokio::test]
    async fn closing_wakes_both_halves_at_once() {
        let (mut reader, mut writer, closer, _peer) = stream(64);
        let closing = async {
            tokio::time::sleep(TIMEOUT / 5).await;
            closer.close("enough");
            closer.close("too late");
        };
        let started = Instant::now();
        let mut buffer = [0; 8];
        let (read, written, ()) = tokio::join!(reader.read(&mut buffer), writer.write_all(&[7; 65]), closing);
        assert_eq!(read.unwrap_err().to_string(), "enough");
        assert_eq!(written.unwrap_err().to_string(), "enough");
        assert!(started.elapsed() < TIMEOUT);
    }
}
