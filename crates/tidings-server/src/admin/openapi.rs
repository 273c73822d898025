use http::StatusCode;
use tidings_http::answer::{self, Answer};

/// The description of the HTTP API (OpenAPI 3.2). Tests compare it with the routes and the problem
/// codes.
pub(crate) const OPENAPI: &str = include_str!("../../openapi.json");

/// `GET /openapi.json`.
pub(crate) fn openapi() -> Answer {
    Answer::Response(answer::whole(StatusCode::OK, "application/json", OPENAPI))
}
