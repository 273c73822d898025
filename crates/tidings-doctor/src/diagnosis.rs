//! From observations to problems. Pure: everything measured is an argument.

use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_LENGTH,
    CONTENT_TYPE,
};
use http::{StatusCode, Version};

use crate::finding::{Diagnosis, Severity};
use crate::fixes;
use crate::observe::{Browser, Ending, Observed, Resume, Unknown};
use crate::probe::{Head, NoAnswer};

use Severity::{Advice, Error, Warning};

/// Finds out what is wrong.
pub fn diagnose(observed: &Observed) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    match &observed.first {
        // The one that no client trusts is found below.
        Err(NoAnswer::Failed(_)) if observed.has_refused_certificate() => {}
        Err(NoAnswer::Failed(why)) => {
            diagnosis.find("unreachable", Error, "There is no connection to the server.", why, &[]);
        }
        Err(NoAnswer::Late) => no_answer(&mut diagnosis, observed),
        Ok(head) if head.is_event_stream() && head.coding().is_some() => {
            compressed_unasked(&mut diagnosis, head);
        }
        Ok(head) if head.is_event_stream() => {
            head_of_a_stream(&mut diagnosis, head);
            first_bytes(&mut diagnosis, observed, head);
            buffering(&mut diagnosis, observed);
            compression(&mut diagnosis, observed);
            endings(&mut diagnosis, observed);
            heartbeats(&mut diagnosis, observed);
            version(&mut diagnosis, observed, head);
            cors(&mut diagnosis, observed);
            resume(&mut diagnosis, observed);
        }
        Ok(head) => not_a_stream(&mut diagnosis, head),
    }
    if let Some(certificate) = &observed.certificate {
        certificate.judge(&mut diagnosis);
    }
    diagnosis.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    diagnosis
}

fn no_answer(diagnosis: &mut Diagnosis, observed: &Observed) {
    let listened = seconds(observed.listened);
    let taken = taken(observed);
    if taken > 0 {
        let evidence = format!(
            "{taken} events were published and accepted, but in {listened} not a single byte \
             came, not even the head of a response"
        );
        let title = "The stream is held back on the way, most likely by a proxy.";
        diagnosis.find("buffered", Error, title, evidence, fixes::BUFFERING);
        return;
    }
    let title = "There is no response: the server sends nothing until there is an event, or a \
                 proxy holds the stream back.";
    let evidence = format!("in {listened} not a single byte came, not even the head of a response");
    let both = [fixes::BUFFERING, fixes::FIRST_BYTES].concat();
    diagnosis.find("no-answer", Error, title, evidence, both);
    diagnosis.leave("which of the two it is (--publish would show)");
}

fn not_a_stream(diagnosis: &mut Diagnosis, head: &Head) {
    let status = head.status;
    if status == StatusCode::NO_CONTENT {
        let title = "The stream has ended, and 204 tells browsers not to come back.";
        diagnosis.find("no-content", Advice, title, status.to_string(), &[]);
    } else if status == StatusCode::OK {
        let found = head.header(CONTENT_TYPE);
        let found = found.map_or("there is no Content-Type".to_owned(), |found| {
            format!("Content-Type: {found}")
        });
        let title = "The response is not an event stream; an EventSource gives up for good.";
        diagnosis.find("content-type", Error, title, found, fixes::CONTENT_TYPE);
    } else {
        let title = "The request was rejected; any status but 200 ends an EventSource for good.";
        let mut evidence = status.to_string();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            evidence.push_str("; a token may be needed, with --header or ?token=");
        }
        diagnosis.find("status", Error, title, evidence, &[]);
    }
    diagnosis.leave("anything else: there is no event stream to listen to");
}

fn compressed_unasked(diagnosis: &mut Diagnosis, head: &Head) {
    let title = "The stream is compressed although the request asked for no compression; most \
                 programs cannot read it.";
    let coding = head.coding().unwrap_or_default();
    let evidence =
        format!("Content-Encoding: {coding}, for a request with Accept-Encoding: identity");
    diagnosis.find("compressed-unasked", Error, title, evidence, fixes::COMPRESSION);
    diagnosis.leave("anything else: the stream cannot be read");
}

fn head_of_a_stream(diagnosis: &mut Diagnosis, head: &Head) {
    let media_type = head.header(CONTENT_TYPE).unwrap_or_default();
    let charset = media_type.to_ascii_lowercase();
    let charset = charset.split_once("charset=").map(|(_, name)| name.trim_matches('"').to_owned());
    match charset {
        Some(name) if !name.starts_with("utf-8") && !name.starts_with("utf8") => {
            let title = "A charset other than UTF-8 is announced; clients read UTF-8 all the same.";
            let evidence = format!("Content-Type: {media_type}");
            diagnosis.find("charset", Warning, title, evidence, fixes::CONTENT_TYPE);
        }
        _ => diagnosis.pass("200 with Content-Type: text/event-stream"),
    }
    let cache = head.header(CACHE_CONTROL).unwrap_or_default();
    if ["no-cache", "no-store"].iter().any(|word| cache.contains(word)) {
        diagnosis.pass("not cacheable");
    } else {
        let title = "A cache on the way may store the stream and give it to another client.";
        let evidence = match cache.as_str() {
            "" => "there is no Cache-Control".to_owned(),
            cache => format!("Cache-Control: {cache}"),
        };
        diagnosis.find("cacheable", Warning, title, evidence, fixes::CACHE);
    }
    if let Some(length) = head.header(CONTENT_LENGTH) {
        let title = "The response announces its length: it is a complete document, not an open \
                     stream.";
        let evidence = format!("Content-Length: {length}");
        diagnosis.find("content-length", Warning, title, evidence, fixes::BUFFERING);
    }
    if head.redirects.len() > 1 {
        let statuses: Vec<_> = head.redirects.iter().map(StatusCode::as_str).collect();
        let title = "Each reconnection goes through several redirects.";
        diagnosis.find("redirects", Advice, title, statuses.join(", "), &[]);
    }
}

fn first_bytes(diagnosis: &mut Diagnosis, observed: &Observed, head: &Head) {
    let title = "The stream begins late: until its first bytes no client knows that it is open, \
                 and a proxy may hold back the head as well.";
    let took = head.took;
    match observed.watch.first_byte {
        _ if took > AT_ONCE => {
            let evidence = format!("the head of the response took {}", seconds(took));
            diagnosis.find("late-first-bytes", Warning, title, evidence, fixes::FIRST_BYTES);
        }
        Some(at) if at.saturating_sub(head.at) <= AT_ONCE => {
            let took = took + at.saturating_sub(head.at);
            diagnosis.pass(format!("first bytes after {}", seconds(took)));
        }
        first => {
            let evidence = match first {
                Some(at) => format!("the first came {} after the head", seconds(at - head.at)),
                None => format!("none came in {}", seconds(observed.listened)),
            };
            diagnosis.find("late-first-bytes", Warning, title, evidence, fixes::FIRST_BYTES);
        }
    }
}

fn buffering(diagnosis: &mut Diagnosis, observed: &Observed) {
    let title = "Events are held back on the way, most likely by a proxy, and arrive in bursts.";
    let watch = &observed.watch;
    if let Some(delays) = delays(observed) {
        let worst = delays.iter().copied().max().unwrap_or_default();
        let is_whole = delays.len() == taken(observed);
        if is_whole && worst <= AT_ONCE {
            return diagnosis.pass(format!(
                "{} published events came promptly, the slowest after {}",
                delays.len(),
                seconds(worst)
            ));
        }
        let last_taken = observed.published.last().map(|last| last.taken + AT_ONCE);
        let heard_later = watch.last_byte > last_taken;
        if delays.is_empty() && heard_later {
            let title = "Published events do not arrive on this stream, although it is alive: is \
                         it another topic?";
            let evidence = format!("{} were published and accepted", taken(observed));
            diagnosis.find("not-delivered", Warning, title, evidence, &[]);
        } else {
            let came = match delays.len() {
                0 => "none came".to_owned(),
                some => format!("{some} came, the slowest after {}", seconds(worst)),
            };
            let evidence =
                format!("{} events were published and accepted; {came}", taken(observed));
            diagnosis.find("buffered", Error, title, evidence, fixes::BUFFERING);
        }
        return;
    }
    let several = |count: u32| count >= 2;
    let heartbeats: Vec<_> =
        watch.clumps.iter().filter(|c| several(c.comments) || several(c.id_only)).collect();
    let most = heartbeats.iter().map(|clump| clump.comments.max(clump.id_only)).max().unwrap_or(0);
    if let Some((pause, bytes)) = watch.cuts.iter().max() {
        let evidence = format!(
            "a block was cut in the middle {} times; once the rest came {} later, after {bytes} \
             bytes",
            watch.cuts.len(),
            seconds(*pause)
        );
        let severity = if watch.cuts.len() > 1 { Error } else { Warning };
        return diagnosis.find("buffered", severity, title, evidence, fixes::BUFFERING);
    }
    if heartbeats.len() >= 2 || most >= 3 {
        let evidence = format!(
            "{most} heartbeats came at one moment, and no server sends \
             them that way"
        );
        return diagnosis.find("buffered", Error, title, evidence, fixes::BUFFERING);
    }
    let spread = |clump: &crate::watch::Clump| {
        let (from, to) = clump.times.filter(|_| clump.events >= 3)?;
        u64::try_from(to - from).ok().map(Duration::from_millis)
    };
    let spreads: Vec<_> =
        watch.clumps.iter().filter_map(spread).filter(|spread| *spread >= SPREAD).collect();
    if let Some(worst) = spreads.iter().max() {
        let evidence = format!(
            "events whose own times are up to {1} apart came together {0} times",
            spreads.len(),
            seconds(*worst)
        );
        return diagnosis.find("buffered", Warning, title, evidence, fixes::BUFFERING);
    }
    if watch.clumps.len() >= ENOUGH_CLUMPS {
        let clumps = watch.clumps.len();
        diagnosis.pass(format!("no trace of buffering in bursts at {clumps} different moments"));
    } else {
        diagnosis.leave("buffering: too few events came to see it (--publish would show)");
    }
}

fn compression(diagnosis: &mut Diagnosis, observed: &Observed) {
    let (watch, browser) = (&observed.watch, &observed.browser);
    let Some(first) = watch.first_byte else { return };
    if first + 2 * AT_ONCE > observed.listened {
        return;
    }
    let title = "Compression holds events back from clients that accept it, as browsers do.";
    if browser.head.is_none() {
        let evidence = "with `Accept-Encoding: gzip` there was no response, without it there was";
        diagnosis.find("compression-holds-back", Error, title, evidence, fixes::COMPRESSION);
        return;
    }
    let Some(encoding) = &browser.encoding else {
        return diagnosis.pass("not compressed, even if the client accepts it");
    };
    let last_seen = watch.seen.iter().flatten().max().copied();
    let is_behind =
        last_seen.is_some_and(|seen| browser.last_byte.is_none_or(|last| last + AT_ONCE < seen));
    if browser.bytes <= EMPTY_COMPRESSED_BYTES || is_behind {
        let evidence = format!(
            "Content-Encoding: {encoding}; {} bytes came with it, and {} bytes without it",
            browser.bytes, watch.bytes
        );
        diagnosis.find("compression-holds-back", Error, title, evidence, fixes::COMPRESSION);
    } else if is_compressed_by_hub(browser) {
        diagnosis.pass("compressed by the hub itself, event by event");
    } else {
        let title = "The stream is compressed for browsers. It flows now, and stops to when \
                     a server or proxy forgets to flush.";
        let evidence = format!("Content-Encoding: {encoding}");
        diagnosis.find("compressed", Advice, title, evidence, fixes::COMPRESSION);
    }
}

/// Whether a Tidings hub compressed the stream, and nobody between: what it sends first is not
/// worth compressing, so behind gzip's header it begins with a stored block. Proxies know nothing
/// of that, and compress from the first byte.
fn is_compressed_by_hub(browser: &Browser) -> bool {
    let is_of_hub =
        browser.head.as_ref().is_some_and(|head| head.header("tidings-connection").is_some());
    is_of_hub && browser.begins.starts_with(&GZIP_HEADER) && browser.begins.get(10) == Some(&0)
}

fn endings(diagnosis: &mut Diagnosis, observed: &Observed) {
    let ended = observed.connections.iter().filter_map(|connection| {
        let (at, how) = connection.ended.as_ref()?;
        let silence = at.saturating_sub(connection.last_byte);
        Some((silence, at.saturating_sub(connection.opened), matches!(how, Ending::Broken(_))))
    });
    let ended: Vec<(Duration, Duration, bool)> = ended.collect();
    if ended.is_empty() {
        return diagnosis.pass(format!("not cut in {}", seconds(observed.listened)));
    }
    let silent: Vec<_> = ended.iter().filter(|(silence, ..)| *silence >= IDLE_MIN).collect();
    let shortest = silent.iter().map(|(silence, ..)| *silence).min().unwrap_or_default();
    let longest = silent.iter().map(|(silence, ..)| *silence).max().unwrap_or_default();
    let is_regular = longest - shortest <= (longest / 5).max(IDLE_MIN / 2);
    if silent.len() >= 2 && is_regular {
        let title = "A connection that is silent for a while is cut by a timeout on the way, \
                     shorter than the heartbeat of the stream.";
        let evidence =
            format!("{} connections, each cut after {} of silence", silent.len(), seconds(longest));
        diagnosis.find("idle-cut", Error, title, evidence, fixes::IDLE);
    } else if let [(silence, _, was_broken)] = &silent[..] {
        let title = "A silent connection was ended once; if it is a timeout, heartbeats must be \
                     closer.";
        let how = if *was_broken { "broke off" } else { "ended" };
        let evidence = format!("it {how} after {} of silence", seconds(*silence));
        diagnosis.find("idle-cut", Warning, title, evidence, fixes::IDLE);
    } else {
        let lasted = ended.iter().map(|(_, lasted, _)| *lasted).max().unwrap_or_default();
        let broken = ended.iter().filter(|(.., broken)| *broken).count();
        let mut evidence = format!(
            "{} connections ended, {broken} of them uncleanly; the longest lasted {}",
            ended.len(),
            seconds(lasted)
        );
        let mut endings =
            observed.connections.iter().filter_map(|connection| connection.ended.as_ref());
        if let Some((_, Ending::Broken(why))) = endings.next_back() {
            evidence.push_str(&format!("; the last: {why}"));
        }
        let title = "The stream ends by itself, and subscribers reconnect again and again.";
        let severity = if broken > 0 || ended.len() > 2 { Warning } else { Advice };
        diagnosis.find("ends", severity, title, evidence, &[]);
    }
}

fn heartbeats(diagnosis: &mut Diagnosis, observed: &Observed) {
    let watch = &observed.watch;
    let since_last = match observed.connections.last() {
        Some(connection) if connection.ended.is_none() => {
            observed.listened.saturating_sub(connection.last_byte)
        }
        _ => Duration::ZERO,
    };
    let silence = watch.longest_pause.max(since_last);
    let beats = watch.clumps.iter().filter(|clump| clump.comments + clump.id_only > 0).count();
    if silence >= SILENCE_MAX {
        let title = "There is no heartbeat: proxies cut silent connections, many after 60 s, and \
                     neither side notices when the other is gone.";
        let evidence = format!("nothing came for {}", seconds(silence));
        diagnosis.find("no-heartbeat", Warning, title, evidence, fixes::HEARTBEAT);
    } else if beats > 0 {
        diagnosis.pass(format!("heartbeats; the longest silence was {}", seconds(silence)));
    } else {
        diagnosis.leave(format!(
            "heartbeats: the longest silence was {}, too short to need one",
            seconds(silence)
        ));
    }
}

fn version(diagnosis: &mut Diagnosis, observed: &Observed, head: &Head) {
    if head.version >= Version::HTTP_2 {
        return diagnosis.pass("HTTP/2: streams share a connection");
    }
    let title = "Over HTTP/1.1 a browser opens at most six connections to a host, all tabs \
                 together; the seventh stream waits for ever.";
    let (severity, why) = match observed.url.scheme() {
        "https" => (Warning, "HTTP/1.1 was chosen, although HTTP/2 was offered"),
        _ => (Advice, "HTTP/1.1; browsers speak HTTP/2 only over TLS"),
    };
    diagnosis.find("http1-limit", severity, title, why, fixes::HTTP2);
}

fn cors(diagnosis: &mut Diagnosis, observed: &Observed) {
    let Some(origin) = &observed.origin else {
        return diagnosis.leave("pages of other origins: give one with --origin");
    };
    let allows = |head: &Head| {
        let allowed = head.header(ACCESS_CONTROL_ALLOW_ORIGIN).unwrap_or_default();
        (allowed == "*" || allowed == *origin, allowed)
    };
    let Some(head) = &observed.browser.head else { return };
    let (is_allowed, allowed) = allows(head);
    if !is_allowed {
        let title = format!("Pages of {origin} are not allowed: their EventSource fails at once.");
        let evidence = match allowed.as_str() {
            "" => "the response has no Access-Control-Allow-Origin".to_owned(),
            allowed => format!("Access-Control-Allow-Origin: {allowed}"),
        };
        return diagnosis.find("cors", Error, title, evidence, fixes::cors(origin));
    }
    let answered = observed.preflight.as_ref().filter(|head| head.status.is_success());
    let may = answered.filter(|head| allows(head).0).map(|head| {
        let allowed = head.header(ACCESS_CONTROL_ALLOW_HEADERS).unwrap_or_default();
        let allowed = allowed.to_ascii_lowercase();
        allowed.contains("last-event-id") || allowed.trim() == "*"
    });
    if may == Some(true) {
        return diagnosis.pass(format!("pages of {origin} are allowed"));
    }
    let title = "A page that sends a token, or a long or unusual last id, sends a preflight \
                 request, which is rejected.";
    let evidence = match &observed.preflight {
        Some(head) => format!("the response to OPTIONS is {}", head.status),
        None => "there is no response to OPTIONS".to_owned(),
    };
    diagnosis.find("cors-preflight", Advice, title, evidence, fixes::PREFLIGHT);
}

fn resume(diagnosis: &mut Diagnosis, observed: &Observed) {
    let lost = "Events sent while a subscriber is away, if only for a second, are lost.";
    match &observed.resume {
        Resume::Works => diagnosis.pass("a returning subscriber gets what it missed"),
        Resume::Claimed => {
            diagnosis.pass(
                "a returning subscriber is resumed, according to the server \
                            (Tidings-Resume)",
            );
        }
        Resume::Ignored { asked_after, expected } => {
            let evidence =
                format!("asked to resume after {asked_after:?}, it did not send {expected:?}");
            let title = format!("`Last-Event-ID` is ignored. {lost}");
            return diagnosis.find("no-resume", Warning, title, evidence, fixes::RESUME);
        }
        Resume::NoIds => {
            let evidence = format!("{} events, none with an id", observed.watch.events);
            let title = format!(
                "Events have no ids, so a client cannot say what it missed. \
                                 {lost}"
            );
            return diagnosis.find("no-ids", Warning, title, evidence, fixes::IDS);
        }
        Resume::Refused(status) => {
            let title = "A subscriber that returns with a last id is rejected; a browser then \
                         stays away.";
            return diagnosis.find("resume-refused", Error, title, status, fixes::RESUME);
        }
        Resume::Untried => {
            diagnosis.leave("whether it resumes: too few events came (--publish would show)");
        }
    }
    match &observed.unknown {
        Unknown::Announced(how) => diagnosis.pass(format!("lost events are announced ({how})")),
        Unknown::Silence => {
            let title = "A subscriber that returns too late does not learn that events are \
                         missing.";
            let evidence = "with an id that cannot exist, the stream began as if nothing were \
                            missing";
            diagnosis.find("silent-losses", Advice, title, evidence, fixes::LOSSES);
        }
        Unknown::Refused(status) => {
            let title = "A subscriber that returns with an unknown id is rejected; a browser \
                         then stays away.";
            diagnosis.find("unknown-id-refused", Warning, title, status, fixes::LOSSES);
        }
        Unknown::Untried => {}
    }
}

/// Number of published events that the server accepted.
fn taken(observed: &Observed) -> usize {
    observed.published.iter().filter(|published| published.problem.is_none()).count()
}

/// Delays of the published events that came; `None` if none was published.
fn delays(observed: &Observed) -> Option<Vec<Duration>> {
    if taken(observed) == 0 {
        return None;
    }
    let pairs = observed.published.iter().zip(&observed.watch.seen);
    let pairs = pairs.filter(|(published, _)| published.problem.is_none());
    Some(pairs.filter_map(|(p, seen)| seen.map(|seen| seen.saturating_sub(p.taken))).collect())
}

/// A duration for display: `350 ms`, `2.1 s`.
pub fn seconds(duration: Duration) -> String {
    match duration.as_millis() {
        ms @ 0..1000 => format!("{ms} ms"),
        ms => format!("{:.1} s", ms as f64 / 1000.0),
    }
}

/// Delay up to which an event counts as prompt: longer than any network takes.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Difference of event times above which events should not have come together.
const SPREAD: Duration = Duration::from_secs(2);

/// Number of bursts from which on the absence of signs means that there is no buffering.
const ENOUGH_CLUMPS: usize = 3;

/// Minimum silence before the end that counts as silence.
const IDLE_MIN: Duration = Duration::from_millis(700);

/// Silence above which a heartbeat is missing; the standard recommends one every 15 seconds or so
/// (HTML §9.2.7).
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// The gzip header of a hub: no name, no time, no system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Bytes that an empty compressed body may have: the gzip header has 10 bytes.
const EMPTY_COMPRESSED_BYTES: u64 = 20;
