//! The rows on which clients in Rust deviate from the standard, or from each other: ours.

use std::time::Duration;

use tidings_client::Backoff;

use crate::world::{Answer, Server, all, events, next, run, transcript};

#[test]
fn row_a_byte_order_mark_at_the_start_is_stripped() {
    assert_eq!(events("\u{feff}data: 1\n\n"), ["message: 1"]);
}

#[test]
fn row_a_byte_order_mark_split_over_chunks_is_stripped() {
    run(async {
        let answer = Answer::stream(b"\xef").send(b"\xbb").send(b"\xbfdata: 1\n\n");
        let server = Server::new([answer]);
        let mut source = server.source().one_shot().open().unwrap();
        assert_eq!(all(&mut source).await, ["open", "message: 1"]);
    });
}

#[test]
fn row_cr_lf_and_crlf_all_end_a_line() {
    assert_eq!(events("data: 1\rdata: 2\ndata: 3\r\n\n"), ["message: 1\n2\n3"]);
}

#[test]
fn row_a_crlf_split_over_chunks_is_one_end() {
    run(async {
        let answer = Answer::stream("data: 1\r").send("\ndata: 2\r").send("\n\r").send("\n");
        let server = Server::new([answer]);
        let mut source = server.source().one_shot().open().unwrap();
        assert_eq!(all(&mut source).await, ["open", "message: 1\n2"]);
    });
}

#[test]
fn row_a_blank_cr_at_the_end_of_a_chunk_dispatches_at_once() {
    run(async {
        let server = Server::new([Answer::stream("data: 1\r\n\r").hangs()]);
        let mut source = server.source().open().unwrap();
        assert_eq!(next(&mut source).await, "open");
        assert_eq!(next(&mut source).await, "message: 1");
    });
}

#[test]
fn row_invalid_utf8_becomes_replacement_characters_and_the_stream_goes_on() {
    assert_eq!(events(b"data: \xff\n\ndata: 2\n\n"), ["message: \u{fffd}", "message: 2"]);
}

#[test]
fn row_utf8_may_be_split_over_chunks() {
    assert_eq!(events("data: \u{1f600}é\n\n"), ["message: \u{1f600}é"]);
}

#[test]
fn row_an_id_with_nul_is_ignored() {
    assert_eq!(events("id: 1\ndata: 1\n\nid: 2\0\ndata: 2\n\n")[1], "message #1: 2");
}

#[test]
fn row_an_id_only_block_changes_the_last_id() {
    assert_eq!(events("id: 1\n\ndata: 1\n\n"), ["message #1: 1"]);
}

#[test]
fn row_the_id_of_an_unterminated_block_is_dropped() {
    run(async {
        let server = Server::new([Answer::stream("id: 1\ndata: 1\n\nid: 2\ndata: 2\n")]);
        all(&mut server.source().open().unwrap()).await;
        assert_eq!(server.seen()[1].header("last-event-id"), Some(&b"1"[..]));
    });
}

#[test]
fn row_the_id_survives_a_reconnection_for_events_without_one() {
    assert_eq!(transcript(&["id: 1\ndata: 1\n\n", "data: 2\n\n"])[4], "message #1: 2");
}

#[test]
fn row_a_retry_is_ascii_digits_only() {
    let transcript = transcript(&["retry: +5\ndata: 1\n\n"]);
    assert_eq!(transcript[2], "again in 3000 ms: the server ended the response");
}

#[test]
fn row_a_retry_without_data_is_honoured() {
    let transcript = transcript(&["data: 1\n\nretry: 140\n\n"]);
    assert_eq!(transcript[2], "again in 140 ms: the server ended the response");
}

#[test]
fn row_an_empty_data_line_dispatches_an_empty_string() {
    assert_eq!(events("data\n\ndata:\n\n"), ["message: ", "message: "]);
}

#[test]
fn row_event_without_a_colon_resets_the_type() {
    assert_eq!(events("event: x\nevent\ndata: 1\n\n"), ["message: 1"]);
}

#[test]
fn row_unknown_fields_are_ignored() {
    assert_eq!(events("foo: bar\nfoo\ndata: 1\n\n"), ["message: 1"]);
}

#[test]
fn row_an_event_has_a_size_limit_and_breaking_it_is_told_and_survived() {
    run(async {
        let long = "x".repeat(2000);
        let stream = format!("data: 1\n\nid: 7\ndata: {long}\n\ndata: 3\n\n");
        let server = Server::new([Answer::stream_in_pieces(stream, 100)]);
        let source = server.source().event_bytes_max(1000);
        let transcript = all(&mut source.open().unwrap()).await;
        assert_eq!(transcript[..4], ["open", "message: 1", "skipped", "message #7: 3"]);
        assert_eq!(server.seen()[1].header("last-event-id"), Some(&b"7"[..]));
    });
}

#[test]
fn row_sixteen_mebibytes_are_within_the_limit_unless_set() {
    run(async {
        let long = "x".repeat(16 * 1024 * 1024 - 1);
        let stream = format!("data: {long}\n\n");
        let server = Server::new([Answer::stream_in_pieces(stream, 65_536)]);
        let mut source = server.source().one_shot().open().unwrap();
        let event = source.next_event().await.unwrap().unwrap();
        assert_eq!(event.into_data().len(), long.len());
    });
}

#[test]
fn row_the_status_must_be_200() {
    run(async {
        let answer = Answer::status(201).header("content-type", "text/event-stream");
        let server = Server::new([answer.send("data: no\n\n")]);
        let transcript = all(&mut server.source().open().unwrap()).await;
        assert_eq!(transcript, ["over: the server answered 201 Created"]);
    });
}

#[test]
fn row_the_content_type_must_be_text_event_stream() {
    run(async {
        let answer = Answer::status(200).header("content-type", "text/event-stream-not");
        let server = Server::new([answer.send("data: no\n\n")]);
        let transcript = all(&mut server.source().open().unwrap()).await;
        assert_eq!(
            transcript,
            ["over: the answer is not an event stream but \"text/event-stream-not\""]
        );
    });
}

#[test]
fn row_a_204_stops_the_source_for_ever() {
    run(async {
        let server = Server::new([Answer::status(204), Answer::stream("data: no\n\n")]);
        let transcript = all(&mut server.source().open().unwrap()).await;
        assert_eq!(transcript, ["over: the server ended the stream (204)"]);
        assert_eq!(server.seen().len(), 1);
    });
}

#[test]
fn row_302_303_and_308_are_followed_and_a_location_may_be_relative() {
    for status in [302, 303, 308] {
        run(async {
            let server =
                Server::new([Answer::redirect(status, "elsewhere"), Answer::stream("data: 1\n\n")]);
            let mut source = server.source().one_shot().open().unwrap();
            assert_eq!(all(&mut source).await, ["open", "message: 1"]);
            assert_eq!(server.seen()[1].url, "http://server/elsewhere");
        });
    }
}

#[test]
fn row_an_empty_id_means_no_header() {
    run(async {
        let server = Server::new([Answer::stream("id: 1\ndata: 1\n\nid:\ndata: 2\n\n")]);
        all(&mut server.source().open().unwrap()).await;
        assert_eq!(server.seen()[1].header("last-event-id"), None);
    });
}

#[test]
fn row_a_non_ascii_id_is_raw_utf8_in_the_header() {
    run(async {
        let server = Server::new([Answer::stream("id: …\ndata: 1\n\n")]);
        all(&mut server.source().open().unwrap()).await;
        let sent = "…".as_bytes();
        assert_eq!(server.seen()[1].header("last-event-id"), Some(sent));
    });
}

#[test]
fn row_backoff_grows_with_clean_closes_and_failures_alike_and_resets() {
    run(async {
        let server = Server::new([
            Answer::no_connection(),
            Answer::stream(""),
            Answer::stream("").breaks(),
            Answer::stream("data: 1\n\n"),
        ]);
        let policy = Backoff::new().base(Duration::from_millis(100)).jitter(0.0);
        let mut source = server.source().retry_policy(policy).open().unwrap();
        let transcript = all(&mut source).await;
        let waits: Vec<_> = transcript
            .iter()
            .filter(|line| line.starts_with("again"))
            .map(|line| line.split(' ').nth(2).unwrap())
            .collect();
        assert_eq!(waits, ["100", "200", "400", "100"]);
    });
}
