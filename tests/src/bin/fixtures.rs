//! The set-up step of the tests: makes what many of them need, before the first begins. `cargo nextest` runs it (`.config/nextest.toml`).

use std::{env, fs::File, io::Write as _, process::ExitCode, time::Instant};

use livery_contract::{Fault, Result};
use livery_tests::{
    fixtures::{self, enrolled, flashed, masters, updates},
    laptop,
    qemu::{Accel, accel},
    site::Site,
};
use tokio::sync::oneshot;

#[tokio::main]
async fn main() -> ExitCode {
    let begun = Instant::now();
    let tell = |what: &str| eprintln!("{:>5} s  {what}", begun.elapsed().as_secs());
    let made = async {
        let site = Site::shared().await?;
        fixtures::begin_anew(&site)?;
        all(&site, &tell).await?;
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

/// All of them; `tell` hears of each. Images in two rows beside one another, and devices as soon as theirs is there: a build waits for packages,
/// and a device has one processor.
async fn all(site: &Site, tell: &dyn Fn(&str)) -> Result<()> {
    let (medium, new_medium) = oneshot::channel();
    let (terminal, new_terminal) = oneshot::channel();
    let (laptop, new_laptop) = oneshot::channel();
    let (root, new_root) = oneshot::channel();
    let terminals = async {
        site.medium().await?;
        tell("the agent's medium");
        let _ = medium.send(());
        let _ = terminal.send(masters::terminal(site).await?);
        tell("the terminal, with a data partition");
        site.build().await?;
        tell("the terminal");
        let _ = root.send(());
        updates::store(site).await?;
        tell("terminals that get newer images");
        Ok(())
    };
    let others = async {
        let _ = laptop.send(masters::laptop(site).await?);
        tell("the laptop");
        masters::newer_laptop(site).await?;
        tell("a newer laptop");
        // Where an image failed nothing is sent, and the other one tells why.
        let Ok(()) = new_root.await else { return Ok(()) };
        masters::on_a_virtual_screen(site, tell).await
    };
    let devices = async {
        let Ok(()) = new_medium.await else { return Ok(()) };
        enrolled::kept(site).await?;
        tell("a firmware with the organisation's keys");
        let flashed_terminal = async {
            let Ok(master) = new_terminal.await else { return Ok(()) };
            flashed::terminal_of(site, &master).await?;
            tell("a flashed terminal");
            Ok(())
        };
        let flashed_laptop = async {
            let Ok((master, roster)) = new_laptop.await else { return Ok(()) };
            flashed::laptop_of(site, &master, &roster).await?;
            tell("a flashed laptop");
            laptop::ground::disk(site).await?;
            tell("a laptop's disk for a container");
            Ok(())
        };
        tokio::try_join!(flashed_terminal, flashed_laptop).map(drop)
    };
    tokio::try_join!(terminals, others, devices).map(drop)
}

/// What each test need not find out for itself, as all of them are processes of their own (nextest's `NEXTEST_ENV`).
async fn tells_the_tests() -> Result<()> {
    let Some(path) = env::var_os("NEXTEST_ENV") else { return Ok(()) };
    let said = format!("{}={}\n{}=yes\n", accel::VARIABLE, Accel::probe().await.name(), fixtures::MADE);
    let written = File::options().append(true).open(&path).and_then(|mut file| file.write_all(said.as_bytes()));
    written.map_err(|error| Fault::refused("the tests can't be told what there is").cause(error).at(path.display()))
}
