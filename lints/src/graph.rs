//! Circles in a graph of files, each of which is a module's.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::Path,
};

/// Arrows between files, each with the line that makes it and what stands there.
pub(crate) type Arrows<'a> = BTreeMap<&'a Path, BTreeMap<&'a Path, (usize, String)>>;
/// The module of each file, by its path below the crate's root.
pub(crate) type Places<'a> = BTreeMap<&'a Path, &'a [String]>;

/// Short circles, each beginning with its first file in order, such that each file that is in any circle is in one of these.
///
/// A circle does not count where one of its files declares all others: a folder's first file and its parts are read together. So each
/// folder is looked at without its first file, for circles that lead from one of its parts to another one and back.
pub(crate) fn circles<'a>(arrows: &Arrows<'a>, places: &Places<'a>) -> Vec<Vec<&'a Path>> {
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for folder in places.values() {
        // The part of the folder that a file belongs to.
        let part = |file: &Path| places.get(file)?.strip_prefix(*folder)?.first();
        for (from, targets) in arrows {
            for to in targets.keys() {
                let (Some(one), Some(other)) = (part(from), part(to)) else { continue };
                if one == other || seen.contains(from) && seen.contains(to) {
                    continue;
                }
                if let Some(mut circle) = way(arrows, to, from, |file| part(file).is_some()) {
                    let first = circle.iter().enumerate().min_by_key(|(_, file)| **file).map_or(0, |(at, _)| at);
                    circle.rotate_left(first);
                    seen.extend(circle.iter().copied());
                    circles.push(circle);
                }
            }
        }
    }
    circles
}

/// The shortest way from one file to another, by files that are let in.
fn way<'a>(arrows: &Arrows<'a>, from: &'a Path, to: &'a Path, let_in: impl Fn(&Path) -> bool) -> Option<Vec<&'a Path>> {
    let mut came_from: BTreeMap<&Path, &Path> = BTreeMap::new();
    let mut queue = VecDeque::from([from]);
    while let Some(file) = queue.pop_front() {
        if file == to {
            let mut way = vec![file];
            while let Some(before) = came_from.get(way[way.len() - 1]) {
                way.push(before);
            }
            way.reverse();
            return Some(way);
        }
        for next in arrows.get(file).into_iter().flat_map(BTreeMap::keys).filter(|next| let_in(next)) {
            if *next != from && !came_from.contains_key(next) {
                came_from.insert(next, file);
                queue.push_back(next);
            }
        }
    }
    None
}
