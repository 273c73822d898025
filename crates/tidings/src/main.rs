//! The Tidings program.

fn main() {}
