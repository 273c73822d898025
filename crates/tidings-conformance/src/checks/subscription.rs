//! Subscribing, and which events a subscriber gets.

use crate::check::{Check, checks, ensure};
use crate::client::Stream;
use crate::dialect::Dialect;
use crate::ended::Ended;
use crate::plan::HUB;
use crate::token::{Rights, Role};
use crate::world::{BEARER, FORM, World, encoded, target};

use super::{ONE, ZERO};

pub(super) const CHECKS: &[Check] = checks! {
    is_an_event_stream [ZERO, ONE] "Subscription"
        "a subscription is a 200 of the type text/event-stream that begins at once";
    is_not_stored_by_caches [ZERO, ONE] "Subscription" "caches may not store the stream";
    matches_a_topic [ZERO, ONE] "Topic selectors, matchers"
        "a topic matches itself, byte for byte, and nothing else";
    matches_everything [ZERO, ONE] "Topic selectors, matchers" "`*` matches every topic";
    matches_a_template [ZERO] "Topic selectors"
        "a URI Template matches what it can expand to, and its own text";
    stays_within_a_segment [ZERO] "Topic selectors" "a simple expression crosses no slash";
    matches_a_url_pattern [ONE] "Topic matchers"
        "`match_urlpattern` matches by the URL Pattern standard";
    takes_match_exact_for_match [ONE] "Topic matchers" "`match_exact` is `match`";
    combines_topics [ZERO, ONE] "Subscription"
        "a subscriber to several topics gets each event once";
    needs_a_topic_to_subscribe_to [ZERO, ONE] "Subscription" "a subscription to nothing is a 400";
    refuses_too_many [ZERO, ONE] "Subscription"
        "a subscription to more topics than the hub allows is a 400";
    refuses_unknown_matchers [ONE] "Topic matchers" "an unknown match type is a 400";
    refuses_broken_patterns [ONE] "Topic matchers" "an invalid URL pattern is a 400";
    takes_a_query_request [ONE] "Subscription"
        "the method QUERY subscribes with the form in its body";
    withholds_private_events [ZERO, ONE] "Authorization"
        "a private event does not reach a subscriber without a grant for it";
    delivers_private_events [ZERO, ONE] "Authorization"
        "a private event reaches a subscriber with a grant for it";
    grants_by_any_topic [ZERO, ONE] "Authorization"
        "a grant for any one topic of an event is enough, whichever topic was requested";
    grants_do_not_subscribe [ZERO, ONE] "Authorization" "a grant alone subscribes to nothing";
};

/// A stream on one topic, with a token that grants only public events.
async fn listen(world: &World, dialect: Dialect, words: &[&str]) -> Result<Stream, Ended> {
    let token = world.listener(dialect)?;
    let query: Vec<_> = words.iter().map(|words| (dialect.topic_parameter(), *words)).collect();
    world.subscribe(&token, &query).await
}

/// Checks that the next event has this data.
async fn next_is(stream: &mut Stream, expected: &str) -> Result<(), Ended> {
    let data = stream.event().await?.data.unwrap_or_default();
    ensure!(data == expected, "{data:?} comes instead of {expected:?}");
    Ok(())
}

async fn is_an_event_stream(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let stream = listen(world, dialect, &[&world.topic()]).await?;
    let kind = stream.header("content-type").unwrap_or("none");
    let essence = kind.split(';').next().unwrap_or_default();
    ensure!(essence == "text/event-stream", "its type is {kind}");
    Ok(())
}

async fn is_not_stored_by_caches(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let stream = listen(world, dialect, &[&world.topic()]).await?;
    let control = stream.header("cache-control").unwrap_or("none");
    let forbids = ["no-store", "no-cache"].iter().any(|word| control.contains(word));
    ensure!(forbids, "its cache-control is {control}");
    Ok(())
}

async fn matches_a_topic(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let topic = world.topic();
    let mut stream = listen(world, dialect, &[&topic]).await?;
    let upper = topic.to_uppercase();
    for other in [format!("{topic}/"), format!("{topic}?"), upper] {
        world.publish(dialect, &[("topic", &other), ("data", "other")]).await?;
    }
    world.publish(dialect, &[("topic", &topic), ("data", "it")]).await?;
    next_is(&mut stream, "it").await
}

async fn matches_everything(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let mut stream = listen(world, dialect, &["*"]).await?;
    let data = world.id();
    world.publish(dialect, &[("topic", &world.topic()), ("data", &data)]).await?;
    // Other clients may publish at the same time.
    while stream.event().await?.data.as_deref() != Some(&*data) {}
    Ok(())
}

async fn matches_a_template(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let folder = world.folder();
    let template = format!("{folder}{{id}}");
    let mut stream = listen(world, dialect, &[&template]).await?;
    for (name, data) in [("1", "1"), ("a-b_c.d~e", "2"), ("%C3%A9", "3"), ("{id}", "4")] {
        world.publish(dialect, &[("topic", &format!("{folder}{name}")), ("data", data)]).await?;
        next_is(&mut stream, data).await?;
    }
    Ok(())
}

async fn stays_within_a_segment(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let folder = world.folder();
    let mut stream = listen(world, dialect, &[&format!("{folder}{{id}}")]).await?;
    for (name, data) in [("a/b", "below"), ("a", "it")] {
        world.publish(dialect, &[("topic", &format!("{folder}{name}")), ("data", data)]).await?;
    }
    next_is(&mut stream, "it").await?;
    let mut stream = listen(world, dialect, &[&format!("{folder}{{+path}}")]).await?;
    let below = format!("{folder}a/b");
    world.publish(dialect, &[("topic", &below), ("data", "below")]).await?;
    next_is(&mut stream, "below").await
}

async fn matches_a_url_pattern(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let folder = world.folder();
    let token = world.listener(dialect)?;
    let pattern = format!("{folder}books/:id");
    let mut stream = world.subscribe(&token, &[("match_urlpattern", &pattern)]).await?;
    for (name, data) in [("books/", "none"), ("books/1/2", "two"), ("BOOKS/1", "upper")] {
        world.publish(dialect, &[("topic", &format!("{folder}{name}")), ("data", data)]).await?;
    }
    world.publish(dialect, &[("topic", &format!("{folder}books/1")), ("data", "it")]).await?;
    next_is(&mut stream, "it").await
}

async fn takes_match_exact_for_match(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let topic = world.topic();
    let token = world.listener(dialect)?;
    let mut stream = world.subscribe(&token, &[("match_exact", &topic)]).await?;
    world.publish(dialect, &[("topic", &topic), ("data", "it")]).await?;
    next_is(&mut stream, "it").await
}

async fn combines_topics(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let (one, two) = (world.topic(), world.topic());
    let mut stream = listen(world, dialect, &[&one, &two, &one]).await?;
    for (topic, data) in [(&one, "1"), (&two, "2"), (&one, "3")] {
        world.publish(dialect, &[("topic", topic), ("data", data)]).await?;
        next_is(&mut stream, data).await?;
    }
    Ok(())
}

/// The status of a subscription with this query.
async fn status_of(world: &World, dialect: Dialect, query: &[(&str, &str)]) -> Result<u16, Ended> {
    let authorization = format!("Bearer {}", world.listener(dialect)?);
    let headers = [(BEARER, authorization.as_str())];
    Ok(world.open("GET", &target(query), &headers, "").await?.status)
}

async fn needs_a_topic_to_subscribe_to(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let status = status_of(world, dialect, &[(dialect.resume_parameter(), "x")]).await?;
    ensure!(status == 400, "the status is {status}");
    Ok(())
}

async fn refuses_too_many(world: &World, dialect: Dialect) -> Result<(), Ended> {
    // More than either dialect allows, in few bytes.
    let count = if dialect == Dialect::Zero { 1001 } else { 101 };
    let query: Vec<_> = (0..count).map(|_| (dialect.topic_parameter(), "a")).collect();
    let status = status_of(world, dialect, &query).await?;
    ensure!(status == 400, "the status is {status}");
    Ok(())
}

async fn refuses_unknown_matchers(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let status = status_of(world, dialect, &[("match", "a"), ("match_horoscope", "b")]).await?;
    ensure!(status == 400, "the status is {status}");
    Ok(())
}

async fn refuses_broken_patterns(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let status = status_of(world, dialect, &[("match_urlpattern", "https://x/:id(")]).await?;
    ensure!(status == 400, "the status is {status}");
    Ok(())
}

async fn takes_a_query_request(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let topic = world.topic();
    let authorization = format!("Bearer {}", world.listener(dialect)?);
    let headers = [(BEARER, authorization.as_str()), FORM];
    let body = encoded(&[("match", &topic)]);
    let mut stream = world.open("QUERY", HUB, &headers, body).await?;
    ensure!(stream.status == 200, "the status is {}", stream.status);
    ensure!(stream.begins().await, "the stream does not begin");
    world.publish(dialect, &[("topic", &topic), ("data", "it")]).await?;
    next_is(&mut stream, "it").await
}

async fn withholds_private_events(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let topic = world.topic();
    let mut stream = listen(world, dialect, &[&topic]).await?;
    for (private, data) in [("on", "secret"), ("", "empty, and private all the same")] {
        let form = [("topic", topic.as_str()), ("private", private), ("data", data)];
        world.publish(dialect, &form).await?;
    }
    world.publish(dialect, &[("topic", &topic), ("data", "public")]).await?;
    next_is(&mut stream, "public").await
}

/// A stream on `wanted`, with a grant for `granted`.
async fn with_grant(
    world: &World,
    dialect: Dialect,
    wanted: &str,
    granted: &str,
) -> Result<Stream, Ended> {
    let token = world.token(dialect, Role::Subscriber, &Rights::subscribe(&[granted]))?;
    world.subscribe(&token, &[(dialect.topic_parameter(), wanted)]).await
}

async fn delivers_private_events(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let topic = world.topic();
    let mut stream = with_grant(world, dialect, &topic, &topic).await?;
    let form = [("topic", topic.as_str()), ("private", "on"), ("data", "secret")];
    world.publish(dialect, &form).await?;
    next_is(&mut stream, "secret").await
}

async fn grants_by_any_topic(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let (asked, granted) = (world.topic(), world.topic());
    let mut stream = with_grant(world, dialect, &asked, &granted).await?;
    let only = [("topic", asked.as_str()), ("private", "on"), ("data", "not granted")];
    world.publish(dialect, &only).await?;
    let both =
        [("topic", asked.as_str()), ("topic", &granted), ("private", "on"), ("data", "granted")];
    world.publish(dialect, &both).await?;
    next_is(&mut stream, "granted").await
}

async fn grants_do_not_subscribe(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let (asked, granted) = (world.topic(), world.topic());
    let mut stream = with_grant(world, dialect, &asked, &granted).await?;
    let other = [("topic", granted.as_str()), ("private", "on"), ("data", "not asked for")];
    world.publish(dialect, &other).await?;
    world.publish(dialect, &[("topic", &asked), ("data", "asked for")]).await?;
    next_is(&mut stream, "asked for").await
}
