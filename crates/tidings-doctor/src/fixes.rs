//! The lines to change, by problem.

use std::borrow::Cow;

use crate::finding::Fix;

const fn fix(at: &'static str, line: &'static str) -> Fix {
    Fix { at, line: Cow::Borrowed(line) }
}

/// A proxy that buffers a response before it passes it on.
pub(crate) const BUFFERING: &[Fix] = &[
    fix("nginx", "proxy_buffering off; proxy_http_version 1.1;   # in the stream's location"),
    fix("Caddy", "flush_interval -1   # in the stream's reverse_proxy"),
    fix("HAProxy", "no filter or Lua that waits for the whole response; no `compression` for it"),
    fix("cloud", "AWS: an ALB, no REST API; Azure Application Gateway: response buffering off"),
    fix(
        "server",
        "send `X-Accel-Buffering: no`, which nginx obeys unless proxy_ignore_headers says \
         otherwise, and `Incremental: ?1` (RFC 10036)",
    ),
];

/// A body that is compressed on the way.
pub(crate) const COMPRESSION: &[Fix] = &[
    fix("nginx", "gzip off;   # in the location, or take text/event-stream off gzip_types"),
    fix("Caddy", "match header Content-Type text/html*   # in encode: the rest stays uncompressed"),
    fix("HAProxy", "compression type text/html text/css   # and not text/event-stream"),
    fix("cloud", "Cloudflare and others obey `Cache-Control: no-transform`"),
    fix("server", "send `Cache-Control: no-transform`; in Express, keep compression() off it"),
];

/// A silent connection that is cut.
pub(crate) const IDLE: &[Fix] = &[
    fix("nginx", "proxy_read_timeout 1h;   # 60s unless set"),
    fix("Caddy", "read_timeout 0   # in reverse_proxy's `transport http`; none unless set"),
    fix("HAProxy", "timeout server 1h   # and `timeout client 1h`, both in the stream's proxies"),
    fix("cloud", "AWS ALB: idle_timeout.timeout_seconds (60); GCP: timeoutSec (30, busy or not)"),
    fix("server", "send a comment such as `: ping` every 15 seconds"),
];

/// A browser's limit of connections per host.
pub(crate) const HTTP2: &[Fix] = &[
    fix("nginx", "listen 443 ssl; http2 on;   # before 1.25.1: listen 443 ssl http2;"),
    fix("Caddy", "hub.example   # a host name as the site's address: HTTPS, and HTTP/2 with it"),
    fix("HAProxy", "bind :443 ssl crt hub.pem alpn h2,http/1.1"),
    fix("cloud", "most load balancers speak it on HTTPS listeners by default"),
    fix("server", "or share one connection between tabs in a worker (tidings.js does)"),
];

/// Pages of `origin`, which is another one than the stream's.
pub(crate) fn cors(origin: &str) -> Vec<Fix> {
    let fix = |at, before: &str, after: &str| Fix {
        at,
        line: Cow::Owned(format!("{before} {origin}{after}")),
    };
    vec![
        fix("server", "tidings serve --cors-origin", ""),
        fix("nginx", "add_header Access-Control-Allow-Origin", " always;"),
        fix("Caddy", "header Access-Control-Allow-Origin", ""),
        fix("HAProxy", "http-response set-header Access-Control-Allow-Origin", ""),
    ]
}

/// Preflight requests.
pub(crate) const PREFLIGHT: &[Fix] = &[fix(
    "server",
    "answer OPTIONS with 204 and Access-Control-Allow-Headers: Last-Event-ID, Authorization",
)];

/// Problems that only the sender of the stream can fix.
pub(crate) const CONTENT_TYPE: &[Fix] =
    &[fix("server", "Content-Type: text/event-stream"), fix("nginx", "is it the right location?")];
pub(crate) const CACHE: &[Fix] = &[
    fix("server", "Cache-Control: no-cache"),
    fix("nginx", "proxy_cache off;   # in the stream's location"),
];
pub(crate) const FIRST_BYTES: &[Fix] =
    &[fix("server", "send a comment such as `: hello` at once, and flush it with the head")];
pub(crate) const HEARTBEAT: &[Fix] =
    &[fix("server", "send a comment such as `: ping` every 15 seconds")];
pub(crate) const IDS: &[Fix] =
    &[fix("server", "give each event an `id:`, and send what came after `Last-Event-ID`")];
pub(crate) const RESUME: &[Fix] = &[
    fix("server", "send what came after the request's `Last-Event-ID`"),
    fix("nginx", "proxy_pass_request_headers on;   # the default: does the header arrive?"),
];
pub(crate) const LOSSES: &[Fix] =
    &[fix("server", "send a subscriber with an unknown id an event that says so")];

/// A hub that orders its certificate, and has not got one yet.
pub(crate) const NO_CERTIFICATE: &[Fix] = &[
    fix("server", "its log says why and when it tries again: cannot get a certificate"),
    fix("server", "tidings check   # on its machine: what stands in the way of an order"),
];
/// A certificate that is not renewed in time.
pub(crate) const RENEWAL: &[Fix] = &[
    fix("server", "with acme-domain: its log says why it was not renewed, and when it tries again"),
    fix("server", "with tls-cert: renew the file; the hub reads it again by itself"),
];
/// A certificate that is not trusted.
pub(crate) const TRUST: &[Fix] = &[
    fix("server", "tidings serve --acme-domain HOST   # HOST as in the URL: one that all trust"),
    fix("server", "one of your own: give each client its authority (--ca-file FILE)"),
];
