//! The same feed over four transports: `transports server PORT` is a plain server that speaks all
//! of them, and `transports load …` is a thousand clients that count what they get.
//! `bench/transports/run` puts them together.

mod feed;
mod load;
mod server;

use std::env::args;

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let words: Vec<String> = args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["server", port] => server::run(port.parse()?),
        ["load", server, transport, address, clients, rate, seconds, pid] => {
            let plan = load::Plan {
                dialect: load::Dialect::named(server, transport).ok_or("no such transport")?,
                address: address.parse()?,
                clients: clients.parse()?,
                events_per_second: rate.parse()?,
                seconds: seconds.parse()?,
                server_pid: pid.parse()?,
            };
            println!("{}", load::run(plan)?);
            Ok(())
        }
        _ => Err(
            "transports server PORT | load tidings|plain sse|websocket|long|short ADDRESS CLIENTS \
                  EVENTS_PER_SECOND SECONDS SERVER_PID"
                .into(),
        ),
    }
}
