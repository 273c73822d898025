use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use rustls::ServerConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::activity::Activity;
use crate::control_frames::ControlFrames;
use crate::movable::Movable;

/// A transport of HTTP.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + Sized + 'static {
    /// Moves it to the runtime that runs this. An error closes it.
    fn move_here(self) -> io::Result<Self>;

    /// Takes it out of the runtime.
    fn into_wire(self) -> io::Result<Wire>;
}

/// A connection outside of the runtime.
pub(crate) enum Wire {
    Plain(std::net::TcpStream),
    Tls(std::net::TcpStream, Box<ServerConnection>),
}

impl Transport for TcpStream {
    fn move_here(self) -> io::Result<Self> {
        Self::from_std(self.into_std()?)
    }

    fn into_wire(self) -> io::Result<Wire> {
        self.into_std().map(Wire::Plain)
    }
}

impl Transport for Box<TlsStream<Movable>> {
    fn move_here(mut self) -> io::Result<Self> {
        self.get_mut().0.move_here()?;
        Ok(self)
    }

    fn into_wire(self) -> io::Result<Wire> {
        // Records that are encrypted and not sent go along with the connection.
        let (stream, tls) = self.into_inner();
        Ok(Wire::Tls(stream.into_std()?, Box::new(tls)))
    }
}

/// The transport below HTTP, which records its activity.
#[derive(Debug)]
pub(crate) struct Socket<T> {
    stream: T,
    activity: Arc<Activity>,
    /// Was read, and is to be read once more.
    unread: Bytes,
    /// Only for HTTP/2.
    frames: Option<ControlFrames>,
}

impl<T: Transport> Socket<T> {
    pub(crate) fn new(stream: T, activity: Arc<Activity>) -> Self {
        Self { stream, activity, unread: Bytes::new(), frames: None }
    }

    /// The same, for HTTP/2: a flood of frames that bring nothing ends the connection.
    pub(crate) fn for_http2(stream: T, activity: Arc<Activity>) -> Self {
        Self { frames: Some(ControlFrames::new()), ..Self::new(stream, activity) }
    }

    /// What is below. What is read there is not recorded.
    pub(crate) fn stream(&mut self) -> &mut T {
        &mut self.stream
    }

    /// Gives back bytes that were read from [`stream`](Self::stream): they are the next ones.
    pub(crate) fn unread(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.activity.note_read(bytes.len());
        }
        self.unread = bytes;
    }

    pub(crate) fn into_stream(self) -> T {
        self.stream
    }

    fn note_write(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.activity.note_write(written.is_pending());
        written
    }
}

impl<T: Transport> AsyncRead for Socket<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.unread.is_empty() {
            let count = this.unread.len().min(buf.remaining());
            buf.put_slice(&this.unread.split_to(count));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = read {
            this.activity.note_read(buf.filled().len() - before);
            if let Some(frames) = &mut this.frames
                && frames.note(&buf.filled()[before..]).is_err()
            {
                tracing::debug!("closing a connection that is flooded with control frames");
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
        }
        read
    }
}

impl<T: Transport> AsyncWrite for Socket<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.note_write(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.note_write(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
