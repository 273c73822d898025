//! Any text is a pattern of some kind, or rejected, and matching is fast. The first line of the
//! input is the pattern, the others are topics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_hub::{Matcher, Topic};

fuzz_target!(|input: &str| {
    let mut lines = input.lines();
    let Some(words) = lines.next() else { return };
    let topics: Vec<_> = lines.filter_map(|line| Topic::new(line).ok()).collect();
    if let Ok(matcher) = Matcher::parse(words) {
        assert_eq!(Matcher::parse(&matcher.to_string()), Ok(matcher.clone()));
        for topic in &topics {
            let is_itself = matcher.as_exact() == Some(topic);
            assert!(matcher.matches(topic) || !is_itself);
        }
    }
    tidings_mercure::fuzz::patterns(words, &topics);
});
