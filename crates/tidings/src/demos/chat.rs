//! Somebody to talk to: listens to the chat, and answers who says hello.

use serde_json::{Value, json};

use super::{Ended, Hub};

const TOPIC: &str = "demo/chat";
const NAME: &str = "Tidings";

pub(super) async fn run(hub: Hub) -> Result<(), Ended> {
    let mut chat = hub.listen(TOPIC)?;
    say(&hub, "The door is open. Say hello, or open a second window and talk to yourself.").await?;
    while let Some(event) = chat.next_event().await {
        let event = event?;
        let Ok(line) = event.json::<Value>() else { continue };
        let (name, text) = (line["name"].as_str(), line["text"].as_str());
        let (Some(name), Some(text)) = (name, text) else { continue };
        let text = text.to_lowercase();
        if name == NAME {
            continue;
        } else if ["hello", "hi", "hallo"].iter().any(|word| text.starts_with(word)) {
            say(&hub, &format!("Hello, {name}.")).await?;
        } else if text.ends_with('?') {
            say(&hub, "Good question. I only know how to say hello.").await?;
        }
    }
    Ok(())
}

async fn say(hub: &Hub, text: &str) -> Result<(), Ended> {
    let line = json!({ "name": NAME, "text": text });
    hub.publish(TOPIC, line.to_string()).await
}
