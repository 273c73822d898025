use crate::args::SubscribeArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
pub(super) fn run(_args: SubscribeArgs) -> Result<ExitCode, CliError> {
    Err(CliError::new(ExitCode::Failure, "soon"))
}
