//! Authentication by the rules of either dialect.

use std::sync::Arc;
use std::time::Duration;

use tidings_http::auth::invalid_token::InvalidToken;
use tidings_http::auth::session::cookie::SessionName;
use tidings_http::auth::token::{self, Signed};
use tidings_http::auth::{JwtKey, cache, link};
use tidings_http::authorize::{Action, Asked, AskedTopic, Authorized};
use tidings_http::clock;
use tidings_http::key_share::KeyShare;
use tidings_http::problem::Code;
use tidings_http::quota::Key;
use tidings_http::trace::{self, Step};

use crate::claims::{self, Access, Claims, Unacceptable};
use crate::config::MercureConfig;
use crate::context::Context;
use crate::dialect::{AUTHORIZATION_BYTES_MIN, Dialect, ONE, ZERO};
use crate::error_answer::{Challenge, ErrorAnswer};
use crate::form::Form;
use crate::mercure::Mercure;
use crate::site::Site;
use http::StatusCode;
use http::header::{self, HeaderMap};
use tidings_hub::Grant;

/// The purpose of a request, which decides the keys that apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Publishing.
    Publisher,
    /// Subscribing, and reading the list of subscriptions.
    Subscriber,
}

/// The sender of a request, and what it may do.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) access: Arc<Access>,
    /// The dialect of the request.
    pub(crate) dialect: &'static Dialect,
    /// Where the token was; `None` if there was none.
    source: Option<Source>,
    /// The key by which the token is counted, if it is.
    pub(crate) token: Option<Key>,
    /// Limits shared by all callers with the same key, if any.
    share: Option<Arc<KeyShare>>,
    /// What a backend says that it may do, if one was asked.
    pub(crate) authorized: Option<Authorized>,
}

/// The topics about which a backend may be asked, if one may be.
pub(crate) type Topics<'a> = Option<&'a (dyn Fn() -> Option<Vec<AskedTopic>> + Sync)>;

/// Where a token can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Header,
    Query,
    Cookie,
    /// An application that vouches for the request.
    Application,
    /// The cookie of a session. The origin of the page was checked by the rules of sessions.
    Session,
    /// A backend that was asked. The origin of the page was checked before that.
    Backend,
}

impl Caller {
    /// Limits shared by all callers with this caller's key, if any.
    pub(crate) fn share(&self) -> Option<&Arc<KeyShare>> {
        self.share.as_ref()
    }

    /// Whether a browser would have sent this request for any page that asked it to: then the
    /// origin of the page must be checked.
    pub(crate) fn needs_origin(&self) -> bool {
        self.source == Some(Source::Cookie)
    }

    /// Waits until the caller's token expires (forever if it does not), then returns the 401 that
    /// says so.
    pub(crate) async fn expired(&self) -> ErrorAnswer {
        let Some(end) = self.access.expires else { return std::future::pending().await };
        clock::reached(end).await;
        invalid(&InvalidToken::Expired.into())
    }

    /// Whether the caller sent no token, and has its rights only because it can reach the hub, or
    /// because an application vouches for it.
    pub(crate) fn is_ambient(&self) -> bool {
        matches!(self.source, None | Some(Source::Application))
    }

    /// Whether its streams have events about subscribers, where it asks for them. One with a
    /// session has none: a renewal could take that right away while the stream runs.
    pub(crate) fn may_hear_of_subscribers(&self) -> bool {
        self.source != Some(Source::Session) && self.access.may_hear_of_subscribers()
    }

    /// Whether the caller sent no credential at all.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.source.is_none()
    }
}

/// Identifies the sender of a request: by its header, else by its query, else by its cookie. The
/// first of them that is present counts. `spoken` is the dialect of its parameters, if they
/// determine it; `asked` the topics about which a backend may be asked.
///
/// # Errors
///
/// A 401, or in 1.0 a 400 for credentials that are not a token. It says which check failed. A 403
/// if a backend says no, and a 503 if it says nothing.
pub(crate) fn identify(
    context: &Context<'_>,
    role: Role,
    spoken: Option<&'static Dialect>,
    query: &Form,
    asked: Topics<'_>,
) -> impl Future<Output = Result<Caller, ErrorAnswer>> + Send {
    let identified = async move {
        let caller = caller(context, role, spoken, query, asked).await?;
        let denied = context.state.auth().check_denied(&caller.access.who, context.parts);
        denied.map_err(|problem| {
            let answer = ErrorAnswer::new(StatusCode::FORBIDDEN, problem.detail().to_owned());
            match problem.header(&header::RETRY_AFTER) {
                Some(wait) => answer.with_header(header::RETRY_AFTER, wait.clone()),
                None => answer,
            }
        })?;
        Ok(caller)
    };
    trace::step(Step::Authenticate, identified)
}

async fn caller(
    context: &Context<'_>,
    role: Role,
    spoken: Option<&'static Dialect>,
    query: &Form,
    asked: Topics<'_>,
) -> Result<Caller, ErrorAnswer> {
    let Context { mercure, state, parts, .. } = *context;
    if let Some(grant) = parts.extensions.get::<Arc<Grant>>() {
        let (access, dialect) = (Arc::new(Access::of_grant(grant)), spoken.unwrap_or(&ZERO));
        let source = Some(Source::Application);
        return Ok(Caller { access, dialect, source, token: None, share: None, authorized: None });
    }
    let keyless = !(state.config().has_keys() || mercure.config().has_keys());
    let found = credentials(&parts.headers, spoken, query).map_err(|what| {
        let dialect = spoken.unwrap_or(&ZERO);
        let status = dialect.malformed_credentials;
        ErrorAnswer::token(status, Challenge::InvalidRequest, what)
    })?;
    let is_in_header = matches!(found, Some((_, Source::Header)));
    if !(is_in_header || keyless) && query.first("sig").is_some() {
        // Never a silent step down to what everybody may do.
        let text = link::only_reads().detail().to_owned();
        return Err(ErrorAnswer::token(StatusCode::UNAUTHORIZED, Challenge::InvalidToken, text));
    }
    let Some((token, source)) = found.filter(|_| !keyless) else {
        let dialect = spoken.unwrap_or(&ZERO);
        if let Some(caller) = of_session(context, dialect, query)? {
            return Ok(caller);
        }
        if let Some(caller) = authorized(context, role, dialect, asked).await? {
            return Ok(caller);
        }
        let access = anonymous(context, role).ok_or_else(|| {
            let text = "a token is required: send `Authorization: Bearer <token>`";
            ErrorAnswer::token(StatusCode::UNAUTHORIZED, Challenge::Missing, text)
        })?;
        let access = Arc::new(access);
        let (source, authorized) = (None, None);
        return Ok(Caller { access, dialect, source, token: None, share: None, authorized });
    };
    let counted_as = state.auth().token_key(&token);
    if let Some(key) = state.auth().api_key(&token) {
        return Ok(Caller {
            access: Arc::new(Access::of_grant(key.grant()).with(key.who())),
            dialect: spoken.unwrap_or(&ZERO),
            source: Some(source),
            token: counted_as,
            share: key.share().cloned(),
            authorized: None,
        });
    }
    let shape = claims::shape(&token);
    let dialect = spoken.or(shape).unwrap_or(&ZERO);
    if source == Source::Header && token.len() + "Bearer ".len() < AUTHORIZATION_BYTES_MIN {
        let text = "the Authorization header is too short for a signed token";
        return Err(ErrorAnswer::token(
            dialect.malformed_credentials,
            Challenge::InvalidRequest,
            text,
        ));
    }
    let mut signed = verified(context, role, &token, shape);
    if matches!(signed, Err(Unacceptable::Verification(InvalidToken::KeyUnknown)))
        && JwtKey::refresh(
            keys(mercure.config(), &state.config().jwt_keys, role, &token, shape)
                .unwrap_or_default(),
        )
        .await
    {
        signed = verified(context, role, &token, shape);
    }
    let signed = signed.map_err(|error| invalid(&error))?;
    // Where everybody may do everything, a credential takes nothing away.
    let access = match state.auth().is_open() {
        true => Arc::new(Access::of_grant(state.auth().everybody()).with(&signed.says.who)),
        false => Arc::clone(&signed.says),
    };
    Ok(Caller {
        access,
        dialect,
        source: Some(source),
        token: counted_as,
        share: signed.share.clone(),
        authorized: None,
    })
}

/// The sender of a request with the cookie of a session; `None` if it has none that is good.
fn of_session(
    context: &Context<'_>,
    dialect: &'static Dialect,
    query: &Form,
) -> Result<Option<Caller>, ErrorAnswer> {
    let Context { state, parts, .. } = *context;
    if !parts.headers.contains_key(header::COOKIE) {
        return Ok(None);
    }
    let name = query.text("session");
    let name = SessionName::parse("session", name.as_deref())
        .map_err(|problem| ErrorAnswer::bad_request(problem.detail().to_owned()))?;
    let Some((_, caller)) = state.auth().session(parts, &name) else { return Ok(None) };
    caller.check_page(state.config(), parts).map_err(|problem| {
        ErrorAnswer::new(problem.code().status(), problem.detail().to_owned())
    })?;
    Ok(Some(Caller {
        access: Arc::new(Access::of_grant(caller.grant()).with(caller.who())),
        dialect,
        source: Some(Source::Session),
        token: caller.token(),
        share: caller.share().cloned(),
        authorized: None,
    }))
}

/// The sender of a request about which a backend was asked; `None` if none is.
async fn authorized(
    context: &Context<'_>,
    role: Role,
    dialect: &'static Dialect,
    topics: Topics<'_>,
) -> Result<Option<Caller>, ErrorAnswer> {
    let Context { state, parts, .. } = *context;
    let Some(topics) = topics else { return Ok(None) };
    let action = match role {
        Role::Publisher => Action::Publish,
        Role::Subscriber => Action::Subscribe,
    };
    let asked = Asked { config: state.config(), action, topics };
    let caller = state.auth().ask(parts, asked).await.map_err(|problem| {
        let detail = problem.detail().to_owned();
        match problem.code() {
            Code::AuthorizeUnavailable => ErrorAnswer::unavailable(detail),
            code => ErrorAnswer::new(code.status(), detail),
        }
    })?;
    Ok(caller.and_then(|caller| {
        let authorized = caller.authorized()?.clone();
        Some(Caller {
            access: Arc::new(Access::of_grant(authorized.grant()).with(caller.who())),
            dialect,
            source: Some(Source::Backend),
            token: caller.token(),
            share: None,
            authorized: Some(authorized),
        })
    }))
}

fn invalid(error: &Unacceptable) -> ErrorAnswer {
    ErrorAnswer::token(StatusCode::UNAUTHORIZED, Challenge::InvalidToken, error.to_string())
}

/// Access without a token.
fn anonymous(context: &Context<'_>, role: Role) -> Option<Access> {
    let Context { mercure, state, .. } = *context;
    let everybody = state.auth().everybody();
    if state.auth().is_open() {
        return Some(Access::of_grant(everybody));
    }
    let may = match role {
        Role::Publisher => !everybody.publish.is_empty(),
        Role::Subscriber => mercure.config().anonymous,
    };
    may.then(Access::default)
}

fn verified(
    context: &Context<'_>,
    role: Role,
    token: &str,
    shape: Option<&'static Dialect>,
) -> Result<Arc<Signed<Arc<Access>>>, Unacceptable> {
    let Context { mercure, state, ref site, .. } = *context;
    // A token is valid for a role, and for a name of the hub.
    let key = format!("{role:?} {} {token}", site.resource);
    if let Some(signed) = mercure.tokens.get(&key, clock::now()) {
        return Ok(signed);
    }
    let (hub_keys, leeway) = (&state.config().jwt_keys, state.config().leeway);
    let Signed { says, share } = examined(mercure, hub_keys, leeway, site, role, token, shape)?;
    let signed = Arc::new(Signed { says: Arc::new(says), share });
    mercure.tokens.keep(&key, &signed, cache::until(signed.says.expires));
    Ok(signed)
}

/// What a token grants, verified with the loaded keys; `hub_keys` are those of all protocols.
pub(crate) fn examined(
    mercure: &Mercure,
    hub_keys: &[JwtKey],
    leeway: Duration,
    site: &Site,
    role: Role,
    token: &str,
    shape: Option<&'static Dialect>,
) -> Result<Signed<Access>, Unacceptable> {
    let keys = keys(mercure.config(), hub_keys, role, token, shape).ok_or(Unacceptable::Issuer)?;
    let Signed { says: claims, share } = token::signed::<Claims>(token, keys, leeway)?;
    let who = claims.who();
    let access = match shape {
        Some(dialect) if dialect.is_one => claims.one(token, leeway, site, &mercure.patterns)?,
        _ => claims.zero(token, leeway)?,
    };
    // A token that ends this very second has ended.
    match access.expires {
        Some(end) if end <= clock::now() => Err(InvalidToken::Expired.into()),
        _ => Ok(Signed { says: access.with(&who), share }),
    }
}

/// The keys that may have signed a token; `None` if its issuer has none.
pub(crate) fn keys<'a>(
    config: &'a MercureConfig,
    hub_keys: &'a [JwtKey],
    role: Role,
    token: &str,
    shape: Option<&'static Dialect>,
) -> Option<&'a [JwtKey]> {
    match shape {
        Some(dialect) if dialect.is_one => issuer_keys(config, role, token),
        _ => Some(own_keys(config, hub_keys, role)),
    }
}

/// The keys of the issuer that a token names; the signature proves whether it may use the name.
fn issuer_keys<'a>(config: &'a MercureConfig, role: Role, token: &str) -> Option<&'a [JwtKey]> {
    let name = claims::claimed_issuer(token)?;
    let issuer = config.issuers.iter().find(|issuer| issuer.name == name)?;
    Some(match role {
        Role::Publisher => &issuer.keys.publisher,
        Role::Subscriber => &issuer.keys.subscriber,
    })
}

/// The keys of 0.x tokens.
fn own_keys<'a>(config: &'a MercureConfig, hub_keys: &'a [JwtKey], role: Role) -> &'a [JwtKey] {
    let keys = &config.keys;
    let keys = match role {
        Role::Publisher => &keys.publisher,
        Role::Subscriber => &keys.subscriber,
    };
    if keys.is_empty() { hub_keys } else { keys }
}

/// Headers with credentials in them.
#[cfg(fuzzing)]
pub(crate) fn fuzz_credentials(headers: &HeaderMap) {
    for spoken in [None, Some(&ZERO), Some(&ONE)] {
        let _ = credentials(headers, spoken, &Form::default());
    }
}

/// The token of a request, and where it was.
fn credentials(
    headers: &HeaderMap,
    spoken: Option<&'static Dialect>,
    query: &Form,
) -> Result<Option<(String, Source)>, &'static str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    if let Some(value) = values.next() {
        if values.next().is_some() {
            return Err("there is more than one Authorization header");
        }
        let value = tidings_http::headers::text(value);
        let token = bearer(&value).ok_or("the Authorization header is not `Bearer <token>`")?;
        return Ok(Some((token.to_owned(), Source::Header)));
    }
    let tokens = query.all("authorization").filter(|token| !token.is_empty());
    if spoken.is_none_or(|dialect| dialect.token_in_query) && tokens.count() > 1 {
        return Err("there is more than one parameter authorization");
    }
    if spoken.is_none_or(|dialect| dialect.token_in_query)
        && let Some(token) = query.text("authorization").filter(|token| !token.is_empty())
    {
        return Ok(Some((token.into_owned(), Source::Query)));
    }
    let order = match spoken {
        Some(dialect) if dialect.is_one => [&ONE, &ZERO],
        _ => [&ZERO, &ONE],
    };
    let found = order.into_iter().find_map(|dialect| cookie(headers, dialect.cookie));
    Ok(found.map(|token| (token, Source::Cookie)))
}

/// The token of an `Authorization` header. The name of the scheme has no case (RFC 9110 §11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The value of the first cookie `name` (RFC 6265 §4.2.1).
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let cookies = tidings_http::headers::joined(headers, header::COOKIE, "; ");
    let mut pairs = cookies.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| key.trim() == name)?;
    let value = value.trim();
    let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    Some(unquoted.unwrap_or(value)).filter(|value| !value.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn found(
        pairs: &[(header::HeaderName, &str)],
        spoken: Option<&'static Dialect>,
        query: &str,
    ) -> Result<Option<String>, &'static str> {
        let query = Form::parse(query.as_bytes()).unwrap();
        credentials(&headers(pairs), spoken, &query).map(|found| found.map(|(token, _)| token))
    }

    #[test]
    fn the_first_place_with_a_token_counts() {
        let header = (header::AUTHORIZATION, "Bearer h");
        let cookie =
            (header::COOKIE, "x=1; mercureAuthorization=c0; __Secure-mercure_access_token=c1");
        let all = [header, cookie.clone()];
        let is = |token: &str| Ok(Some(token.to_owned()));
        assert_eq!(found(&all, None, "authorization=q"), is("h"));
        assert_eq!(found(&all[1..], None, "authorization=q"), is("q"));
        assert_eq!(found(&all[1..], Some(&ZERO), ""), is("c0"));
        assert_eq!(found(&all[1..], Some(&ONE), ""), is("c1"));
        assert_eq!(found(&[], Some(&ONE), "authorization=q"), Ok(None));
        assert_eq!(found(&[], None, "authorization="), Ok(None));
    }

    #[test]
    fn a_malformed_authorization_header_is_not_ignored() {
        for value in ["Basic eDp5", "Bearer", "Bearer ", "token"] {
            assert!(found(&[(header::AUTHORIZATION, value)], None, "authorization=q").is_err());
        }
        let twice = [(header::AUTHORIZATION, "Bearer a"), (header::AUTHORIZATION, "Bearer a")];
        assert!(found(&twice, None, "").is_err());
        assert!(found(&[(header::AUTHORIZATION, "bearer a")], None, "").is_ok());
    }

    #[test]
    fn a_cookie_may_be_quoted() {
        let headers = headers(&[(header::COOKIE, "a=b; mercureAuthorization=\"c\"")]);
        assert_eq!(cookie(&headers, "mercureAuthorization").as_deref(), Some("c"));
        assert_eq!(cookie(&headers, "Authorization"), None);
    }
}
