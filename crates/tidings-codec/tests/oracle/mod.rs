//! The standard's algorithm, word for word and without regard to speed: the reference for the
//! decoder.
//!
//! It takes the whole stream at once, so nothing can go wrong at the edges of chunks. The
//! quotations are from HTML §9.2.6, "Interpreting an event stream", and §9.2.5.

/// One item of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Event {
        event_type: String,
        data: String,
        last_event_id: String,
        /// The id of the block itself, for programs that pass events on; not in the standard.
        id: Option<String>,
        /// Likewise the reconnection time.
        retry_ms: Option<u64>,
    },
    /// The standard says to ignore comments; we can return them, less one space.
    Comment(String),
}

/// All items of a stream, and the state after its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub heard: Vec<Heard>,
    pub last_event_id: String,
    pub retry_ms: Option<u64>,
}

/// A client's view of one connection, given its last event id from before.
pub(crate) fn interpret(stream: &[u8], last_event_id: &str) -> Outcome {
    // "Streams must be decoded using the UTF-8 decode algorithm." It "strips one leading UTF-8 Byte
    // Order Mark, if any".
    let text = String::from_utf8_lossy(stream);
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);

    let mut source = Source {
        data: String::new(),
        event_type: String::new(),
        id: last_event_id.to_owned(),
        block_id: None,
        block_retry_ms: None,
        outcome: Outcome {
            heard: Vec::new(),
            last_event_id: last_event_id.to_owned(),
            retry_ms: None,
        },
    };
    // "Lines must be separated by either a U+000D U+000A pair, a single U+000A, or a single
    // U+000D."
    let mut line = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' => {
                characters.next_if_eq(&'\n');
                source.line(&std::mem::take(&mut line));
            }
            '\n' => source.line(&std::mem::take(&mut line)),
            other => line.push(other),
        }
    }
    // "Once the end of the file is reached, any pending data must be discarded. (If the file ends
    // in the middle of an event, before the final empty line, the incomplete event is not
    // dispatched.)" Nor is a line without a line end processed, because `stream = [ bom ] *event`
    // requires the end.
    source.outcome
}

struct Source {
    data: String,
    event_type: String,
    id: String,
    block_id: Option<String>,
    block_retry_ms: Option<u64>,
    outcome: Outcome,
}

impl Source {
    fn line(&mut self, line: &str) {
        if line.is_empty() {
            // "If the line is empty (a blank line): Dispatch the event."
            self.dispatch();
        } else if let Some(comment) = line.strip_prefix(':') {
            // "If the line starts with a U+003A COLON character (:): Ignore the line."
            let comment = comment.strip_prefix(' ').unwrap_or(comment);
            self.outcome.heard.push(Heard::Comment(comment.to_owned()));
        } else if let Some((field, value)) = line.split_once(':') {
            // "If value starts with a U+0020 SPACE character, remove it from value."
            self.field(field, value.strip_prefix(' ').unwrap_or(value));
        } else {
            // "using the whole line as the field name, and the empty string as the field value"
            self.field(line, "");
        }
    }

    fn field(&mut self, name: &str, value: &str) {
        match name {
            "event" => self.event_type = value.to_owned(),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            // "If the field value does not contain U+0000 NULL"
            "id" if !value.contains('\0') => {
                self.id = value.to_owned();
                self.block_id = Some(value.to_owned());
            }
            // "If the field value consists of only ASCII digits"
            "retry" if !value.is_empty() && value.chars().all(|digit| digit.is_ascii_digit()) => {
                let ms = value.parse().unwrap_or(u64::MAX);
                self.outcome.retry_ms = Some(ms);
                self.block_retry_ms = Some(ms);
            }
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        // Step 1: "Set the last event ID string of the event source to the value of the last event
        // ID buffer. The buffer does not get reset".
        self.outcome.last_event_id = self.id.clone();
        let id = self.block_id.take();
        let retry_ms = self.block_retry_ms.take();
        // Step 2: "If the data buffer is an empty string, set the data buffer and the event type
        // buffer to the empty string and return."
        if self.data.is_empty() {
            self.event_type.clear();
            return;
        }
        // Step 3: "If the data buffer's last character is a U+000A LINE FEED (LF) character, then
        // remove the last character from the data buffer."
        self.data.pop();
        // Steps 4 to 8.
        let event_type = std::mem::take(&mut self.event_type);
        self.outcome.heard.push(Heard::Event {
            event_type: if event_type.is_empty() { "message".to_owned() } else { event_type },
            data: std::mem::take(&mut self.data),
            last_event_id: self.outcome.last_event_id.clone(),
            id,
            retry_ms,
        });
    }
}
