//! `POST /events` and `POST /events/{topic}`, by what the body is.

use tidings_http::answer::Answer;
use tidings_http::body::RequestBody;
use tidings_http::problem::{Code, Problem};

use super::body_form::BodyForm;
use super::publish_request::PublishRequest;
use super::publish_topic::path_topic;
use super::{batch, event_stream, publish};
use crate::request::RequestContext;

pub(crate) async fn write(
    context: RequestContext<'_>,
    raw_topic: Option<&str>,
    body: RequestBody,
) -> Result<Answer, Problem> {
    let topic = raw_topic.map(|raw| path_topic(&context.caller, raw)).transpose()?;
    let mut request = PublishRequest::new(context, topic.clone())?;
    // The rare ones have a future of their own, as in the routes.
    match (BodyForm::of(&request.context.parts.headers), topic) {
        (BodyForm::Lines, _) => Box::pin(batch::publish(request, body)).await,
        (BodyForm::Events, Some(topic)) => {
            Box::pin(event_stream::publish(request, topic, body)).await
        }
        (BodyForm::One, Some(topic)) => publish::publish(&mut request, topic, body).await,
        (BodyForm::One | BodyForm::Events, None) => Err(Problem::new(
            Code::UnsupportedMediaType,
            "post one event to /events/{topic}, or a batch as `application/x-ndjson`",
        )),
    }
}
