//! Tokens: where they are accepted, and which are rejected.

use serde_json::{Value, json};

use crate::check::{Check, checks, ensure};
use crate::client::Answer;
use crate::dialect::Dialect;
use crate::ended::Ended;
use crate::plan::HUB;
use crate::token::{self, Rights, Role};
use crate::world::{BEARER, FORM, World, encoded, target};

use super::{ONE, ZERO};

pub(super) const CHECKS: &[Check] = checks! {
    needs_a_token_to_publish [ZERO, ONE] "Authorization" "a publish without a token is a 401";
    refuses_a_foreign_signature [ZERO, ONE] "Authorization"
        "a token signed with another key is a 401";
    refuses_an_expired_token [ZERO, ONE] "Authorization"
        "a token whose `exp` is in the past is a 401";
    refuses_an_early_token [ZERO, ONE] "Authorization"
        "a token whose `nbf` is in the future is a 401";
    refuses_no_signature [ZERO, ONE] "Authorization" "a token with `alg: none` is a 401";
    refuses_bad_tokens_of_subscribers [ZERO, ONE] "Authorization"
        "a subscriber with a bad token is a 401, even where none is needed";
    refuses_other_schemes [ZERO, ONE] "Authorization"
        "an Authorization header without a bearer token is rejected";
    covers_every_topic [ZERO, ONE] "Authorization"
        "a publish is rejected unless the token covers each of its topics";
    needs_a_grant_to_publish [ZERO, ONE] "Authorization"
        "a token that only permits subscribing cannot publish";
    takes_tokens_of_cookies [ZERO, ONE] "Authorization" "a subscriber's token may be in a cookie";
    needs_an_origin_with_a_cookie [ZERO, ONE] "Authorization"
        "a publish with a cookie and without an origin is rejected";
    takes_tokens_of_queries [ZERO] "Authorization" "a token may be in `?authorization=`";
    takes_the_namespaced_claim [ZERO] "Authorization"
        "the claim may be named https://mercure.rocks/";
    needs_an_end [ONE] "Authorization" "a token without `exp` is a 401";
    needs_a_known_issuer [ONE] "Authorization" "a token from an unknown issuer is a 401";
    needs_its_own_audience [ONE] "Authorization" "a token for another audience is a 401";
    takes_one_of_several_audiences [ONE] "Authorization" "the hub may be one of several audiences";
    refuses_broken_details [ONE] "Authorization"
        "a token with a malformed entry in authorization_details is rejected";
    ignores_details_of_others [ONE] "Authorization" "entries of other types are ignored";
    says_how_to_get_in [ONE] "Authorization"
        "a 401 or 403 has a challenge that points to the metadata";
    describes_itself [ONE] "Authorization" "the metadata names the resource (RFC 9728)";
};

/// The answer to a publish with this token.
async fn publish_with(world: &World, token: &str) -> Result<Answer, Ended> {
    world.post(token, &[("topic", &world.topic()), ("data", "x")]).await
}

/// The claims of a valid publisher's token, changed.
fn changed(
    world: &World,
    dialect: Dialect,
    change: impl FnOnce(&mut Value),
) -> Result<String, Ended> {
    world.check_issuer(dialect)?;
    let mut claims = token::claims(&world.plan, dialect, &Rights::publish(&["*"]));
    change(&mut claims);
    Ok(token::sign(&world.plan, dialect, Role::Publisher, &claims))
}

/// Checks that a publish with this token is a 401, and one with a valid token is not.
async fn is_refused(world: &World, dialect: Dialect, token: &str) -> Result<(), Ended> {
    let good = publish_with(world, &world.publisher(dialect)?).await?.status;
    ensure!(good == 200, "a good token is answered with {good}");
    let status = publish_with(world, token).await?.status;
    ensure!(status == 401, "the status is {status}");
    Ok(())
}

async fn needs_a_token_to_publish(world: &World, _: Dialect) -> Result<(), Ended> {
    let form = encoded(&[("topic", &world.topic())]);
    let status = world.send("POST", HUB, &[FORM], form).await?.status;
    ensure!(status == 401, "the status is {status}");
    Ok(())
}

async fn refuses_a_foreign_signature(world: &World, dialect: Dialect) -> Result<(), Ended> {
    world.check_issuer(dialect)?;
    let claims = token::claims(&world.plan, dialect, &Rights::publish(&["*"]));
    let foreign = token::sign_with(b"a key that this hub has never seen before", dialect, &claims);
    is_refused(world, dialect, &foreign).await
}

async fn refuses_an_expired_token(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let end = token::now() - 10;
    let token = changed(world, dialect, |claims| claims["exp"] = json!(end))?;
    is_refused(world, dialect, &token).await
}

async fn refuses_an_early_token(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let begin = token::now() + 600;
    let token = changed(world, dialect, |claims| claims["nbf"] = json!(begin))?;
    is_refused(world, dialect, &token).await
}

async fn refuses_no_signature(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let good = world.publisher(dialect)?;
    let claims = good.split('.').nth(1).unwrap_or_default();
    // {"alg":"none","typ":"JWT"} and {"alg":"none","typ":"at+jwt"}
    let head = match dialect {
        Dialect::Zero => "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0",
        Dialect::One => "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0",
    };
    is_refused(world, dialect, &format!("{head}.{claims}.")).await
}

async fn refuses_bad_tokens_of_subscribers(world: &World, dialect: Dialect) -> Result<(), Ended> {
    world.check_issuer(dialect)?;
    let claims = token::claims(&world.plan, dialect, &Rights::subscribe(&["*"]));
    let foreign = token::sign_with(b"a key that this hub has never seen before", dialect, &claims);
    let authorization = format!("Bearer {foreign}");
    let query = target(&[(dialect.topic_parameter(), &world.topic())]);
    let stream = world.open("GET", &query, &[(BEARER, authorization.as_str())], "").await?;
    ensure!(stream.status == 401, "the status is {}", stream.status);
    Ok(())
}

async fn refuses_other_schemes(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let expected: &[u16] = if dialect == Dialect::Zero { &[401] } else { &[400, 401] };
    let basic = "Basic Y29uZm9ybWFuY2U6Y29uZm9ybWFuY2UgY29uZm9ybWFuY2U=";
    let form = encoded(&[("topic", &world.topic())]);
    let status = world.send("POST", HUB, &[FORM, (BEARER, basic)], form).await?.status;
    ensure!(expected.contains(&status), "the status is {status}");
    Ok(())
}

async fn covers_every_topic(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let (covered, other) = (world.topic(), world.topic());
    let token = world.token(dialect, Role::Publisher, &Rights::publish(&[&covered]))?;
    let status = world.post(&token, &[("topic", &covered)]).await?.status;
    ensure!(status == 200, "a topic that is covered is answered with {status}");
    let answer = world.post(&token, &[("topic", &covered), ("topic", &other)]).await?;
    let expected = dialect.not_granted();
    ensure!(expected.contains(&answer.status), "the status is {}", answer.status);
    Ok(())
}

async fn needs_a_grant_to_publish(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let token = world.token(dialect, Role::Publisher, &Rights::subscribe(&["*"]))?;
    let status = publish_with(world, &token).await?.status;
    ensure!(dialect.not_granted().contains(&status), "the status is {status}");
    Ok(())
}

async fn takes_tokens_of_cookies(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let topic = world.topic();
    let token = world.token(dialect, Role::Subscriber, &Rights::subscribe(&[&topic]))?;
    let cookie = format!("other=1; {}={token}", dialect.cookie());
    let query = target(&[(dialect.topic_parameter(), &topic)]);
    let mut stream = world.open("GET", &query, &[("cookie", &cookie)], "").await?;
    ensure!(stream.status == 200, "the status is {}", stream.status);
    ensure!(stream.begins().await, "the stream does not begin");
    let form = [("topic", topic.as_str()), ("private", "on"), ("data", "secret")];
    world.publish(dialect, &form).await?;
    let data = stream.event().await?.data;
    ensure!(data.as_deref() == Some("secret"), "{data:?} comes");
    Ok(())
}

async fn needs_an_origin_with_a_cookie(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let cookie = format!("{}={}", dialect.cookie(), world.publisher(dialect)?);
    let form = encoded(&[("topic", &world.topic())]);
    let answer = world.send("POST", HUB, &[FORM, ("cookie", &cookie)], form).await?;
    ensure!([400, 401, 403].contains(&answer.status), "the status is {}", answer.status);
    Ok(())
}

async fn takes_tokens_of_queries(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let topic = world.topic();
    let token = world.token(dialect, Role::Subscriber, &Rights::subscribe(&[&topic]))?;
    let query = target(&[("topic", &topic), ("authorization", &token)]);
    let mut stream = world.open("GET", &query, &[], "").await?;
    ensure!(stream.status == 200, "the status is {}", stream.status);
    let form = [("topic", topic.as_str()), ("private", "on"), ("data", "secret")];
    world.publish(dialect, &form).await?;
    let data = stream.event().await?.data;
    ensure!(data.as_deref() == Some("secret"), "{data:?} comes");
    Ok(())
}

async fn takes_the_namespaced_claim(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let token = changed(world, dialect, |claims| {
        claims["https://mercure.rocks/"] = claims["mercure"].take();
    })?;
    let answer = publish_with(world, &token).await?;
    ensure!(answer.status == 200, "the status is {}: {}", answer.status, answer.body);
    Ok(())
}

async fn needs_an_end(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let token = changed(world, dialect, |claims| {
        claims.as_object_mut().map(|claims| claims.remove("exp"));
    })?;
    is_refused(world, dialect, &token).await
}

async fn needs_a_known_issuer(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let token = changed(world, dialect, |claims| claims["iss"] = json!("https://other.example"))?;
    is_refused(world, dialect, &token).await
}

async fn needs_its_own_audience(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let token = changed(world, dialect, |claims| claims["aud"] = json!("https://other.example"))?;
    is_refused(world, dialect, &token).await
}

async fn takes_one_of_several_audiences(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let audience = world.plan.audience();
    let token = changed(world, dialect, |claims| {
        claims["aud"] = json!(["https://other.example", audience]);
    })?;
    let answer = publish_with(world, &token).await?;
    ensure!(answer.status == 200, "the status is {}: {}", answer.status, answer.body);
    Ok(())
}

async fn refuses_broken_details(world: &World, dialect: Dialect) -> Result<(), Ended> {
    for broken in [json!(["*"]), json!([]), json!([{ "match": "" }]), json!("*")] {
        let token = changed(world, dialect, |claims| {
            let mut entry = claims["authorization_details"][0].clone();
            entry["topics"] = broken;
            if let Some(entries) = claims["authorization_details"].as_array_mut() {
                entries.push(entry);
            }
        })?;
        is_refused(world, dialect, &token).await?;
    }
    Ok(())
}

async fn ignores_details_of_others(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let token = changed(world, dialect, |claims| {
        if let Some(entries) = claims["authorization_details"].as_array_mut() {
            entries.push(json!({ "type": "https://other.example/", "topics": 5 }));
        }
    })?;
    let answer = publish_with(world, &token).await?;
    ensure!(answer.status == 200, "the status is {}: {}", answer.status, answer.body);
    Ok(())
}

async fn says_how_to_get_in(world: &World, dialect: Dialect) -> Result<(), Ended> {
    let topic = world.topic();
    let token = world.token(dialect, Role::Publisher, &Rights::publish(&[&topic]))?;
    let expired = changed(world, dialect, |claims| claims["exp"] = json!(token::now() - 10))?;
    for (token, error) in [(token, "insufficient_scope"), (expired, "invalid_token")] {
        let answer = publish_with(world, &token).await?;
        let challenge = answer.header("www-authenticate").unwrap_or("none");
        ensure!(challenge.starts_with("Bearer"), "the challenge is {challenge}");
        ensure!(challenge.contains(error), "{error} is not in {challenge}");
        ensure!(challenge.contains("resource_metadata="), "no metadata in {challenge}");
    }
    Ok(())
}

async fn describes_itself(world: &World, _: Dialect) -> Result<(), Ended> {
    let path = "/.well-known/oauth-protected-resource/.well-known/mercure";
    let answer = world.send("GET", path, &[], "").await?;
    ensure!(answer.status == 200, "the status is {}", answer.status);
    let json = answer.json()?;
    ensure!(json["resource"].is_string(), "no resource in {json}");
    let types = &json["authorization_details_types_supported"];
    ensure!(types[0] == "https://mercure.rocks/authorization-detail", "the types are {types}");
    Ok(())
}
