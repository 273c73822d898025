/// A file as a server serves it. All are text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// The path it is served under, from the root of the server.
    pub path: &'static str,
    /// Its media type, for `Content-Type`.
    pub content_type: &'static str,
    /// What is in it.
    pub body: &'static str,
}

/// A page.
pub(crate) const fn html(path: &'static str, body: &'static str) -> File {
    File { path, content_type: "text/html; charset=utf-8", body }
}

/// A style sheet.
pub(crate) const fn css(path: &'static str, body: &'static str) -> File {
    File { path, content_type: "text/css; charset=utf-8", body }
}

/// An ES module.
pub(crate) const fn script(path: &'static str, body: &'static str) -> File {
    File { path, content_type: "text/javascript; charset=utf-8", body }
}

/// A picture.
pub(crate) const fn svg(path: &'static str, body: &'static str) -> File {
    File { path, content_type: "image/svg+xml", body }
}

/// Something to read.
pub(crate) const fn text(path: &'static str, body: &'static str) -> File {
    File { path, content_type: "text/plain; charset=utf-8", body }
}
