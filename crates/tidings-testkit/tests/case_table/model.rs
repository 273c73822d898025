//! The oracle. It shares no code with the hub.

use super::{Case, Credential, Request};

/// What the bearer of a credential may do, besides what everybody may do.
#[derive(Default)]
pub(crate) struct Grant {
    pub(crate) publish: &'static [&'static str],
    pub(crate) subscribe: &'static [&'static str],
    pub(crate) presence: &'static [&'static str],
    pub(crate) erase: &'static [&'static str],
    pub(crate) look: bool,
    pub(crate) kick: bool,
    /// Whether it is written in the hub's own words: then it holds over Mercure, too, where other
    /// tokens get every update that its publisher did not mark as private.
    pub(crate) is_native: bool,
}

/// What everybody may read and publish to.
const PUBLIC: &str = "public/**";

/// An event in the log.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) topic: String,
    pub(crate) data: String,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Published natively.
    Native,
    /// Published over Mercure.
    Update,
    /// Published over Mercure, as private.
    Private,
}

/// Whether `granted` covers all that `asked` matches.
pub(crate) fn covers(granted: &str, asked: &str) -> bool {
    if let Some(prefix) = granted.strip_suffix("**") {
        return asked.starts_with(prefix);
    }
    match granted.strip_suffix('*') {
        Some(prefix) => {
            asked.strip_prefix(prefix).is_some_and(|rest| !rest.contains('/') && rest != "**")
        }
        None => granted == asked,
    }
}

fn any_covers(granted: &[&str], asked: &str) -> bool {
    granted.iter().any(|granted| covers(granted, asked))
}

/// Whether a reader whose request was accepted gets `event`, which it asked for.
pub(crate) fn may_have(grant: &Grant, is_mercure: bool, event: &Event) -> bool {
    let is_own = any_covers(grant.subscribe, &event.topic);
    match event.kind {
        Kind::Private => is_own,
        Kind::Update if is_mercure && !grant.is_native => true,
        Kind::Native | Kind::Update => is_own || covers(PUBLIC, &event.topic),
    }
}

/// Whether the list of topics shows `topic`.
pub(crate) fn may_see(grant: &Grant, topic: &str) -> bool {
    any_covers(grant.subscribe, topic) || covers(PUBLIC, topic)
}

/// Whether an application is asked about a request: if a rule is about all that it names and not
/// everybody may do that, or if it names nothing before its body.
fn is_asked(case: &Case) -> bool {
    let Some(about) = case.credential.asked_about() else { return false };
    let is_about = |named| any_covers(about, named) && !covers(PUBLIC, named);
    match case.request {
        // What only keys and tokens are good for.
        Request::Presence | Request::Connections | Request::Kick => false,
        Request::Topics | Request::Batch | Request::MercurePublish => true,
        Request::MercureStream if case.topic.selector == "*" => false,
        // Of a template only the beginning is looked at.
        Request::MercureStream if case.topic.selector.contains("%7B") => is_about("own/**"),
        Request::Stream | Request::Page | Request::Head | Request::MercureStream => {
            is_about(case.topic.matcher)
        }
        Request::Publish | Request::PublishStream | Request::End | Request::Erase => {
            is_about(case.topic.topic)
        }
    }
}

/// Whether an application says no to a request that names nothing before its body: then its sender
/// is whoever shows nothing.
fn is_anybody(case: &Case) -> bool {
    let names_nothing =
        matches!(case.request, Request::Topics | Request::Batch | Request::MercurePublish);
    case.credential == Credential::RefusingBackend && names_nothing
}

/// Whether the hub knows the sender of a request.
fn is_known(case: &Case) -> bool {
    if is_anybody(case) {
        return false;
    }
    match case.credential.asked_about() {
        Some(_) => is_asked(case),
        None => case.credential.is_known(case.request.is_mercure()),
    }
}

/// What the sender of a request may do; `None` if the credential is not accepted.
pub(crate) fn grant(case: &Case) -> Option<Grant> {
    match case.credential.asked_about() {
        Some(_) if !is_asked(case) => Some(Grant::default()),
        _ => case.credential.grant(case.request.is_mercure()),
    }
}

/// The status of the answer.
pub(crate) fn status(case: &Case) -> u16 {
    let Case { request, credential, topic, .. } = case;
    let Some(grant) = grant(case) else { return 401 };
    if *credential == Credential::RefusingBackend && is_asked(case) && !is_anybody(case) {
        return 403;
    }
    if *credential == Credential::Link && !request.is_native_read() {
        return 401;
    }
    let may_publish = |topic: &str| any_covers(grant.publish, topic) || covers(PUBLIC, topic);
    let may = match request {
        // A link is a credential for what its key may sign, and for nothing else.
        _ if *credential == Credential::Link => any_covers(grant.subscribe, topic.matcher),
        Request::Stream | Request::Page | Request::Head => may_see(&grant, topic.matcher),
        Request::Topics | Request::MercureStream => true,
        Request::Publish
        | Request::Batch
        | Request::PublishStream
        | Request::End
        | Request::MercurePublish => may_publish(topic.topic),
        Request::Presence => any_covers(grant.presence, topic.topic),
        // No other right implies it.
        Request::Erase => any_covers(grant.erase, topic.topic),
        Request::Connections => grant.look,
        Request::Kick => grant.kick,
    };
    let is_known = is_known(case);
    match (may, request) {
        // No event has the id that the request names.
        (true, Request::Erase) => 404,
        (true, _) => 200,
        (false, _) if *credential == Credential::Link || !is_known => 401,
        (false, _) if request.is_mercure() => 401,
        (false, _) => 403,
    }
}
