//! Every message between agent and station: tried as each of them.

use livery_contract::{
    confirmation::{self, Confirmation, What},
    envelope::{Envelope, Payload, PublicKey},
    fault::FaultReport,
    inventory::{Inventory, usable_serial},
    job::Job,
    record::Record,
    wire::{Enrol, EnrolAnswer, Failure, Progress, Receipt},
};

use crate::signed;

/// Checks one input; whether it is any of the messages.
///
/// # Panics
/// Where it breaks a rule of [`signed::message`], or an envelope opens that shows something else when looked into.
pub fn check(input: &[u8]) -> bool {
    let enrol = signed::message::<Enrol>(input);
    let inventory = signed::json::<Inventory>(input);
    for system in enrol.iter().map(|enrol| &enrol.inventory).chain(&inventory).map(|inventory| &inventory.system) {
        if let Some(serial) = usable_serial(&system.serial) {
            assert_eq!(usable_serial(serial), Some(serial), "what identifies a machine is its own shortest form");
        }
    }
    let envelope = signed::json::<Envelope>(input);
    let answer = signed::json::<EnrolAnswer>(input);
    let inner = match &answer {
        Some(EnrolAnswer::Job { job }) => Some(job),
        _ => None,
    };
    for envelope in envelope.iter().chain(inner) {
        open(envelope);
    }
    [
        enrol.is_some(),
        inventory.is_some(),
        envelope.is_some(),
        answer.is_some(),
        signed::message::<Progress>(input).is_some(),
        signed::message::<Record>(input).is_some(),
        signed::message::<Receipt>(input).is_some(),
        signed::message::<Failure>(input).is_some(),
        signed::message::<Confirmation>(input).is_some_and(|told| confirmed(&told)),
        signed::json::<FaultReport>(input).is_some(),
    ]
    .contains(&true)
}

/// Whether a confirmation is of the form that is kept; what is can be shown and is bounded.
fn confirmed(told: &Confirmation) -> bool {
    if told.check().is_err() {
        return false;
    }
    let mut seen: Vec<What> = Vec::new();
    for finding in &told.findings {
        assert!(finding.found.len() <= confirmation::MAX_TEXT && !seen.contains(&finding.what), "{finding:?}");
        assert_eq!(confirmation::line(&finding.found), finding.found, "one line stays as it is");
        seen.push(finding.what);
    }
    assert!(told.says_as(told));
    true
}

/// Opens it as each type: at most one can be right.
fn open(envelope: &Envelope) {
    let opened = [
        opens::<Enrol>(envelope),
        opens::<Job>(envelope),
        opens::<Progress>(envelope),
        opens::<Record>(envelope),
        opens::<Receipt>(envelope),
        opens::<Failure>(envelope),
        opens::<Confirmation>(envelope),
    ];
    assert!(opened.iter().filter(|opened| **opened).count() <= 1, "one envelope opens as several types");
}

fn opens<T: Payload + PartialEq + std::fmt::Debug>(envelope: &Envelope) -> bool {
    let seen = envelope.peek::<T>().ok();
    match envelope.open::<T>(&PublicKey::of(&signed::key())) {
        Ok(value) => {
            assert_eq!(seen, Some(value), "opened and looked into it is not the same");
            true
        }
        Err(_) => false,
    }
}
