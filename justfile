# The menu. `just --list` shows it; every line works without just, too.

# Run the hub on 127.0.0.1:3000, history in ./tidings-data.
run *args:
    cargo run --release -p tidings -- serve {{args}}

# The hub with its demo publishers.
demo:
    cargo run --release -p tidings -- demo

# The quick check before a commit.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Everything that continuous integration runs.
test *steps:
    scripts/test {{steps}}

# Randomised tests with many seeds; without arguments the list of them.
test-long *args:
    scripts/test-long {{args}}

# Sizes, columns, crate arrows, words outside their place, dead links.
tidy:
    cargo run -q -p xtask -- tidy

# Reference pages from the built program.
generate:
    cargo run -q -p xtask -- generate

# Side by side with the other hubs; see BENCHMARKING.md.
bench *args:
    bench/run {{args}}

docs:
    cargo doc --workspace --no-deps --open
