//! Console, demo pages and tidings.js: static files embedded in the Tidings binary.
//!
//! Plain HTML, CSS and ES modules from `assets/`: no build step, nothing loaded from elsewhere. The
//! pages use the hub's public API and the browser's own `EventSource`; this crate knows nothing
//! about either. It only provides lists of [`File`]s for a server to serve under their paths.
//!
//! ```
//! let page = tidings_web::CONSOLE.iter().find(|file| file.path == "/").expect("a front page");
//! assert!(page.content_type.starts_with("text/html"));
//! ```

mod file;

pub use file::File;

/// The console at `/`, its assets, the page of the HTTP API, and `tidings.js` with its parts.
pub const CONSOLE: &[File] = &[
    file::html("/", include_str!("../assets/index.html")),
    file::css("/tidings.css", include_str!("../assets/tidings.css")),
    file::svg("/favicon.svg", include_str!("../assets/favicon.svg")),
    file::script("/chart.js", include_str!("../assets/chart.js")),
    file::css("/console/console.css", include_str!("../assets/console/console.css")),
    file::script("/console/console.js", include_str!("../assets/console/console.js")),
    file::script("/console/access.js", include_str!("../assets/console/access.js")),
    file::script("/console/tail.js", include_str!("../assets/console/tail.js")),
    file::script("/console/feed.js", include_str!("../assets/console/feed.js")),
    file::script("/console/topics.js", include_str!("../assets/console/topics.js")),
    file::script("/console/figures.js", include_str!("../assets/console/figures.js")),
    file::script("/console/hub.js", include_str!("../assets/console/hub.js")),
    file::script("/console/publish.js", include_str!("../assets/console/publish.js")),
    file::html("/docs/api", include_str!("../assets/docs/api.html")),
    file::css("/docs/api.css", include_str!("../assets/docs/api.css")),
    file::script("/tidings.js", include_str!("../assets/npm/tidings.js")),
    file::script("/tidings-state.js", include_str!("../assets/npm/tidings-state.js")),
    file::script("/tidings/connection.js", include_str!("../assets/npm/tidings/connection.js")),
    file::script("/tidings/event_blocks.js", include_str!("../assets/npm/tidings/event_blocks.js")),
    file::script("/tidings/exchange.js", include_str!("../assets/npm/tidings/exchange.js")),
    file::script("/tidings/feed.js", include_str!("../assets/npm/tidings/feed.js")),
    file::script("/tidings/hosts.js", include_str!("../assets/npm/tidings/hosts.js")),
    file::script("/tidings/limits.js", include_str!("../assets/npm/tidings/limits.js")),
    file::script("/tidings/stream.js", include_str!("../assets/npm/tidings/stream.js")),
    file::script("/tidings/topics.js", include_str!("../assets/npm/tidings/topics.js")),
    file::script("/tidings/waits.js", include_str!("../assets/npm/tidings/waits.js")),
    file::text("/tidings.d.ts", include_str!("../assets/npm/tidings.d.ts")),
    file::text("/tidings-state.d.ts", include_str!("../assets/npm/tidings-state.d.ts")),
];

/// The demo pages under `/demo/`. They need their publishers, which `tidings demo` runs.
pub const DEMO: &[File] = &[
    file::html("/demo/", include_str!("../assets/demo/index.html")),
    file::css("/demo/demo.css", include_str!("../assets/demo/demo.css")),
    file::script("/demo/demo.js", include_str!("../assets/demo/demo.js")),
    file::script("/demo/elements.js", include_str!("../assets/demo/elements.js")),
    file::script("/demo/examples.js", include_str!("../assets/demo/examples.js")),
    file::script("/demo/index.js", include_str!("../assets/demo/index.js")),
    file::script("/demo/sources.js", include_str!("../assets/demo/sources.js")),
    file::html("/demo/counter", include_str!("../assets/demo/counter.html")),
    file::script("/demo/counter.js", include_str!("../assets/demo/counter.js")),
    file::html("/demo/clock", include_str!("../assets/demo/clock.html")),
    file::script("/demo/clock.js", include_str!("../assets/demo/clock.js")),
    file::html("/demo/news", include_str!("../assets/demo/news.html")),
    file::script("/demo/news.js", include_str!("../assets/demo/news.js")),
    file::html("/demo/prices", include_str!("../assets/demo/prices.html")),
    file::script("/demo/prices.js", include_str!("../assets/demo/prices.js")),
    file::html("/demo/scores", include_str!("../assets/demo/scores.html")),
    file::script("/demo/scores.js", include_str!("../assets/demo/scores.js")),
    file::html("/demo/chat", include_str!("../assets/demo/chat.html")),
    file::script("/demo/chat.js", include_str!("../assets/demo/chat.js")),
    file::html("/demo/job", include_str!("../assets/demo/job.html")),
    file::script("/demo/job.js", include_str!("../assets/demo/job.js")),
    file::html("/demo/monitor", include_str!("../assets/demo/monitor.html")),
    file::script("/demo/monitor.js", include_str!("../assets/demo/monitor.js")),
    file::html("/demo/notifications", include_str!("../assets/demo/notifications.html")),
    file::script("/demo/notifications.js", include_str!("../assets/demo/notifications.js")),
    file::html("/demo/assistant", include_str!("../assets/demo/assistant.html")),
    file::script("/demo/assistant.js", include_str!("../assets/demo/assistant.js")),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = &'static File> {
        CONSOLE.iter().chain(DEMO)
    }

    #[test]
    fn every_path_is_absolute_and_unique() {
        let mut paths: Vec<_> = all().map(|file| file.path).collect();
        assert!(paths.iter().all(|path| path.starts_with('/')), "{paths:?}");
        let count = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), count);
    }

    #[test]
    fn pages_load_nothing_from_elsewhere_and_have_no_code_within() {
        for file in all() {
            if file.content_type.starts_with("text/javascript") {
                continue;
            }
            let mut loads =
                file.body.match_indices("src=\"").chain(file.body.match_indices("url("));
            let stays = |(at, start): (usize, &str)| {
                let target = file.body[at + start.len()..].trim_start_matches(['"', '\'']);
                target.starts_with('/') && !target.starts_with("//")
            };
            assert!(loads.all(stays), "{}", file.path);
            if file.content_type.starts_with("text/html") {
                assert!(!file.body.contains("style=\""), "{}: the policy forbids it", file.path);
                assert!(!file.body.contains("<script>"), "{}: the policy forbids it", file.path);
            }
        }
    }

    #[test]
    fn every_module_that_a_script_imports_exists() {
        let paths: Vec<_> = all().map(|file| file.path).collect();
        let mut imports = 0;
        for script in all().filter(|file| file.content_type.starts_with("text/javascript")) {
            let (folder, _) = script.path.rsplit_once('/').expect("an absolute path");
            for line in script.body.lines() {
                let named = line.split_once("from \"").or_else(|| line.split_once("import \""));
                let Some(target) = named.and_then(|(_, rest)| rest.strip_suffix("\";")) else {
                    continue;
                };
                // Modules name what is beside or below them, or begin at the root.
                let beside = target.strip_prefix("./").map(|rest| format!("{folder}/{rest}"));
                let path = beside.unwrap_or_else(|| target.to_owned());
                assert!(paths.contains(&&*path), "{}: {target}", script.path);
                imports += 1;
            }
        }
        assert!(imports >= 20, "{imports} imports were looked at");
    }

    #[test]
    fn page_and_worker_of_tidings_js_import_all_their_parts_so_that_they_are_fetched_at_once() {
        let body = |path| all().find(|file| file.path == path).expect("it is served").body;
        let exchange = "/tidings/exchange.js";
        let (page, worker) = (body("/tidings.js"), body(exchange));
        // The worker's half, which is fetched when it is wanted.
        assert!(body("/tidings/hosts.js").contains("import(\"./exchange.js\")"));
        let parts = all().filter(|file| file.path.starts_with("/tidings/"));
        for part in parts.filter(|file| file.path != exchange) {
            let beside = part.path.trim_start_matches("/tidings/");
            let is_named = page.contains(&format!("\".{}\"", part.path))
                || worker.contains(&format!("\"./{beside}\""));
            assert!(is_named, "{}", part.path);
        }
    }

    #[test]
    fn every_file_that_a_page_names_exists() {
        let paths: Vec<_> = all().map(|file| file.path).collect();
        for page in all().filter(|file| file.content_type.starts_with("text/html")) {
            for attribute in ["src=\"", "href=\""] {
                for (at, start) in page.body.match_indices(attribute) {
                    let target = &page.body[at + start.len()..];
                    let target = target.split('"').next().unwrap_or_default();
                    // The hub's own routes, and places on the page itself.
                    let elsewhere = target.starts_with('#') || target == "/openapi.json";
                    assert!(elsewhere || paths.contains(&target), "{}: {target}", page.path);
                }
            }
        }
    }
}
