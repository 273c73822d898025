//! Prints the items of an event source: `cargo run --example subscribe --
//! http://127.0.0.1:8080/events/x`

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;

use tidings_client::{EventSource, Item};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: subscribe <url>")?;
    let mut source = EventSource::builder(&url).comments(true).open()?;
    while let Some(item) = source.next().await {
        match item? {
            Item::Open(open) => eprintln!("open: {}", open.url),
            Item::Event(event) => println!("{}: {}", event.event_type(), event.data()),
            Item::Comment(text) => eprintln!("comment: {text}"),
            Item::Reconnecting(lost) => eprintln!("{}, again in {:?}", lost.cause, lost.wait),
            _ => {}
        }
    }
    Ok(())
}
