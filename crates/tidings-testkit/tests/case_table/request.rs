//! Fourteen requests.

use super::Case;
use super::model::Kind;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Stream,
    Page,
    Head,
    Topics,
    Presence,
    Connections,
    Kick,
    MercureStream,
    Publish,
    Batch,
    PublishStream,
    End,
    Erase,
    MercurePublish,
}

/// Those that only read come first.
pub(crate) const REQUESTS: &[Request] = &[
    Request::Stream,
    Request::Page,
    Request::Head,
    Request::Topics,
    Request::Presence,
    Request::Connections,
    Request::Kick,
    Request::MercureStream,
    Request::Publish,
    Request::Batch,
    Request::PublishStream,
    Request::End,
    Request::Erase,
    Request::MercurePublish,
];

pub(crate) const HUB: &str = "/.well-known/mercure";

/// A request as it is sent.
pub(crate) struct Sent {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Request {
    /// Whether it is one of the protocol beside the native API.
    pub(crate) fn is_mercure(self) -> bool {
        matches!(self, Self::MercureStream | Self::MercurePublish | Self::Presence)
    }

    /// Whether it reads topics on the native API.
    pub(crate) fn is_native_read(self) -> bool {
        matches!(self, Self::Stream | Self::Page | Self::Head)
    }

    /// Whether its answer goes on and on.
    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Self::Stream | Self::MercureStream)
    }
}

impl Case {
    /// The topic that it publishes to. A topic is ended that nobody reads by its name.
    pub(crate) fn topic(&self) -> String {
        let ending = if self.request == Request::End { "-end" } else { "" };
        format!("{}{ending}", self.topic.topic)
    }

    /// The event that it publishes if it is accepted.
    pub(crate) fn publishes(&self) -> Option<Kind> {
        Some(match self.request {
            Request::Publish | Request::Batch | Request::PublishStream | Request::End => {
                Kind::Native
            }
            Request::MercurePublish if self.topic.is_private => Kind::Private,
            Request::MercurePublish => Kind::Update,
            _ => return None,
        })
    }

    /// The request, whose event has this data.
    pub(crate) fn sent(&self, data: &str) -> Sent {
        let Self { request, credential, topic: asked, .. } = *self;
        let (matcher, selector, topic) = (asked.matcher, asked.selector, self.topic());
        let prefix = matcher.trim_end_matches('*');
        let json = ("accept", "application/json");
        let stream = ("accept", "text/event-stream");
        let none = ("accept", "*/*");
        let (method, path, header, body) = match request {
            Request::Stream => ("GET", format!("/events?topic={matcher}&last=100"), stream, ""),
            Request::Page => ("GET", format!("/events?topic={matcher}&last=100"), json, ""),
            Request::Head => ("HEAD", format!("/events?topic={matcher}"), stream, ""),
            Request::Topics => ("GET", format!("/topics?prefix={prefix}"), json, ""),
            Request::Presence => {
                let topic = topic.replace('/', "%2F");
                ("GET", format!("{HUB}/subscriptions/{topic}?"), json, "")
            }
            Request::Connections => ("GET", format!("/connections?topic={matcher}"), json, ""),
            // Nobody is there: the streams of the other cases go on.
            Request::Kick => {
                ("DELETE", format!("/connections?topic={matcher}&address=192.0.2.1"), none, "")
            }
            Request::MercureStream => {
                ("GET", format!("{HUB}?topic={selector}&lastEventID=earliest"), stream, "")
            }
            Request::Publish => ("POST", format!("/events/{topic}?"), none, "{data}"),
            Request::Batch => {
                let lines = ("content-type", "application/x-ndjson");
                (
                    "POST",
                    "/events?".to_owned(),
                    lines,
                    "{\"topic\":\"{topic}\",\"data\":\"{data}\"}\n",
                )
            }
            Request::PublishStream => {
                let events = ("content-type", "text/event-stream");
                ("POST", format!("/events/{topic}?"), events, "data: {data}\n\n")
            }
            Request::End => ("DELETE", format!("/events/{topic}?"), none, "{data}"),
            Request::Erase => ("DELETE", format!("/events/{topic}?erase=no-such-id"), none, ""),
            Request::MercurePublish => {
                let form = ("content-type", "application/x-www-form-urlencoded");
                let body = match asked.is_private {
                    true => "topic={topic}&data={data}&private=on",
                    false => "topic={topic}&data={data}",
                };
                ("POST", format!("{HUB}?"), form, body)
            }
        };
        let mut headers = credential.headers();
        headers.push((header.0, header.1.to_owned()));
        let target = format!("{path}{}", credential.parameters(request, asked));
        let target = target.replace("?&", "?").trim_end_matches('?').to_owned();
        let body = body.replace("{topic}", &topic).replace("{data}", data);
        Sent { method, target, headers, body }
    }
}
