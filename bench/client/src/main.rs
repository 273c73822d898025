//! Events a second that one client reads: ours, `eventsource-client` and `reqwest-eventsource`, in
//! turn in one run, from a server in this process that only writes the same bytes.
//!
//! `cargo run --release [-- EVENTS ROUNDS]`. Each client runs alone on a thread with its kind of
//! runtime; the server has another thread. The main figure is events per second of the client
//! thread's own CPU time; events per second of wall-clock time are beside it. An event is 100 bytes
//! on the wire, including id and blank line.

mod clients;
mod server;

use std::time::{Duration, Instant};

use clients::Client;
use server::{Framing, Server};

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse().expect("a number"));
    let events: u64 = args.next().unwrap_or(1_000_000);
    let rounds: u64 = args.next().unwrap_or(3);
    println!("{events} events of {} bytes, best of {rounds} rounds\n", server::EVENT_BYTES);
    println!(
        "| body arrives in | client | events per CPU second | per wall second | ns CPU/event |"
    );
    println!("|---|---|---|---|---|");
    for framing in [Framing::Batches, Framing::EventByEvent] {
        for client in Client::ALL {
            let best = (0..rounds)
                .map(|_| run(client, framing, events))
                .min_by_key(|spent| spent.cpu)
                .expect("at least one round");
            let per = |time: Duration| (events as f64 / time.as_secs_f64() / 1000.0).round();
            println!(
                "| {} | {} | {} k | {} k | {:.0} |",
                framing.name(),
                client.name(),
                per(best.cpu),
                per(best.wall),
                best.cpu.as_nanos() as f64 / events as f64,
            );
        }
    }
}

struct Spent {
    cpu: Duration,
    wall: Duration,
}

/// One client, from its first event to its last.
fn run(client: Client, framing: Framing, events: u64) -> Spent {
    let server = Server::start(framing, events);
    let url = server.url();
    // Named, for profilers.
    let thread = std::thread::Builder::new().name(client.name().to_owned());
    let reader = thread.spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (cpu, wall) = (thread_cpu(), Instant::now());
        // In a task, as in most programs: a future that `block_on` drives itself polls the sockets
        // on each wake-up, whichever client it is.
        let reading = async move { client.read(&url, events).await };
        let done = runtime.block_on(runtime.spawn(reading));
        let (count, bytes) = done.expect("the client did not panic");
        let spent = Spent { cpu: thread_cpu() - cpu, wall: wall.elapsed() };
        // A client that is fast because it skips events does not count.
        assert_eq!(count, events, "{} lost events", client.name());
        assert_eq!(bytes, events * server::DATA_BYTES as u64);
        spent
    });
    reader.expect("a thread").join().expect("the client thread")
}

fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on every Linux, and `time` is a valid place to write to.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(result, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
