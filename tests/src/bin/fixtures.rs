//! The set-up step of the tests: makes what many of them need, before the first begins. `cargo nextest` runs it (`.config/nextest.toml`).

use std::{process::ExitCode, time::Instant};

use livery_tests::{fixtures, site::Site};

#[tokio::main]
async fn main() -> ExitCode {
    let (begun, mut last) = (Instant::now(), Instant::now());
    let mut tell = |what: &str| {
        eprintln!("{:>5} s  {what} ({} s)", begun.elapsed().as_secs(), last.elapsed().as_secs());
        last = Instant::now();
    };
    let made = async {
        let site = Site::shared().await?;
        fixtures::all(&site, &mut tell).await
    };
    match made.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("\n{}", fault.render());
            fault.exit().into()
        }
    }
}
