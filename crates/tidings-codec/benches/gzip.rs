//! Sizes and times of events that are compressed once for all their readers, with our deflater and
//! with `miniz_oxide`. The text is JSON as services send it, with random values.
//!
//! `cargo bench -p tidings-codec --bench gzip`

#![allow(clippy::print_stdout)] // prints a table
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a bench has a clock

use std::hint::black_box;
use std::time::Instant;

use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params,
};
use tidings_codec::gzip::{Checksum, Deflater};

const EVENTS: usize = 4000;
/// A reader that has just arrived can read one event in this many.
const KEY_EVERY: usize = 32;

fn main() {
    println!("| events | compressed by | alone | 10 a block | shared | µs, alone | µs, shared |");
    println!("|---|---|--:|--:|--:|--:|--:|");
    for fields in [1, 4, 26] {
        let events: Vec<_> = (0..EVENTS).map(|n| event(n as u64, fields)).collect();
        let plain: usize = events.iter().map(String::len).sum();
        let mean = plain / EVENTS;
        let ours = Ours(Deflater::new());
        row(&format!("{mean} B"), "ours", &events, plain, ours);
        for level in [1, 6] {
            row(
                &format!("{mean} B"),
                &format!("miniz_oxide {level}"),
                &events,
                plain,
                miniz(level),
            );
        }
    }
    let text = event(1, 100).repeat(100);
    let start = Instant::now();
    for _ in 0..100 {
        black_box(Checksum::of(black_box(text.as_bytes())));
    }
    let bytes = 100.0 * text.len() as f64;
    println!("\nCRC-32: {:.0} MB/s", bytes / start.elapsed().as_secs_f64() / 1e6);
}

trait Compressor {
    fn forget(&mut self);
    fn block(&mut self, out: &mut Vec<u8>, text: &[u8]);
}

struct Ours(Deflater);

impl Compressor for Ours {
    fn forget(&mut self) {
        self.0.forget();
    }

    fn block(&mut self, out: &mut Vec<u8>, text: &[u8]) {
        self.0.block(out, text);
    }
}

struct Miniz(Box<CompressorOxide>);

fn miniz(level: i32) -> Miniz {
    let flags = create_comp_flags_from_zip_params(level, -15, 0);
    Miniz(Box::new(CompressorOxide::new(flags)))
}

impl Compressor for Miniz {
    fn forget(&mut self) {
        self.0.reset();
    }

    fn block(&mut self, out: &mut Vec<u8>, text: &[u8]) {
        let take = |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            true
        };
        let (_, read) = compress_to_output(&mut self.0, text, TDEFLFlush::Sync, take);
        assert_eq!(read, text.len());
    }
}

fn row(name: &str, maker: &str, events: &[String], plain: usize, mut compressor: impl Compressor) {
    let saved = |bytes: usize| format!("{:.0} %", 100.0 - 100.0 * bytes as f64 / plain as f64);
    let mut run = |texts: &[String], key_every: usize| {
        let mut best = f64::MAX;
        let mut bytes = 0;
        for _ in 0..5 {
            let start = Instant::now();
            bytes = 0;
            for (number, text) in texts.iter().enumerate() {
                if number.is_multiple_of(key_every) {
                    compressor.forget();
                }
                let mut out = Vec::with_capacity(1024);
                compressor.block(&mut out, text.as_bytes());
                bytes += black_box(out).len();
            }
            best = best.min(start.elapsed().as_secs_f64());
        }
        (bytes, format!("{:.1}", best * 1e6 / texts.len() as f64))
    };
    let (alone, alone_time) = run(events, 1);
    let pages: Vec<String> = events.chunks(10).map(|ten| ten.concat()).collect();
    let (page, _) = run(&pages, 1);
    let (shared, shared_time) = run(events, KEY_EVERY);
    let (alone, page, shared) = (saved(alone), saved(page), saved(shared));
    println!("| {name} | {maker} | {alone} | {page} | {shared} | {alone_time} | {shared_time} |");
}

/// An event whose JSON has this many fields with values of their own.
fn event(number: u64, fields: u64) -> String {
    let mut seed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let names = ["price", "volume", "bid", "ask", "updated", "status", "region"];
    let words = ["open", "closed", "pending", "shipped", "returned"];
    let mut json = format!("{{\"item\":\"item-{}\"", random(500));
    for field in 0..fields {
        let name = names[field as usize % names.len()];
        match field % 3 {
            0 => json += &format!(",\"{name}_{field}\":{}.{:02}", random(10_000), random(100)),
            1 => json += &format!(",\"{name}_{field}\":{}", random(1_000_000)),
            _ => json += &format!(",\"{name}_{field}\":\"{}\"", words[random(5) as usize]),
        }
    }
    format!("event: quote\nid: k7q2ma:{}\ndata: {json}}}\n\n", 100_000 + number)
}
