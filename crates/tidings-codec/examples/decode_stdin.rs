//! Prints the events of a stream on standard input:
//! `curl -N URL | cargo run --example decode_stdin`.

#![allow(clippy::print_stdout)] // an example prints its result

use std::io::{self, Read};

use tidings_codec::{Decoder, Item};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut decoder = Decoder::new().with_comments();
    let mut stdin = io::stdin().lock();
    let mut buffer = [0; 16 * 1024];
    loop {
        let count = stdin.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        let mut input = &buffer[..count];
        while let Some(item) = decoder.next(&mut input)? {
            match item {
                Item::Event(event) => {
                    println!("{} {:?}", event.event_type(), event.data());
                }
                Item::Comment(text) => println!("({text})"),
                other => println!("{other:?}"),
            }
        }
    }
    decoder.end_of_stream();
    println!("last event id: {:?}", decoder.last_event_id());
    if let Some(time) = decoder.reconnection_time() {
        println!("reconnection time: {time:?}");
    }
    Ok(())
}
