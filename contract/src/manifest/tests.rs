//! What manifests are taken, and what is wrong with the others.

use jiff::Timestamp;
use uuid::Uuid;

use super::*;

pub(crate) fn sample() -> Manifest {
    let partition = |number, role, offset, length| Partition {
        number,
        role,
        offset,
        length,
        type_guid: Uuid::nil(),
        guid: Uuid::nil(),
        used: None,
        label: role.as_str().into(),
    };
    Manifest {
        schema: SCHEMA,
        name: "terminal".parse().unwrap(),
        version: "1".parse().unwrap(),
        personal: None,
        created: Timestamp::UNIX_EPOCH,
        size: 1 << 22,
        sector_size: 512,
        converts_to_4096: false,
        grow: None,
        partitions: vec![partition(1, Role::Esp, 1 << 20, 1 << 20), partition(2, Role::Root, 2 << 20, 1 << 20)],
        layers: vec![Layer { offset: 0, length: 1 << 22, chunk_map: Blob { digest: Digest::of(b""), length: 0 } }],
        boot: Some(BootEntry { label: "Livery".into(), partition: 1, loader: r"\EFI\BOOT\BOOTX64.EFI".into() }),
        minimum_disk: 1 << 22,
        accepts: None,
        root_hash: None,
        identity: None,
        keys: None,
        data: None,
        sbom: None,
        personal_file: None,
        uki: None,
        restricted: Vec::new(),
    }
}

#[test]
fn a_good_one_round_trips() {
    let manifest = sample();
    assert_eq!(Manifest::parse(&manifest.to_bytes()).unwrap(), manifest);
    assert!(!String::from_utf8(manifest.to_bytes()).unwrap().contains("sbom"), "what an image lacks is not said");
    let manifest = Manifest { sbom: Some(Blob { digest: Digest::of(b"{}"), length: 2 }), ..manifest };
    assert_eq!(Manifest::parse(&manifest.to_bytes()).unwrap(), manifest);
}

#[test]
fn contradictions_are_refused() {
    type Spoil = fn(&mut Manifest);
    fn binding(binding: u64) -> Option<Identity> {
        Some(Identity { root_hash: Digest::of(b""), binding })
    }
    let cases: [(&str, Spoil); 17] = [
        ("keys", |m| m.keys = Some(Keys { room: 2 << 20, tunnel: false })),
        ("keys", |m| m.keys = Some(Keys { room: (1 << 20) + 512, tunnel: false })),
        ("no identity", |m| m.identity = binding(1 << 20)),
        ("binding", |m| {
            m.partitions[1].role = Role::Identity;
            m.identity = binding(2 << 20);
        }),
        ("data", |m| m.data = Some(Data { luks_uuid: Uuid::nil(), recovery: String::new() })),
        ("sbom", |m| m.sbom = Some(Blob { digest: Digest::of(b""), length: MAX_SBOM + 1 })),
        ("sectors", |m| (m.sector_size, m.converts_to_4096) = (4096, true)),
        ("grows", |m| m.grow = Some(1)),
        ("size", |m| m.size = 4097),
        ("minimum", |m| m.minimum_disk = 0),
        ("overlap", |m| m.partitions[1].offset = 1 << 20),
        ("outside", |m| m.partitions[1].length = u64::MAX - 4095),
        ("layer", |m| m.layers[0].length = 4096),
        ("no layer", |m| m.layers.clear()),
        ("personal file", |m| m.personal_file = Some(file(2, 1 << 20))),
        ("personal file", |m| m.personal_file = Some(file(1, (2 << 20) - 4096))),
        ("boot", |m| m.boot.as_mut().unwrap().partition = 9),
    ];
    for (what, spoil) in cases {
        let mut manifest = sample();
        spoil(&mut manifest);
        assert!(Manifest::parse(&manifest.to_bytes()).is_err(), "{what}");
    }
}

/// One with two slots.
fn with_slots() -> Manifest {
    let mut manifest = sample();
    let root = manifest.partitions[1].clone();
    let partition = |number, role, offset| Partition { number, role, offset, used: Some(0), ..root.clone() };
    manifest.partitions.extend([
        Partition { used: Some(8192), ..partition(3, Role::RootVerity, 3 << 20) },
        partition(4, Role::RootB, 4 << 20),
        partition(5, Role::RootVerityB, 5 << 20),
    ]);
    (manifest.size, manifest.minimum_disk, manifest.layers[0].length) = (8 << 20, 8 << 20, 8 << 20);
    manifest.root_hash = Some(Digest::of(b""));
    manifest.uki = Some(Uki { offset: (1 << 20) + 512, length: 1000, digest: Digest::of(b"") });
    manifest
}

#[test]
fn two_slots_are_alike_and_what_is_not_used_is_nobodys_section() {
    let manifest = with_slots();
    assert_eq!(Manifest::parse(&manifest.to_bytes()).unwrap(), manifest);
    let sections: Vec<_> = manifest.sections().into_iter().map(|section| (section.name, section.offset >> 20)).collect();
    assert_eq!(manifest.sections()[3].length, 8192);
    let names = [("gpt", 0), ("esp", 1), ("root", 2), ("root-verity", 3), ("gpt-backup", 6)];
    assert_eq!(sections, names.map(|(name, at)| (name.to_owned(), at)));
    let spoil: [fn(&mut Manifest); 7] = [
        |m| m.partitions[2].used = Some(512),
        |m| m.partitions[2].used = Some(2 << 20),
        |m| m.uki.as_mut().unwrap().offset = 2 << 20,
        |m| m.uki.as_mut().unwrap().length = u64::MAX,
        |m| m.partitions[3].length = 4096,
        |m| drop(m.partitions.pop()),
        |m| m.root_hash = None,
    ];
    for spoil in spoil {
        let mut manifest = with_slots();
        spoil(&mut manifest);
        Manifest::parse(&manifest.to_bytes()).unwrap_err();
    }
}

fn file(partition: u32, offset: u64) -> PersonalFile {
    PersonalFile { partition, path: "/livery.json".into(), offset, length: 8192 }
}

#[test]
fn a_personal_file_lies_in_its_partition() {
    let mut manifest = sample();
    for offset in [1 << 20, (2 << 20) - 8192] {
        manifest.personal_file = Some(file(1, offset));
        assert_eq!(Manifest::parse(&manifest.to_bytes()).unwrap(), manifest);
    }
}

#[test]
fn sections_cover_the_disk_end_to_end() {
    let sections = sample().sections();
    let names: Vec<_> = sections.iter().map(|section| section.name.as_str()).collect();
    assert_eq!(names, ["gpt", "esp", "root", "gpt-backup"]);
    assert_eq!(sections.iter().map(|section| section.length).sum::<u64>(), 1 << 22);
}
