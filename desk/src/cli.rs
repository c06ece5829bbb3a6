//! The command line: what systemd, sway and the browser start. Nobody types it.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use livery_contract::{Fault, Result};
use tracing_subscriber::EnvFilter;

use crate::{
    bar, browser, confirm,
    doorbell::{self, Call},
    link, notice, screen,
    settings::{PLACE, Settings},
};

/// The programs at an employee's desk: screen, browser, status bar, network settings.
#[derive(Debug, Parser)]
#[command(name = "livery-desk", version, about)]
pub struct Cli {
    /// The image's settings for this desk.
    #[arg(long, global = true, value_name = "FILE", default_value = PLACE)]
    settings: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Become the compositor, with the employee's keyboard and the renderer that this device needs.
    Screen {
        /// sway's configuration.
        #[arg(long, value_name = "FILE", default_value = "/etc/livery/sway.conf")]
        configuration: PathBuf,
    },
    /// Make a new profile in $RUNTIME_DIRECTORY and become the browser.
    Browser {
        /// The name by which the compositor knows its windows.
        #[arg(long, default_value = "livery-browser")]
        name: String,
        /// The page to open; by default the extension decides.
        #[arg(default_value = "about:blank")]
        page: String,
    },
    /// The status bar, in i3bar's protocol.
    Bar,
    /// Talk to the browser (native messaging); the browser adds the extension's manifest and name.
    Link {
        #[arg(hide = true)]
        from: Vec<String>,
    },
    /// Tell the station what took effect on this device, as read back from the running system.
    Confirm {
        /// The image's file that names the station.
        #[arg(long, value_name = "FILE", default_value = confirm::PLACE)]
        whom: PathBuf,
    },
    /// Notify the laptop's user when a newer image is ready, until the session ends.
    Notice {
        /// The note that the update leaves.
        #[arg(long, value_name = "FILE", default_value = notice::PLACE)]
        state: PathBuf,
    },
    /// End the session: sign out if possible, then start with a new profile.
    Leave,
}

impl Cli {
    /// Does what was asked; a fault goes to standard error, which is the journal.
    pub fn main(self) -> ExitCode {
        let filter = EnvFilter::try_from_env("LIVERY_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().with_target(false).init();
        match self.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(fault) => {
                eprintln!("{}", fault.render());
                fault.exit().into()
            }
        }
    }

    fn run(self) -> Result<()> {
        let Self { settings, command } = self;
        // Not for all: a laptop's desktop is not ours, and has no such file.
        let settings = || Settings::read(&settings);
        match command {
            Command::Screen { configuration } => Err(screen::become_it(&configuration)),
            Command::Browser { name, page } => Err(browser::become_it(&settings()?, &name, &page)?),
            Command::Bar => runtime()?.block_on(bar::run()),
            Command::Link { .. } => runtime()?.block_on(link::run(&settings()?)),
            Command::Leave => doorbell::ring(Call::Leave),
            Command::Notice { state } => runtime()?.block_on(notice::run(&state)),
            Command::Confirm { whom } => runtime()?.block_on(confirm::run(&whom)),
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::internal("the runtime does not start").cause(error))
}
