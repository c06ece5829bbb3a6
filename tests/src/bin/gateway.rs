//! The stand-in Gateway as a program of its own, for trying a device by hand. See `livery_tests::gateway`.

use std::{fs, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Parser;
use livery_contract::{Fault, Result, roster};
use livery_tests::gateway::{Config, Gateway, accounts::Accounts, guard::Limits};

/// A stand-in for a Citrix Gateway and StoreFront, for tests and demonstrations.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example:\n  gateway --listen 127.0.0.1:18443 --ca out/ca --roster profiles/sample-roster.csv --accounts out/accounts.toml\n\n\
    out/ca/ca.pem is for the profile; out/accounts.toml holds passwords and the secrets for an authenticator app."
)]
struct Flags {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:18443")]
    listen: SocketAddr,
    /// The name that browsers know it by
    #[arg(long, default_value = "gateway.assurance.example")]
    host: String,
    /// Whose Gateway it is, as on its pages
    #[arg(long, default_value = "Assurance")]
    organisation: String,
    /// Folder of the certificate authority (ca.pem, ca.key), made when absent
    #[arg(long)]
    ca: PathBuf,
    /// Who may sign in (TOML); made from --roster when absent
    #[arg(long)]
    accounts: PathBuf,
    /// Roster to make accounts from, with new passwords and secrets
    #[arg(long)]
    roster: Option<PathBuf>,
    /// Access log, JSON lines
    #[arg(long)]
    log: Option<PathBuf>,
    /// Seconds that a session lasts
    #[arg(long, default_value_t = Limits::default().session)]
    session: u64,
    /// Seconds that a login stays locked after five failures
    #[arg(long, default_value_t = Limits::default().lock)]
    lock: u64,
    /// Answer 503 to everything
    #[arg(long)]
    unavailable: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{}", fault.render());
            fault.exit().into()
        }
    }
}

async fn run(flags: Flags) -> Result<()> {
    if !flags.accounts.exists()
        && let Some(path) = &flags.roster
    {
        let text =
            fs::read_to_string(path).map_err(|error| Fault::refused("the roster can't be read").cause(error).at(path.display()))?;
        let employees = roster::parse(&text, roster::Format::of_path(path))
            .map_err(|errors| roster::fault(&errors, &path.display().to_string()))?;
        Accounts::for_roster(&employees, "Assurance Desktop")?.write(&flags.accounts)?;
    }
    let limits = Limits { session: flags.session, lock: flags.lock, ..Limits::default() };
    let gateway = Gateway::start(Config {
        listen: flags.listen,
        organisation: flags.organisation,
        limits,
        log: flags.log,
        ..Config::new(&flags.host, flags.ca.clone(), Accounts::read(&flags.accounts)?)
    })
    .await?;
    gateway.set_available(!flags.unavailable);
    println!("listening on {} as {}", gateway.address(), gateway.url());
    println!("authority {}, pin {}", flags.ca.join("ca.pem").display(), gateway.spki());
    tokio::signal::ctrl_c().await.map_err(|error| Fault::internal("can't wait for Ctrl-C").cause(error))
}
