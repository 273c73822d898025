//! What handles requests spawns no task on the runtime that a request happens to be on: a request
//! thread has one of its own, which cuts its tasks when its connections end. The engine's
//! `background.rs` says what to use instead.

use crate::tree;

/// The packages whose code runs on request threads.
const PACKAGES: [&str; 4] = [
    "crates/tidings-engine/src/",
    "crates/tidings-http/src/",
    "crates/tidings-server/src/",
    "crates/tidings-mercure/src/",
];

/// Files that may spawn, because what they spawn ends with its runtime, or is never on a thread of
/// requests.
const ALLOWED: [&str; 7] = [
    // Chooses the runtime.
    "crates/tidings-engine/src/engine/background.rs",
    // Connections.
    "crates/tidings-http/src/listener.rs",
    // Bodies of HTTP/2, which stays with the shared runtime.
    "crates/tidings-http/src/http2_body.rs",
    // What the other hubs ask and say, which a task of the server hears.
    "crates/tidings-http/src/hubs.rs",
    "crates/tidings-server/src/hubs/answer.rs",
    "crates/tidings-server/src/hubs/sessions.rs",
    "crates/tidings-server/src/server.rs",
];

pub(super) fn check(files: &[String]) -> Vec<String> {
    let sources = files.iter().filter(|path| {
        PACKAGES.iter().any(|package| path.starts_with(package))
            && path.ends_with(".rs")
            && !path.contains("/tests")
            && !ALLOWED.contains(&path.as_str())
    });
    let found = sources.filter_map(|path| Some((path, line_of_spawn(&tree::read(path)?)?)));
    let problem = |(path, line)| {
        format!(
            "{path}:{line}: a request thread may cut this task: use `Engine::run_to_end`, or \
             `spawn_outliving`"
        )
    };
    found.map(problem).collect()
}

/// The line on which `text`, without its tests, spawns a task on the runtime that is there.
fn line_of_spawn(text: &str) -> Option<usize> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let is_spawn = |line: &str| {
        !line.trim_start().starts_with("//")
            && (line.contains("tokio::spawn(") || line.contains("task::spawn("))
    };
    code.lines().position(is_spawn).map(|place| place + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_on_the_runtime_of_the_request_is_found_outside_of_tests() {
        assert_eq!(line_of_spawn("fn a() {\n    tokio::spawn(b());\n}"), Some(2));
        assert_eq!(line_of_spawn("let task = tokio::task::spawn(b());"), Some(1));
        let in_tests = "fn a() {}\n#[cfg(test)]\nmod tests {\n    tokio::spawn(b());\n}";
        assert_eq!(line_of_spawn(in_tests), None);
        for other in ["spawn_outliving(b())", "// tokio::spawn(b())", "task::spawn_blocking(b)"] {
            assert_eq!(line_of_spawn(other), None, "{other}");
        }
    }
}
