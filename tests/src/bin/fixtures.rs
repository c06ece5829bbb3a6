//! The set-up step of the tests: makes what many of them need, before the first begins. `cargo nextest` runs it (`.config/nextest.toml`).

use std::{env, fs::File, io::Write as _, process::ExitCode, time::Instant};

use livery_contract::{Fault, Result};
use livery_tests::{fixtures, qemu::Accel, site::Site};

#[tokio::main]
async fn main() -> ExitCode {
    let begun = Instant::now();
    let tell = |what: &str| eprintln!("{:>5} s  {what}", begun.elapsed().as_secs());
    let made = async {
        let site = Site::shared().await?;
        knows_the_accelerator().await?;
        fixtures::all(&site, &tell).await
    };
    match made.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("\n{}", fault.render());
            fault.exit().into()
        }
    }
}

/// Probes for all tests, each of which is a process of its own (nextest's `NEXTEST_ENV`).
async fn knows_the_accelerator() -> Result<()> {
    let accel = Accel::probe().await;
    let Some(path) = env::var_os("NEXTEST_ENV") else { return Ok(()) };
    let written =
        File::options().append(true).open(&path).and_then(|mut file| writeln!(file, "LIVERY_QEMU_ACCEL={}", accel.name()));
    written.map_err(|error| Fault::refused("the tests can't be told of the accelerator").cause(error).at(path.display()))
}
