//! Event streams (HTML §9.2.6), as far as the checks need them.

/// An event, with every field as received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) event: Option<String>,
    pub(crate) retry: Option<String>,
    /// Data lines, joined.
    pub(crate) data: Option<String>,
}

/// Splits bytes into events.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    buffer: Vec<u8>,
    /// Whether any byte has come.
    pub(crate) is_begun: bool,
}

impl Reader {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.is_begun |= !bytes.is_empty();
        self.buffer.extend_from_slice(bytes);
    }

    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// The next event: a block that has data.
    pub(crate) fn next(&mut self) -> Option<Event> {
        loop {
            let end = self.buffer.windows(2).position(|two| two == b"\n\n")?;
            let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let event = Event::parse(&String::from_utf8_lossy(&block));
            if event.data.is_some() {
                return Some(event);
            }
        }
    }
}

impl Event {
    fn parse(block: &str) -> Self {
        let mut event = Self::default();
        for line in block.lines() {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "id" => event.id = Some(value.to_owned()),
                "event" => event.event = Some(value.to_owned()),
                "retry" => event.retry = Some(value.to_owned()),
                "data" => match &mut event.data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                    None => event.data = Some(value.to_owned()),
                },
                _ => {}
            }
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_with_data_are_events_wherever_the_bytes_are_cut() {
        let text = b":\n\nid: 1\nevent: e\nretry: 5\ndata: a\ndata: b\n\nid: 2\n\ndata:x\n\nid: 3";
        for cut in 0..text.len() {
            let mut reader = Reader::default();
            let mut events = Vec::new();
            for part in [&text[..cut], &text[cut..]] {
                reader.push(part);
                events.extend(std::iter::from_fn(|| reader.next()));
            }
            assert_eq!(events.len(), 2, "{cut}");
            assert_eq!(events[0].data.as_deref(), Some("a\nb"));
            assert_eq!(events[0].retry.as_deref(), Some("5"));
            assert_eq!(events[1], Event { data: Some("x".into()), ..Event::default() });
        }
    }
}
