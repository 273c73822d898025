/// How a check ends that does not pass.
#[derive(Debug)]
pub(crate) enum Ended {
    Failed(String),
    Skipped(String),
}
