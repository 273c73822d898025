use std::fmt::Write as _;

use tidings_engine::Durations;

/// A page of metrics being written: families, each followed by its samples.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    text: String,
    family: &'static str,
}

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only grows; its name ends with `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
}

impl Exposition {
    /// Begins a family.
    pub(crate) fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.head(name, kind, help);
    }

    /// A value of the family.
    pub(crate) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        self.line("", labels, value);
    }

    /// A family of one value.
    pub(crate) fn one(&mut self, name: &'static str, kind: Kind, help: &str, value: f64) {
        self.family(name, kind, help);
        self.sample(&[], value);
    }

    /// A family of durations, in seconds.
    pub(crate) fn histogram(&mut self, name: &'static str, help: &str, durations: &Durations) {
        self.head(name, "histogram", help);
        let mut all = 0;
        for (bound, count) in &durations.cumulative {
            let bound = bound.map_or("+Inf".to_owned(), |bound| bound.as_secs_f64().to_string());
            self.line("_bucket", &[("le", &bound)], *count as f64);
            all = *count;
        }
        self.line("_sum", &[], durations.sum.as_secs_f64());
        self.line("_count", &[], all as f64);
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    fn head(&mut self, name: &'static str, kind: &str, help: &str) {
        self.family = name;
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let name = self.family;
        self.write(format_args!("{name}{suffix}"));
        for (place, (label, text)) in labels.iter().enumerate() {
            let before = if place == 0 { '{' } else { ',' };
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            self.write(format_args!("{before}{label}=\"{text}\""));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        self.write(format_args!("{end} {value}\n"));
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("writing to a String cannot fail");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_page_is_families_with_their_samples() {
        let mut page = Exposition::default();
        page.family("a_total", Kind::Counter, "How many.");
        page.sample(&[("x", "1"), ("y", "a \"b\"\\\nc")], 3.0);
        page.one("b", Kind::Gauge, "How much.", 0.5);
        let durations = Durations {
            cumulative: vec![(Some(Duration::from_millis(1)), 2), (None, 3)],
            sum: Duration::from_millis(1500),
        };
        page.histogram("c_seconds", "How long.", &durations);
        let expected = "\
# HELP a_total How many.
# TYPE a_total counter
a_total{x=\"1\",y=\"a \\\"b\\\"\\\\\\nc\"} 3
# HELP b How much.
# TYPE b gauge
b 0.5
# HELP c_seconds How long.
# TYPE c_seconds histogram
c_seconds_bucket{le=\"0.001\"} 2
c_seconds_bucket{le=\"+Inf\"} 3
c_seconds_sum 1.5
c_seconds_count 3
";
        assert_eq!(page.into_text(), expected);
    }
}
