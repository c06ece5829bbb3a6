//! The command line: flags in, one library call, output and exit code out.

mod flags;
mod record_file;
mod words;

use std::{io::Write as _, path::Path};

use livery_contract::{Exit, Fault, Result};
use serde::Serialize;

pub use self::flags::Cli;
use self::flags::{Command, Update, Which};
use crate::{
    config::{self, Config},
    console::Console,
    flow::{
        flash::Stays,
        hand::{self, Order},
        run,
    },
    inventory, update,
    work::{stop::Stop, threads::blocking},
};

/// Does what the command line says, and shows the fault where it fails.
pub async fn main(cli: Cli) -> Exit {
    match command(&cli).await {
        Ok(()) => Exit::Done,
        Err(fault) => {
            eprintln!("{}", fault.render());
            if cli.json {
                let _ = print(&serde_json::json!({ "error": fault.report() }), false);
            }
            fault.exit()
        }
    }
}

async fn command(cli: &Cli) -> Result<()> {
    let stop = Stop::on_signals()?;
    match &cli.command {
        Command::Inventory => {
            let inventory = inventory::read()?;
            if cli.json { print(&inventory, false) } else { say(&words::describe(&inventory)) }
        }
        Command::Write(write) => {
            let console = Console::new(false, &[]);
            let (trust, which) = (config::file(&write.which.trust)?, &write.which);
            let order = order(which, &trust)?;
            if let Some(path) = &write.record {
                record_file::check_folder(path)?;
            }
            let stays = Stays { boot_entry: !write.no_boot_entry, bind: write.bind };
            let record = hand::write(&order, write.removable, stays, &console, &stop).await?;
            console.say(format!(
                "done: {} bytes written, {} read back and compared; {} fetched",
                record.traffic.written, record.traffic.verified, record.traffic.fetched
            ));
            if let Some(path) = &write.record {
                record_file::save(path, &record)?;
            }
            print(&record, !cli.json)
        }
        Command::Verify(which) => {
            let console = Console::new(false, &[]);
            let trust = config::file(&which.trust)?;
            let comparison = hand::verify(&order(which, &trust)?, &console, &stop).await?;
            if cli.json { print(&comparison, false) } else { say(&words::table(&comparison)) }
        }
        Command::Run(flags) => {
            let file = match &flags.config {
                Some(path) => Config::read(path)?,
                None if Path::new(config::DEFAULT).exists() => Config::read(Path::new(config::DEFAULT))?,
                None => Config::default(),
            };
            let config = flags.settings.clone().over(file);
            let console = Console::new(cli.json, &config.consoles);
            run::run(&config.settings()?, &console, &stop).await.map(|_| ())
        }
        Command::Update(Update { image, trust }) => {
            let console = Console::new(false, &[]);
            let outcome = update::run(&image.config, trust, &console, &stop).await?;
            if cli.json { print(&outcome, false) } else { say(&outcome.words()) }
        }
        Command::Bless(image) => {
            let (place, stop) = (image.config.clone(), stop.clone());
            let blessed = blocking(move || update::bless::run(&place, &stop)).await?;
            if cli.json { print(&blessed, false) } else { say(&blessed.words()) }
        }
    }
}

fn order<'a>(which: &'a Which, trust: &'a [u8]) -> Result<Order<'a>> {
    let access = config::access(which.ca.as_deref())?;
    Ok(Order { reference: &which.reference, from: &which.from, trust, access, disk: &which.disk })
}

fn print(value: &impl Serialize, pretty: bool) -> Result<()> {
    let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    say(&text.map_err(|error| Fault::internal("output is plain data").cause(error))?)
}

fn say(text: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{text}").map_err(|error| Fault::internal("standard output is closed").cause(error))
}
