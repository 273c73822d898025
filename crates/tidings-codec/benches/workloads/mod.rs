//! The workloads that decoders are timed with, and the right answers. Also used by `bench/codec`.

/// A stream that repeats one block, and the size of its chunks.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// The size of all chunks but the last, in bytes.
    pub(crate) chunk: usize,
    block: Box<dyn Fn() -> String>,
}

/// A summary of a decoder's output: enough to know that it did the work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) events: usize,
    pub(crate) data_bytes: usize,
}

impl Answer {
    #[inline]
    pub(crate) fn add(&mut self, data: &str) {
        self.events += 1;
        self.data_bytes += data.len();
    }
}

impl Workload {
    fn new(name: &'static str, chunk: usize, block: impl Fn() -> String + 'static) -> Self {
        Self { name, chunk, block: Box::new(block) }
    }

    /// The stream, a mebibyte or one block, and what is in it.
    pub(crate) fn build(&self) -> (Vec<u8>, Answer) {
        let block = (self.block)();
        let times = (1024 * 1024_usize).div_ceil(block.len());
        let lines = block.lines().filter_map(|line| line.strip_prefix("data: "));
        let answer = match lines.clone().count() {
            0 => Answer::default(),
            count => Answer {
                events: times,
                data_bytes: times * (lines.map(str::len).sum::<usize>() + count - 1),
            },
        };
        (block.repeat(times).into_bytes(), answer)
    }
}

/// A chunk as one read of a socket gives it.
const READ: usize = 16 * 1024;
/// A chunk as one TCP segment carries it.
const SEGMENT: usize = 1460;

pub(crate) fn all() -> Vec<Workload> {
    let json = || json_event(200);
    let tiny = || "data: {\"t\":\"a\"}\n\n".to_owned();
    vec![
        Workload::new("JSON, 200 B, in reads of 16 KiB", READ, json),
        Workload::new("JSON, 200 B, in segments", SEGMENT, json),
        Workload::new("JSON, 200 B, one event a chunk", json().len(), json),
        Workload::new("JSON, 200 B, chunks of 64 B", 64, json),
        Workload::new("JSON, 200 B, chunks of 7 B", 7, json),
        Workload::new("JSON, 200 B, CRLF", READ, move || json().replace('\n', "\r\n")),
        Workload::new("JSON, 200 B, with id and type", READ, move || {
            format!("event: delta\nid: k7q2ma:42\n{}", json())
        }),
        Workload::new("9 B payload, in reads of 16 KiB", READ, tiny),
        Workload::new("9 B payload, in segments", SEGMENT, tiny),
        Workload::new("9 B payload with id", READ, move || format!("id: 1234567\n{}", tiny())),
        Workload::new("keep-alives", SEGMENT, || ": keepalive\n\n".to_owned()),
        Workload::new("16 lines of 31 B", READ, sixteen_lines),
        Workload::new("16 lines, chunks of 64 B", 64, sixteen_lines),
        Workload::new("16 lines, chunks of 7 B", 7, sixteen_lines),
        Workload::new("emoji text, 250 B", READ, || {
            format!("data: {}\n\n", "día 😀 ночь 東京 ".repeat(8))
        }),
        Workload::new("4 KiB with id, chunks of 10 B", 10, || named_event(4096)),
        Workload::new("40 KiB with id, in segments", SEGMENT, || named_event(40_000)),
        Workload::new("64 KiB JSON, in reads of 16 KiB", READ, || json_event(64 * 1024)),
        Workload::new("64 KiB JSON, whole", 64 * 1024 + 8, || json_event(64 * 1024)),
        Workload::new("1 MiB line, in reads of 16 KiB", READ, || json_event(1024 * 1024)),
        Workload::new("8 MiB line, in reads of 16 KiB", READ, || json_event(8 * 1024 * 1024)),
        Workload::new("1 MiB line, chunks of 1 B", 1, || json_event(1024 * 1024)),
        Workload::new("8 MiB line, chunks of 1 B", 1, || json_event(8 * 1024 * 1024)),
    ]
}

/// An event as language models send them: a delta in an envelope, with this many bytes of data.
fn json_event(bytes: usize) -> String {
    let head = "{\"id\":\"chatcmpl-9x2Yb\",\"object\":\"chat.completion.chunk\",\
                \"created\":1726000000,\
                \"choices\":[{\"index\":0,\"delta\":{\"content\":\"";
    let tail = "\"},\"finish_reason\":null}]}";
    let fill = bytes - head.len() - tail.len();
    let tokens = "tok en ".repeat(fill.div_ceil(7));
    format!("data: {head}{}{tail}\n\n", &tokens[..fill])
}

/// An event with every field, and this many bytes of data.
fn named_event(bytes: usize) -> String {
    let words = "word".repeat(bytes / 4);
    format!("retry: 3000\nid: 42\nevent: message\ndata: payload data: {words}\n\n")
}

fn sixteen_lines() -> String {
    let line = |n| format!("data: line {n:02} of a long log message\n");
    (0..16).map(line).chain(["\n".to_owned()]).collect()
}
