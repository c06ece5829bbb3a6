//! The unattended flow, as on the medium: from power-on to DONE or a clear reason.
//!
//! In: [`Settings`]. Out: a [`Receipt`](livery_contract::wire::Receipt), or a fault that was shown and told to the station.

use std::{path::Path, time::Duration};

use ed25519_dalek::SigningKey;
use livery_contract::{
    Fault, Result,
    inventory::Inventory,
    job::Job,
    record::Record,
    wire::{Phase, Receipt},
};
use serde_json::json;
use tokio::runtime::Handle;

use super::flash::{self, Stays};
use crate::{
    config::Settings,
    console::Console,
    enrol::{ask, secure_boot},
    firmware::variables::EFIVARS,
    image::trust::Trusted,
    inventory, job,
    power::After,
    report::{failure::failure, progress::progress as reporter, send},
    station::{client::Station, patience::Patience},
    target::{
        choose::{self, Needs},
        claim::Target,
    },
    work::{Work, progress::Progress, stop::Stop, threads::blocking},
};

/// How long udev may take to find all disks.
const SETTLE: Duration = Duration::from_secs(30);
/// How long the store may not answer before the first byte is written.
const STORE: Duration = Duration::from_secs(60);

/// One device, from inventory to receipt. What happened is on the console and at the station when it returns. `None` where the
/// device is starting again, with the organisation's keys in its firmware.
///
/// # Errors
/// The fault that was shown.
pub(crate) async fn run(settings: &Settings, console: &Console, stop: &Stop) -> Result<Option<Receipt>> {
    let progress = Progress::default();
    let mut known = Known::default();
    let watch = console.watch(&progress);
    let result = steps(settings, console, stop, &progress, &mut known).await;
    drop(watch);
    match result {
        Ok(Outcome::Restart) => {
            console.event("restart", json!({ "reason": "secure-boot-keys" }));
            console.say("the firmware now has the organisation's Secure Boot keys: restarting under them");
            After::Reboot.carry_out()?;
            Ok(None)
        }
        Ok(Outcome::Done(receipt, record)) => {
            progress.enter(Phase::Done, 0);
            console.event("done", json!({ "receipt": receipt, "record": record }));
            console.block(
                &format!("DONE   order {}   device {}", receipt.order, record.system.serial),
                &[
                    format!("image    {}", record.image),
                    format!("disk     {}", choose::describe(&record.disk)),
                    format!("boot     {}", record.boot_entry.as_deref().unwrap_or("through the disk's default loader")),
                    format!("bound    {}", if record.bound.is_some() { "to this device's TPM" } else { "not to a TPM" }),
                    format!("record   no. {} of the station, all {} bytes read back", receipt.sequence, record.size),
                    String::new(),
                    "The device is ready to ship.".into(),
                ],
            );
            show(console, settings.done_hold, stop).await;
            settings.after.carry_out()?;
            Ok(Some(receipt))
        }
        Err(fault) => {
            let phase = progress.phase();
            progress.enter(Phase::Failed, 0);
            console.event("failed", json!({ "phase": phase, "fault": fault.report() }));
            let who = known.job.as_ref().map_or_else(|| "no order".to_owned(), |job| format!("order {}", job.order));
            console.failed(&format!("FAILED   {who}   device {}   in step: {}", known.serial(), phase.as_str()), &fault);
            if let Some(station) = &known.station {
                failure(station, known.job.as_ref().map(|job| job.id), known.serial(), phase, &fault).await;
            }
            // An operator who pressed Ctrl-C has read it.
            if !stop.asked() {
                show(console, settings.fail_hold.unwrap_or(Duration::MAX), stop).await;
                settings.after_failure.carry_out()?;
            }
            Err(fault)
        }
    }
}

/// What is known so far, for telling of a failure.
#[derive(Debug, Default)]
struct Known {
    station: Option<Station>,
    inventory: Option<Inventory>,
    job: Option<Job>,
}

impl Known {
    fn serial(&self) -> &str {
        self.inventory.as_ref().map_or("", |inventory| inventory.system.serial.as_str())
    }
}

async fn steps(settings: &Settings, console: &Console, stop: &Stop, progress: &Progress, known: &mut Known) -> Result<Outcome> {
    progress.enter(Phase::Inventory, 0);
    let station = Station::new(&settings.station, &settings.access, new_key()?)?;
    known.station = Some(station.clone());
    let inventory = blocking(|| {
        inventory::settle(SETTLE);
        inventory::read()
    })
    .await?;
    known.inventory = Some(inventory.clone());
    let system = inventory.system.clone();
    console.say(format!("device {:?} ({} {}), station {}", system.serial, system.manufacturer, system.product, settings.station));

    if let Some(folder) = &settings.secure_boot
        && secure_boot::enrol(folder, Path::new(EFIVARS))?
    {
        return Ok(Outcome::Restart);
    }

    let envelope = ask::enrol(&station, &inventory, settings.give_up_after, console, progress, stop).await?;
    let job = job::open(&envelope, &settings.job_key, &system.serial, &station.key())?;
    known.job = Some(job.clone());
    console.say(format!("order {}, image {}", job.order, job.image));
    console.event("job", json!({ "job": job }));
    let reporter = reporter(&station, job.id, progress);

    progress.enter(Phase::Trust, 0);
    let store = station.store()?;
    // One lost answer while the signatures are checked must not fail a device; a store that is away for a minute does.
    let patience = Patience::new(Some(settings.give_up_after.map_or(STORE, |limit| limit.min(STORE))));
    let open = async || Trusted::open(&store, &settings.trust, settings.access.clone(), &job.image, Some(&job.manifest)).await;
    let trusted = tokio::select! {
        opened = patience.ask("the store", console, open) => opened?,
        () = stop.wait() => return Err(stop.fault()),
    };

    progress.enter(Phase::Target, 0);
    let needs = Needs::from(trusted.manifest());
    // Read again: a disk may have come or gone while the device waited for its order.
    let hints = job.disk.clone();
    let (manifest, asked) = (trusted.manifest().clone(), stop.clone());
    let target = blocking(move || {
        let look = || {
            inventory::settle(SETTLE);
            Ok(inventory::read()?.disks)
        };
        let pause = |time| {
            std::thread::sleep(time);
            asked.check()
        };
        let (disk, disks) = choose::choose_when_there(look, &hints, needs, pause)?;
        choose::no_twin(&disk, &disks, &manifest)?;
        Target::claim(&disk)
    })
    .await?;
    console.say(format!("disk {}", choose::describe(target.disk())));

    let work = Work { handle: Handle::current(), progress: progress.clone(), stop: stop.clone() };
    let (stays, this_job) = (Stays { boot_entry: settings.boot_entry, bind: settings.bind }, job.clone());
    let record = blocking(move || flash::flash(&trusted, target, system, Some(&this_job), stays, &work)).await?;

    let receipt = send::record(&station, &job, &settings.job_key, &record, settings.give_up_after, console, progress).await?;
    drop(reporter);
    Ok(Outcome::Done(receipt, Box::new(record)))
}

/// How the steps end well.
enum Outcome {
    /// All of them are done.
    Done(Receipt, Box<Record>),
    /// The device must start again first.
    Restart,
}

/// A key for this boot only: it never leaves the memory.
fn new_key() -> Result<SigningKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| Fault::internal("the kernel did not provide random numbers").cause(error))?;
    Ok(SigningKey::from_bytes(&seed))
}

/// Leaves the screen as it is for a while; Ctrl-C ends it.
async fn show(console: &Console, hold: Duration, stop: &Stop) {
    if hold.is_zero() {
        return;
    }
    console.event("holding", json!({ "seconds": (hold != Duration::MAX).then_some(hold.as_secs()) }));
    tokio::select! {
        () = tokio::time::sleep(hold) => {}
        () = stop.wait() => {}
    }
}
