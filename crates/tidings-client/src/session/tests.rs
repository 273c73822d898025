//! The session without any runtime: time is a number that the tests add to.

#![allow(clippy::unwrap_used)]

use http::header::CONTENT_TYPE;

use super::*;
use crate::{Backoff, TransportError};

struct World {
    now: Instant,
    session: Session,
}

impl World {
    fn new() -> Self {
        let (target, _) = Target::parse("http://server/events").unwrap();
        let config = SessionConfig {
            target,
            method: Method::GET,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            one_shot: false,
            renews: false,
            remember_redirects: RememberRedirects::default(),
            idle_timeout: Some(Duration::from_secs(60)),
            policy: Box::new(Backoff::new().jitter(0.0)),
        };
        #[allow(clippy::disallowed_methods)] // The one instant that all others are counted from.
        let now = Instant::now();
        let session = Session::new(config, Decoder::new(), now);
        Self { now, session }
    }

    /// Takes the session from its first command to a sent request.
    fn request(&mut self) -> Request<Bytes> {
        let command = self.session.poll_command();
        assert!(matches!(command, Some(Command::Prepare(_))), "{command:?}");
        self.session.handle_prepared(self.now, Ok(HeaderMap::new()));
        match self.session.poll_command() {
            Some(Command::Send(request)) => *request,
            other => panic!("{other:?}"),
        }
    }

    fn answer(&mut self, status: u16) {
        let mut response = http::Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        let value = HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert(CONTENT_TYPE, value);
        self.session.handle_head(
            self.now,
            std::time::SystemTime::UNIX_EPOCH,
            response.into_parts().0,
        );
    }

    fn open(&mut self) {
        self.request();
        self.answer(200);
        assert!(matches!(self.session.poll_item(), Some(Ok(Item::Open(_)))));
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.session.handle_timeout(self.now);
    }

    fn reported_wait(&mut self) -> Duration {
        match self.session.poll_item() {
            Some(Ok(Item::Reconnecting(lost))) => lost.wait,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_lost_connection_is_dropped_and_requested_again_after_the_wait() {
    let mut world = World::new();
    world.open();
    world.session.handle_body_end(world.now);
    assert!(matches!(world.session.poll_command(), Some(Command::Drop)));
    assert_eq!(world.reported_wait(), Duration::from_secs(3));
    assert_eq!(world.session.poll_timeout(), Some(world.now + Duration::from_secs(3)));
    world.pass(Duration::from_millis(2999));
    assert!(world.session.poll_command().is_none());
    world.pass(Duration::from_millis(1));
    world.request();
}

#[test]
fn a_timeout_that_has_not_come_changes_nothing() {
    let mut world = World::new();
    world.open();
    world.pass(Duration::from_secs(59));
    assert!(world.session.poll_item().is_none());
    assert_eq!(world.session.ready_state(), ReadyState::Open);
    // Any byte is a sign of life.
    world.session.handle_body(world.now, Bytes::from_static(b":"));
    assert!(world.session.poll_item().is_none());
    world.pass(Duration::from_secs(59));
    assert_eq!(world.session.ready_state(), ReadyState::Open);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.session.ready_state(), ReadyState::Connecting);
}

#[test]
fn events_are_decoded_one_by_one_on_request() {
    let mut world = World::new();
    world.open();
    let two = Bytes::from_static(b"id: 1\ndata: a\n\nid: 2\ndata: b\n\n");
    world.session.handle_body(world.now, two);
    for id in ["1", "2"] {
        assert!(matches!(world.session.poll_item(), Some(Ok(Item::Event(_)))));
        assert_eq!(world.session.last_event_id().unwrap().as_str(), id);
    }
    assert!(world.session.poll_item().is_none());
}

#[test]
fn events_share_ids_types_and_origins_that_do_not_change() {
    let mut world = World::new();
    world.open();
    let stream = b"id: 1\nevent: t\ndata: a\n\nevent: t\ndata: b\n\n";
    world.session.handle_body(world.now, Bytes::from_static(stream));
    let mut event = || match world.session.poll_item() {
        Some(Ok(Item::Event(event))) => event,
        other => panic!("{other:?}"),
    };
    let (a, b) = (event(), event());
    let same = |a: &str, b: &str| std::ptr::eq(a, b);
    assert!(same(a.event_type(), b.event_type()));
    assert!(same(a.origin(), b.origin()));
    let (a, b) = (a.last_event_id().unwrap(), b.last_event_id().unwrap());
    assert!(same(a.as_str(), b.as_str()));
}

#[test]
fn nul_in_a_type_is_replaced() {
    let mut world = World::new();
    world.open();
    let stream = Bytes::from_static(b"event: a\0b\ndata: 1\n\n");
    world.session.handle_body(world.now, stream);
    match world.session.poll_item() {
        Some(Ok(Item::Event(event))) => assert_eq!(event.event_type(), "a\u{fffd}b"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn input_after_close_is_ignored() {
    let mut world = World::new();
    world.open();
    world.session.handle_close();
    world.session.handle_body(world.now, Bytes::from_static(b"data: 1\n\n"));
    world.session.handle_body_end(world.now);
    let error = TransportError::exchange("late");
    world.session.handle_failure(world.now, Cause::Network(error));
    world.session.handle_prepared(world.now, Ok(HeaderMap::new()));
    world.session.handle_restart();
    world.pass(Duration::from_secs(1000));
    assert!(world.session.poll_item().is_none());
    assert!(matches!(world.session.poll_command(), Some(Command::Drop)));
    assert!(world.session.poll_command().is_none());
    assert_eq!(world.session.poll_timeout(), None);
    assert!(world.session.is_over());
}

#[test]
fn an_overflowing_wait_becomes_a_very_long_one() {
    struct Never;
    impl RetryPolicy for Never {
        fn wait(&mut self, _: &Lost<'_>) -> Option<Duration> {
            Some(Duration::MAX)
        }
    }
    let mut world = World::new();
    world.session.config.policy = Box::new(Never);
    world.open();
    world.session.handle_body_end(world.now);
    assert!(world.session.poll_timeout().is_some());
}

#[test]
fn a_rejection_closes_the_source_before_its_body_is_read() {
    let mut world = World::new();
    world.request();
    world.answer(404);
    assert_eq!(world.session.ready_state(), ReadyState::Closed);
    assert!(world.session.poll_item().is_none());
    world.session.handle_body(world.now, Bytes::from_static(b"why"));
    world.session.handle_body_end(world.now);
    match world.session.poll_item() {
        Some(Err(error)) => assert_eq!(error.refusal().unwrap().body, b"why"),
        other => panic!("{other:?}"),
    }
    assert!(world.session.is_over());
}
