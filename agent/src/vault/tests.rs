//! What encryption at rest promises, on this machine's disk.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use platen_model::disk::{self, Readers};
use platen_model::{CaptureId, durable};
use proptest::prelude::*;

use super::*;
use crate::config::Encryption;
use crate::outbox::{Arrival, Outbox};

const CHUNK: usize = 64 << 10;

fn key(byte: u8) -> Key {
    Key::from_bytes(&[byte; key::KEY_BYTES])
}

fn sealed() -> SealedDisk {
    SealedDisk::over(Arc::new(Machine), Arc::new(key(7)))
}

fn bytes_of(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 31 % 251) as u8).collect()
}

/// Writes so many bytes encrypted, reads them again from here and there, and damages the file.
fn check(length: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, disk, bytes) = (folder.path().join("file"), sealed(), bytes_of(length));
    let written = durable::on(&disk).write(&path, &bytes).expect("written");
    assert_eq!((written.sha256(), written.bytes()), (platen_model::Digest::of(&bytes), length as u64));
    assert_eq!(disk::read(&disk, &path).expect("read"), bytes, "{length}");
    for at in [0, length / 2, length.saturating_sub(1), length, length + 5] {
        let mut file = disk.open(&path).expect("open");
        file.seek(SeekFrom::Start(at as u64)).expect("a place");
        let mut rest = Vec::new();
        file.read_to_end(&mut rest).expect("read");
        assert_eq!(rest, bytes.get(at..).unwrap_or_default(), "{length} from {at}");
    }
    let stored = fs::read(&path).expect("there");
    let finds = |damaged: &[u8], what: &str| {
        fs::write(&path, damaged).expect("damaged");
        let found = disk::read(&disk, &path);
        // What no longer begins as an encrypted file passes for a plain one: its digest tells.
        assert!(found.as_ref().map_or(true, |found| *found != bytes), "{length}: {what}");
        assert!(found.is_err() || !damaged.starts_with(&file::MAGIC), "{length}: {what}");
    };
    for place in [0, 9, 20, stored.len() / 2, stored.len() - 1] {
        let mut flipped = stored.clone();
        flipped[place] ^= 0x10;
        finds(&flipped, &format!("byte {place} flipped"));
    }
    for cut in [1, 16, 17, CHUNK + 16, CHUNK + 17] {
        if let Some(left) = stored.len().checked_sub(cut) {
            finds(&stored[..left], &format!("{cut} bytes cut off"));
        }
    }
    finds(&[stored.clone(), vec![0]].concat(), "a byte added");
    if length > 2 * CHUNK {
        let (first, second) = (35..35 + CHUNK + 16, 35 + CHUNK + 16..35 + 2 * (CHUNK + 16));
        let mut swapped = stored.clone();
        swapped[first.clone()].copy_from_slice(&stored[second.clone()]);
        swapped[second].copy_from_slice(&stored[first]);
        finds(&swapped, "two chunks swapped");
    }
}

#[test]
fn an_encrypted_file_of_any_length_reads_back_and_every_damage_is_found() {
    for length in [0, 1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 5] {
        check(length);
    }
}

proptest! {
    #[test]
    fn it_is_written_in_pieces_of_any_size(pieces in prop::collection::vec(0usize..100_000, 0..6)) {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, disk) = (folder.path().join("file"), sealed());
        let mut draft = disk.create(&path, Readers::Usual).expect("a draft");
        let mut all = Vec::new();
        for piece in pieces {
            let bytes = bytes_of(piece);
            draft.write_all(&bytes).expect("written");
            all.extend(bytes);
            draft.flush().expect("flushed");
            prop_assert_eq!(draft.length().expect("a length"), all.len() as u64);
        }
        draft.sync().expect("synced");
        prop_assert_eq!(draft.length().expect("a length"), all.len() as u64);
        prop_assert!(draft.write_all(b"more").is_err(), "it was ended");
        prop_assert_eq!(disk::read(&disk, &path).expect("read"), all);
    }
}

#[test]
fn what_was_stored_before_is_read_as_it_is_and_another_key_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    durable::write(&path, b"plain").expect("written");
    assert_eq!(disk::read(&sealed(), &path).expect("read"), b"plain");
    durable::on(&sealed()).write(&path, b"secret").expect("written");
    let other = SealedDisk::over(Arc::new(Machine), Arc::new(key(8)));
    let error = disk::read(&other, &path).expect_err("another key");
    assert!(error.to_string().contains("another key"), "{error}");
}

#[test]
fn records_are_bound_to_their_names_and_plain_ones_are_read() {
    let key = key(7);
    let value = key.seal(b"name", b"value").expect("sealed");
    assert!(!value.windows(5).any(|window| window == b"value"));
    assert_ne!(value, key.seal(b"name", b"value").expect("sealed"), "a nonce of its own");
    assert_eq!(key.unseal(b"name", value.clone()).expect("opened"), b"value");
    key.unseal(b"other", value.clone()).expect_err("another name");
    for index in 1..value.len() {
        let mut flipped = value.clone();
        flipped[index] ^= 1;
        key.unseal(b"name", flipped).expect_err("a flipped byte");
    }
    assert_eq!(key.unseal(b"name", b"\x01plain".to_vec()).expect("as it is"), b"\x01plain");
}

#[test]
fn a_key_is_taken_raw_in_hex_and_in_base64_and_nothing_else_is_a_key() {
    let raw = [0x41; key::KEY_BYTES];
    let hex = "41".repeat(key::KEY_BYTES);
    let name = |bytes: &[u8]| Key::parse(bytes).map(|key| key.name());
    assert_eq!(name(&raw), name(format!("{hex}\n").as_bytes()));
    assert_eq!(name(&raw), name(b"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=\n"));
    for wrong in [&b""[..], b"secret", &[0x41; 31], &[0x41; 33], "4".repeat(63).as_bytes()] {
        name(wrong).expect_err("no key");
    }
    assert_eq!(format!("{:?}", Key::from_bytes(&raw)), format!("Key({})", name(&raw).expect("a key")));
}

/// Opens the vault of a state folder with this key, written to a file.
fn open(state: &Path, key: Option<u8>) -> Result<Vault, String> {
    let file = state.join("key");
    let key_file = key.map(|byte| {
        fs::write(&file, [byte; key::KEY_BYTES]).expect("a key");
        file
    });
    let work = tempfile::Builder::new().prefix("platen-").tempdir_in("/dev/shm").expect("memory");
    let encryption = Encryption { key_file, credential: None, work: Some(work.path().to_owned()) };
    let config = Config { state: state.to_owned(), encryption, ..Config::default() };
    Vault::open(&config).map_err(|complaint| complaint.failed)
}

#[test]
fn a_missing_or_wrong_key_refuses_the_start_also_where_the_marker_is_gone() {
    let state = tempfile::tempdir().expect("a folder");
    let vault = open(state.path(), Some(7)).expect("a new one");
    assert!(vault.begin(Timestamp::UNIX_EPOCH).expect("noted"));
    assert!(!vault.begin(Timestamp::now()).expect("as it was"));
    assert_eq!(vault.since().expect("readable"), Some(Timestamp::UNIX_EPOCH));
    let document = state.path().join("spool/documents/x");
    let durably = vault.disk();
    let durably = durable::on(&*durably);
    durably.create_folder(&document).expect("a folder");
    durably.write(&document.join("manifest.json"), b"{}").expect("written");

    open(state.path(), Some(7)).expect("its own key");
    let error = open(state.path(), None).expect_err("no key");
    assert!(error.contains("no key is configured"), "{error}");
    let error = open(state.path(), Some(8)).expect_err("another key");
    assert!(error.contains("the configured key is"), "{error}");
    durable::remove_file(&state.path().join("encryption.json")).expect("removed");
    let error = open(state.path(), None).expect_err("no key");
    assert!(error.contains("holds encrypted files"), "{error}");
}

/// The databases of an outbox in whose files these bytes are.
fn databases_with(state: &Path, needle: &[u8]) -> Vec<PathBuf> {
    let mut folders = vec![state.join("outbox")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::read(&path).expect("a file").windows(needle.len()).any(|bytes| bytes == needle) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn the_database_is_written_anew_at_each_opening_until_nothing_plain_is_in_it() {
    let state = tempfile::tempdir().expect("a folder");
    let (id, now, words) = (CaptureId::new().document(0), Timestamp::now(), "refused: page 3 of payroll.pdf");
    let outbox = Outbox::open(state.path()).expect("an outbox");
    outbox.enqueue(&[Arrival::plain(id)], now).expect("enqueued");
    outbox.change(id, now, |entry| entry.last_error = Some(words.into())).expect("changed");
    drop(outbox);
    assert!(!databases_with(state.path(), words.as_bytes()).is_empty(), "the search itself works");

    // A command that was killed after this, or one that is no opening of the outbox.
    let vault = open(state.path(), Some(7)).expect("a key");
    assert!(vault.begin(now).expect("noted"));
    assert!(vault.owes_rewriting().expect("readable"));
    for _ in 0..2 {
        let outbox = Outbox::open_in(&vault).expect("the outbox");
        let error = outbox.get(id).expect("the outbox").and_then(|entry| entry.last_error);
        assert_eq!(error.as_deref(), Some(words));
        drop(outbox);
        assert_eq!(databases_with(state.path(), words.as_bytes()), Vec::<PathBuf>::new());
        assert!(!vault.owes_rewriting().expect("readable"));
        assert!(state.path().join("outbox/2").is_dir(), "written anew once");
    }
    assert_eq!(vault.since().expect("readable").map(|at| at.as_second()), Some(now.as_second()));
}

#[test]
fn plain_bytes_may_be_nowhere_but_in_memory() {
    let state = tempfile::Builder::new().tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("a folder on a disk");
    fs::write(state.path().join("key"), [7; key::KEY_BYTES]).expect("a key");
    let encryption = Encryption {
        key_file: Some(state.path().join("key")),
        credential: None,
        work: Some(state.path().to_owned()),
    };
    let config = Config { state: state.path().to_owned(), encryption, ..Config::default() };
    let error = Vault::open(&config).expect_err("a disk").failed;
    assert!(error.contains("is not in memory"), "{error}");
}
