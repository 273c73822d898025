//! An EventSource for Rust that reconnects and resumes, and a publisher beside it.
//!
//! # Subscribe
//!
//! ```no_run
//! use tidings_client::{EventSource, Item};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let mut source = EventSource::open("http://127.0.0.1:8080/events/hello")?;
//! while let Some(item) = source.next().await {
//!     match item? {
//!         Item::Open(open) => println!("listening to {}", open.url),
//!         Item::Event(event) => println!("{}: {}", event.event_type(), event.data()),
//!         Item::Reconnecting(lost) => println!("{}, again in {:?}", lost.cause, lost.wait),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! An [`EventSource`] does what a browser's does, following the HTML standard (§9.2) line by line,
//! and adds what a program needs: headers, other methods with a body, tokens that are renewed while
//! the stream runs ([`token_provider`](EventSourceBuilder::token_provider)), a last event id that
//! outlives the process ([`LastIdStore`]), a policy for retries ([`RetryPolicy`], [`Backoff`]), an
//! idle timeout, a limit for the size of an event, and a mode for streams that happen once
//! ([`one_shot`](EventSourceBuilder::one_shot)).
//!
//! # Publish
//!
//! A [`Publisher`] publishes to the hub's native API: [one event](Publisher::publish),
//! [several](Publisher::publish_all), or [a stream of them](Publisher::stream). It retries failed
//! requests, and yet publishes nothing twice. It [erases](Publisher::erase) events, too.
//!
//! # The state of topics
//!
//! A [`LiveState`] is what each key of some topics of a Tidings hub stands for, and how that
//! changes.
//!
//! # How it is built
//!
//! The rules are in a state machine without sockets and clocks; [`EventSource`] is a thin layer
//! that drives it over a [`Transport`]. The default one is [`HttpTransport`]: HTTP/1.1 and HTTP/2,
//! TLS by rustls.

/// Logs through `tracing`, if the feature is on.
macro_rules! trace {
    ($($message:tt)*) => {{
        #[cfg(feature = "tracing")]
        tracing::debug!($($message)*);
        #[cfg(not(feature = "tracing"))]
        let _ = format_args!($($message)*);
    }};
}
use trace;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod backoff;
mod body;
mod cause;
mod error;
mod given_headers;
mod handle;
mod hook;
mod item;
mod last_id_store;
pub mod limits;
mod live_state;
mod message_event;
mod publisher;
mod redirect;
mod renewal;
mod request;
mod response;
mod retry_after;
mod retry_policy;
mod session;
mod shown_url;
mod source;
mod state_error;
mod state_map;
mod target;
mod token_provider;
mod transport;

pub use backoff::Backoff;
pub use body::Body;
pub use cause::Cause;
pub use error::{InvalidUrl, OpenError, ReadError, RedirectProblem, Refusal};
pub use handle::{ReadyState, SourceHandle};
pub use item::{Attempt, Item, Opened, Reconnecting, Resume};
pub use last_id_store::{LastIdFile, LastIdStore};
pub use live_state::LiveState;
pub use message_event::{JsonError, MessageEvent};
pub use publisher::{
    EraseError, EraseTarget, Erased, Keyed, Problem, PublishError, PublishRun, PublishStream,
    Published, Publisher, PublisherBuilder, RunBuilder, Summary,
};
pub use redirect::RememberRedirects;
pub use request::EventSourceBuilder;
pub use retry_policy::{Lost, RetryPolicy};
pub use shown_url::ShownUrl;
pub use source::EventSource;
pub use state_error::StateError;
pub use state_map::Change;
pub use tidings_codec::{Event, EventId, EventType, InvalidField};
pub use token_provider::TokenNeed;
pub use transport::error::TransportError;
pub use transport::http_transport::HttpTransport;
#[cfg(feature = "reqwest")]
pub use transport::reqwest_transport::ReqwestTransport;
pub use transport::{FinalUrl, SendFuture, Transport};
