//! Lines 1 to 21: from bytes to events, through the whole client and in pieces of every size.

use std::time::Duration;

use tidings_client::Item;

use crate::world::{Answer, Server, all, events, next, run, transcript};

#[test]
fn line_01_the_stream_is_utf8_whatever_its_charset_says() {
    let transcript = run(async {
        let answer = Answer::status(200)
            .header("content-type", "text/event-stream;charset=windows-1252")
            .send("data: ok…\n\n");
        let server = Server::new([answer]);
        all(&mut server.source().one_shot().open().unwrap()).await
    });
    assert_eq!(transcript, ["open", "message: ok…"]);
}

#[test]
fn line_02_one_byte_order_mark_is_stripped_and_only_at_the_start() {
    assert_eq!(events("\u{feff}data: 1\n\n"), ["message: 1"]);
    assert_eq!(events("\u{feff}\u{feff}data: 1\n\ndata: 2\n\n"), ["message: 2"]);
    assert_eq!(
        events("\u{feff}data: 1\n\n\u{feff}data: 2\n\ndata: 3\n\n"),
        ["message: 1", "message: 3"]
    );
    assert_eq!(events("data: \u{feff}1\n\n"), ["message: \u{feff}1"]);
    assert!(events("\u{feff}").is_empty());
}

#[test]
fn line_02_each_connection_may_begin_with_a_byte_order_mark() {
    let transcript = transcript(&["\u{feff}data: 1\n\n", "\u{feff}data: 2\n\n"]);
    assert_eq!(transcript[1], "message: 1");
    assert_eq!(transcript[4], "message: 2");
}

#[test]
fn line_03_ill_formed_utf8_becomes_replacement_characters() {
    assert_eq!(events(b"data: a\xffb\n\n"), ["message: a\u{fffd}b"]);
    assert_eq!(events(b"data: \xf0\x9f\x98\n\n"), ["message: \u{fffd}"]);
    assert_eq!(events(b"data: \xed\xa0\x80\n\n"), ["message: \u{fffd}\u{fffd}\u{fffd}"]);
    assert_eq!(events(b"data: \xc0\xaf\n\n"), ["message: \u{fffd}\u{fffd}"]);
    assert_eq!(events(b"da\xffta: 1\ndata: 2\n\n"), ["message: 2"]);
    assert_eq!(events(b"id: \xff\ndata: 1\n\n"), ["message #\u{fffd}: 1"]);
}

#[test]
fn line_04_cr_lf_and_crlf_end_lines_and_nothing_else_does() {
    assert_eq!(events("data: 1\r\ndata: 2\r\n\r\n"), ["message: 1\n2"]);
    assert_eq!(events("data: 1\rdata: 2\r\r"), ["message: 1\n2"]);
    assert_eq!(events("data: 1\ndata: 2\n\n"), ["message: 1\n2"]);
    assert_eq!(events("data: 1\r\n\rdata: 2\n\r\n"), ["message: 1", "message: 2"]);
    assert_eq!(events("data: 1\n\rdata: 2\r\r\n"), ["message: 1", "message: 2"]);
    let one_line = "a\u{2028}b\u{85}c\u{b}d\u{c}e";
    assert_eq!(events(format!("data: {one_line}\n\n")), [format!("message: {one_line}")]);
}

#[test]
fn line_05_an_event_is_not_held_back_for_a_line_feed_that_may_follow() {
    run(async {
        let answer =
            Answer::stream("data: 1\r\r").wait(Duration::from_secs(1)).send("\ndata: 2\n\n");
        let server = Server::new([answer]);
        let mut source = server.source().one_shot().open().unwrap();
        let began = tokio::time::Instant::now();
        assert_eq!(next(&mut source).await, "open");
        assert_eq!(next(&mut source).await, "message: 1");
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(next(&mut source).await, "message: 2");
    });
}

#[test]
fn line_06_a_block_that_the_end_cuts_off_is_dropped_with_its_id() {
    for cut in ["id: 2\ndata: 2\n", "id: 2\ndata: 2", "id: 2\n", "id: 2"] {
        run(async {
            let stream = format!("id: 1\ndata: 1\n\n{cut}");
            let server = Server::new([Answer::stream(stream)]);
            let transcript = all(&mut server.source().open().unwrap()).await;
            assert_eq!(transcript[1], "message #1: 1");
            assert!(transcript[2].starts_with("again"), "{cut:?}");
            assert_eq!(server.seen()[1].header("last-event-id"), Some(&b"1"[..]));
        });
    }
    assert_eq!(events("data: 1\r\n\r"), ["message: 1"]);
}

#[test]
fn line_07_a_blank_line_dispatches() {
    assert_eq!(events("data: 1\n\n\n\ndata: 2\n\n"), ["message: 1", "message: 2"]);
}

#[test]
fn line_08_comments_are_ignored_and_end_no_block() {
    let long = "x".repeat(2048);
    let stream = format!("data:1\n:\n:\0\n:{long}\r:data: no\ndata:2\n\n");
    assert_eq!(events(stream), ["message: 1\n2"]);
}

#[test]
fn line_08_comments_are_yielded_at_once_to_those_who_ask() {
    run(async {
        let answer = Answer::stream(": one\ndata: x\n:two\n").hangs();
        let server = Server::new([answer]);
        let mut source = server.source().comments(true).open().unwrap();
        assert_eq!(next(&mut source).await, "open");
        assert_eq!(next(&mut source).await, "comment: one");
        assert_eq!(next(&mut source).await, "comment: two");
    });
}

#[test]
fn line_09_one_space_after_the_colon_is_removed_and_no_more() {
    assert_eq!(events("data:1\ndata: 2\ndata:  3\ndata:\t4\n\n"), ["message: 1\n2\n 3\n\t4"]);
}

#[test]
fn line_10_a_line_without_a_colon_is_a_name_with_an_empty_value() {
    assert_eq!(events("data\n\n"), ["message: "]);
    assert_eq!(events("event: x\nevent\ndata: 1\n\n"), ["message: 1"]);
}

#[test]
fn line_11_names_are_exact() {
    for other in ["Data: 1", " data: 1", "data : 1", "\u{feff}data: 1", "da\0ta: 1"] {
        assert_eq!(events(format!("data: 0\n{other}\n\n")), ["message: 0"], "{other:?}");
    }
}

#[test]
fn line_12_the_last_event_field_names_the_type_and_an_empty_one_resets_it() {
    assert_eq!(events("event: a\nevent: b\ndata: 1\n\n"), ["b: 1"]);
    assert_eq!(events("event: a\nevent:\ndata: 1\n\n"), ["message: 1"]);
}

#[test]
fn line_13_each_data_field_is_a_line_of_the_data() {
    assert_eq!(events("data\ndata:\ndata: 1\n\n"), ["message: \n\n1"]);
}

#[test]
fn line_14_the_last_id_without_nul_counts_and_an_empty_one_resets() {
    assert_eq!(events("id: 1\nid: 2\ndata: x\n\n"), ["message #2: x"]);
    assert_eq!(events("id: 1\nid: \x002\ndata: x\n\n"), ["message #1: x"]);
    assert_eq!(events("id: 1\ndata: x\n\nid\ndata: y\n\n"), ["message #1: x", "message: y"]);
    assert_eq!(events("id: a b …\ndata: x\n\n"), ["message #a b …: x"]);
}

#[test]
fn line_15_a_retry_of_digits_counts_at_once_even_without_an_event() {
    for (field, wait) in [
        ("retry: 3000", 3000),
        ("retry:03000", 3000),
        ("retry: 86400000", 86_400_000),
        // The shortest and the longest that a server can impose.
        ("retry:0", 100),
        ("retry: 99", 100),
        ("retry: 5000\nretry: +5", 5000),
        ("retry: 5000\nretry: -1", 5000),
        ("retry: 5000\nretry: 1.5", 5000),
        ("retry: 5000\nretry:  1", 5000),
        ("retry: 5000\nretry: 1000x", 5000),
        ("retry: 5000\nretry:", 5000),
        ("retry: 5000\nretry", 5000),
        ("retry: 5000\nretry: \u{661}", 5000),
        ("retry: 86400001", 86_400_000),
        ("retry: 18446744073709551616", 86_400_000),
    ] {
        // Neither a blank line nor the rest of the block follows.
        let transcript = transcript(&[&format!("data: x\n\n{field}\n")]);
        let expected = format!("again in {wait} ms: the server ended the response");
        assert_eq!(transcript[2], expected, "{field:?}");
    }
}

#[test]
fn line_16_other_fields_are_ignored() {
    assert_eq!(events("x: y\ndata: 1\nfoo\n\n"), ["message: 1"]);
}

#[test]
fn line_17_a_block_of_nothing_but_an_id_moves_the_last_event_id() {
    run(async {
        let server = Server::new([Answer::stream("id: 1\n\n")]);
        let mut source = server.source().open().unwrap();
        all(&mut source).await;
        assert_eq!(server.seen()[1].header("last-event-id"), Some(&b"1"[..]));
    });
    assert_eq!(events("id: 1\n\ndata: x\n\ndata: y\n\n"), ["message #1: x", "message #1: y"]);
}

#[test]
fn line_18_a_block_without_data_is_no_event_and_leaks_no_type() {
    assert_eq!(events("event: a\n\ndata: 1\n\n"), ["message: 1"]);
    assert_eq!(events("data\n\ndata: 1\n\n"), ["message: ", "message: 1"]);
}

#[test]
fn line_19_one_final_line_feed_is_removed() {
    assert_eq!(events("data:\ndata:\n\n"), ["message: \n"]);
}

#[test]
fn line_20_an_event_has_type_last_event_id_and_the_origin_of_the_final_url() {
    run(async {
        let server = Server::new([
            Answer::redirect(302, "https://other:8443/x"),
            Answer::stream("id: 7\nevent: tick\ndata: 1\n\n"),
        ]);
        let mut source = server.source().open().unwrap();
        let event = source.next_event().await.unwrap().unwrap();
        assert_eq!(event.event_type(), "tick");
        assert_eq!(event.last_event_id().unwrap().as_str(), "7");
        assert_eq!(event.origin(), "https://other:8443");
    });
}

#[test]
fn line_21_nothing_is_dispatched_after_close_not_even_from_the_same_chunk() {
    run(async {
        let server = Server::new([Answer::stream("data: 1\n\ndata: 2\n\n").hangs()]);
        let mut source = server.source().open().unwrap();
        let handle = source.handle();
        while let Some(item) = source.next().await {
            if let Item::Event(event) = item.unwrap() {
                assert_eq!(event.data(), "1");
                handle.close();
            }
        }
        assert_eq!(server.seen().len(), 1);
    });
}
