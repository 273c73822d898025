//! Lines 39 to 44: what the codec writes is what the client reads.

use std::time::Duration;

use tidings_client::{Event, EventId, EventType, InvalidField};
use tidings_codec::encode;

use crate::world::{Answer, Server, all, events, next, run};

fn written(event: &Event) -> Vec<u8> {
    let mut wire = Vec::new();
    event.encode(&mut wire);
    wire
}

#[test]
fn line_39_what_is_written_has_no_byte_order_mark() {
    assert_eq!(written(&Event::new("\u{feff}x")), "data: \u{feff}x\n\n".as_bytes());
    assert_eq!(events(written(&Event::new("\u{feff}x"))), ["message: \u{feff}x"]);
}

#[test]
fn line_40_comments_keep_an_idle_connection_alive() {
    run(async {
        let second = Duration::from_secs(1);
        let mut answer = Answer::stream("");
        for _ in 0..100 {
            answer = answer.wait(15 * second).send(": ping\n\n");
        }
        let server = Server::new([answer.send("data: 1\n\n")]);
        let mut source = server.source().idle_timeout(20 * second).open().unwrap();
        assert_eq!(next(&mut source).await, "open");
        assert_eq!(next(&mut source).await, "message: 1");
    });
}

#[test]
fn line_40_a_connection_without_any_sign_of_life_is_lost() {
    run(async {
        let server = Server::new([
            Answer::stream("data: 1\n\n").hangs(),
            Answer::stream("").delayed(Duration::from_secs(60)),
        ]);
        let source = server.source().idle_timeout(Duration::from_secs(20));
        let transcript = all(&mut source.open().unwrap()).await;
        assert_eq!(
            transcript,
            [
                "open",
                "message: 1",
                "again in 3000 ms: nothing was received for 20s",
                "again in 6000 ms: nothing was received for 20s",
                "over: the server ended the stream (204)",
            ]
        );
    });
}

#[test]
fn line_40_what_arrived_in_time_counts_however_late_it_is_read() {
    run(async {
        let answer = Answer::stream("data: 1\n\n").send("data: 2\n\n").hangs();
        let server = Server::new([answer]);
        let mut source = server.source().idle_timeout(Duration::from_secs(20)).open().unwrap();
        assert_eq!(next(&mut source).await, "open");
        assert_eq!(next(&mut source).await, "message: 1");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(next(&mut source).await, "message: 2");
    });
}

#[test]
fn line_41_a_204_on_reconnecting_ends_the_source() {
    run(async {
        let server = Server::new([Answer::stream("event: end\ndata:\n\n"), Answer::status(204)]);
        let transcript = all(&mut server.source().open().unwrap()).await;
        assert_eq!(transcript.last().unwrap(), "over: the server ended the stream (204)");
        assert_eq!(server.seen().len(), 2);
    });
}

#[test]
fn line_42_data_of_several_lines_arrives_as_it_was_but_for_cr() {
    assert_eq!(events(written(&Event::new("a\n b\n\nc"))), ["message: a\n b\n\nc"]);
    assert_eq!(events(written(&Event::new("a\r\nb\rc"))), ["message: a\nb\nc"]);
}

#[test]
fn line_43_an_id_or_a_type_that_would_forge_fields_cannot_be_made() {
    let forged = "1\ndata: forged\n\n";
    assert_eq!(EventId::new(forged), Err(InvalidField::LineBreak { at: 1 }));
    assert_eq!(EventType::new(forged), Err(InvalidField::LineBreak { at: 1 }));
    assert_eq!(EventId::new("a\0"), Err(InvalidField::Nul { at: 1 }));
}

#[test]
fn line_44_empty_data_and_a_trailing_line_feed_arrive() {
    assert_eq!(events(written(&Event::new(""))), ["message: "]);
    assert_eq!(events(written(&Event::new("a\n"))), ["message: a\n"]);
    assert_eq!(events(written(&Event::new("\n\n"))), ["message: \n\n"]);
}

#[test]
fn every_block_the_codec_writes_is_understood() {
    let mut wire = Vec::new();
    encode::comment(&mut wire, "hello");
    encode::retry(&mut wire, 250);
    encode::id_only(&mut wire, &EventId::new("7").unwrap());
    Event::new("x").encode(&mut wire);
    assert_eq!(events(wire), ["message #7: x"]);
}
