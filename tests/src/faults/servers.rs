//! Faults of a server and of the way to it.

use std::time::Duration;

use livery_contract::{Fault, Result};

use super::{
    agent::{self, Running},
    catalogue::Kind,
    ground::NEW,
    scene::{Run, Scene},
    wire::{Breaks, Wire},
};
use crate::bad_server::{BadServer, Part, Rule, Trouble};

/// Runs the agent against a bad server.
///
/// # Errors
/// Where the case can't be made.
pub async fn run(scene: &mut Scene<'_>, kind: Kind) -> Result<Run> {
    let (subject, before) = scene.subject()?;
    let store = scene.ground.store();
    // The host that a redirect leads to: healthy, and never to be asked.
    let other = BadServer::start(&store, Rule::packs(Trouble::None), None).await?;
    let rule = rule(scene, kind, other.port());
    scene.note(format!("{rule:?}"));
    let server = BadServer::start(&store, rule, None).await?;
    let wire = match kind {
        Kind::ServerReset => {
            let after = scene.rng.any([0, 100, 3000, 20_000, 500_000, 3_000_000]);
            let breaks = Breaks { after, times: scene.rng.any([1, 2, 5, u64::MAX]) };
            scene.note(format!("{breaks:?}"));
            Some(Wire::start(server.address(), breaks).await?)
        }
        _ => None,
    };
    let url = wire.as_ref().map_or_else(|| server.url(), Wire::url);
    let order = scene.ground.order("write", NEW, &url, &subject.path);
    let ended = if kind == Kind::ServerDead {
        let running = Running::start(&order)?;
        // Where nothing is fetched, there is no gate to come to.
        let _ = tokio::time::timeout(Duration::from_secs(2), server.reached()).await;
        drop(server);
        running.end().await?
    } else {
        agent::run(&order).await?
    };
    if other.requests() > 0 {
        return Err(Fault::untrusted("the agent followed a redirect to another host"));
    }
    Ok(Run::new(subject, before, ended))
}

fn rule(scene: &mut Scene<'_>, kind: Kind, port: u16) -> Rule {
    let rng = &mut scene.rng;
    let after = rng.any([0, 0, 1, 2, 3, 4]);
    let ever = |what| Rule { what, part: Part::Pack, after, times: u64::MAX };
    match kind {
        Kind::ServerStatus => ever(Trouble::Status(rng.any([500, 503, 403, 404, 416, 429, 204]))),
        Kind::ServerPage => ever(Trouble::Page),
        Kind::ServerRedirect => ever(Trouble::Redirect(port)),
        Kind::ServerRange => {
            ever(rng.any([Trouble::NoRanges, Trouble::WrongRange, Trouble::Short, Trouble::Elsewhere, Trouble::Elsewhere]))
        }
        Kind::ServerEndless => {
            Rule { part: rng.any([Part::Pack, Part::Map, Part::Manifest, Part::Metadata]), ..ever(Trouble::Endless) }
        }
        Kind::ServerDead => Rule { what: Trouble::Gate, part: Part::Pack, after: rng.below(5), times: 1 },
        Kind::ServerStall => ever(rng.any([Trouble::Stall, Trouble::StallHalf])),
        Kind::ServerTrickle => Rule { part: rng.any([Part::Pack, Part::Map, Part::Metadata]), ..ever(Trouble::Trickle) },
        Kind::ServerFlaky => {
            let what = any(rng, port);
            let after = rng.below(8);
            Rule { what, part: Part::Pack, after, times: rng.any([1, 1, 2, 3]) }
        }
        Kind::ServerMetadata => {
            let what = match rng.below(8) {
                0 => Trouble::Stall,
                1 => Trouble::StallHalf,
                _ => any(rng, port),
            };
            let part = rng.any([Part::Metadata, Part::Metadata, Part::Manifest, Part::Map]);
            Rule { what, part, after: if part == Part::Metadata { rng.below(5) } else { 0 }, times: rng.any([1, u64::MAX]) }
        }
        _ => ever(Trouble::None),
    }
}

fn any(rng: &mut super::rng::Rng, port: u16) -> Trouble {
    rng.any([
        Trouble::Status(500),
        Trouble::Status(503),
        Trouble::Status(404),
        Trouble::Page,
        Trouble::Break,
        Trouble::Break,
        Trouble::WrongRange,
        Trouble::NoRanges,
        Trouble::Short,
        Trouble::Elsewhere,
        Trouble::Redirect(port),
    ])
}
