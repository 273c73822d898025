use std::sync::Arc;

use http::request::Parts;
use tidings_http::auth::session::cookie::SessionName;
use tidings_http::auth::{Caller, link};
use tidings_http::authorize::{Action, Asked, AskedTopic};
use tidings_http::problem::Problem;
use tidings_http::query::{self, Plus, Query};
use tidings_http::state::State;

use crate::config::Config;
use crate::link_query::LinkQuery;

/// A request to the API whose sender is known. The routes build it once and hand it on, so every
/// operation that needs a grant has one.
pub(crate) struct RequestContext<'a> {
    pub(crate) state: &'a Arc<State>,
    pub(crate) config: &'a Config,
    pub(crate) parts: &'a Parts,
    /// The parameters that were not taken yet.
    pub(crate) query: Query<'a>,
    /// The sender, and what it may do.
    pub(crate) caller: Caller,
}

impl<'a> RequestContext<'a> {
    /// Identifies the sender of a request. This comes first, so an unauthorized client learns
    /// nothing about what else is wrong with its request. `action` is what a backend may be asked
    /// about, with the topic in the path.
    ///
    /// # Errors
    ///
    /// A 400 if the query cannot be read, a 401 that says why the sender is unknown, and a 403 for
    /// a page of a foreign origin that would change something without a token.
    pub(crate) async fn new(
        state: &'a Arc<State>,
        config: &'a Config,
        parts: &'a Parts,
        action: Option<(Action, Option<&str>)>,
    ) -> Result<Self, Problem> {
        let mut query = Query::parse(parts.uri.query())?;
        let token = query.take("token")?;
        if LinkQuery::is_in(parts) {
            return Err(link::only_reads());
        }
        let session = take_session(&mut query)?;
        let raw_topic = action.and_then(|(_, raw)| raw);
        let topics = || asked_topics(raw_topic, None);
        let asked =
            action.map(|(action, _)| Asked { config: state.config(), action, topics: &topics });
        let caller = state.auth().identify_user(parts, token.as_deref(), &session, asked).await?;
        // Operators cannot lock themselves out.
        if !caller.may_kick() {
            state.auth().check_denied(caller.who(), parts)?;
        }
        caller.check_page(state.config(), parts)?;
        Ok(Self { state, config, parts, query, caller })
    }

    /// The same for a request that reads topics, of which `raw_topic` is the one in the path: it
    /// may be made with a signed link.
    ///
    /// # Errors
    ///
    /// A 400 if the query cannot be read, and a 401 that says why the sender is unknown.
    pub(crate) async fn of_reader(
        state: &'a Arc<State>,
        config: &'a Config,
        parts: &'a Parts,
        raw_topic: Option<&'a str>,
    ) -> Result<Self, Problem> {
        let mut query = Query::parse(parts.uri.query())?;
        let token = query.take("token")?;
        let session = take_session(&mut query)?;
        let caller = match LinkQuery::take(&mut query, raw_topic, token.is_some())? {
            None => {
                let topics = || asked_topics(raw_topic, Some(&query));
                let (config, action) = (state.config(), Action::Subscribe);
                let asked = Some(Asked { config, action, topics: &topics });
                state.auth().identify_user(parts, token.as_deref(), &session, asked).await?
            }
            Some(link) => {
                let topics = link.topics();
                state.auth().identify_link(parts, &link.request(&topics)).await?
            }
        };
        state.auth().check_denied(caller.who(), parts)?;
        caller.check_page(state.config(), parts)?;
        Ok(Self { state, config, parts, query, caller })
    }

    /// Checks that every parameter was taken; `known` are those that could have been there, beside
    /// the token.
    ///
    /// # Errors
    ///
    /// A 400 that names the first parameter left.
    #[inline]
    pub(crate) fn finish_query(
        &self,
        known: impl IntoIterator<Item = &'static str>,
    ) -> Result<(), Problem> {
        self.query.finish(known.into_iter().chain(["token", "session"]))
    }

    /// Checks that the caller may read what operators read.
    ///
    /// # Errors
    ///
    /// A 403, or a 401 without a token.
    pub(crate) fn require_look(&self) -> Result<(), Problem> {
        self.caller.check_look()
    }
}

/// Takes the name of a session out of the query.
fn take_session(query: &mut Query<'_>) -> Result<SessionName, Problem> {
    SessionName::parse("session", query.take("session")?.as_deref())
}

/// The topics that a request names, by its path and by `?topic=`; `None` if one is not valid.
fn asked_topics(raw_topic: Option<&str>, query: Option<&Query<'_>>) -> Option<Vec<AskedTopic>> {
    let of_path = raw_topic.map(|raw| query::decode(raw, Plus::Itself)).transpose().ok()?;
    let of_query = query.into_iter().flat_map(|query| query.all("topic").cloned());
    of_path.into_iter().chain(of_query).map(|text| AskedTopic::parse(&text)).collect()
}
