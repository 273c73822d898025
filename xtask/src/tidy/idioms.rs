//! Turns of phrase that make a reader stop: a relative clause without its noun, or words that no
//! native speaker would use here. They are looked for in comments, help, messages and documents.

use crate::tree;

/// An idiom in lower case, what to say instead, and the number of places that still have it. These
/// numbers may only shrink.
struct Idiom {
    words: &'static str,
    instead: &'static str,
    known: usize,
}

const IDIOMS: &[Idiom] = &[
    Idiom { words: "who is", instead: "name the subject: a rejected request", known: 0 },
    Idiom { words: "what is told", instead: "name what is logged or sent", known: 0 },
    Idiom { words: "is told", instead: "name who says what: the log, the answer", known: 0 },
    Idiom { words: "so many", instead: "this many", known: 0 },
    Idiom { words: "so long", instead: "that long", known: 0 },
    Idiom { words: "moreover", instead: "also", known: 0 },
    Idiom { words: "lest", instead: "so that … not", known: 0 },
    Idiom { words: "whom", instead: "name the subject", known: 0 },
    Idiom { words: "whence", instead: "from where", known: 0 },
    Idiom { words: "know better", instead: "say what they know", known: 0 },
    Idiom { words: "knows better", instead: "say what it knows", known: 0 },
    Idiom { words: "not to be had", instead: "not available", known: 0 },
    Idiom { words: "be had", instead: "available, or what fails", known: 0 },
    Idiom { words: "no use", instead: "useless, or what fails", known: 0 },
    Idiom { words: "dear", instead: "expensive", known: 0 },
];

pub(super) fn check(files: &[String]) -> Vec<String> {
    let mut places = vec![Vec::new(); IDIOMS.len()];
    for path in files.iter().filter(|path| is_looked_at(path)) {
        let Some(text) = tree::read(path) else { continue };
        for (idiom, places) in IDIOMS.iter().zip(&mut places) {
            let lines = find(&text, idiom.words).into_iter();
            places.extend(lines.map(|line| format!("{path}:{line}")));
        }
    }
    IDIOMS.iter().zip(places).filter_map(|(idiom, places)| idiom.complain(&places)).collect()
}

impl Idiom {
    /// A problem if there are more places than `known`.
    fn complain(&self, places: &[String]) -> Option<String> {
        let Self { words, instead, known } = *self;
        let found = places.len();
        if found < known {
            println!("tidy: {words:?} occurs {found} times: lower its number in xtask tidy/idioms");
        }
        (found > known).then(|| {
            let places = places.join(", ");
            format!("{words:?}: say {instead}; {found} places, {known} are allowed: {places}")
        })
    }
}

/// The lines on which `idiom` begins, even where it continues on the next line of a comment. `who
/// is` counts only at the beginning of a sentence that is not a question.
fn find(text: &str, idiom: &str) -> Vec<usize> {
    let wanted: Vec<_> = idiom.split(' ').collect();
    let words: Vec<_> =
        (1..).zip(text.lines()).flat_map(|(number, line)| words(line, number)).collect();
    let starts = words.windows(wanted.len()).enumerate().filter(|(_, window)| {
        let same =
            |((_, word), wanted): (&(usize, &str), &&str)| bare(word).eq_ignore_ascii_case(wanted);
        // A word that ends a clause begins no phrase.
        window.iter().zip(&wanted).all(same)
            && window[..window.len() - 1]
                .iter()
                .all(|(_, word)| word.ends_with(char::is_alphanumeric))
    });
    let is_meant = |at: usize| {
        let is_question = || {
            let rest = words[at..].iter().find(|(_, word)| word.ends_with(['.', '?', ':', ';']));
            rest.is_some_and(|(_, word)| word.ends_with('?'))
        };
        idiom != "who is" || (bare(words[at].1).starts_with('W') && !is_question())
    };
    starts.filter(|(at, _)| is_meant(*at)).map(|(_, window)| window[0].0).collect()
}

/// The words of a line, without the marks of a comment.
fn words(line: &str, number: usize) -> impl Iterator<Item = (usize, &str)> {
    let marks = |word: &&str| !word.chars().all(|c| matches!(c, '/' | '!' | '#' | '*'));
    line.split_whitespace().filter(marks).map(move |word| (number, word))
}

fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric() && c != '_')
}

fn is_looked_at(path: &str) -> bool {
    [".rs", ".md", ".toml", ".js", ".sh", ".html"].iter().any(|end| path.ends_with(end))
        && path != "xtask/src/tidy/idioms.rs"
        // The pages of the reference are generated from texts that are checked where they are
        // written.
        && !path.starts_with("docs/reference/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idiom_put_back_is_a_problem() {
        let text =
            "/// A hub that waits so\n/// long that nobody asks.\n//! What is told to Whom?\n";
        assert_eq!(find(text, "so long"), [1]);
        assert_eq!(find(text, "what is told"), [3]);
        assert_eq!(find(text, "whom"), [3]);
        let idiom = Idiom { words: "so long", instead: "that long", known: 1 };
        let place = |number: usize| format!("a.rs:{number}");
        assert_eq!(idiom.complain(&[place(1)]), None);
        let problem = idiom.complain(&[place(1), place(2)]).unwrap_or_default();
        assert!(
            problem.contains("say that long; 2 places, 1 are allowed: a.rs:1, a.rs:2"),
            "{problem}"
        );
    }

    #[test]
    fn words_that_only_resemble_an_idiom_are_not_found() {
        assert!(find("as long. So many", "long so").is_empty(), "another sentence");
        assert!(find("fn is_told() { told(so, long) }", "so long").is_empty(), "code");
        assert!(find("deared, whomever", "dear").is_empty(), "longer words");
    }

    #[test]
    fn a_relative_clause_without_its_noun_is_found_and_a_question_is_not() {
        assert_eq!(find("Who is refused may not have been heard.", "who is"), [1]);
        assert!(find("Who is there?", "who is").is_empty());
        assert!(find("somebody who is there.", "who is").is_empty());
    }
}
