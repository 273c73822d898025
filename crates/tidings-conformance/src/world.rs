//! The hub to check, and requests to it.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use url::form_urlencoded;

use crate::client::{Answer, Cause, Client, Stream, Unreachable};
use crate::dialect::Dialect;
use crate::ended::Ended;
use crate::plan::{HUB, Plan};
use crate::token::{self, Rights, Role};

/// The hub, and unique names for this run.
pub(crate) struct World {
    pub(crate) plan: Plan,
    client: Client,
    origin: String,
    run: String,
    next: AtomicU64,
}

impl World {
    pub(crate) fn new(plan: &Plan) -> Result<Self, Unreachable> {
        let failed = |cause: Cause| Unreachable {
            what: "cannot create an HTTP client".to_owned(),
            cause: Some(cause),
        };
        if !matches!(plan.url.scheme(), "http" | "https") {
            let what = format!("{} is not an http or https URL", plan.url);
            return Err(Unreachable { what, cause: None });
        }
        let mut random = [0; 6];
        let _ = aws_lc_rs::rand::fill(&mut random);
        Ok(Self {
            plan: plan.clone(),
            client: Client::new(plan.tls.clone()).map_err(failed)?,
            origin: plan.url.origin().ascii_serialization(),
            run: random.iter().map(|byte| format!("{byte:02x}")).collect(),
            next: AtomicU64::new(0),
        })
    }

    /// Checks that there is a hub at all.
    pub(crate) async fn knock(&self) -> Result<(), Unreachable> {
        let request = self.request("GET", HUB, &[], Vec::new());
        let answer = async { self.client.send(request?).await };
        let answer = answer.await.map_err(|cause| Unreachable {
            what: format!("{} cannot be reached", self.plan.url),
            cause: Some(cause),
        })?;
        if answer.status().as_u16() == 404 {
            let what = format!("there is no hub at {}{HUB}", self.origin);
            return Err(Unreachable { what, cause: None });
        }
        Ok(())
    }

    /// A unique topic.
    pub(crate) fn topic(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("https://conformance.example/{}/{number}", self.run)
    }

    /// The path below which all topics of this run are.
    pub(crate) fn folder(&self) -> String {
        self.topic() + "/"
    }

    /// An id that no event has.
    pub(crate) fn id(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("urn:conformance:{}:{number}", self.run)
    }

    /// A valid token; skips the check if there can be none.
    pub(crate) fn token(
        &self,
        dialect: Dialect,
        role: Role,
        rights: &Rights<'_>,
    ) -> Result<String, Ended> {
        self.check_issuer(dialect)?;
        let claims = token::claims(&self.plan, dialect, rights);
        Ok(token::sign(&self.plan, dialect, role, &claims))
    }

    pub(crate) fn publisher(&self, dialect: Dialect) -> Result<String, Ended> {
        self.token(dialect, Role::Publisher, &Rights::publish(&["*"]))
    }

    pub(crate) fn subscriber(&self, dialect: Dialect) -> Result<String, Ended> {
        self.token(dialect, Role::Subscriber, &Rights::subscribe(&["*"]))
    }

    /// A token for a subscriber to public events.
    pub(crate) fn listener(&self, dialect: Dialect) -> Result<String, Ended> {
        self.token(dialect, Role::Subscriber, &Rights::subscribe(&["urn:conformance:nothing"]))
    }

    pub(crate) fn check_issuer(&self, dialect: Dialect) -> Result<(), Ended> {
        if dialect == Dialect::One && self.plan.issuer.is_none() {
            let why = "checks of 1.0 need --issuer: one whose tokens the hub accepts";
            return Err(Ended::Skipped(why.to_owned()));
        }
        Ok(())
    }

    /// Sends any request.
    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Result<Answer, Ended> {
        let request = self.request(method, target, headers, body.into());
        let answer = async { Answer::read(self.client.send(request?).await?).await };
        answer.await.map_err(|cause| broken(&cause))
    }

    /// Sends a request that should be answered by a stream.
    pub(crate) async fn open(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Result<Stream, Ended> {
        let request = self.request(method, target, headers, body.into());
        let response = async { self.client.send(request?).await };
        Ok(Stream::new(response.await.map_err(|cause| broken(&cause))?))
    }

    /// Publishes a form with a token.
    pub(crate) async fn post(&self, token: &str, form: &[(&str, &str)]) -> Result<Answer, Ended> {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str()), FORM];
        self.send("POST", HUB, &headers, encoded(form)).await
    }

    /// Publishes with full permissions. Returns the id.
    pub(crate) async fn publish(
        &self,
        dialect: Dialect,
        form: &[(&str, &str)],
    ) -> Result<String, Ended> {
        let answer = self.post(&self.publisher(dialect)?, form).await?;
        if answer.status != 200 {
            let (status, body) = (answer.status, answer.body);
            return Err(Ended::Failed(format!("the answer to a publish is {status}: {body}")));
        }
        Ok(answer.body)
    }

    /// Subscribes with a token, and waits until the stream has begun.
    pub(crate) async fn subscribe(
        &self,
        token: &str,
        query: &[(&str, &str)],
    ) -> Result<Stream, Ended> {
        self.subscribe_with(token, query, &[]).await
    }

    /// The same with headers.
    pub(crate) async fn subscribe_with(
        &self,
        token: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Result<Stream, Ended> {
        let authorization = format!("Bearer {token}");
        let mut all = vec![("authorization", authorization.as_str())];
        all.extend_from_slice(headers);
        let mut stream = self.open("GET", &target(query), &all, Vec::new()).await?;
        if stream.status != 200 {
            let status = stream.status;
            return Err(Ended::Failed(format!("the answer to a subscription is {status}")));
        }
        if !stream.begins().await {
            let why = "nothing comes after the response's head: the stream may not be flushed";
            return Err(Ended::Failed(why.to_owned()));
        }
        Ok(stream)
    }

    /// A value that the hub sent may not be valid in a header.
    fn request(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Request<Full<Bytes>>, Cause> {
        let mut request = Request::builder().method(method).uri(format!("{}{target}", self.origin));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Ok(request.body(Full::new(body.into()))?)
    }
}

/// The type of a form.
pub(crate) const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// The name of the header.
pub(crate) const BEARER: &str = "authorization";

pub(crate) fn encoded(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// A subscription's path and query.
pub(crate) fn target(query: &[(&str, &str)]) -> String {
    format!("{HUB}?{}", encoded(query))
}

fn broken(cause: &Cause) -> Ended {
    Ended::Failed(format!("the exchange was cut short: {cause}"))
}
