use crate::args::PublishArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
pub(super) fn run(_args: PublishArgs) -> Result<ExitCode, CliError> {
    Err(CliError::new(ExitCode::Failure, "soon"))
}
