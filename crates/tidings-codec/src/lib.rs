//! Bytes to server-sent events and back: the text/event-stream format, no I/O
