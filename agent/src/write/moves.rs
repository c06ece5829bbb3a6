//! Chunks that the disk holds in other places: in which order they can be copied, each before something is written over it.
//!
//! Pure. After Burns, Stockmeyer and Long, "In-place reconstruction of version differences" (IEEE TKDE 15(4), 2003): a copy
//! must be read before any copy whose target overlaps its source is written. That is a graph, sorted topologically; where
//! copies wait for each other in a circle, the shortest of them gives way, and its chunks are fetched instead.

use std::collections::BTreeSet;

use livery_contract::Digest;

use super::batch::BATCH;
use crate::image::piece::Piece;

/// The most bytes that are copied at once.
const MAX_COPY: u64 = BATCH as u64;

/// One chunk on its way from one place on the disk to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    pub from: u64,
    /// The chunk, with the one place where it belongs.
    pub piece: Piece,
}

/// Chunks that are neighbours in both places, copied at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    /// First byte where they lie.
    pub from: u64,
    /// First byte where they belong.
    pub to: u64,
    /// Bytes.
    pub length: u64,
    /// The chunks, end to end.
    pub pieces: Vec<Piece>,
}

impl Copy {
    /// Whether these bytes are its chunks.
    pub(crate) fn is(&self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        let whole = self.pieces.iter().all(|piece| {
            let chunk = usize::try_from(piece.length).ok().and_then(|length| rest.split_at_checked(length));
            chunk.is_some_and(|(chunk, behind)| {
                rest = behind;
                Digest::of(chunk) == piece.digest
            })
        });
        whole && rest.is_empty()
    }
}

/// Sorts the moves into an order in which nothing is written over before it was read. What can't be moved comes second.
pub(crate) fn order(moves: Vec<Move>) -> (Vec<Copy>, Vec<Piece>) {
    let copies = join(moves);
    // Sources by offset, to find those that a target overlaps.
    let mut sources: Vec<(u64, u64, usize)> =
        copies.iter().enumerate().map(|(index, copy)| (copy.from, copy.from + copy.length, index)).collect();
    sources.sort_unstable();
    // before[i]: who must be read before i is written; after[i]: who waits for i to be read.
    let mut waits = vec![0_usize; copies.len()];
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); copies.len()];
    for (index, copy) in copies.iter().enumerate() {
        let (start, end) = (copy.to, copy.to + copy.length);
        let first = sources.partition_point(|(from, ..)| *from + MAX_COPY <= start);
        for (_, source_end, other) in sources[first..].iter().take_while(|(from, ..)| *from < end) {
            // A copy may overlap itself: it is read in whole before it is written.
            if *source_end > start && *other != index {
                waits[index] += 1;
                after[*other].push(index);
            }
        }
    }
    let mut ready: BTreeSet<usize> = (0..copies.len()).filter(|index| waits[*index] == 0).collect();
    let mut waiting: BTreeSet<(u64, usize)> =
        copies.iter().enumerate().filter(|(index, _)| waits[*index] > 0).map(|(index, copy)| (copy.length, index)).collect();
    let (mut ordered, mut fetched) = (Vec::new(), Vec::new());
    loop {
        let (index, moves) = match ready.pop_first() {
            Some(index) => (index, true),
            None => match waiting.pop_first() {
                Some((_, index)) => (index, false),
                None => break,
            },
        };
        if moves {
            ordered.push(index)
        } else {
            fetched.push(index)
        }
        // Read, or not read at all: nobody waits for it any more.
        for other in std::mem::take(&mut after[index]) {
            waits[other] -= 1;
            if waits[other] == 0 && waiting.remove(&(copies[other].length, other)) {
                ready.insert(other);
            }
        }
    }
    let mut copies: Vec<Option<Copy>> = copies.into_iter().map(Some).collect();
    let mut take = |indices: Vec<usize>| indices.into_iter().filter_map(|index| copies[index].take()).collect::<Vec<Copy>>();
    (take(ordered), take(fetched).into_iter().flat_map(|copy| copy.pieces).collect())
}

/// Neighbours in both places into one copy.
pub(crate) fn join(mut moves: Vec<Move>) -> Vec<Copy> {
    let place = |one: &Move| one.piece.places.first().copied().unwrap_or_default();
    moves.sort_by_key(place);
    let mut copies: Vec<Copy> = Vec::new();
    for one in moves {
        let (from, to, length) = (one.from, place(&one), one.piece.length);
        match copies.last_mut() {
            Some(last) if last.from + last.length == from && last.to + last.length == to && last.length + length <= MAX_COPY => {
                last.length += length;
                last.pieces.push(one.piece);
            }
            _ => copies.push(Copy { from, to, length, pieces: vec![one.piece] }),
        }
    }
    copies
}

#[cfg(test)]
mod tests {
    use livery_contract::chunkmap::Frame;
    use proptest::prelude::*;

    use super::*;

    fn one(from: u64, to: u64, length: u64) -> Move {
        let frame = Frame { pack: 0, offset: to, length: 1, digest: Digest::of(b"") };
        Move { from, piece: Piece { frame, length, digest: Digest::of(&to.to_le_bytes()), places: vec![to] } }
    }

    /// Copies on a disk of numbered bytes, and whether each target then holds what its source had before.
    fn holds(moves: &[Move], size: usize) -> (bool, usize) {
        let at = |offset: u64, length: u64| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            start..start + usize::try_from(length).unwrap_or(usize::MAX)
        };
        let before: Vec<usize> = (0..size).collect();
        let mut disk = before.clone();
        let (copies, fetched) = order(moves.to_vec());
        for copy in &copies {
            let bytes = disk[at(copy.from, copy.length)].to_vec();
            disk[at(copy.to, copy.length)].copy_from_slice(&bytes);
        }
        let lost: Vec<u64> = fetched.iter().map(|piece| piece.places[0]).collect();
        let right = moves.iter().filter(|one| !lost.contains(&one.piece.places[0])).all(|one| {
            let length = one.piece.length;
            disk[at(one.piece.places[0], length)] == before[at(one.from, length)]
        });
        let moved: usize = copies.iter().map(|copy| copy.pieces.len()).sum();
        (right && moved + fetched.len() == moves.len(), fetched.len())
    }

    #[test]
    fn a_shift_loses_nothing_either_way() {
        let up: Vec<Move> = (0..50).map(|index| one(index * 8, index * 8 + 3, 8)).collect();
        let down: Vec<Move> = (0..50).map(|index| one(index * 8 + 3, index * 8, 8)).collect();
        assert_eq!(holds(&up, 500), (true, 0));
        assert_eq!(holds(&down, 500), (true, 0));
        // Long ones are cut, and the order must hold between the parts.
        let long: Vec<Move> = (0..5).map(|index| one(index * MAX_COPY, index * MAX_COPY + 3, MAX_COPY)).collect();
        let (copies, fetched) = order(long);
        assert_eq!((copies.len(), fetched.len()), (5, 0));
        assert!(copies.windows(2).all(|pair| pair[0].to > pair[1].to));
    }

    #[test]
    fn a_circle_costs_its_shortest() {
        let swap = [one(0, 100, 10), one(100, 0, 4)];
        assert_eq!(holds(&swap, 200), (true, 1));
    }

    proptest! {
        #[test]
        fn nothing_is_written_over_before_it_was_read(parts in prop::collection::vec((1_u64..6, 0_u64..200), 1..40)) {
            let mut to = 0;
            let moves: Vec<Move> = parts.iter().map(|(length, from)| { to += length; one(*from, to - length, *length) }).collect();
            prop_assert!(holds(&moves, 400).0);
        }
    }
}
