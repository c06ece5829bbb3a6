//! The stand-in Gateway as a program of its own, for trying a device by hand. See `livery_tests::gateway`.

use std::{fs, io, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, thread};

use clap::Parser;
use livery_contract::{Fault, Result, roster};
use livery_tests::gateway::{
    Config, Gateway,
    accounts::{Accounts, Factor, Receiver},
    guard::Limits,
    push::Answer,
};

/// Below `--help`.
const EXAMPLES: &str = "\
Examples:
  gateway --ca out/ca --roster profiles/sample-roster.csv --accounts out/accounts.toml
  gateway --ca out/ca --accounts out/pushed.toml --roster profiles/sample-roster.csv --factor push
  gateway --ca out/ca --accounts out/accounts.toml --log out/access.jsonl --idle 60

out/ca/ca.pem is for the profile; the accounts' file holds passwords, and the secrets for an
authenticator app.

An account:
  [[account]]
  login = \"marie.durand\"
  name = \"Marie Durand\"
  password = \"correct horse\"
  desktop = \"Assurance Desktop\"
  factor = \"fido2\"       # or \"push\"; or \"totp\", the default, with secret = \"BASE32\"
  receiver = \"native\"    # a file for Citrix's client; or \"html5\", the default: the same tab
  [account.credential]    # for fido2, both in Base64url
  id = \"...\"             # the credential's ID
  public-key = \"...\"     # ES256, SubjectPublicKeyInfo

While it runs, what is typed here answers for people and machines:
  approve LOGIN     that person's phone says yes
  deny LOGIN        it says no
  end LOGIN         that person's desktops are shut down";

/// A stand-in for a Citrix Gateway and StoreFront, for tests and demonstrations.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
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
    /// Second factor of the accounts made from --roster
    #[arg(long, default_value = "totp")]
    factor: Factor,
    /// What their desktops open in
    #[arg(long, default_value = "html5")]
    receiver: Receiver,
    /// Access log, JSON lines
    #[arg(long)]
    log: Option<PathBuf>,
    /// Seconds that a session lasts
    #[arg(long, default_value_t = Limits::default().session)]
    session: u64,
    /// Seconds that it lasts with nothing done in it
    #[arg(long, default_value_t = Limits::default().idle)]
    idle: u64,
    /// Seconds that a phone shows a request
    #[arg(long, default_value_t = Limits::default().push)]
    push: u64,
    /// Seconds that a ticket for the desktop is good
    #[arg(long, default_value_t = Limits::default().launch)]
    launch: u64,
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
        if flags.factor == Factor::Fido2 {
            return Err(Fault::usage("a security key is one person's, and not in a roster")
                .fix("make the accounts with another --factor, then write factor and [account.credential] into the file"));
        }
        let (_, employees) = roster::read(path, fs::File::open(path))?;
        let mut accounts = Accounts::for_roster(&employees, "Assurance Desktop")?;
        for account in &mut accounts.account {
            (account.factor, account.receiver) = (flags.factor, flags.receiver);
        }
        accounts.write(&flags.accounts)?;
    }
    let limits = Limits {
        session: flags.session,
        idle: flags.idle,
        push: flags.push,
        launch: flags.launch,
        lock: flags.lock,
        ..Limits::default()
    };
    let gateway = Gateway::start(Config {
        listen: flags.listen,
        organisation: flags.organisation,
        limits,
        log: flags.log,
        ..Config::new(&flags.host, flags.ca.clone(), Accounts::read(&flags.accounts)?)
    })
    .await?;
    gateway.set_available(!flags.unavailable);
    let gateway = Arc::new(gateway);
    println!("listening on {} as {}", gateway.address(), gateway.url());
    println!("authority {}, pin {}", flags.ca.join("ca.pem").display(), gateway.spki());
    let typed = gateway.clone();
    // A thread that nobody waits for: a read from a terminal can't be called off.
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(io::Result::ok).filter(|line| !line.trim().is_empty()) {
            println!("{}", obey(&typed, &line));
        }
    });
    tokio::signal::ctrl_c().await.map_err(|error| Fault::internal("can't wait for Ctrl-C").cause(error))
}

/// Does what was typed, and says what came of it.
fn obey(gateway: &Gateway, line: &str) -> &'static str {
    let words: Vec<&str> = line.split_whitespace().collect();
    let answer = |login, answer| if gateway.answer_phone(login, answer) { "answered" } else { "that phone shows nothing" };
    match words[..] {
        ["approve", login] => answer(login, Answer::Approve),
        ["deny", login] => answer(login, Answer::Deny),
        ["end", login] => {
            gateway.end_desktops(login);
            "ended"
        }
        _ => "approve LOGIN, deny LOGIN or end LOGIN",
    }
}
