//! Publishing.

use crate::check::{Check, checks, ensure};
use crate::dialect::Dialect;
use crate::ended::Ended;
use crate::plan::HUB;
use crate::token::{Rights, Role};
use crate::world::World;

use super::{ONE, ZERO};

pub(super) const CHECKS: &[Check] = checks! {
    answers_with_the_id [ZERO, ONE] "Publication"
        "the answer to a publish is 200 and the event's id, and nothing else";
    keeps_the_publishers_id [ZERO, ONE] "Publication"
        "a publisher's own id is the event's id";
    carries_every_field [ZERO, ONE] "Publication"
        "type, retry, id and data of several lines arrive as they were sent";
    carries_no_data [ZERO, ONE] "Publication"
        "an event without data arrives, with empty data";
    takes_any_of_its_topics [ZERO, ONE] "Publication"
        "an event with several topics reaches the subscribers of each, once";
    needs_a_topic [ZERO, ONE] "Publication" "a publish without a topic is a 400";
    needs_a_number_as_retry [ZERO, ONE] "Publication" "a retry that is not a number is a 400";
    refuses_line_ends_in_ids [ZERO, ONE] "Publication"
        "an id with a line break, which would forge fields, is a 400";
    refuses_line_ends_in_types [ZERO, ONE] "Publication" "a type with a line break is a 400";
    reserves_its_own_namespace [ZERO, ONE] "Publication"
        "topics below the hub's own path cannot be published to";
    refuses_everything_as_a_topic [ONE] "Publication" "`*` is not a topic";
    reserves_its_own_type [ONE] "Publication" "the type `mercure` is reserved";
    reserves_ids_of_its_own [ONE] "Publication"
        "an id that begins with `#`, and the id `earliest`, are rejected";
    reads_forms_only [ZERO, ONE] "Publication" "a JSON body is not accepted as an event";
    knows_no_other_methods [ZERO] "The hub" "a method that the hub does not have is a 405";
};

async fn answers_with_the_id(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let topic = world.topic();
    let answer = world.post(&world.publisher(dialect)?, &[("topic", &topic)]).await?;
    ensure!(answer.status == 200, "the status is {}: {}", answer.status, answer.body);
    ensure!(!answer.body.is_empty(), "the body is empty");
    ensure!(answer.body.trim() == answer.body, "the body is {:?}", answer.body);
    Ok(())
}

async fn keeps_the_publishers_id(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let (topic, id) = (world.topic(), world.id());
    let answered = world.publish(dialect, &[("topic", &topic), ("id", &id)]).await?;
    ensure!(answered == id, "the answer is {answered:?}");
    Ok(())
}

async fn carries_every_field(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let (topic, id) = (world.topic(), world.id());
    let token = world.listener(dialect)?;
    let mut stream = world.subscribe(&token, &[(dialect.topic_parameter(), &topic)]).await?;
    let form = [
        ("topic", topic.as_str()),
        ("type", "greeting"),
        ("retry", "4711"),
        ("id", &id),
        ("data", "one\ntwo\r\nthree\rfour"),
    ];
    world.publish(dialect, &form).await?;
    let event = stream.event().await?;
    ensure!(event.event.as_deref() == Some("greeting"), "the type is {:?}", event.event);
    ensure!(event.retry.as_deref() == Some("4711"), "the retry is {:?}", event.retry);
    ensure!(event.id.as_deref() == Some(&*id), "the id is {:?}", event.id);
    let data = event.data.as_deref();
    ensure!(data == Some("one\ntwo\nthree\nfour"), "the data is {data:?}");
    Ok(())
}

async fn carries_no_data(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let topic = world.topic();
    let token = world.listener(dialect)?;
    let mut stream = world.subscribe(&token, &[(dialect.topic_parameter(), &topic)]).await?;
    world.publish(dialect, &[("topic", &topic)]).await?;
    let event = stream.event().await?;
    ensure!(event.data.as_deref() == Some(""), "the data is {:?}", event.data);
    Ok(())
}

async fn takes_any_of_its_topics(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let (first, second) = (world.topic(), world.topic());
    let token = world.listener(dialect)?;
    let name = dialect.topic_parameter();
    let mut both = world.subscribe(&token, &[(name, &first), (name, &second)]).await?;
    let mut one = world.subscribe(&token, &[(name, &second)]).await?;
    world.publish(dialect, &[("topic", &first), ("topic", &second), ("data", "x")]).await?;
    world.publish(dialect, &[("topic", &second), ("data", "end")]).await?;
    for stream in [&mut both, &mut one] {
        for expected in ["x", "end"] {
            let data = stream.event().await?.data;
            ensure!(data.as_deref() == Some(expected), "{data:?} instead of {expected:?}");
        }
    }
    Ok(())
}

/// Checks that a publish is rejected with one of `statuses`.
async fn refused(
    world: &World,
    dialect: Dialect,
    form: &[(&str, &str)],
    statuses: &[u16],
) -> Result<(), Ended> {
    let answer = world.post(&world.publisher(dialect)?, form).await?;
    ensure!(
        statuses.contains(&answer.status),
        "the status is {} instead of {statuses:?}: {}",
        answer.status,
        answer.body
    );
    Ok(())
}

async fn needs_a_topic(world: &World, dialect: Dialect) -> Result<(), Ended> {
    refused(world, dialect, &[("data", "x")], &[400]).await
}

async fn needs_a_number_as_retry(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let topic = world.topic();
    for retry in ["soon", "-1", "1.5"] {
        refused(world, dialect, &[("topic", &topic), ("retry", retry)], &[400]).await?;
    }
    Ok(())
}

async fn refuses_line_ends_in_ids(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let topic = world.topic();
    for id in ["a\nb", "a\rb", "a\0b"] {
        refused(world, dialect, &[("topic", &topic), ("id", id)], &[400]).await?;
    }
    Ok(())
}

async fn refuses_line_ends_in_types(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let topic = world.topic();
    for name in ["a\nb", "a\rb"] {
        refused(world, dialect, &[("topic", &topic), ("type", name)], &[400]).await?;
    }
    Ok(())
}

async fn reserves_its_own_namespace(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let topic = format!("{HUB}/subscriptions/x");
    refused(world, dialect, &[("topic", &topic), ("private", "on")], &[400, 403]).await
}

async fn refuses_everything_as_a_topic(world: &World, dialect: Dialect) -> Result<(), Ended> {
    refused(world, dialect, &[("topic", "*")], &[400]).await
}

async fn reserves_its_own_type(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let topic = world.topic();
    refused(world, dialect, &[("topic", &topic), ("type", "mercure")], &[400]).await
}

async fn reserves_ids_of_its_own(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let topic = world.topic();
    for id in ["#x", "earliest"] {
        refused(world, dialect, &[("topic", &topic), ("id", id)], &[400]).await?;
    }
    Ok(())
}

async fn reads_forms_only(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let token = world.token(dialect, Role::Publisher, &Rights::publish(&["*"]))?;
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let body = format!("{{\"topic\":\"{}\",\"data\":\"x\"}}", world.topic());
    let status = world.send("POST", HUB, &headers, body).await?.status;
    ensure!([400, 415].contains(&status), "the status is {status}");
    Ok(())
}

async fn knows_no_other_methods(world: &World, _: Dialect) -> Result<(), Ended> {
    let status = world.send("DELETE", HUB, &[], "").await?.status;
    ensure!(status == 405, "the status is {status}");
    Ok(())
}
