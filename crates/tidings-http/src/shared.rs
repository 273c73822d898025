//! The state that all connections of a server share.

use std::sync::Arc;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::config::HttpConfig;
use crate::handler::Handler;
use crate::limits::{
    CONNECTION_WINDOW_BYTES, PING_INTERVAL, PING_TIMEOUT, READ_BYTES_MAX, STREAM_SEND_BYTES_MAX,
    STREAM_WINDOW_BYTES,
};
use crate::request_threads::RequestThreads;
use crate::room::Room;
use crate::state::State;

/// The state that all connections share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) state: Arc<State>,
    pub(crate) protocols: Arc<Protocols>,
    /// The handler of all requests.
    pub(crate) handler: Arc<dyn Handler>,
    /// Room for connections.
    pub(crate) room: Arc<Room>,
    /// The threads to which HTTP/1.1 connections move, if there are any.
    pub(crate) threads: Option<Arc<RequestThreads>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// The settings of the two versions of HTTP.
pub(crate) struct Protocols {
    pub(crate) http1: http1::Builder,
    pub(crate) http2: http2::Builder<TokioExecutor>,
}

impl Protocols {
    pub(crate) fn new(config: &HttpConfig, takes_sockets: bool) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            // Our own timer tells a slow head from an idle connection.
            .header_read_timeout(None)
            .max_header_size(config.head_bytes_max)
            .max_buf_size(READ_BYTES_MAX)
            // A client may end its side once it has sent its request. But the library notices that
            // a subscriber left only by the same sign.
            .half_close(takes_sockets);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(config.streams_max)
            .max_header_list_size(config.head_bytes_max.try_into().unwrap_or(u32::MAX))
            .max_send_buf_size(STREAM_SEND_BYTES_MAX)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        Self { http1, http2 }
    }
}
