//! Every bound of this adapter: its default, the reason, the cost, and what happens at the edge.

use std::time::Duration;

/// Time that a server has to accept a connection. At the edge: the next one is tried.
pub const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Interval at which a hub that starts looks whether there is a connection.
pub const CONNECTION_LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Time that a request other than an append has to be answered. At the edge: the engine is away.
pub const REQUEST_PATIENCE: Duration = Duration::from_secs(2);

/// Interval between two pings. A server that leaves two unanswered is given up, and another one is
/// tried.
pub const PING_INTERVAL: Duration = Duration::from_secs(2);

/// Longest time from one attempt to connect to the next. A server that is back is found this soon.
pub const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Requests for blocks that are on their way at the same time while a hub is far behind: enough for
/// a round trip not to matter.
pub const READS_AT_ONCE_MAX: usize = 32;

/// Bytes of blocks that are asked for at once by a hub that does not know its network yet.
pub const READ_WINDOW_BYTES: usize = 512 << 10;

/// Bytes of blocks that are asked for at once on a fast network.
pub const READ_WINDOW_BYTES_MAX: usize = 4 << 20;

/// Time for the answers to all requests that are made at once. At the edge: half as many bytes are
/// asked for the next time, so that on a slow network, too, they come within [`REQUEST_PATIENCE`].
pub const READS_SLOW: Duration = Duration::from_millis(500);

/// If the answers to all of these requests take less, twice as many bytes are asked for the next
/// time.
pub const READS_QUICK: Duration = Duration::from_millis(100);

/// Longest wait for the bell of a stream. If a ring was lost, the hub looks by itself this often.
pub const BELL_PATIENCE_MAX: Duration = Duration::from_millis(250);

/// Rings kept for a hub that is not waiting. At the edge: further ones are lost, which costs
/// nothing, as one is as good as many.
pub const RINGS_MAX: usize = 64;

/// Bytes of a message that are not the block: its headers.
pub const HEADER_BYTES_MAX: usize = 4 << 10;

/// Smallest `max_payload` of a server: an event of 1 MiB, the default maximum, and what is around
/// it. At the edge: the hub does not start.
pub const PAYLOAD_BYTES_MIN: usize = 2 << 20;

/// Time for which the servers remember the ids of messages, so that a repeated request is stored
/// once: longer than any append is repeated.
pub const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// Messages between hubs that wait to be handed over. At the edge: further ones are lost.
pub const HEARD_MAX: usize = 1024;

/// Messages to other hubs that wait to be sent. At the edge: further ones are lost.
pub const UNSENT_MAX: usize = 256;

/// Largest distance between this machine's clock and the servers'. At the edge: the hub does not
/// start, unless it may start on unsafe servers.
pub const CLOCK_GAP_MAX: Duration = Duration::from_secs(5);
