//! How a benchmark ends: its table, or JSON for programs, or what went wrong.

use std::process::ExitCode;

use livery_contract::Result;
use serde::Serialize;

/// Prints the report and gives the exit code.
pub fn show<R: Serialize>(report: Result<R>, json: bool, render: impl FnOnce(&R) -> String) -> ExitCode {
    match report {
        Ok(report) => {
            if json {
                println!("{}", serde_json::json!(report));
            } else {
                print!("{}", render(&report));
            }
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("{}", fault.render());
            fault.exit().into()
        }
    }
}
