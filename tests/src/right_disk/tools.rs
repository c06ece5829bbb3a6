//! Runs programs in the device: the medium's own, and those that it does not have.

use std::process::Command;

use livery_contract::{Fault, Result};

use super::cases::FOLDER;

/// Runs a program of the medium's; gives what it printed.
///
/// # Errors
/// Where it fails, with what it said.
pub fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    // The kernel gives its first process none.
    command.args(arguments).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    finish(program, command)
}

/// Runs a tool that the medium does not have, with its own libraries.
pub(super) fn tool(program: &str, arguments: &[&str]) -> Result<String> {
    let folder = format!("{FOLDER}/tools");
    let mut command = Command::new(format!("{folder}/ld.so"));
    command.args(["--library-path", &folder, &format!("{folder}/{program}")]).args(arguments);
    command.env("LVM_SUPPRESS_FD_WARNINGS", "1");
    finish(program, command)
}

fn finish(program: &str, mut command: Command) -> Result<String> {
    let fault = |what: String| Fault::internal(format!("{program}: {what}"));
    let output = command.output().map_err(|error| fault("it does not start".into()).cause(error))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    Err(fault(format!("{}, {said} {}", output.status, String::from_utf8_lossy(&output.stderr))))
}
