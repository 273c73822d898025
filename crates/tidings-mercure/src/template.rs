//! URI Templates (RFC 6570) in reverse: not expanded, but tested whether a text could be an
//! expansion of one.
//!
//! # What is matched
//!
//! Literal text must match byte for byte. Each expression in braces stands for nothing, or for its
//! operator's first character followed by values. Values are what deployed Mercure clients depend
//! on, and a little more than what RFC 6570 would ever write: any number of unreserved characters,
//! commas and percent-encoded bytes; with `=` where pairs are written (`;`, `?`, `&`, and a first
//! variable with `*`); with every reserved character for `+` and `#`. So `{id}` never crosses a
//! slash, and a missing value is a match. The names of variables have no meaning, nor do lengths
//! (`{v:3}`).
//!
//! # How
//!
//! A place in the text is *reached* if the text before it can come from the parts so far. A part
//! takes the reached places to those after it, in one pass over the text. Expressions whose values
//! are separated by a character that no value can hold (`/`, `;`, `&`) also count how many they
//! have; only the smallest number for each place matters. So a match costs at most the length of
//! the text times the number of parts, without any program to compile or to keep.

/// A URI Template to match with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Expression(Expression),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Expression {
    /// The first character of an expansion that is not empty.
    first: Option<u8>,
    /// The separator between values, which no value contains; `None` if values can contain it,
    /// because then one value is as good as many.
    separator: Option<u8>,
    /// Maximum separators: one less than there are variables, or any number.
    separators_max: u32,
    charset: Charset,
}

/// The characters of values, besides percent-encoded bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Charset {
    Unreserved,
    UnreservedAndEquals,
    UnreservedAndReserved,
}

/// Why a text with a brace is not a template that can be matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoTemplate {
    /// It does not follow the grammar.
    Malformed,
    /// It has more than [`Template::EXPRESSIONS_MAX`] expressions.
    TooManyExpressions,
}

impl Template {
    /// Maximum expressions in a template: they multiply the cost of a match. At the edge: rejected.
    pub(crate) const EXPRESSIONS_MAX: usize = 16;

    pub(crate) fn parse(text: &str) -> Result<Self, NoTemplate> {
        let mut parts = Vec::new();
        let mut rest = text;
        loop {
            let (literal, after) = match rest.split_once('{') {
                Some((literal, after)) => (literal, Some(after)),
                None => (rest, None),
            };
            if literal.contains(NOT_LITERAL) || literal.contains(char::is_control) {
                return Err(NoTemplate::Malformed);
            }
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.into()));
            }
            let Some(after) = after else { break };
            let (inner, after) = after.split_once('}').ok_or(NoTemplate::Malformed)?;
            parts.push(Part::Expression(Expression::parse(inner).ok_or(NoTemplate::Malformed)?));
            rest = after;
        }
        let expressions = parts.iter().filter(|part| matches!(part, Part::Expression(_))).count();
        if expressions > Self::EXPRESSIONS_MAX {
            return Err(NoTemplate::TooManyExpressions);
        }
        Ok(Self { parts })
    }

    /// Text that every expansion begins with.
    pub(crate) fn literal_prefix(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(literal)) => literal,
            _ => "",
        }
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        // Most texts are ruled out by their ends.
        if let Some(Part::Literal(literal)) = self.parts.last()
            && !text.ends_with(&**literal)
        {
            return false;
        }
        let Some(rest) = text.strip_prefix(self.literal_prefix()) else {
            return false;
        };
        let skip = usize::from(!self.literal_prefix().is_empty());
        let text = rest.as_bytes();
        let mut reached = vec![false; text.len() + 1];
        reached[0] = true;
        for part in &self.parts[skip..] {
            let any = match part {
                Part::Literal(literal) => pass_literal(literal.as_bytes(), text, &mut reached),
                Part::Expression(expression) => expression.pass(text, &mut reached),
            };
            if !any {
                return false;
            }
        }
        reached[text.len()]
    }
}

/// Takes the reached places over `literal`; whether any is left.
fn pass_literal(literal: &[u8], text: &[u8], reached: &mut [bool]) -> bool {
    let mut any = false;
    // Backwards, so that a place is read before it is written.
    for place in (0..=text.len()).rev() {
        let from = place.checked_sub(literal.len());
        reached[place] =
            from.is_some_and(|from| reached[from] && text[from..].starts_with(literal));
        any |= reached[place];
    }
    any
}

impl Expression {
    /// Parses the text between the braces (RFC 6570 §2.2).
    fn parse(inner: &str) -> Option<Self> {
        let operator = inner.bytes().next().filter(|byte| b"+#./;?&".contains(byte));
        let list = &inner[usize::from(operator.is_some())..];
        let mut count = 0;
        let mut exploded = [false, false]; // the first, and any
        for variable in list.split(',') {
            let (name, explode) = modifiers(variable)?;
            if !is_name(name) {
                return None;
            }
            exploded[0] |= explode && count == 0;
            exploded[1] |= explode;
            count += 1;
        }
        let named = matches!(operator, Some(b';' | b'?' | b'&'));
        let (first, separator) = match operator {
            // Values can hold the comma, and the dot.
            None | Some(b'+') => (None, None),
            Some(operator @ (b'#' | b'.')) => (Some(operator), None),
            Some(b'?') => (Some(b'?'), Some(b'&')),
            Some(operator) => (Some(operator), Some(operator)),
        };
        Some(Self {
            first,
            separator,
            separators_max: if exploded[1] { u32::MAX - 1 } else { count - 1 },
            charset: match operator {
                Some(b'+' | b'#') => Charset::UnreservedAndReserved,
                _ if named || exploded[0] => Charset::UnreservedAndEquals,
                _ => Charset::Unreserved,
            },
        })
    }

    /// Takes the reached places over the expression: over nothing, or over its first character and
    /// values. There is always one left.
    fn pass(&self, text: &[u8], reached: &mut [bool]) -> bool {
        const NEVER: u32 = u32::MAX;
        // The fewest separators with which a place is reached within the values.
        let mut fewest = vec![NEVER; text.len() + 1];
        for place in 0..=text.len() {
            if reached[place] {
                match self.first {
                    None => fewest[place] = 0,
                    Some(first) if text.get(place) == Some(&first) => fewest[place + 1] = 0,
                    Some(_) => {}
                }
            }
            let separators = fewest[place];
            if separators == NEVER {
                continue;
            }
            reached[place] = true;
            let rest = &text[place..];
            let length = self.charset.length(rest);
            if length > 0 {
                let after = &mut fewest[place + length];
                *after = separators.min(*after);
            } else if rest.first().is_some_and(|byte| Some(*byte) == self.separator)
                && separators < self.separators_max
            {
                let after = &mut fewest[place + 1];
                *after = (separators + 1).min(*after);
            }
        }
        true
    }
}

impl Charset {
    /// How many bytes at the beginning of `text` are one character of a value; 0 if none.
    fn length(self, text: &[u8]) -> usize {
        let Some(byte) = text.first() else { return 0 };
        let good = match byte {
            b'%' => {
                let digits = text.get(1..3);
                let encoded = digits.is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
                return if encoded { 3 } else { 0 };
            }
            b'-' | b'.' | b'_' | b'~' | b',' => true,
            b'=' => self != Self::Unreserved,
            b':' | b'/' | b'?' | b'#' | b'[' | b']' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'('
            | b')' | b'*' | b'+' | b';' => self == Self::UnreservedAndReserved,
            byte => byte.is_ascii_alphanumeric(),
        };
        usize::from(good)
    }
}

/// A variable without its modifier, and whether that was `*` (RFC 6570 §2.4).
fn modifiers(variable: &str) -> Option<(&str, bool)> {
    if let Some(name) = variable.strip_suffix('*') {
        return Some((name, true));
    }
    let Some((name, length)) = variable.split_once(':') else {
        return Some((variable, false));
    };
    let digits = (1..=4).contains(&length.len()) && length.bytes().all(|b| b.is_ascii_digit());
    (digits && !length.starts_with('0')).then_some((name, false))
}

/// Letters, digits, `_` and percent-encoded bytes, with single dots between them (RFC 6570 §2.3).
fn is_name(name: &str) -> bool {
    name.split('.').all(|part| {
        let mut rest = part.as_bytes();
        while let Some((byte, after)) = rest.split_first() {
            rest = match byte {
                b'%' if after.len() > 1 && after[..2].iter().all(u8::is_ascii_hexdigit) => {
                    &after[2..]
                }
                b'_' => after,
                byte if byte.is_ascii_alphanumeric() => after,
                _ => return false,
            };
        }
        !part.is_empty()
    })
}

/// The characters that literal text cannot contain, without `{`, which begins an expression.
const NOT_LITERAL: &[char] = &[' ', '"', '<', '>', '\\', '^', '`', '|', '}'];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    fn matches(template: &str, text: &str) -> bool {
        Template::parse(template).unwrap().matches(text)
    }

    #[test]
    fn the_quirks_that_clients_depend_on() {
        for (template, text, expected) in [
            ("https://x/books/{id}", "https://x/books/1", true),
            ("https://x/books/{id}", "https://x/books/", true),
            ("https://x/books/{id}", "https://x/books/1/2", false),
            ("https://x/books/{id}", "https://x/books/a:b", false),
            ("https://x/books/{id}", "https://x/books/a,b", true),
            ("https://x/books/{id}", "https://x/books/a%2Fb", true),
            ("https://x/books/{id}", "https://x/books/a%2", false),
            ("https://x/books/{id}", "https://x/books/é", false),
            ("https://x/books/{id}", "https://x/books/a=b", false),
            ("https://x/books/{id*}", "https://x/books/a=b", true),
            ("https://x/books/{id:3}", "https://x/books/12345", true),
            ("https://x/{+path}", "https://x/a/b?c=d#e", true),
            ("https://x/users/foo/{?topic}", "https://x/users/foo/?topic=https%3A%2F%2Fx", true),
            ("https://x/users/foo/{?topic}", "https://x/users/foo/", true),
            ("https://x/users/foo/{?topic}", "https://x/users/foo/?a=1&b=2", false),
            ("https://x/users/foo/{?a,b}", "https://x/users/foo/?a=1&b=2", true),
            ("https://x/users/foo/{?a*}", "https://x/users/foo/?a=1&a=2&a=3", true),
            (
                "/.well-known/mercure/subscriptions{/topic}{/subscriber}",
                "/.well-known/mercure/subscriptions/https%3A%2F%2Fx/urn%3Auuid%3A1",
                true,
            ),
            ("a{/x,y}", "a/1/2", true),
            ("a{/x,y}", "a/1/2/3", false),
            ("a{/x*}", "a/1/2/3", true),
            ("{a}{b}/{c}", "xy/z", true),
            ("{a}x{b}", "aaxbb", true),
            ("{a}x{b}", "aabb", false),
            ("a{.b}", "a.b.c", true),
            ("a{#b}", "a#/x", true),
            ("a{#b}", "a", true),
            ("{a}", "", true),
        ] {
            assert_eq!(matches(template, text), expected, "{template} on {text}");
        }
    }

    #[test]
    fn text_outside_the_grammar_is_not_a_template() {
        for text in [
            "{",
            "}",
            "{}",
            "a}",
            "{a",
            "{a{b}}",
            "{=a}",
            "{,a}",
            "{!a}",
            "{@a}",
            "{|a}",
            "{a b}",
            "{a,}",
            "{a..b}",
            "{a:0}",
            "{a:12345}",
            "{a:x}",
            "{a-b}",
            "{a}\\",
            "{a} b",
            "{a}<",
            "{a}^",
            "{a}`",
            "{%4}",
            "{+}",
            "{a**}",
        ] {
            assert_eq!(Template::parse(text), Err(NoTemplate::Malformed), "{text}");
        }
        for text in ["{a.b}", "{%41}", "{a_1}", "{+a,b*,c:3}", "é{a}"] {
            assert!(Template::parse(text).is_ok(), "{text}");
        }
        let many = "{a}".repeat(Template::EXPRESSIONS_MAX + 1);
        assert_eq!(Template::parse(&many), Err(NoTemplate::TooManyExpressions));
    }

    /// The same rules as a regular expression, which shares nothing with our passes.
    fn oracle(template: &str) -> Regex {
        let mut pattern = String::from("^");
        let mut rest = template;
        while let Some((literal, after)) = rest.split_once('{') {
            pattern += &regex::escape(literal);
            let (inner, after) = after.split_once('}').unwrap();
            let operator = inner.chars().next().filter(|c| "+#./;?&".contains(*c));
            let list = inner.trim_start_matches(|c| "+#./;?&".contains(c));
            let variables: Vec<_> = list.split(',').collect();
            let pairs = matches!(operator, Some(';' | '?' | '&'));
            let plain = "A-Za-z0-9\\-._~,";
            let class = match operator {
                Some('+' | '#') => format!("{plain}:/?#\\[\\]@!$&'()*+;="),
                _ if pairs || variables[0].ends_with('*') => format!("{plain}="),
                _ => plain.to_owned(),
            };
            let value = format!("(?:[{class}]|%[0-9A-Fa-f]{{2}})*");
            let separator = match operator {
                None | Some('+' | '#') => ",".to_owned(),
                Some('?') => "&".to_owned(),
                Some(operator) => regex::escape(&operator.to_string()),
            };
            let first = match operator {
                None | Some('+') => String::new(),
                Some(operator) => regex::escape(&operator.to_string()),
            };
            let more = if variables.iter().any(|variable| variable.ends_with('*')) {
                "*".to_owned()
            } else {
                format!("{{0,{}}}", variables.len() - 1)
            };
            pattern += &format!("(?:{first}{value}(?:{separator}{value}){more})?");
            rest = after;
        }
        pattern += &regex::escape(rest);
        Regex::new(&(pattern + "$")).unwrap()
    }

    fn expression() -> impl Strategy<Value = String> {
        let operator = "[+#./;?&]?";
        let variable = "[ab](\\*|:3)?";
        (operator, proptest::collection::vec(variable, 1..4))
            .prop_map(|(operator, variables)| format!("{{{operator}{}}}", variables.join(",")))
    }

    fn template() -> impl Strategy<Value = String> {
        let part = prop_oneof![3 => expression(), 2 => "[ab/?&;.=]{1,3}"];
        proptest::collection::vec(part, 1..5).prop_map(|parts| parts.concat())
    }

    /// Expands as RFC 6570 says, each variable with the values at hand in turn.
    fn expand(template: &str, values: &[Vec<String>]) -> String {
        let mut out = String::new();
        let mut rest = template;
        let mut turn = 0;
        while let Some((literal, after)) = rest.split_once('{') {
            out += literal;
            let (inner, after) = after.split_once('}').unwrap();
            let operator = inner.chars().next().filter(|c| "+#./;?&".contains(*c));
            let list = inner.trim_start_matches(|c| "+#./;?&".contains(c));
            let named = matches!(operator, Some(';' | '?' | '&'));
            let separator = match operator {
                None | Some('+' | '#') => ",",
                Some('.') => ".",
                Some('/') => "/",
                Some(';') => ";",
                _ => "&",
            };
            let mut pieces = Vec::new();
            for variable in list.split(',') {
                let value = &values[turn % values.len()];
                turn += 1;
                let (name, length) = variable.split_once(':').unwrap_or((variable, ""));
                let length = length.parse().unwrap_or(usize::MAX);
                let encode = |text: &String| -> String {
                    let reserved = matches!(operator, Some('+' | '#'));
                    text.chars().take(length).map(|c| encoded(c, reserved)).collect()
                };
                if let Some(name) = name.strip_suffix('*') {
                    pieces.extend(value.iter().map(|one| match named {
                        true => format!("{name}={}", encode(one)),
                        false => encode(one),
                    }));
                } else if !value.is_empty() {
                    let joined = value.iter().map(encode).collect::<Vec<_>>().join(",");
                    pieces.push(if named { format!("{name}={joined}") } else { joined });
                }
            }
            if !pieces.is_empty() {
                out.extend(operator.filter(|operator| *operator != '+'));
                out += &pieces.join(separator);
            }
            rest = after;
        }
        out + rest
    }

    fn encoded(c: char, reserved: bool) -> String {
        let keep = c.is_ascii_alphanumeric()
            || "-._~".contains(c)
            || (reserved && ":/?#[]@!$&'()*+,;=".contains(c));
        if keep {
            return c.to_string();
        }
        c.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect()
    }

    proptest! {
        #[test]
        fn every_expansion_matches(
            template in template(),
            values in proptest::collection::vec(
                proptest::collection::vec("[ab/é,=&;?#. ]{0,4}", 0..3), 1..5),
        ) {
            let text = expand(&template, &values);
            prop_assert!(matches(&template, &text), "{} on {}", template, text);
        }

        #[test]
        fn it_agrees_with_a_regular_expression(
            template in template(),
            text in "([ab/?&;.=#,]|%[4g]1){0,12}",
        ) {
            prop_assert_eq!(
                matches(&template, &text), oracle(&template).is_match(&text),
                "{} on {}", &template, &text
            );
        }
    }
}
