//! Answers questions word by word. The answers are written beforehand; what is real is how they
//! travel: each is piped in as `text/event-stream`, as a language model's would be, on a topic of
//! its own that ends with it, or when a viewer stops it.

use std::time::Duration;

use serde_json::Value;

use super::chance::below;
use super::request::Run;
use super::{Ended, Hub};

pub(super) async fn run(hub: Hub) -> Result<(), Ended> {
    let mut questions = hub.listen("demo/questions")?;
    while let Some(question) = questions.next_event().await {
        let question = question?;
        let Ok(question) = question.json::<Value>() else { continue };
        let (Some(id), Some(text)) = (question["id"].as_str(), question["text"].as_str()) else {
            continue;
        };
        if id.len() <= 40 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            let answer = answer_to(&text.to_lowercase());
            tokio::spawn(write(hub.clone(), format!("demo/answers/{id}"), answer));
        }
    }
    Ok(())
}

async fn write(hub: Hub, topic: String, answer: &'static str) -> Result<(), Ended> {
    let mut run = Run::open(&hub, &topic, "The%20answer%20broke%20off")?;
    for word in answer.split_inclusive(' ') {
        // Stopped by a viewer: there is nothing left to write to.
        run.write(&format!("event: word\ndata: {word}\n\n")).await?;
        tokio::time::sleep(Duration::from_millis(60 + below(140) as u64)).await;
    }
    run.write("event: done\ndata: all said\n\n").await?;
    run.finish().await
}

fn answer_to(question: &str) -> &'static str {
    let about = |words: &[&str]| words.iter().any(|word| question.contains(word));
    if about(&["reload", "tab", "resume", "middle"]) {
        "Every word of this answer is an event with an id, and the hub keeps it. A page that \
         comes late asks for the topic from its beginning and gets what was said at once, then \
         the rest as it is said. A page that lost its connection sends the id of the last word \
         it has, and goes on with the next one. So reload this page now, or open it a second \
         time: nothing is missing, and nothing comes twice."
    } else if about(&["websocket", "socket", "polling"]) {
        "An answer goes one way. For that, server-sent events need nothing but HTTP: no \
         upgrade, no protocol of your own for reconnecting, and a browser that resumes by \
         itself. Take a WebSocket when both sides talk all the time, and polling when news is \
         rare and may be late."
    } else {
        "I am a few paragraphs in a program, so I cannot tell you much about that. But look at \
         how the words arrive: the program pipes an event stream into the hub with one POST, \
         each word an event. The hub stores it and passes it on to every page that shows this \
         answer. When the last word is said, the topic ends, and no page comes back. Ask \
         me about reloading this page, or about WebSockets."
    }
}
