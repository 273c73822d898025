//! The HTTP API as a web page that the hub serves, from its description (OpenAPI 3.2). Plain HTML:
//! it needs no script.

use std::fmt::Write as _;

use serde_json::Value;

use crate::reference::{self, Operation};

/// The page at `/docs/api`.
pub(crate) fn page(api: &Value) -> String {
    let operations = reference::operations(api);
    for operation in &operations {
        let groups = GROUPS.iter().filter(|group| group.has(operation)).count();
        assert_eq!(groups, 1, "{}: put its path into one group of `GROUPS`", operation.name);
    }
    let mut page = HEAD.to_owned();
    page.push_str("<nav class=\"card\" aria-label=\"Requests\">\n");
    for group in GROUPS {
        push(&mut page, format_args!("<h2>{}</h2>\n<ul>\n", group.title));
        for operation in operations.iter().filter(|operation| group.has(operation)) {
            let (id, name) = (anchor(&operation.name), escape(&operation.name));
            push(&mut page, format_args!("<li><a href=\"#{id}\"><code>{name}</code></a></li>\n"));
        }
        page.push_str("</ul>\n");
    }
    page.push_str("<p><a href=\"#problems\">Problems</a></p>\n</nav>\n<main>\n");
    let about = reference::text(&api["info"]["description"]);
    push(&mut page, format_args!("<p>{} {MORE}</p>\n", prose(about)));
    for group in GROUPS {
        for operation in operations.iter().filter(|operation| group.has(operation)) {
            section(&mut page, api, operation);
        }
    }
    problems(&mut page, api);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// Requests that are listed together.
struct Group {
    title: &'static str,
    /// The beginning of their paths.
    paths: &'static [&'static str],
}

impl Group {
    fn has(&self, operation: &Operation<'_>) -> bool {
        self.paths.iter().any(|path| operation.path.starts_with(path))
    }
}

const GROUPS: [Group; 6] = [
    Group { title: "Events", paths: &["/events"] },
    Group { title: "Topics and counters", paths: &["/topics", "/stats", "/metrics"] },
    Group { title: "Subscribers", paths: &["/connections", "/denials"] },
    Group { title: "Sessions and links", paths: &["/session", "/links"] },
    Group { title: "Health and description", paths: &["/healthz", "/readyz", "/openapi.json"] },
    Group { title: "Mercure", paths: &["/.well-known"] },
];

fn section(page: &mut String, api: &Value, operation: &Operation<'_>) {
    let (id, name) = (anchor(&operation.name), escape(&operation.name));
    let value = operation.value;
    push(
        page,
        format_args!(
            "<section class=\"card\" id=\"{id}\">\n<h2><code>{name}</code></h2>\n\
             <p><strong>{}.</strong> {}</p>\n",
            prose(reference::text(&value["summary"])),
            prose(reference::text(&value["description"]))
        ),
    );
    if let Some((_, example)) = EXAMPLES.iter().find(|(of, _)| *of == operation.name) {
        push(
            page,
            format_args!(
                "<pre tabindex=\"0\" aria-label=\"Example\"><code>{}</code></pre>\n",
                escape(example)
            ),
        );
    }
    let parameters = operation.parameters(api);
    if !parameters.is_empty() {
        let rows = parameters.iter().map(|parameter| {
            let text = |name: &str| reference::text(&parameter[name]);
            let bounds = reference::bounds(&parameter["schema"]);
            let meaning = prose(&format!("{}{bounds}", text("description")));
            format!(
                "<td><code>{}</code></td><td>{}</td><td>{meaning}</td>",
                escape(text("name")),
                text("in")
            )
        });
        table(page, "Parameters", &["Parameter", "In", "Meaning"], rows);
    }
    let bodies: Vec<_> = reference::entries(&value["requestBody"]["content"])
        .map(|(kind, _)| format!("<code>{}</code>", escape(kind)))
        .collect();
    if !bodies.is_empty() {
        push(page, format_args!("<p>Takes {}.</p>\n", bodies.join(", ")));
    }
    let rows = reference::entries(&value["responses"]).map(|(status, response)| {
        let response = reference::resolve(api, response);
        let kinds: Vec<_> = reference::entries(&response["content"])
            .map(|(kind, _)| format!("<code>{}</code>", escape(kind)))
            .collect();
        let meaning = prose(reference::text(&response["description"]));
        format!("<td>{status}</td><td>{meaning} {}</td>", kinds.join(", "))
    });
    table(page, "Answers", &["Status", "Meaning"], rows);
    page.push_str("</section>\n");
}

fn problems(page: &mut String, api: &Value) {
    page.push_str(
        "<section class=\"card\" id=\"problems\">\n<h2>Problems</h2>\n\
         <p>Errors are problem details (RFC 9457), with these codes:</p>\n<ul class=\"codes\">\n",
    );
    let codes = &api["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
    for code in codes.as_array().into_iter().flatten() {
        push(page, format_args!("<li><code>{}</code></li>\n", escape(reference::text(code))));
    }
    page.push_str("</ul>\n</section>\n");
}

fn table(page: &mut String, label: &str, head: &[&str], rows: impl Iterator<Item = String>) {
    push(
        page,
        format_args!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{label}\">\n\
             <table>\n<thead><tr>"
        ),
    );
    head.iter().for_each(|name| push(page, format_args!("<th scope=\"col\">{name}</th>")));
    page.push_str("</tr></thead>\n<tbody>\n");
    rows.for_each(|row| push(page, format_args!("<tr>{row}</tr>\n")));
    page.push_str("</tbody>\n</table>\n</div>\n");
}

/// A sentence with `code` in it.
fn prose(text: &str) -> String {
    let parts = escape(text).split('`').map(str::to_owned).collect::<Vec<_>>();
    let marked = parts.iter().enumerate().map(|(at, part)| match at % 2 {
        0 => part.clone(),
        _ => format!("<code>{part}</code>"),
    });
    marked.collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// `GET /events/{topic}` is `get-events-topic`.
fn anchor(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

fn push(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("a String takes every write");
}

/// A request for each that people begin with.
const EXAMPLES: [(&str, &str); 7] = [
    ("GET /events/{topic}", "curl -N http://127.0.0.1:3000/events/hello"),
    ("GET /events", "curl -N 'http://127.0.0.1:3000/events?topic=news/*&topic=alerts&last=10'"),
    ("POST /events/{topic}", "curl -d world http://127.0.0.1:3000/events/hello"),
    (
        "POST /events",
        "printf '{\"topic\":\"a\",\"data\":\"1\"}\\n{\"topic\":\"b\",\"data\":\"2\"}\\n' |\n  \
         curl -H 'Content-Type: application/x-ndjson' --data-binary @- \\\n    \
         http://127.0.0.1:3000/events",
    ),
    ("DELETE /events/{topic}", "curl -X DELETE http://127.0.0.1:3000/events/hello"),
    ("GET /topics", "curl http://127.0.0.1:3000/topics"),
    ("GET /stats", "curl -H \"Authorization: Bearer $TOKEN\" http://127.0.0.1:3000/stats"),
];

const MORE: &str = "The same for programs: <a href=\"/openapi.json\">/openapi.json</a> (OpenAPI \
                    3.2). A hub with keys wants a token in <code>Authorization: Bearer</code>, or \
                    in <code>?token=</code>.";

const HEAD: &str = "\
<!doctype html>
<!-- Written by cargo xtask generate; do not edit. -->
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>Tidings: the HTTP API</title>
<link rel=\"icon\" href=\"/favicon.svg\">
<link rel=\"stylesheet\" href=\"/tidings.css\">
<link rel=\"stylesheet\" href=\"/docs/api.css\">
</head>
<body>
<header class=\"bar\">
<h1><img src=\"/favicon.svg\" alt=\"\" width=\"24\" height=\"24\"> The HTTP API</h1>
<a href=\"/\">Console</a>
</header>
";
