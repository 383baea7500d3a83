//! Parsers of what comes from outside, under input that is nearly right: seeds from a corpus, changed at random. None may
//! panic, and what each lets through must be what it promises.
//!
//! Each target runs for `PLATEN_FUZZ_SECONDS` (2 by default; CI says more). The seed is printed with every failure;
//! `PLATEN_FUZZ_SEED` repeats a run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use platen_model::{DeviceId, DocumentManifest, PartRole};
use platen_tests::random::Sequence;

use crate::api::jobs::{inside, outside};
use crate::ingest::tus::headers;
use crate::ingest::{commit, file, idempotency};
use crate::journey_tests::Server;
use crate::policy::Policy;
use crate::signing::provider::Callback;
use crate::store::search::Question;
use crate::testing::{decision, manifest, part, record, tenant};

/// Longest input, in bytes.
const LONGEST: usize = 8_192;
/// Pieces that parsers care about.
const WORDS: &[&[u8]] = &[
    b"\"",
    b"\\",
    b"\0",
    b",",
    b";",
    b"=",
    b" ",
    b"\r\n",
    b"--",
    b"{",
    b"}",
    b"[",
    b"]",
    b"null",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"\xff",
    b"\xc3\x28",
    b"../",
    b"%2f",
    b"sha256",
    b"true",
    b"\xe2\x80\xae",
    b"'",
    b"*",
];

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Changes an input a few times: bits, bytes, pieces of others, words, cuts, repetitions.
fn change(random: &mut Sequence, corpus: &[Vec<u8>]) -> Vec<u8> {
    let pick = |random: &mut Sequence| corpus[random.below(corpus.len() as u64) as usize].clone();
    let mut input = pick(random);
    for _ in 0..random.below(6) {
        let at = random.below(input.len() as u64 + 1) as usize;
        let end = at + random.below((input.len() - at) as u64 + 1) as usize;
        match random.below(7) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => input[at] = random.below(256) as u8,
            2 => drop(input.drain(at..end)),
            3 => input.truncate(at),
            4 => {
                let word = WORDS[random.below(WORDS.len() as u64) as usize];
                input.splice(at..at, word.iter().copied());
            }
            5 => {
                let other = pick(random);
                let from = random.below(other.len() as u64 + 1) as usize;
                input.splice(at..end, other[from..].iter().copied());
            }
            _ => {
                let piece = input[at..end].to_vec();
                for _ in 0..random.below(4) {
                    input.splice(at..at, piece.iter().copied());
                }
            }
        }
        input.truncate(LONGEST);
    }
    input
}

/// Feeds a target until its time is over. What it panics with names the seed and the input.
pub(crate) fn fuzz(corpus: &[&[u8]], target: impl Fn(&[u8])) {
    let seed = number("PLATEN_FUZZ_SEED");
    let seed = seed.unwrap_or_else(|| platen_model::DocumentId::new().as_uuid().as_u64_pair().1);
    println!("PLATEN_FUZZ_SEED={seed}");
    let mut random = Sequence::new(seed);
    let corpus: Vec<Vec<u8>> = corpus.iter().map(|seed| seed.to_vec()).collect();
    for input in &corpus {
        target(input);
    }
    let end = Instant::now() + Duration::from_secs(number("PLATEN_FUZZ_SECONDS").unwrap_or(2));
    let mut runs = 0u64;
    while Instant::now() < end {
        let input = change(&mut random, &corpus);
        let outcome = catch_unwind(AssertUnwindSafe(|| target(&input)));
        assert!(
            outcome.is_ok(),
            "PLATEN_FUZZ_SEED={seed}, run {runs}, on {:?}",
            String::from_utf8_lossy(&input)
        );
        runs += 1;
    }
    println!("{runs} inputs");
}

#[test]
fn a_manifest_that_is_read_is_sound_or_refused_field_by_field() {
    let device = DeviceId::new();
    let parts = vec![
        part(PartRole::Original, b"scan", "image/tiff"),
        part(PartRole::Normalized, b"pdf", "application/pdf"),
        part(PartRole::PageText, b"text", "application/json"),
    ];
    let whole = serde_json::to_vec(&manifest(device, decision("nda", &[("party", "ACME")]), parts));
    let whole = whole.expect("plain data");
    fuzz(&[&whole, br#"{"version":1}"#, b"[]"], |input| {
        let Ok(read) = serde_json::from_slice::<DocumentManifest>(input) else { return };
        let again = serde_json::to_vec(&read).expect("what was read can be written");
        let twice: DocumentManifest = serde_json::from_slice(&again).expect("and read again");
        // A number that is none (1e999) is no confidence; whatever is, is the same again.
        assert_eq!(serde_json::to_vec(&twice).expect("plain data"), again);
        if commit::must_be_sound(read.device_id.unwrap_or(device), &read).is_ok() {
            assert!((1..=10_000).contains(&read.page_count));
            assert!((0.0..=1.0).contains(&read.ocr_confidence));
            assert!(read.part(PartRole::Original).is_some() && read.part(PartRole::PageText).is_some());
        }
    });
}

#[test]
fn the_headers_of_tus_are_read_or_refused() {
    let right = "tus-resumable: 1.0.0\nupload-length: 11\nupload-offset: 5\nupload-checksum: sha256 \
        uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=\nupload-metadata: sha256 YjkyNDdjM2FmOWQ2MmY3YjJmOGU4ZDY5NjI2Y\
        zM1YWUwZGVkNGQ5ZjJkNGU2ZjM2ZDY2ZjJiYzU4ZDY2ZjJhYg==,mime dGV4dC9wbGFpbg==";
    let bare = "tus-resumable: 1.0.0\nupload-length: 18446744073709551615\nupload-metadata: ,sha256";
    fuzz(&[right.as_bytes(), bare.as_bytes()], |input| {
        let mut map = HeaderMap::new();
        for line in input.split(|byte| *byte == b'\n') {
            let mut halves = line.splitn(2, |byte| *byte == b':');
            let name = halves.next().and_then(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
            let value = halves.next().and_then(|value| HeaderValue::from_bytes(value.trim_ascii()).ok());
            if let (Some(name), Some(value)) = (name, value) {
                map.append(name, value);
            }
        }
        if let Ok(announced) = headers::announced(&map) {
            assert!(i64::try_from(announced.bytes).is_ok(), "it fits the database");
            assert!(announced.mime.contains('/') && HeaderValue::from_str(&announced.mime).is_ok());
        }
        if let Ok(offset) = headers::number(&map, "upload-offset") {
            assert!(i64::try_from(offset).is_ok());
        }
        let _ = headers::checksum(&map);
    });
}

#[test]
fn a_form_is_read_or_refused_and_leaves_nothing_behind() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let server = runtime.block_on(Server::start());
    let whole = b"--b\r\ncontent-disposition: form-data; name=\"metadata\"\r\n\r\n{\"source\":\"till\",\"labels\":\
        {\"a\":\"b\"}}\r\n--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"../a.pdf\"\r\ncontent-type: \
        text/html\r\n\r\n%PDF-1.7\r\n--b--\r\n";
    let bare = b"--b\r\nContent-Disposition: form-data; name=file\r\n\r\nx\r\n--b--";
    fuzz(&[whole, bare], |input| {
        let body = Body::from(input.to_vec());
        let read = file::read(&server.app, "multipart/form-data; boundary=b", body, 4_096);
        if let Ok(form) = runtime.block_on(read) {
            let (name, bytes) = form.file();
            assert!((1..=4_096).contains(&bytes), "{bytes}");
            assert!(!name.is_empty() && !name.contains(['/', '\\']) && !name.chars().any(char::is_control));
        }
    });
    let incoming = server.app.keep.blobs.incoming();
    assert_eq!(std::fs::read_dir(incoming).expect("a folder").count(), 0);
}

#[test]
fn a_callback_of_a_signing_provider_is_believed_only_with_its_signature() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let server = runtime.block_on(Server::start());
    let corpus: [&[u8]; 3] = [
        br#"{"id":"1","kind":"envelope.completed","reference":"r","at":"2026-01-01T00:00:00Z"}"#,
        br#"{"event":"signed","data":{"envelope_id":"x"}}"#,
        b"",
    ];
    let signature = "t=1767225600,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd";
    let tenant = tenant();
    fuzz(&corpus, |input| {
        let (head, body) = input.split_at(input.len().min(40));
        let text = String::from_utf8_lossy(head).into_owned();
        let headers: Vec<(String, String)> =
            ["x-sandbox-signature", "platen-signature", "webhook-signature", "x-id"]
                .iter()
                .map(|name| ((*name).to_owned(), format!("{signature}{text}")))
                .collect();
        let callback = Callback { headers: &headers, query: &text, body, received_at: Timestamp::now() };
        for (_, account) in server.app.signing.courier.accounts_of(&tenant) {
            account.provider.verify(&tenant, &callback).expect_err("nobody signed it");
        }
    });
}

#[test]
fn a_policy_is_refused_or_decides_every_document() {
    let demo = include_bytes!("../../tests/demo/routing.toml");
    let built_in = include_bytes!("../policies/default.toml");
    let offers = crate::signing::offers(&crate::config::Config::default());
    let documents = [record("nda", &[("party", "ACME")]), record("unknown", &[])];
    fuzz(&[demo, built_in], |input| {
        let Ok(policy) = Policy::parse(&String::from_utf8_lossy(input), "fuzzed", &offers) else { return };
        for record in &documents {
            let _ = policy.judge(record, None);
            let _ = policy.route(&record.document);
        }
    });
}

#[test]
fn keys_cursors_and_questions_are_read_or_refused() {
    let corpus: [&[u8]; 4] =
        [b"\"8e03978e-40d5-43dd\"", b"invoice \"ACME Ltd\" begin*", b"ZG9jL2tpbmQv", b"C:\\a\\b.pdf"];
    let (site, tenant) = (crate::store::Engine::Postgres, tenant());
    fuzz(&corpus, |input| {
        let text = String::from_utf8_lossy(input);
        if let Some(key) = idempotency::parse(&text) {
            assert!((1..=255).contains(&key.len()) && !key.contains('\n'));
        }
        if let Ok(id) = inside(&text) {
            assert_eq!(inside(&outside(&id)).ok().as_ref(), Some(&id));
        }
        let question = Question::of(&text);
        if !question.is_empty() {
            let expression = question.expression(site, &tenant);
            assert_eq!(expression.matches('\'').count() % 2, 0, "{expression}");
        }
        let name = file::plain_name(&text);
        assert!(!name.is_empty() && !name.contains(['/', '\\']) && name.chars().count() <= 255);
    });
}
