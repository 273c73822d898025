use std::borrow::Cow;

use http::request::Parts;
use tidings_http::auth::LinkRequest;
use tidings_http::problem::{Code, Problem};
use tidings_http::query::{self, Plus, Query};

/// The parameters of a signed link, as they stand in a query.
pub(crate) struct LinkQuery<'a> {
    signature: Cow<'a, str>,
    until: Cow<'a, str>,
    subject: Cow<'a, str>,
    topics: Vec<Cow<'a, str>>,
}

impl<'a> LinkQuery<'a> {
    /// Takes the parameters of a link out of a reader's query, if it is one. Its topics are left
    /// there: they are what is read.
    ///
    /// # Errors
    ///
    /// A 400 if there is a token as well, or something is there twice.
    pub(crate) fn take(
        query: &mut Query<'a>,
        raw_topic: Option<&'a str>,
        has_token: bool,
    ) -> Result<Option<Self>, Problem> {
        let Some(signature) = query.take("sig")? else { return Ok(None) };
        if has_token {
            let detail = "a request is signed (`sig`) or has a `token`, not both";
            return Err(Problem::new(Code::InvalidQuery, detail));
        }
        let until = query.take("until")?.unwrap_or_default();
        let subject = query.take("sub")?.unwrap_or_default();
        let of_path = raw_topic.map(|raw| query::decode(raw, Plus::Itself)).transpose()?;
        let topics = of_path.into_iter().chain(query.all("topic").cloned()).collect();
        Ok(Some(Self { signature, until, subject, topics }))
    }

    pub(crate) fn topics(&self) -> Vec<&str> {
        self.topics.iter().map(|topic| &**topic).collect()
    }

    /// The link, with what [`topics`](Self::topics) returned.
    pub(crate) fn request<'b>(&'b self, topics: &'b [&'b str]) -> LinkRequest<'b> {
        let Self { signature, until, subject, .. } = self;
        LinkRequest { signature, until, subject, topics }
    }

    /// Whether a request is made with a signed link.
    pub(crate) fn is_in(parts: &Parts) -> bool {
        let is_signature = |pair: &str| pair.split('=').next() == Some("sig");
        parts.uri.query().is_some_and(|query| query.split('&').any(is_signature))
    }
}
