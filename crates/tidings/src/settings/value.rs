//! Parsers for the texts of settings. Errors are fragments that say what would be right.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use tidings_hub::Sharing;
use tidings_store_disk::Durability;
use tracing_subscriber::EnvFilter;

use crate::store_kind::StoreKind;

/// An IP address and a port; a port alone, or one of `localhost`, is one of this machine.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Ok(port) = text.strip_prefix("localhost:").unwrap_or(text).parse::<u16>() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let port = |start: &str| text.strip_prefix(start)?.parse::<u16>().ok();
    let bare_ip = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    Err(match (port(":").or(port("*:")), bare_ip, text.split_once("://")) {
        (Some(port), ..) => format!(
            "{text:?} does not say which address: give 127.0.0.1:{port} for this machine only, or \
             0.0.0.0:{port} (with IPv6 [::]:{port}) for others too"
        ),
        (_, Ok(ip), _) => {
            format!("{text:?} has no port: give such as {}", SocketAddr::new(ip, 3000))
        }
        (_, _, Some((_, rest))) => {
            let rest = rest.trim_end_matches('/');
            format!("{text:?} is a URL: give the address alone, such as {rest}")
        }
        _ => format!(
            "{text:?} is not an address: give IP and port, such as 127.0.0.1:3000 or [::1]:3000, \
             or a port of this machine, such as 3000"
        ),
    })
}

/// A mail address as a URL (RFC 6068).
pub(super) fn mail_url(text: &str) -> Result<String, String> {
    let address = text.strip_prefix("mailto:").unwrap_or(text);
    let is_sound = |c: char| c.is_ascii_graphic() && !matches!(c, ',' | '<' | '>' | '"');
    match address.split_once('@') {
        Some((name, host)) if !name.is_empty() && host.contains('.') => {}
        _ => return Err(format!("{text:?} is not a mail address")),
    }
    match address.chars().all(is_sound) {
        true => Ok(format!("mailto:{address}")),
        false => Err(format!("{text:?} is not one mail address alone")),
    }
}

/// A word in printable ASCII.
pub(super) fn word(text: &str) -> Result<String, String> {
    let is_word = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
    if is_word { Ok(text.to_owned()) } else { Err(format!("{text:?} is not one word")) }
}

pub(super) fn store(text: &str) -> Result<StoreKind, String> {
    match text {
        "disk" => Ok(StoreKind::Disk),
        "memory" => Ok(StoreKind::Memory),
        "nats" => Ok(StoreKind::Nats),
        _ => Err(one_of(text, &["disk", "memory", "nats"])),
    }
}

/// `None` is `memory`, which was a durability before it was a store of its own.
pub(super) fn durability(text: &str) -> Result<Option<Durability>, String> {
    match text {
        "fsync" => Ok(Some(Durability::Fsync)),
        "os" => Ok(Some(Durability::Os)),
        "memory" => Ok(None),
        _ => Err(one_of(text, &["fsync", "os"])),
    }
}

/// `None` compresses nothing.
pub(super) fn compression(text: &str) -> Result<Option<Sharing>, String> {
    match text {
        "off" => Ok(None),
        "public" => Ok(Some(Sharing::Topic)),
        "all" => Ok(Some(Sharing::All)),
        _ => Err(one_of(text, &["off", "public", "all"])),
    }
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(one_of(text, &["true", "false"])),
    }
}

pub(super) fn portable(text: &str) -> Result<bool, String> {
    match text {
        "auto" => Ok(false),
        "portable" => Ok(true),
        _ => Err(one_of(text, &["auto", "portable"])),
    }
}

pub(super) fn log_json(text: &str) -> Result<bool, String> {
    match text {
        "human" => Ok(false),
        "json" => Ok(true),
        _ => Err(one_of(text, &["human", "json"])),
    }
}

pub(super) fn log_filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(format!(
            "{text:?} is not a log filter: give error, warn, info, debug, trace or off, \
             or a list such as warn,tidings=debug"
        )),
    }
}

pub(super) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(format!("{text:?} is not a number of at least 1")),
    }
}

pub(super) fn auto_or_count(text: &str) -> Result<Option<usize>, String> {
    match text {
        "auto" => Ok(None),
        _ => count(text)
            .map(Some)
            .map_err(|_| format!("{text:?} is neither \"auto\" nor a number of at least 1")),
    }
}

pub(super) fn unlimited_or_count(text: &str) -> Result<Option<NonZeroU32>, String> {
    match text {
        "unlimited" => Ok(None),
        _ => text
            .parse()
            .map(Some)
            .map_err(|_| format!("{text:?} is neither \"unlimited\" nor a number of at least 1")),
    }
}

pub(super) fn unlimited_or_bytes(text: &str) -> Result<Option<NonZeroU64>, String> {
    match text {
        "unlimited" => Ok(None),
        _ => parse_bytes(text).map(NonZeroU64::new),
    }
}

pub(crate) fn never_or_duration(text: &str) -> Result<Option<Duration>, String> {
    match text {
        "never" => Ok(None),
        _ => parse_duration(text).map(Some),
    }
}

/// A duration of more than nothing.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = parse_duration_or_zero(text)?;
    if duration.is_zero() { Err("must be more than zero".to_owned()) } else { Ok(duration) }
}

/// `1h30m`: numbers with units, the larger before the smaller.
pub(super) fn parse_duration_or_zero(text: &str) -> Result<Duration, String> {
    let invalid = || {
        format!(
            "{text:?} is not a duration: give a number with a unit, such as 500ms, 15s, 1h30m, 7d"
        )
    };
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut millis: u64 = 0;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let (number, after) = split_number(rest);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let unit = DURATION_UNITS.iter().find(|(name, _)| *name == unit);
        let (_, unit_millis) = unit.ok_or_else(invalid)?;
        let part = number.parse::<u64>().ok().and_then(|n| n.checked_mul(*unit_millis));
        let sum = part.and_then(|part| millis.checked_add(part));
        if *unit_millis >= last_unit {
            return Err(invalid());
        }
        (millis, last_unit, rest) = (sum.ok_or_else(invalid)?, *unit_millis, after);
    }
    if text.is_empty() || millis > DURATION_MAX {
        return Err(invalid());
    }
    Ok(Duration::from_millis(millis))
}

/// `1GiB`, `64 KiB`, `4096`.
pub(super) fn parse_bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split_number(text);
    let unit = unit.trim();
    let factor = match unit {
        "" | "B" => Some(1),
        _ => BYTE_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor),
    };
    let bytes = factor.and_then(|factor| number.parse::<u64>().ok()?.checked_mul(factor));
    match bytes {
        Some(0) => Err("must be more than zero".to_owned()),
        Some(bytes) => Ok(bytes),
        None => Err(format!(
            "{text:?} is not a size: give a number of bytes, or such as 64KiB, 1GiB, 10GB"
        )),
    }
}

/// A duration in words: `7 days`, `1 minute`; what does not come out even, in a smaller unit.
pub(crate) fn duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let words = [("day", DAY), ("hour", HOUR), ("minute", MINUTE), ("second", 1000)];
    let even = words.iter().find(|(_, unit)| millis >= *unit && millis.is_multiple_of(*unit));
    match even {
        Some((word, unit)) if millis == *unit => format!("1 {word}"),
        Some((word, unit)) => format!("{} {word}s", millis / unit),
        None => format!("{millis} ms"),
    }
}

/// A size in words: `1 GiB`; what does not come out even, in a smaller unit.
pub(crate) fn bytes(bytes: u64) -> String {
    let even = BYTE_UNITS.iter().filter(|(_, factor)| bytes.is_multiple_of(*factor));
    let even = even.max_by_key(|(_, factor)| factor);
    match even {
        Some((name, factor)) => format!("{} {name}", bytes / factor),
        None => format!("{bytes} bytes"),
    }
}

/// A text as TOML: numbers and booleans bare, the rest in quotes.
pub(super) fn quote(text: &str) -> String {
    if text.parse::<u64>().is_ok() || matches!(text, "true" | "false") {
        return text.to_owned();
    }
    format!("{text:?}")
}

fn split_number(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn one_of(text: &str, allowed: &[&str]) -> String {
    format!("{text:?} is none of {}", allowed.join(", "))
}

const MINUTE: u64 = 60 * 1000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A hundred years: more is a typing error, and would not fit every clock.
const DURATION_MAX: u64 = 36_525 * DAY;

const DURATION_UNITS: [(&str, u64); 6] =
    [("ms", 1), ("s", 1000), ("m", MINUTE), ("h", HOUR), ("d", DAY), ("w", 7 * DAY)];

const BYTE_UNITS: [(&str, u64); 8] = [
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_port_alone_is_one_of_this_machine_and_what_is_ambiguous_is_named() {
        for text in ["8080", "localhost:8080", "127.0.0.1:8080"] {
            assert_eq!(address(text).unwrap(), SocketAddr::from(([127, 0, 0, 1], 8080)), "{text}");
        }
        assert_eq!(address("[::1]:0").unwrap().to_string(), "[::1]:0");
        for (text, part) in [
            (":8080", "127.0.0.1:8080 for this machine only, or 0.0.0.0:8080"),
            ("*:8080", "0.0.0.0:8080"),
            ("::1", "has no port: give such as [::1]:3000"),
            ("0.0.0.0", "has no port: give such as 0.0.0.0:3000"),
            ("http://127.0.0.1:80/", "give the address alone, such as 127.0.0.1:80"),
            ("99999", "is not an address"),
            ("-1", "is not an address"),
            ("hub.example:80", "is not an address"),
            ("", "is not an address"),
        ] {
            let error = address(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, millis) in
            [("500ms", 500), ("15s", 15_000), ("1h30m", 5_400_000), ("7d", 604_800_000)]
        {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in ["", "15", "s", "-1s", "1.5s", "30m1h", "1s1s", "1 s", "99999999999d", "0s"] {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
        assert_eq!(parse_duration_or_zero("0s").unwrap(), Duration::ZERO);
    }

    #[test]
    fn sizes_are_numbers_with_or_without_units() {
        for (text, size) in [("4096", 4096), ("64 KiB", 65536), ("1GiB", 1 << 30), ("10kB", 0)] {
            assert_eq!(parse_bytes(text).unwrap_or(0), size, "{text}");
        }
        for text in ["", "0", "GiB", "1.5GiB", "-1", "99999999TiB"] {
            assert!(parse_bytes(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_shown_to_people_comes_out_even() {
        assert_eq!(duration(Duration::from_secs(604_800)), "7 days");
        assert_eq!(duration(Duration::from_secs(90)), "90 seconds");
        assert_eq!(duration(Duration::from_millis(1)), "1 ms");
        assert_eq!(bytes(1 << 30), "1 GiB");
        assert_eq!(bytes(10_000_000_000), "10 GB");
        assert_eq!(bytes(4097), "4097 bytes");
    }
}
