//! The command line: flags in, the library called, results and faults out.

mod lists;
mod output;

use std::{io::IsTerminal as _, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Args, Parser, Subcommand};
use livery_contract::{Exit, OrderId, Reference, Result};
use serde_json::json;

use self::output::{report, say};
use crate::{
    database::{Database, Open},
    evidence::{audit, peers},
    images::catalogue::Catalogue,
    keys::{self, tls},
    orders::{operator, roster as import},
    server,
    station::{Settings, Station},
};

const EXAMPLES: &str = "\
Examples:
  livery-station keygen --out keys --host station.factory.example --host 192.0.2.10
  livery-station import roster.csv --image terminal@2026.11 --database sqlite:station.db \\
      --store store --trust root.json
  livery-station serve --store store --trust root.json --keys keys --database sqlite:station.db \\
      --listen 0.0.0.0:8443
  livery-station orders --database sqlite:station.db
  livery-station record ORD-1001 --database sqlite:station.db --payload
  livery-station peers --database sqlite:station.db > peers.conf
  livery-station retire ORD-1001 --database sqlite:station.db

Exit codes: 0 done, 1 a fault of this program, 2 wrong usage, 3 refused, nothing was changed, 4 not trusted, 5 the store or database failed.";

/// The station of a factory line: orders, devices, jobs, images, records and the live page.
#[derive(Debug, Parser)]
#[command(name = "livery-station", version, about, after_help = EXAMPLES)]
pub struct Cli {
    /// Machine-readable output on standard output: one JSON object, or one event per line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct DatabaseArg {
    /// Database of the station, as sqlite:FILE.
    #[arg(long, value_name = "URL", env = "LIVERY_DATABASE")]
    database: String,
}

#[derive(Debug, Args)]
struct StoreArgs {
    /// Folder of the store.
    #[arg(long, value_name = "DIR")]
    store: String,
    /// Trusted root.json of the store.
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the station's keys: one that signs jobs, and TLS certificates under a private authority.
    Keygen {
        /// Folder to write them to. Existing files are never overwritten.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// DNS name or IP address of the station, as devices and people use it. Repeat for more.
        #[arg(long = "host", value_name = "NAME", required = true, num_args = 1..)]
        hosts: Vec<String>,
    },
    /// Import a roster: one order per row, all or nothing. Importing the same roster again changes nothing.
    Import {
        /// The roster: CSV, or TOML with [[employee]] tables.
        roster: PathBuf,
        /// The master image. Each order gets its personal image of this master.
        #[arg(long, value_name = "NAME@VERSION")]
        image: Reference,
        #[command(flatten)]
        database: DatabaseArg,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Assign a device to an order that has no serial number in the roster.
    Assign {
        /// The order.
        #[arg(long)]
        order: OrderId,
        /// System serial of the device, as the page shows it.
        #[arg(long)]
        serial: String,
        #[command(flatten)]
        database: DatabaseArg,
    },
    /// Allow a finished device to be written again. Its record stays in the log.
    Reopen {
        /// The order.
        order: OrderId,
        #[command(flatten)]
        database: DatabaseArg,
    },
    /// Take a lost device out of use: out of the tunnel's peers, and nothing that it says is believed. Its record stays in the log.
    Retire {
        /// The order.
        order: OrderId,
        #[command(flatten)]
        database: DatabaseArg,
    },
    /// List all orders, and what their devices in use report.
    Orders {
        #[command(flatten)]
        database: DatabaseArg,
    },
    /// Run the station until Ctrl-C. It serves HTTPS only.
    Serve {
        #[command(flatten)]
        store: StoreArgs,
        /// Folder made by `keygen`.
        #[arg(long, value_name = "DIR")]
        keys: PathBuf,
        #[command(flatten)]
        database: DatabaseArg,
        /// Address and port to listen on.
        #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8443")]
        listen: SocketAddr,
    },
    /// List all records in the log.
    Records {
        #[command(flatten)]
        database: DatabaseArg,
    },
    /// Print the latest record of an order: the signed envelope, byte for byte as received.
    Record {
        /// The order.
        order: OrderId,
        /// Print the decoded record instead of the envelope.
        #[arg(long)]
        payload: bool,
        #[command(flatten)]
        database: DatabaseArg,
    },
    /// Print the laptops as peers for the WireGuard concentrator: public keys from their records, addresses from the roster.
    Peers {
        #[command(flatten)]
        database: DatabaseArg,
    },
    /// Check the whole log: chain, signatures, triggers. Prints the head of the chain, to be noted elsewhere.
    Audit {
        #[command(flatten)]
        database: DatabaseArg,
        /// Folder with job.pub. Earlier public keys may follow on further lines of that file.
        #[arg(long, value_name = "DIR")]
        keys: PathBuf,
    },
}

impl Cli {
    /// Runs the command and reports its outcome.
    pub async fn main(self) -> ExitCode {
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_env_filter(tracing_subscriber::EnvFilter::try_from_env("LIVERY_LOG").unwrap_or_else(|_| "info,sqlx=warn".into()))
            .init();
        let json = self.json;
        match self.run().await {
            Ok(()) => Exit::Done.into(),
            Err(fault) => {
                if json {
                    // Where standard output is gone, the exit code still tells.
                    let _ = say(&json!({ "error": fault.report() }).to_string());
                }
                eprintln!("{}", fault.render());
                fault.exit().into()
            }
        }
    }

    async fn run(self) -> Result<()> {
        let json = self.json;
        match self.command {
            Command::Keygen { out, hosts } => {
                let made = keys::generate(&out, &hosts)?;
                let text = format!(
                    "made keys in {}\njob key  {}\nnext     livery medium … --station-ca {0}/ca.pem --job-key {0}/job.pub; all .key files stay on the station",
                    out.display(),
                    made.job_key
                );
                report(json, &json!(made), &text)
            }
            Command::Import { roster, image, database, store } => {
                let catalogue = Catalogue::open(&store.store, &store.trust).await?;
                // Before the database is made: a refused import leaves nothing behind.
                let employees = import::read(&catalogue, &roster, &image).await?;
                let database = Database::open(&database.database, Open::OrCreate).await?;
                let done = import::store(&database, &employees, &image, &roster).await;
                database.close().await;
                let done = done?;
                let text = format!("orders: {} added, {} updated, {} unchanged", done.added, done.updated, done.unchanged);
                report(json, &json!(done), &text)
            }
            Command::Assign { order, serial, database } => {
                let database = Database::open(&database.database, Open::Existing).await?;
                operator::assign(&database, &order, &serial).await?;
                report(
                    json,
                    &json!({ "order": order, "serial": serial.trim() }),
                    &format!("{order} is assigned to device {}", serial.trim()),
                )
            }
            Command::Reopen { order, database } => {
                let database = Database::open(&database.database, Open::Existing).await?;
                operator::reopen(&database, &order).await?;
                report(
                    json,
                    &json!({ "order": order, "state": "open" }),
                    &format!("{order} is open: its device may be written again"),
                )
            }
            Command::Retire { order, database } => {
                let database = Database::open(&database.database, Open::Existing).await?;
                operator::retire(&database, &order).await?;
                report(
                    json,
                    &json!({ "order": order, "state": "retired" }),
                    &format!(
                        "{order} is retired\nnext     load the peers without it on the tunnel's concentrator: livery-station peers, then wg syncconf"
                    ),
                )
            }
            Command::Orders { database } => lists::orders(json, &database.database).await,
            Command::Serve { store, keys, database, listen } => serve(json, &store, &keys, &database.database, listen).await,
            Command::Records { database } => lists::records(json, &database.database).await,
            Command::Record { order, payload, database } => lists::record(&order, payload, json, &database.database).await,
            Command::Peers { database } => {
                let database = Database::open(&database.database, Open::Existing).await?;
                let peers = peers::peers(&mut *database.connection().await?).await?;
                for missing in peers.iter().filter(|peer| peer.address.is_none()) {
                    eprintln!("{}: left out, because its roster row has no tunnel-address", missing.order);
                }
                report(json, &json!({ "peers": peers }), peers::configuration(&peers).trim_end())
            }
            Command::Audit { database, keys } => {
                let public = keys::public_keys(&keys)?;
                let database = Database::open(&database.database, Open::Existing).await?;
                let done = audit::audit(&database, &public).await?;
                let text = format!(
                    "the log is intact: {} records, {} confirmations, head {}",
                    done.records, done.confirmations, done.head
                );
                report(json, &json!(done), &text)
            }
        }
    }
}

async fn serve(json: bool, store: &StoreArgs, keys: &std::path::Path, url: &str, listen: SocketAddr) -> Result<()> {
    let key = keys::job_key(keys)?;
    let tls = tls::load(keys).await?;
    let catalogue = Catalogue::open(&store.store, &store.trust).await?;
    let database = Database::open(url, Open::ToServe).await?;
    let station = Arc::new(Station::new(database, catalogue, key, Settings::default()));
    let running = server::start(station, tls, listen).await?;
    let address = running.address;
    report(json, &json!({ "event": "listening", "address": address }), &format!("listening on https://{address}"))?;
    running.until_stopped().await
}
