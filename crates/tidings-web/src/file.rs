/// A file to be served. All are text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// Path under which it is served, from the root of the server.
    pub path: &'static str,
    /// Media type, for `Content-Type`.
    pub content_type: &'static str,
    /// Content.
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

/// An image.
pub(crate) const fn svg(path: &'static str, body: &'static str) -> File {
    File { path, content_type: "image/svg+xml", body }
}

/// A text file.
pub(crate) const fn text(path: &'static str, body: &'static str) -> File {
    File { path, content_type: "text/plain; charset=utf-8", body }
}
