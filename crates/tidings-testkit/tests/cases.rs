//! The rights of each credential, as one table: every credential × every request × every topic ×
//! both protocols, against a model of the grant that fits on a screen. What the hub answers, what
//! it delivers and what it stores are all compared.

#![allow(clippy::unwrap_used)]

mod case_table;

use case_table::{Case, World};

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
