//! Which file of a crate a path in its code leads to: `crate::bind::seal` is in `bind/keys.rs` where `bind` only passes it on.

use crate::tree::{Import, Module, Tree};

/// Where a path leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To a module.
    Module(usize),
    /// To something that a module defines.
    Item(usize),
}

impl Place {
    /// The module that it is, or that defines it.
    pub const fn module(self) -> usize {
        match self {
            Self::Module(module) | Self::Item(module) => module,
        }
    }
}

/// Names that pass names on are followed so many times, so that two that name each other end.
const STEPS: usize = 32;

impl Tree {
    /// Where a path leads that the code of module `at` names; nothing where it leads out of the crate, or to a local name. Its last
    /// name is a function's or a type's before it is a module's of the same name.
    pub fn resolve(&self, at: usize, path: &[String]) -> Option<Place> {
        let (last, before) = path.split_last()?;
        if let Some(Place::Module(module)) = (!before.is_empty()).then(|| self.follow(at, before, STEPS)).flatten() {
            let found = &self.modules[module];
            if found.items.contains(last) {
                return Some(Place::Item(module));
            }
            if let Some(import) = binding(found, last) {
                return Some(self.follow_import(module, import, STEPS).unwrap_or(Place::Item(module)));
            }
        }
        self.follow(at, path, STEPS)
    }

    /// Where an import leads.
    pub fn resolve_import(&self, at: usize, import: &Import) -> Option<Place> {
        self.follow_import(at, import, STEPS)
    }

    fn follow(&self, at: usize, path: &[String], steps: usize) -> Option<Place> {
        let (first, rest) = path.split_first()?;
        let steps = steps.checked_sub(1)?;
        let module = &self.modules[at];
        match first.as_str() {
            "crate" => return self.walk(0, rest, steps),
            "self" => return self.walk(at, rest, steps),
            "super" => return self.walk(module.parent, rest, steps),
            _ => {}
        }
        if let Some(child) = module.children.get(first) {
            return self.walk(*child, rest, steps);
        }
        match self.follow_import(at, binding(module, first)?, steps)? {
            Place::Module(found) => self.walk(found, rest, steps),
            item @ Place::Item(_) => Some(item),
        }
    }

    fn follow_import(&self, at: usize, import: &Import, steps: usize) -> Option<Place> {
        // `use plan::Plan` beside `use crate::plan`, and `use serde::Serialize` with no `serde` here; never itself.
        let (first, rest) = import.path.split_first()?;
        let module = &self.modules[at];
        let own = matches!(first.as_str(), "crate" | "self" | "super") || module.children.contains_key(first);
        if own {
            return self.follow(at, &import.path, steps);
        }
        let other = binding(module, first).filter(|other| other.path != import.path)?;
        match self.follow_import(at, other, steps.checked_sub(1)?)? {
            Place::Module(found) => self.walk(found, rest, steps),
            item @ Place::Item(_) => Some(item),
        }
    }

    /// From a module on, step by step.
    fn walk(&self, at: usize, path: &[String], steps: usize) -> Option<Place> {
        let Some((first, rest)) = path.split_first() else { return Some(Place::Module(at)) };
        let steps = steps.checked_sub(1)?;
        let module = &self.modules[at];
        if first == "super" {
            return self.walk(module.parent, rest, steps);
        }
        if let Some(child) = module.children.get(first) {
            return self.walk(*child, rest, steps);
        }
        if module.items.contains(first) {
            return Some(Place::Item(at));
        }
        if let Some(import) = binding(module, first) {
            // What comes from another crate has its place where it is passed on.
            return match self.follow_import(at, import, steps) {
                Some(Place::Module(found)) => self.walk(found, rest, steps),
                Some(item) => Some(item),
                None => Some(Place::Item(at)),
            };
        }
        for import in module.imports.iter().filter(|import| import.glob) {
            if let Some(Place::Module(found)) = self.follow_import(at, import, steps)
                && found != at
                && self.has(found, first)
            {
                return self.walk(found, path, steps);
            }
        }
        // Made by a macro.
        Some(Place::Item(at))
    }

    fn has(&self, at: usize, name: &str) -> bool {
        let module = &self.modules[at];
        module.items.contains(name) || module.children.contains_key(name) || binding(module, name).is_some()
    }
}

fn binding<'a>(module: &'a Module, name: &str) -> Option<&'a Import> {
    module.imports.iter().find(|import| import.name.as_deref() == Some(name))
}
