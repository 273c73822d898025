//! Resuming and replay.

use crate::check::{Check, checks, ensure};
use crate::client::Stream;
use crate::dialect::Dialect;
use crate::ended::Ended;
use crate::world::World;

use super::{ONE, ZERO};

pub(super) const CHECKS: &[Check] = checks! {
    resumes_by_header [ZERO, ONE] "Reconciliation"
        "Last-Event-ID resumes after that event: everything once, in order, then new events";
    resumes_by_parameter [ZERO, ONE] "Reconciliation" "the query parameter resumes in the same way";
    prefers_the_header [ZERO, ONE] "Reconciliation"
        "the header takes precedence over the parameter";
    resumes_by_a_publishers_id [ZERO, ONE] "Reconciliation"
        "a publisher's own id resumes too";
    replays_everything [ZERO, ONE] "Reconciliation" "`earliest` replays the whole history";
    says_where_it_begins [ZERO, ONE] "Reconciliation"
        "the answer's header is the requested id, if it is known";
    says_when_something_may_be_lost [ZERO, ONE] "Reconciliation"
        "the answer's header is `earliest` if the id is unknown";
    replays_no_private_events [ZERO, ONE] "Reconciliation"
        "a replay has no private event without a grant";
    begins_with_what_comes [ZERO, ONE] "Reconciliation" "without an id nothing is replayed";
    answers_an_empty_id [ONE] "Reconciliation"
        "the answer to an empty id says where the stream begins";
};

/// Publishes four events on a new topic, each with its number as data. Returns the topic and their
/// ids.
async fn published(world: &World, dialect: Dialect) -> Result<(String, Vec<String>), Ended> {
    let topic = world.topic();
    let mut ids = Vec::new();
    for data in ["0", "1", "2", "3"] {
        ids.push(world.publish(dialect, &[("topic", &topic), ("data", data)]).await?);
    }
    Ok((topic, ids))
}

async fn resume(
    world: &World,
    dialect: Dialect,
    topic: &str,
    header: Option<&str>,
    parameter: Option<&str>,
) -> Result<Stream, Ended> {
    let token = world.listener(dialect)?;
    let mut query = vec![(dialect.topic_parameter(), topic)];
    query.extend(parameter.map(|id| (dialect.resume_parameter(), id)));
    let headers: Vec<_> = header.map(|id| ("last-event-id", id)).into_iter().collect();
    world.subscribe_with(&token, &query, &headers).await
}

/// Checks that the stream's next events are exactly the published ones from `first` on, and a new
/// one.
async fn goes_on(
    world: &World,
    dialect: Dialect,
    stream: &mut Stream,
    topic: &str,
    ids: &[String],
    first: usize,
) -> Result<(), Ended> {
    let new = world.publish(dialect, &[("topic", topic), ("data", "new")]).await?;
    for (number, id) in ids.iter().enumerate().skip(first) {
        let event = stream.event().await?;
        let (data, expected) = (event.data.unwrap_or_default(), number.to_string());
        ensure!(data == expected, "{data:?} comes instead of {expected:?}");
        ensure!(event.id.as_ref() == Some(id), "its id is {:?}, not {id:?}", event.id);
    }
    let event = stream.event().await?;
    ensure!(event.id == Some(new), "{:?} comes instead of the new event", event.data);
    ensure!(stream.is_silent().await, "something comes twice");
    Ok(())
}

async fn resumes_by_header(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let (topic, ids) = published(world, dialect).await?;
    let mut stream = resume(world, dialect, &topic, Some(&ids[1]), None).await?;
    goes_on(world, dialect, &mut stream, &topic, &ids, 2).await
}

async fn resumes_by_parameter(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let (topic, ids) = published(world, dialect).await?;
    let mut stream = resume(world, dialect, &topic, None, Some(&ids[0])).await?;
    goes_on(world, dialect, &mut stream, &topic, &ids, 1).await
}

async fn prefers_the_header(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let (topic, ids) = published(world, dialect).await?;
    let mut stream = resume(world, dialect, &topic, Some(&ids[2]), Some(&ids[0])).await?;
    goes_on(world, dialect, &mut stream, &topic, &ids, 3).await
}

async fn resumes_by_a_publishers_id(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let (topic, id) = (world.topic(), world.id());
    world.publish(dialect, &[("topic", &topic), ("data", "mine"), ("id", &id)]).await?;
    let next = world.publish(dialect, &[("topic", &topic), ("data", "next")]).await?;
    let mut stream = resume(world, dialect, &topic, Some(&id), None).await?;
    let event = stream.event().await?;
    ensure!(event.id == Some(next), "{:?} comes", event.data);
    Ok(())
}

async fn replays_everything(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let (topic, ids) = published(world, dialect).await?;
    let mut stream = resume(world, dialect, &topic, Some("earliest"), None).await?;
    goes_on(world, dialect, &mut stream, &topic, &ids, 0).await
}

async fn says_where_it_begins(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let (topic, ids) = published(world, dialect).await?;
    let stream = resume(world, dialect, &topic, Some(&ids[1]), None).await?;
    let begins = stream.header(dialect.resume_header()).unwrap_or("not there");
    ensure!(begins == ids[1], "the header is {begins}");
    Ok(())
}

async fn says_when_something_may_be_lost(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let (topic, _) = published(world, dialect).await?;
    let unknown = world.id();
    let stream = resume(world, dialect, &topic, Some(&unknown), None).await?;
    let begins = stream.header(dialect.resume_header()).unwrap_or("not there");
    ensure!(begins == "earliest", "the header is {begins}");
    Ok(())
}

async fn replays_no_private_events(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let topic = world.topic();
    let first = world.publish(dialect, &[("topic", &topic), ("data", "first")]).await?;
    let form = [("topic", topic.as_str()), ("private", "on"), ("data", "secret")];
    world.publish(dialect, &form).await?;
    world.publish(dialect, &[("topic", &topic), ("data", "last")]).await?;
    let mut stream = resume(world, dialect, &topic, Some(&first), None).await?;
    let data = stream.event().await?.data;
    ensure!(data.as_deref() == Some("last"), "{data:?} comes");
    Ok(())
}

async fn begins_with_what_comes(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let (topic, ids) = published(world, dialect).await?;
    let mut stream = resume(world, dialect, &topic, None, None).await?;
    goes_on(world, dialect, &mut stream, &topic, &ids, ids.len()).await
}

async fn answers_an_empty_id(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let (topic, _) = published(world, dialect).await?;
    let stream = resume(world, dialect, &topic, None, Some("")).await?;
    let begins = stream.header(dialect.resume_header()).unwrap_or_default();
    ensure!(!begins.is_empty(), "there is no header");
    Ok(())
}
