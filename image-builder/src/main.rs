//! `livery`: for IT and CI. See [`livery_image_builder`].

use std::process::ExitCode;

use livery_image_builder::cli;

fn main() -> ExitCode {
    cli::main()
}
