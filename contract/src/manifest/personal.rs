//! A personal image is its master, and one layer more.
//!
//! Personal images are signed by a role of their own, with a key that is used every day. What that key may change is one employee's
//! settings: so whoever reads a personal image holds it against its master, which the role of masters has signed.

use super::{Identity, Manifest, Role};
use crate::{
    digest::Digest,
    fault::{Fault, Result},
};

impl Manifest {
    /// Whether this is the personal image of a master, and differs from it only in its own layer, over the one range that the master
    /// has for it; `digest` is that of the master's manifest.
    ///
    /// # Errors
    /// [`Exit::Untrusted`](crate::Exit::Untrusted), saying what differs.
    pub fn check_master(&self, master: &Self, digest: &Digest) -> Result<()> {
        let no = |what: &str| {
            Err(Fault::untrusted(format!("{} is not {} and a personal layer: {what}", self.reference(), master.reference())))
        };
        let Some(personal) = &self.personal else { return no("it names no order") };
        if personal.master != *digest {
            return no("it was made for another master");
        }
        if master.personal.is_some() {
            return no("its master is a personal image itself");
        }
        let room = match (&master.personal_file, master.partition(Role::Identity)) {
            (Some(file), _) => (file.offset, file.length),
            (None, Some(partition)) => (partition.offset, partition.length),
            (None, None) => return no("its master has no room for a personal layer"),
        };
        match self.layers.split_last() {
            Some((own, rest)) if rest == master.layers && (own.offset, own.length) == room => {}
            _ => return no("its layers are not those of its master and one over the master's room for it"),
        }
        let identity = match (master.identity, self.identity) {
            (Some(room), Some(own)) => Some(Identity { root_hash: own.root_hash, ..room }),
            (of_master, _) => of_master,
        };
        let expected = Self { personal: self.personal.clone(), layers: self.layers.clone(), identity, ..master.clone() };
        if *self == expected { Ok(()) } else { no("it changes what only its master may say") }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Layer, Partition, Personal, tests::sample},
        *,
    };
    use crate::digest::Blob;

    /// A master, the digest of its manifest, and a personal image of it.
    fn pair() -> (Manifest, Digest, Manifest) {
        let mut master = sample();
        let room = Partition { number: 3, role: Role::Identity, offset: 3 << 20, length: 1 << 16, ..master.partitions[1].clone() };
        master.partitions.push(room);
        master.identity = Some(Identity { root_hash: Digest::of(b"none"), binding: 1 << 20 });
        master.check().unwrap();
        let digest = Digest::of(&master.to_bytes());
        let mut personal = master.clone();
        personal.personal = Some(Personal { order: "ORD-1".parse().unwrap(), hostname: "wt-1".into(), master: digest });
        personal.layers.push(Layer { offset: 3 << 20, length: 1 << 16, chunk_map: Blob { digest: Digest::of(b"own"), length: 3 } });
        personal.identity = Some(Identity { root_hash: Digest::of(b"own"), binding: 1 << 20 });
        personal.check().unwrap();
        (master, digest, personal)
    }

    #[test]
    fn a_personal_image_may_only_add_its_layer() {
        type Spoil = fn(&mut Manifest);
        let cases: [(&str, Spoil); 12] = [
            ("another base", |manifest| manifest.layers[0].chunk_map.digest = Digest::of(b"another system")),
            ("a layer over all", |manifest| (manifest.layers[1].offset, manifest.layers[1].length) = (0, 1 << 22)),
            ("a layer over the root", |manifest| (manifest.layers[1].offset, manifest.layers[1].length) = (2 << 20, 1 << 16)),
            ("a longer layer", |manifest| manifest.layers[1].length += 4096),
            ("two layers", |manifest| manifest.layers.push(manifest.layers[1].clone())),
            ("none", |manifest| manifest.layers.truncate(1)),
            ("another root hash", |manifest| manifest.root_hash = Some(Digest::of(b"root"))),
            ("another seal", |manifest| {
                manifest.identity = Some(Identity { root_hash: Digest::of(b"own"), binding: (1 << 20) + 4096 })
            }),
            ("no seal", |manifest| manifest.identity = None),
            ("another loader", |manifest| manifest.boot = None),
            ("another partition", |manifest| manifest.partitions[1].label = "x".into()),
            ("of another master", |manifest| manifest.personal.as_mut().unwrap().master = Digest::of(b"other")),
        ];
        let (master, digest, good) = pair();
        good.check_master(&master, &digest).unwrap();
        for (what, spoil) in cases {
            let mut bad = good.clone();
            spoil(&mut bad);
            assert_eq!(bad.check_master(&master, &digest).unwrap_err().exit().code(), 4, "{what}");
        }
        assert!(master.check_master(&master, &digest).is_err(), "a master is none");
        assert!(good.check_master(&good, &digest).is_err(), "of a personal image there is none");
        let mut without = master.clone();
        without.partitions.pop();
        assert!(good.check_master(&without, &digest).is_err(), "no room");
    }
}
