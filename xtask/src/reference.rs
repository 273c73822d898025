//! The HTTP API as a page, from its description (OpenAPI 3.2).

use std::fmt::Write as _;

use serde_json::Value;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// A request of the API.
pub(crate) struct Operation<'a> {
    /// `GET /topics`.
    pub(crate) name: String,
    pub(crate) path: &'a str,
    /// What all requests of the path have in common.
    item: &'a Value,
    pub(crate) value: &'a Value,
}

impl<'a> Operation<'a> {
    /// Its parameters, with those of its path.
    pub(crate) fn parameters(&self, api: &'a Value) -> Vec<&'a Value> {
        let lists = [&self.item["parameters"], &self.value["parameters"]];
        let all = lists.into_iter().filter_map(Value::as_array).flatten();
        all.map(|parameter| resolve(api, parameter)).collect()
    }
}

/// All requests, in the order of the description.
pub(crate) fn operations(api: &Value) -> Vec<Operation<'_>> {
    let mut operations = Vec::new();
    for (path, item) in entries(&api["paths"]) {
        for method in METHODS {
            if let Some(value) = item.get(method) {
                let name = format!("{} {path}", method.to_ascii_uppercase());
                operations.push(Operation { name, path, item, value });
            }
        }
    }
    operations
}

/// A section for each request: its purpose, parameters, body and responses.
pub(crate) fn http(api: &Value, note: &str) -> String {
    let mut page = format!(
        "# The HTTP API\n\n{note}\n\n{} The same for programs: `/openapi.json` of a running hub.\n",
        text(&api["info"]["description"])
    );
    for operation in operations(api) {
        section(&mut page, api, &operation);
    }
    page.push_str("\n## Problems\n\nErrors are problem details (RFC 9457), with these codes:\n\n");
    let codes = &api["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
    for code in codes.as_array().into_iter().flatten() {
        line(&mut page, format_args!("- `{}`", text(code)));
    }
    page
}

fn section(page: &mut String, api: &Value, operation: &Operation<'_>) {
    let (name, parameters) = (&operation.name, operation.parameters(api));
    let operation = operation.value;
    line(page, format_args!("\n## `{name}`\n\n{}.", text(&operation["summary"])));
    let description = text(&operation["description"]);
    if !description.is_empty() {
        line(page, format_args!("{description}"));
    }
    if !parameters.is_empty() {
        line(page, format_args!("\n| Parameter | In | Meaning |\n|---|---|---|"));
    }
    for parameter in parameters {
        let (name, place) = (text(&parameter["name"]), text(&parameter["in"]));
        let meaning = text(&parameter["description"]).replace('|', "\\|");
        let bounds = bounds(&parameter["schema"]);
        line(page, format_args!("| `{name}` | {place} | {meaning}{bounds} |"));
    }
    let bodies: Vec<_> = entries(&operation["requestBody"]["content"]).collect();
    if !bodies.is_empty() {
        let types: Vec<_> = bodies.iter().map(|(kind, _)| format!("`{kind}`")).collect();
        line(page, format_args!("\nTakes {}.", types.join(", ")));
    }
    line(page, format_args!("\n| Status | Meaning |\n|---|---|"));
    for (status, response) in entries(&operation["responses"]) {
        let response = resolve(api, response);
        let kinds: Vec<_> =
            entries(&response["content"]).map(|(kind, _)| format!("`{kind}`")).collect();
        let meaning = text(&response["description"]).replace('|', "\\|");
        line(page, format_args!("| {status} | {meaning} {} |", kinds.join(", ")));
    }
}

pub(crate) fn bounds(schema: &Value) -> String {
    let bound = |name: &str, word: &str| {
        schema.get(name).map_or(String::new(), |value| format!(" {word} {value}."))
    };
    format!("{}{}", bound("default", "Unless given:"), bound("maximum", "At most"))
}

/// The target of a `$ref`.
pub(crate) fn resolve<'a>(api: &'a Value, value: &'a Value) -> &'a Value {
    let reference = value["$ref"].as_str().and_then(|text| text.strip_prefix('#'));
    reference.and_then(|pointer| api.pointer(pointer)).unwrap_or(value)
}

pub(crate) fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("a String takes every write");
}
