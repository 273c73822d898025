#![allow(clippy::unwrap_used)]

use super::*;

/// Reads a package with these files.
fn modules(files: &[(&str, &str)]) -> Modules {
    let text = |path: &str| {
        let file = files.iter().find(|(name, _)| *name == path);
        file.map(|(_, text)| (*text).to_owned())
    };
    Modules::read("src/lib.rs", &text).unwrap()
}

/// The circles of a package with these files.
fn circles(files: &[(&str, &str)]) -> Vec<Circle> {
    find(&modules(files).arrows())
}

fn files(circle: &Circle) -> Vec<&str> {
    circle.files.iter().map(String::as_str).collect()
}

#[test]
fn two_files_that_use_one_another_are_a_circle() {
    let found = circles(&[
        ("src/lib.rs", "mod log; mod topic;"),
        ("src/log.rs", "use crate::topic::Topic; pub struct Log(Topic);"),
        ("src/topic.rs", "pub struct Topic; impl Topic { fn log(&self) -> crate::log::Log { } }"),
    ]);
    assert_eq!(found.len(), 1);
    assert_eq!(files(&found[0]), ["src/log.rs", "src/topic.rs"]);
    let problems = complain_of_circles(&found, &[]);
    assert_eq!(
        problems,
        ["src/log.rs, src/topic.rs: a circle of files: src/log.rs uses Topic of src/topic.rs, \
         src/topic.rs uses Log of src/log.rs"]
    );
}

#[test]
fn a_longer_circle_is_found_whole_without_its_neighbours() {
    let found = circles(&[
        ("src/lib.rs", "mod a; mod b; mod c; mod above; mod below;"),
        ("src/above.rs", "use crate::a::A;"),
        ("src/a.rs", "use crate::b::B; pub struct A;"),
        ("src/b.rs", "pub fn b() { super::c::C::new(); }  pub struct B;"),
        ("src/c.rs", "use crate::{a::A, below::Below}; pub struct C;"),
        ("src/below.rs", "pub struct Below;"),
    ]);
    assert_eq!(found.len(), 1);
    assert_eq!(files(&found[0]), ["src/a.rs", "src/b.rs", "src/c.rs"]);
}

#[test]
fn a_reexported_name_leads_to_the_file_that_defines_it() {
    let found = circles(&[
        ("src/lib.rs", "mod body; mod transport; pub use transport::{Error as SendError, *};"),
        ("src/transport.rs", "mod error; pub use error::Error; pub struct Transport;"),
        ("src/transport/error.rs", "use crate::body::Body; pub struct Error(Body);"),
        ("src/body.rs", "use crate::SendError; pub struct Body(SendError);"),
    ]);
    assert_eq!(found.len(), 1);
    assert_eq!(files(&found[0]), ["src/body.rs", "src/transport/error.rs"]);
}

#[test]
fn a_name_behind_an_imported_module_or_inside_a_macro_is_seen() {
    let found = circles(&[
        ("src/lib.rs", "mod a; mod b;"),
        ("src/a.rs", "use crate::b; pub fn a() { b::b(); }"),
        ("src/b.rs", "pub fn b() { println!(\"{}\", crate::a::a()); }"),
    ]);
    assert_eq!(found.len(), 1);
}

#[test]
fn a_parent_may_use_its_parts_which_use_what_it_defines_for_them() {
    let found = circles(&[
        ("src/lib.rs", "mod index;"),
        ("src/index.rs", "mod custom; use custom::Custom; pub struct Key; struct Index(Custom);"),
        ("src/index/custom.rs", "use super::Key; pub struct Custom(Key);"),
    ]);
    assert_eq!(found, []);
}

#[test]
fn parts_that_meet_through_their_parent_are_a_circle() {
    let found = circles(&[
        ("src/lib.rs", "mod sink; mod worker;"),
        ("src/sink/mod.rs", "mod body; pub use body::Body; pub struct Sink;"),
        ("src/sink/body.rs", "use crate::worker::Worker; pub struct Body;"),
        ("src/worker.rs", "use crate::sink::{Body, Sink}; pub struct Worker;"),
    ]);
    assert_eq!(files(&found[0]), ["src/sink/body.rs", "src/worker.rs"]);
}

#[test]
fn tests_do_not_count() {
    let found = circles(&[
        ("src/lib.rs", "mod a; mod b;"),
        ("src/a.rs", "use crate::b::B; pub struct A;"),
        (
            "src/b.rs",
            "pub struct B; #[cfg(test)] use crate::a::A; \
             impl B { #[cfg(test)] fn a(&self) -> crate::a::A { } } \
             #[cfg(test)] mod tests { use crate::a::A; }",
        ),
    ]);
    assert_eq!(found, []);
}

#[test]
fn an_exception_covers_only_its_files_and_must_go_with_its_circle() {
    let two = &[
        ("src/lib.rs", "mod a; mod b;"),
        ("src/a.rs", "use crate::b::B; pub struct A;"),
        ("src/b.rs", "use crate::a::A; pub struct B;"),
    ];
    let found = circles(two);
    assert_eq!(complain_of_circles(&found, &[&["src/a.rs", "src/b.rs"]]), [] as [&str; 0]);
    let problems = complain_of_circles(&found, &[&["src/a.rs", "src/c.rs"]]);
    assert_eq!(problems.len(), 2, "{problems:?}");
    let problems = complain_of_circles(&[], &[&["src/a.rs", "src/b.rs"]]);
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn a_mod_file_may_define_only_constants() {
    let modules = modules(&[
        ("src/lib.rs", "mod drawer; mod list; pub struct Root;"),
        ("src/drawer/mod.rs", "mod inner; pub const MAX: usize = 1; fn helper() {}"),
        ("src/drawer/inner.rs", "fn inner() {}"),
        ("src/list/mod.rs", "//! A list. \n pub const MAX: usize = 1; #[cfg(test)] fn test() {}"),
    ]);
    let full: Vec<_> = full_mod_files(&modules).collect();
    assert_eq!(full, ["src/drawer/mod.rs"]);
}
