/// Why a check did not pass.
#[derive(Debug)]
pub(crate) enum Ended {
    Failed(String),
    Skipped(String),
}
