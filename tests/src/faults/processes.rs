//! Faults of the process: killed, ended, stopped.

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    time::{Duration, Instant},
};

use livery_contract::Result;
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::{
    agent::Running,
    catalogue::Kind,
    ground::{NEW, Subject, broken},
    scene::{Run, Scene},
};
use crate::bad_server::{BadServer, Rule, Trouble};

/// Signals a run at a random moment.
///
/// # Errors
/// Where the case can't be made.
pub async fn run(scene: &mut Scene<'_>, kind: Kind) -> Result<Run> {
    let (subject, before) = scene.subject()?;
    let again = kind == Kind::Kill && scene.rng.once_in(4);
    let mut ended = once(scene, kind, &subject).await?;
    if again {
        ended = once(scene, kind, &subject).await?;
    }
    let mut run = Run::new(subject, before, ended);
    if kind == Kind::KillRot {
        run.judge(scene)?;
        rot(scene, &run.subject)?;
    }
    Ok(run)
}

async fn once(scene: &mut Scene<'_>, kind: Kind, subject: &Subject) -> Result<super::agent::Ended> {
    let store = scene.ground.store();
    // Half of them by a server, slow by chance, so that the moment falls into the write more often.
    let rate = scene.rng.any([None, None, Some(4 << 20), Some(20 << 20)]);
    let server = match rate {
        Some(rate) => Some(BadServer::start(&store, Rule::packs(Trouble::Slow(rate)), None).await?),
        None => None,
    };
    let from = server.as_ref().map_or_else(|| store.display().to_string(), BadServer::url);
    let moment = Duration::from_millis(scene.rng.below(if rate.is_some() { 1500 } else { 500 }));
    let signal = match kind {
        Kind::Terminate => scene.rng.any([Signal::SIGINT, Signal::SIGTERM]),
        Kind::Pause => Signal::SIGSTOP,
        _ => Signal::SIGKILL,
    };
    scene.note(format!("{signal} after {} ms, source {from}", moment.as_millis()));
    let running = Running::start(&scene.ground.order("write", NEW, &from, &subject.path))?;
    // The moment is the fault: drawn from the seed, wherever the program is by then.
    sleep(moment).await;
    running.signal(signal);
    if kind == Kind::Pause {
        // As long as it is stopped, which the seed draws too.
        sleep(Duration::from_millis(scene.rng.within(500, 8000))).await;
        running.signal(Signal::SIGCONT);
    }
    let begun = Instant::now();
    let ended = running.end().await?;
    scene.note(format!("it ended {} ms later", begun.elapsed().as_millis()));
    Ok(ended)
}

/// Blocks of the disk change while nobody looks; not the sectors of a partition table, which would make a disk that boots
/// of what is none.
fn rot(scene: &mut Scene<'_>, subject: &Subject) -> Result<()> {
    let fail = |error| broken(&subject.path, error);
    let file = File::options().write(true).open(&subject.path).map_err(fail)?;
    for _ in 0..scene.rng.within(1, 20) {
        let at = scene.rng.within(super::image::FIRST, subject.size - super::image::FIRST) / 512 * 512;
        let length = usize::try_from(scene.rng.any([1_u64, 512, 4096, 65536])).unwrap_or(1);
        let bytes = if scene.rng.once_in(3) { vec![0; length] } else { scene.rng.bytes(length) };
        file.write_all_at(&bytes, at).map_err(fail)?;
        scene.note(format!("{length} bytes at {at} changed after the kill"));
    }
    Ok(())
}
