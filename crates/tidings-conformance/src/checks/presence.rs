//! Presence: the list of subscriptions. A hub may not have it; then these checks are skipped.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::check::{Check, checks, ensure};
use crate::client::{Answer, Stream};
use crate::dialect::Dialect;
use crate::ended::Ended;
use crate::limits::PATIENCE;
use crate::plan::HUB;
use crate::token::{Rights, Role};
use crate::world::World;

use super::{ONE, ZERO};

pub(super) const CHECKS: &[Check] = checks! {
    lists_subscriptions [ZERO, ONE] "Active subscriptions"
        "the list has every subscription, as its subscriber wrote it";
    finds_one_subscription [ZERO, ONE] "Active subscriptions"
        "each subscription is a document at the URL of its id";
    finds_no_strangers [ZERO, ONE] "Active subscriptions"
        "a topic without subscribers has an empty list, and an unknown subscriber is a 404";
    forgets_who_is_gone [ZERO, ONE] "Active subscriptions"
        "a subscriber that has left is not on the list";
    shows_payloads [ZERO, ONE] "Active subscriptions" "the token's payload is shown";
    keeps_the_list_from_strangers [ZERO, ONE] "Active subscriptions"
        "the list needs a token that grants its path";
    answers_unchanged_lists [ZERO, ONE] "Active subscriptions"
        "a list that has not changed is a 304 to its ETag";
    has_a_cursor [ZERO, ONE] "Active subscriptions"
        "the list names the last event that it includes";
    tells_who_comes_and_goes [ZERO, ONE] "Subscription events"
        "each subscription is an event when it begins and when it ends";
    tells_nobody_else [ZERO, ONE] "Subscription events" "these events are private";
};

const API: &str = "/.well-known/mercure/subscriptions";

/// The list, or another document, at `path`.
async fn get(
    world: &World,
    dialect: Dialect,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<Answer, Ended> {
    let authorization = format!("Bearer {}", world.subscriber(dialect)?);
    let mut all = vec![("authorization", authorization.as_str())];
    all.extend_from_slice(headers);
    let answer = world.send("GET", path, &all, "").await?;
    if path == API && answer.status == 404 {
        return Err(Ended::Skipped("the hub has no presence API".to_owned()));
    }
    Ok(answer)
}

/// The listed subscriptions with this text.
async fn listed(world: &World, dialect: Dialect, words: &str) -> Result<Vec<Value>, Ended> {
    let answer = get(world, dialect, API, &[]).await?;
    ensure!(answer.status == 200, "the status is {}: {}", answer.status, answer.body);
    let json = answer.json()?;
    let all = json["subscriptions"].as_array().cloned().unwrap_or_default();
    Ok(all.into_iter().filter(|one| one[dialect.topic_parameter()] == words).collect())
}

/// A subscriber, and its subscription on the list.
async fn subscribed(
    world: &World,
    dialect: Dialect,
    topic: &str,
    payload: Option<Value>,
) -> Result<(Stream, Value), Ended> {
    // Checks that there is a list, before subscribing.
    get(world, dialect, API, &[]).await?;
    let topics = [topic];
    let rights = Rights { payload, ..Rights::subscribe(&topics) };
    let token = world.token(dialect, Role::Subscriber, &rights)?;
    let stream = world.subscribe(&token, &[(dialect.topic_parameter(), topic)]).await?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = listed(world, dialect, topic).await?.pop() {
            return Ok((stream, found));
        }
        ensure!(Instant::now() < deadline, "it does not appear on the list");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn lists_subscriptions(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let topic = world.topic();
    let (_stream, one) = subscribed(world, dialect, &topic, None).await?;
    ensure!(one["active"] == true, "it is not active: {one}");
    let subscriber = one["subscriber"].as_str().unwrap_or_default();
    ensure!(!subscriber.is_empty(), "it has no subscriber: {one}");
    let kind = &one["type"];
    match dialect {
        Dialect::Zero => ensure!(kind == "Subscription", "its type is {kind}"),
        Dialect::One => {
            ensure!(kind == "subscription", "its type is {kind}");
            ensure!(one["match_type"] == "exact", "its match type is {}", one["match_type"]);
        }
    }
    Ok(())
}

async fn finds_one_subscription(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let topic = world.topic();
    let (_stream, one) = subscribed(world, dialect, &topic, None).await?;
    let id = one["id"].as_str().unwrap_or_default();
    let depth = if dialect == Dialect::Zero { 2 } else { 3 };
    let segments = id.strip_prefix(API).map_or(0, |rest| rest.split('/').count() - 1);
    ensure!(segments == depth, "its id is {id:?}");
    let alone = get(world, dialect, id, &[]).await?;
    ensure!(alone.status == 200, "the status is {}", alone.status);
    let json = alone.json()?;
    ensure!(json["subscriber"] == one["subscriber"], "it is {json}");
    let media_type = alone.header("content-type").unwrap_or("none");
    let expected =
        if dialect == Dialect::Zero { "application/ld+json" } else { "application/json" };
    ensure!(media_type.starts_with(expected), "its type is {media_type}");
    // Without the last segment, the path is the list of its topic.
    let of_topic = id.rsplit_once('/').map_or(id, |(path, _)| path);
    let json = get(world, dialect, of_topic, &[]).await?.json()?;
    let count = json["subscriptions"].as_array().map_or(0, Vec::len);
    ensure!(count == 1, "the list of its topic has {count}");
    Ok(())
}

async fn finds_no_strangers(world: &World, dialect: Dialect) -> Result<(), Ended> {
    get(world, dialect, API, &[]).await?;
    let path = match dialect {
        Dialect::Zero => format!("{API}/nobody"),
        Dialect::One => format!("{API}/exact/nobody"),
    };
    let list = get(world, dialect, &path, &[]).await?;
    ensure!(list.status == 200, "the list is a {}", list.status);
    ensure!(list.json()?["subscriptions"] == json!([]), "the list is {}", list.body);
    let status = get(world, dialect, &format!("{path}/urn%3Auuid%3A0"), &[]).await?.status;
    ensure!(status == 404, "the subscriber is a {status}");
    Ok(())
}

async fn forgets_who_is_gone(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let topic = world.topic();
    let (stream, _) = subscribed(world, dialect, &topic, None).await?;
    drop(stream);
    let deadline = Instant::now() + PATIENCE;
    while !listed(world, dialect, &topic).await?.is_empty() {
        ensure!(Instant::now() < deadline, "it stays on the list");
        // Some hubs notice only when there is something to be written.
        world.publish(dialect, &[("topic", &topic), ("data", "knock")]).await?;
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn shows_payloads(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let topic = world.topic();
    let payload = json!({ "name": "k", "list": [1, 2] });
    let (_stream, one) = subscribed(world, dialect, &topic, Some(payload.clone())).await?;
    ensure!(one["payload"] == payload, "it is {one}");
    Ok(())
}

async fn keeps_the_list_from_strangers(world: &World, dialect: Dialect) -> Result<(), Ended> {
    get(world, dialect, API, &[]).await?;
    let status = world.send("GET", API, &[], "").await?.status;
    ensure!(status == 401, "without a token the status is {status}");
    let authorization = format!("Bearer {}", world.listener(dialect)?);
    let headers = [("authorization", authorization.as_str())];
    let status = world.send("GET", API, &headers, "").await?.status;
    let expected = if dialect == Dialect::Zero { [401, 403] } else { [403, 403] };
    ensure!(expected.contains(&status), "without a grant the status is {status}");
    Ok(())
}

async fn answers_unchanged_lists(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let list = get(world, dialect, API, &[]).await?;
    let Some(tag) = list.header("etag") else {
        return Err(Ended::Failed("there is no ETag".to_owned()));
    };
    let again = get(world, dialect, API, &[("if-none-match", tag)]).await?;
    // Other subscribers may come and go meanwhile.
    let is_same = again.header("etag") == Some(tag);
    ensure!(!is_same || again.status == 304, "the status is {}", again.status);
    let (_stream, _) = subscribed(world, dialect, &world.topic(), None).await?;
    let changed = get(world, dialect, API, &[("if-none-match", tag)]).await?.status;
    ensure!(changed == 200, "after a change the status is {changed}");
    Ok(())
}

async fn has_a_cursor(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let (_stream, _) = subscribed(world, dialect, &world.topic(), None).await?;
    let list = get(world, dialect, API, &[]).await?;
    match dialect {
        Dialect::Zero => {
            let cursor = &list.json()?["lastEventID"];
            ensure!(cursor.as_str().is_some_and(|id| !id.is_empty()), "lastEventID is {cursor}");
        }
        Dialect::One => {
            let link = list.header("link").unwrap_or("not there");
            ensure!(link.contains("last-event-id="), "the link is {link}");
        }
    }
    Ok(())
}

/// A stream of subscription events, and of the topic `end`.
async fn watch(world: &World, dialect: Dialect, token: &str, end: &str) -> Result<Stream, Ended> {
    let query = match dialect {
        Dialect::Zero => ("topic", format!("{HUB}/subscriptions{{/topic}}{{/subscriber}}")),
        Dialect::One => ("match_urlpattern", format!("{HUB}/subscriptions/*")),
    };
    world.subscribe(token, &[(query.0, &query.1), (dialect.topic_parameter(), end)]).await
}

async fn tells_who_comes_and_goes(world: &World, dialect: Dialect) -> Result<(), Ended> {
    get(world, dialect, API, &[]).await?;
    let (topic, end) = (world.topic(), world.topic());
    let mut watcher = watch(world, dialect, &world.subscriber(dialect)?, &end).await?;
    let (stream, _) = subscribed(world, dialect, &topic, None).await?;
    let mut stream = Some(stream);
    for active in [true, false] {
        loop {
            let event = watcher.event().await?;
            let json: Value = serde_json::from_str(&event.data.unwrap_or_default())
                .map_err(|error| Ended::Failed(format!("an event is no JSON: {error}")))?;
            // Other subscribers come and go, too.
            if json[dialect.topic_parameter()] != topic.as_str() {
                continue;
            }
            ensure!(json["active"] == active, "it is {json}");
            let expected = (dialect == Dialect::One).then_some("mercure");
            ensure!(event.event.as_deref() == expected, "its type is {:?}", event.event);
            break;
        }
        if stream.take().is_some() {
            world.publish(dialect, &[("topic", &topic), ("data", "knock")]).await?;
        }
    }
    Ok(())
}

async fn tells_nobody_else(world: &World, dialect: Dialect) -> Result<(), Ended> {
    get(world, dialect, API, &[]).await?;
    let end = world.topic();
    let mut stranger = watch(world, dialect, &world.listener(dialect)?, &end).await?;
    let (_stream, _) = subscribed(world, dialect, &world.topic(), None).await?;
    world.publish(dialect, &[("topic", &end), ("data", "end")]).await?;
    let data = stranger.event().await?.data;
    ensure!(data.as_deref() == Some("end"), "{data:?} comes");
    Ok(())
}
