//! Importing a roster: one order from each row.
//!
//! An import is all or nothing, and the same import twice changes nothing. What a device has begun with does not change
//! under it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
};

use jiff::Timestamp;
use livery_contract::{
    Fault, Reference, Result,
    roster::{self, Employee},
};
use serde::Serialize;

use crate::{
    database::{self, Database, orders as table, orders::Order},
    images::catalogue::Catalogue,
    states::{OrderState, State as _},
};

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// New orders.
    pub added: usize,
    /// Orders that nothing had begun with, now with other contents.
    pub updated: usize,
    /// Orders that were there already, just so.
    pub unchanged: usize,
}

/// [`read`] and [`store`], one after the other.
///
/// # Errors
/// As theirs; nothing was stored.
pub async fn import(database: &Database, catalogue: &Catalogue, path: &Path, master: &Reference) -> Result<Imported> {
    let employees = read(catalogue, path, master).await?;
    store(database, &employees, master, path).await
}

/// Reads a roster, and checks that the store has what it asks for: `master`'s personal image for every row.
///
/// # Errors
/// `Usage` where `master` names a personal image; `Refused`, with all rows that are wrong, where the roster has errors, or
/// an image is missing or made for another host name.
pub(crate) async fn read(catalogue: &Catalogue, path: &Path, master: &Reference) -> Result<Vec<Employee>> {
    if master.order.is_some() {
        return Err(Fault::usage(format!("{master} is one employee's image"))
            .fix(format!("use the master image: --image {}", master.master())));
    }
    let (_, employees) = roster::read(path, std::fs::File::open(path))?;
    check_images(catalogue, &employees, master).await?;
    Ok(employees)
}

/// Makes one order of each row, all or none; `path` is the roster's, for faults.
///
/// # Errors
/// `Refused`, with all rows that are wrong, and nothing stored, where a serial is taken or an order has begun.
pub(crate) async fn store(database: &Database, employees: &[Employee], master: &Reference, path: &Path) -> Result<Imported> {
    let mut transaction = database.write().await?;
    let known: HashMap<String, Order> =
        table::all(&mut transaction).await?.into_iter().map(|order| (order.id.clone(), order)).collect();
    let begun: HashSet<String> = table::begun(&mut transaction).await?.into_iter().collect();
    let mut imported = Imported::default();
    let mut changed = Vec::new();
    let mut problems = Vec::new();
    for employee in employees {
        let old = known.get(employee.order.as_str());
        let new = order_of(employee, master, old);
        match old {
            None => imported.added += 1,
            Some(old) if same(old, &new) => {
                imported.unchanged += 1;
                continue;
            }
            Some(old) if begun.contains(&old.id) => {
                problems.push(format!("order {} has begun already and cannot be changed", old.id));
                continue;
            }
            Some(_) => imported.updated += 1,
        }
        changed.push(new);
    }
    problems.extend(taken(&known, &changed));
    if !problems.is_empty() {
        return Err(refused("the roster contradicts existing orders", &problems)
            .at(path.display())
            .fix("nothing was stored: compare with `livery-station orders`, correct the roster, and run the same command again"));
    }
    // First free all serials, so that two orders can change theirs for one another's.
    for order in changed.iter().filter(|order| known.contains_key(&order.id)) {
        table::bind(&mut transaction, &order.id, None).await?;
    }
    for order in &changed {
        table::put(&mut transaction, order).await?;
    }
    database::commit(transaction).await?;
    Ok(imported)
}

/// Every order's image must be in the store, and made from the same row.
async fn check_images(catalogue: &Catalogue, employees: &[Employee], master: &Reference) -> Result<()> {
    let mut problems = Vec::new();
    for employee in employees {
        let image = master.personal(employee.order.clone());
        match catalogue.manifest(&image).await {
            Ok((manifest, _)) => {
                let made_for = manifest.personal.as_ref().map_or("nobody", |personal| personal.hostname.as_str());
                if made_for != employee.hostname {
                    problems.push(format!("{image} was made for host name {made_for}, the roster says {}", employee.hostname));
                }
            }
            Err(fault) if fault.exit() == livery_contract::Exit::Refused => problems.push(format!("{image} is not in the store")),
            Err(fault) => return Err(fault),
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(refused("the store lacks images that the roster needs", &problems)
        .at(catalogue.folder().display())
        .fix(format!("run `livery personalise {master} --roster FILE --store DIR --keys DIR`, then the same command again")))
}

fn refused(what: &str, problems: &[String]) -> Fault {
    let mut text = what.to_owned();
    for problem in problems.iter().take(50) {
        text.push_str(&format!("\n  {problem}"));
    }
    if problems.len() > 50 {
        text.push_str(&format!("\n  and {} more", problems.len() - 50));
    }
    Fault::refused(text)
}

fn order_of(employee: &Employee, master: &Reference, old: Option<&Order>) -> Order {
    Order {
        id: employee.order.to_string(),
        image: master.personal(employee.order.clone()).to_string(),
        // A roster without a serial does not take away the one that the line has given.
        serial: employee.serial.clone().or_else(|| old.and_then(|old| old.serial.clone())),
        sign_in: employee.user.clone(),
        person: employee.name.clone(),
        hostname: employee.hostname.clone(),
        locale: employee.locale.clone(),
        keyboard: employee.keyboard.clone(),
        timezone: employee.timezone.clone(),
        tunnel_address: employee.tunnel_address.clone(),
        state: old.map_or(OrderState::FIRST, |old| old.state),
        record: old.and_then(|old| old.record),
        confirmation: old.and_then(|old| old.confirmation),
        amiss: old.and_then(|old| old.amiss.clone()),
        heard_at: old.and_then(|old| old.heard_at),
        runs: old.and_then(|old| old.runs.clone()),
        imported_at: Timestamp::now().as_millisecond(),
    }
}

fn same(old: &Order, new: &Order) -> bool {
    *old == Order { imported_at: old.imported_at, ..new.clone() }
}

/// Serials that two open orders would have.
fn taken(known: &HashMap<String, Order>, changed: &[Order]) -> Vec<String> {
    let mut after: BTreeMap<&str, &Order> = known.iter().map(|(id, order)| (id.as_str(), order)).collect();
    after.extend(changed.iter().map(|order| (order.id.as_str(), order)));
    let mut holder: HashMap<&str, &str> = HashMap::new();
    let mut problems = Vec::new();
    for order in after.values().filter(|order| order.is_open()) {
        let Some(serial) = order.serial.as_deref() else { continue };
        if let Some(first) = holder.insert(serial, &order.id) {
            problems.push(format!("serial {serial} would belong to two open orders, {first} and {}", order.id));
        }
    }
    problems
}
