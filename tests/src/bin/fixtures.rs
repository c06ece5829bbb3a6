//! The set-up step of the tests: makes what many of them need, before the first begins. `cargo nextest` runs it (`.config/nextest.toml`).

use std::{env, fs::File, io::Write as _, process::ExitCode, time::Instant};

use livery_contract::{Fault, Result};
use livery_tests::{
    fixtures, laptop,
    qemu::{Accel, accel},
    site::Site,
};

#[tokio::main]
async fn main() -> ExitCode {
    let begun = Instant::now();
    let tell = |what: &str| eprintln!("{:>5} s  {what}", begun.elapsed().as_secs());
    let made = async {
        let site = Site::shared().await?;
        fixtures::all(&site, &tell).await?;
        laptop::ground::disk(&site).await?;
        tell("a laptop's disk for a container");
        tells_the_tests().await
    };
    // Dropping it ends what it has started.
    let ended = tokio::select! {
        ended = made => ended,
        _ = tokio::signal::ctrl_c() => Err(Fault::refused("interrupted")),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("\n{}", fault.render());
            fault.exit().into()
        }
    }
}

/// What each test need not find out for itself, as all of them are processes of their own (nextest's `NEXTEST_ENV`).
async fn tells_the_tests() -> Result<()> {
    let Some(path) = env::var_os("NEXTEST_ENV") else { return Ok(()) };
    let said = format!("{}={}\n{}=yes\n", accel::VARIABLE, Accel::probe().await.name(), fixtures::MADE);
    let written = File::options().append(true).open(&path).and_then(|mut file| file.write_all(said.as_bytes()));
    written.map_err(|error| Fault::refused("the tests can't be told what there is").cause(error).at(path.display()))
}
