//! Publishes each line of standard input: `cargo run --example publish -- http://127.0.0.1:8080 x`

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::stdin;

use tidings_client::{Event, Publisher};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(hub), Some(topic)) = (args.next(), args.next()) else {
        return Err("usage: publish <hub> <topic>".into());
    };
    let publisher = Publisher::new(&hub)?;
    for line in stdin().lines() {
        let published = publisher.publish(&topic, &Event::new(line?)).await?;
        println!("{}", published.id);
    }
    Ok(())
}
