//! The rights of each credential, as one table: every credential × every request × every topic ×
//! both protocols, against a model of the grant that fits on a screen. What the hub answers, what
//! it delivers and what it stores are all compared.
//!
//! # Beside the table
//!
//! What no row can say, and the tests that hold it:
//!
//! - cookies, without `Secure`: `session_edges`: a cookie without secure is set and read only
//!   where the settings say so
//! - cookies, of 3,901 bytes: `session_edges`: the longest cookie that is set is one that browsers
//!   keep
//! - cookies, two of one name; cut, or longer: `sessions`: a cookie that is not good counts as
//!   none and is removed
//! - cookies, of a session with another name: `sessions`: sessions with names are apart
//! - cookies, from a page of another origin: `sessions`: pages use no sessions but their own
//! - cookies, of a session that was ended: `sessions`: signing out closes the streams and voids
//!   every copy of the cookie
//! - cookies, renewed by another user: `sessions`: another subject prolongs no stream but ends the
//!   session before
//! - cookies, renewed with an older token: `sessions`: a token issued before the last one brings
//!   back nothing
//! - cookies, renewed just before and after the end: `session_edges`: a renewal at the very end of
//!   a session costs a reconnection at most and no event
//! - cookies, renewed while the hub leaves: `session_edges`: a renewal keeps no stream on a hub
//!   that leaves
//! - cookies, six streams over HTTP/1.1: `tests/browser/renewal.test.js`, in Chromium
//! - handles, of another stream; another subject; by a key: `renewal`: nothing changes without the
//!   handle or the right
//! - handles, of before a restart: `crates/tidings/tests/renewal.rs`: a handle of before a restart
//!   renews nothing
//! - links, a vector with another bit, field, order, case, padding, length, key: `tidings-http`,
//!   `auth/link.rs`: a link that differs in anything that is signed is refused
//! - links, milliseconds, `+5`, `05`: `auth/link.rs`: until has one spelling
//! - links, `%2f`, `%2F`, raw, in path and query: `links`: a link reads its topics however its url
//!   is spelt
//! - links, one more topic; on `POST`, Mercure, `/topics`; a key outside its topics: `links`: a
//!   link for other topics or for nothing but reading is 401
//! - pages, 16 kinds × token, cookies, nothing × each change: `foreign_pages`
//! - backends, 302, 500, HTML, 65 KiB, slow, `expires_in` 0 and -1: `authorize`: whatever is no
//!   answer lets nobody in and a browser comes back
//! - backends, `expires_in` 1e9: `tidings-http`, `authorize/answer.rs`: an answer is good for as
//!   long as it says and at most a day
//! - backends, grants more than its rule: `authorize`: an answer grants nothing outside the topics
//!   of its rule
//! - backends, two users at once: `authorize`: two users at once get each their own answer
//! - backends, no cookie: `authorize`: nobody is asked about a request without a credential or
//!   with one of the hubs own
//! - backends, away, under 1,000 streams: `authorize_streams`: a backend that is away takes no
//!   stream with it and newcomers come back by themselves (`TIDINGS_OUTAGE_SECONDS=60` is the long
//!   form)
//! - receivers, order under failures: `notify`: a receiver that was away gets everything once and
//!   in order
//! - receivers, 410: `notify`: a receiver that is gone
//! - receivers, more than fits: `notify`: what is too much for a receiver that is away is lost
//!   from its beginning and counted
//! - receivers, ten refusals: `tidings-http`, `notify/delivery.rs`: a message that is refused ten
//!   times is given up and the next says what is lost

use crate::case_table;
use crate::case_table::{Case, World};

/// The table, row by row: requests that only read come first, so that they read a known log.
fn cases() -> Vec<Case> {
    use case_table::{CREDENTIALS, PROTOCOLS, REQUESTS, TOPICS};
    let mut cases = Vec::new();
    for &request in REQUESTS {
        for &credential in CREDENTIALS {
            for &topic in TOPICS {
                for &protocol in PROTOCOLS {
                    cases.push(Case { request, credential, topic, protocol });
                }
            }
        }
    }
    cases
}

#[test]
fn every_answer_delivery_and_stored_event_is_as_the_model_of_the_grant_says() {
    for portable in [false, true] {
        let cases = cases();
        assert!(cases.len() >= 2016, "{}", cases.len());
        let disagreements = World::start(portable).run(&cases);
        assert!(
            disagreements.is_empty(),
            "{} disagreements, portable: {portable}\n{}",
            disagreements.len(),
            disagreements.join("\n")
        );
    }
}
