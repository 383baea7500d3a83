//! Time-stamps by an authority of our own: `openssl ts` behind a small server on a loopback port.

use std::path::{Path, PathBuf};
use std::process::Command;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use platen_capture::pdf::signatures::stamp::read;
use platen_model::DeviceId;
use platen_model::keys::SigningKey;

use super::*;
use crate::blobs::{Blobs, Keep};
use crate::checkpoints::{self, Kept};
use crate::store::people;
use crate::testing::{database, decision, manifest, receive, tenant};

const CONFIG: &str = "
[tsa]
default_tsa = one
[one]
serial = SERIAL
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = no
tsa_name = yes
ess_cert_id_chain = no
";

fn openssl(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let output =
        Command::new("openssl").args(arguments).current_dir(folder).output().expect("openssl is there");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said) } else { Err(said) }
}

/// An authority, with a key and certificate of its own where the folder holds none; what it answers with is made from what it is asked, or from something else where `about` says so.
pub(crate) async fn authority(folder: PathBuf, about: Option<Digest>) -> String {
    std::fs::write(folder.join("tsa.cnf"), CONFIG.replace("SERIAL", "serial")).expect("written");
    std::fs::write(folder.join("serial"), "01").expect("written");
    let extensions = "extendedKeyUsage=critical,timeStamping";
    let certificate = [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "tsa.key",
        "-out",
        "tsa.pem",
        "-days",
        "2",
        "-subj",
        "/CN=Authority of a test",
        "-addext",
        extensions,
    ];
    if !folder.join("tsa.pem").exists() {
        openssl(&folder, &certificate).expect("a certificate");
    }
    let answer = async move |State((folder, about)): State<(PathBuf, Option<Digest>)>, query: Bytes| {
        match about {
            None => std::fs::write(folder.join("query"), &query).expect("written"),
            Some(other) => {
                let digest = other.to_string();
                let make = ["ts", "-query", "-digest", &digest, "-sha256", "-cert", "-out", "query"];
                drop(openssl(&folder, &make).expect("a query"));
            }
        }
        let reply = ["ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-out", "reply"];
        openssl(&folder, &reply).expect("a reply");
        std::fs::read(folder.join("reply")).expect("a reply")
    };
    serve(Router::new().route("/", post(answer)).with_state((folder, about))).await
}

/// An authority that asks another, and answers with a signature that it changed.
async fn forger(url: String) -> String {
    let answer = async move |State(url): State<String>, query: Bytes| {
        let reply = reqwest::Client::new().post(url).body(query).send().await.expect("an answer");
        let mut reply = reply.bytes().await.expect("a reply").to_vec();
        *reply.last_mut().expect("some bytes") ^= 1;
        reply
    };
    serve(Router::new().route("/", post(answer)).with_state(url)).await
}

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// A store with one checkpoint.
async fn checkpointed(folder: &Path) -> (crate::testing::Base, Store, Kept) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let base = database(folder);
    let store = base.open().await;
    people::add_tenant(&store, &tenant()).await.expect("a tenant");
    let address = format!("file:{}", folder.join("blobs").display()).parse().expect("an address");
    let blobs = Blobs::open(&address, folder).expect("a folder");
    let manifest = manifest(DeviceId::new(), decision("nda", &[]), Vec::new());
    let key = SigningKey::generate().expect("randomness");
    receive(&Keep { blobs, store: store.clone() }, &manifest, &key).await;
    let kept = checkpoints::make(&store, &tenant(), &key).await.expect("made").expect("something happened");
    (base, store, kept)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_stamped_once_and_openssl_believes_the_token_for_these_bytes_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_base, store, kept) = checkpointed(folder.path()).await;
    let url = authority(folder.path().to_owned(), None).await;
    assert_eq!(stamp(&store, &tenant(), &url).await.expect("stamped"), 1);
    assert_eq!(stamp(&store, &tenant(), &url).await.expect("nothing to do"), 0);
    let mut reading = store.reading().acquire().await.expect("a connection");
    let token = token_of(&mut reading, &tenant(), 1).await.expect("readable").expect("a token");
    let sha256 = Digest::of(kept.bytes.as_bytes());
    let stamp = read(&token).expect("a token");
    assert!(stamp.is_about(sha256) && stamp.at.starts_with("20"), "{stamp:?}");
    std::fs::write(folder.path().join("token"), &token).expect("written");
    let verify = |digest: Digest| {
        let digest = digest.to_string();
        let arguments =
            ["ts", "-verify", "-token_in", "-in", "token", "-digest", &digest, "-CAfile", "tsa.pem"];
        openssl(folder.path(), &arguments)
    };
    verify(sha256).expect("Verification: OK");
    verify(Digest::of(b"other")).expect_err("other bytes");
    assert_eq!(
        checkpoints::check(&mut reading, &tenant(), None).await.expect("readable"),
        Vec::<String>::new()
    );
    let other: Vec<u8> = token.iter().rev().copied().collect();
    sqlx::query("UPDATE checkpoint_stamps SET token = $1")
        .bind(other)
        .execute(store.writing())
        .await
        .expect("a row");
    let wrong = checkpoints::check(&mut reading, &tenant(), None).await.expect("readable");
    assert!(wrong.len() == 1 && wrong[0].contains("time-stamp"), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_stamp_whose_time_or_signature_was_changed_is_seen_and_a_forged_one_is_not_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_base, store, _) = checkpointed(folder.path()).await;
    let url = authority(folder.path().to_owned(), None).await;
    let forger = forger(url.clone()).await;
    let refused = stamp(&store, &tenant(), &forger).await.expect_err("it is forged").to_string();
    assert!(refused.contains("signature does not hold"), "{refused}");
    assert_eq!(stamp(&store, &tenant(), &url).await.expect("stamped"), 1, "none was kept");
    let mut reading = store.reading().acquire().await.expect("a connection");
    let token = token_of(&mut reading, &tenant(), 1).await.expect("readable").expect("a token");
    let at = read(&token).expect("a token").at;
    let time = token.windows(at.len()).position(|bytes| bytes == at.as_bytes()).expect("its time");
    // The last digit of the time, another digit then; the last byte of the signature.
    for place in [time + at.len() - 2, token.len() - 1] {
        let mut changed = token.clone();
        changed[place] ^= 1;
        read(&changed).expect("a token still");
        sqlx::query("UPDATE checkpoint_stamps SET token = $1")
            .bind(changed)
            .execute(store.writing())
            .await
            .expect("a row");
        let wrong = checkpoints::check(&mut reading, &tenant(), None).await.expect("readable").join("; ");
        assert!(wrong.contains("time-stamp") && wrong.contains("signature does not hold"), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_about_something_else_is_not_kept_and_an_authority_that_is_away_is_asked_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_base, store, _) = checkpointed(folder.path()).await;
    let away = stamp(&store, &tenant(), "http://127.0.0.1:9/").await.expect_err("nobody is there");
    assert!(matches!(away, StampError::Authority(_)), "{away}");
    let liar = authority(folder.path().to_owned(), Some(Digest::of(b"something else"))).await;
    let refused = stamp(&store, &tenant(), &liar).await.expect_err("it lies").to_string();
    assert!(refused.contains("something else"), "{refused}");
    let honest = authority(folder.path().to_owned(), None).await;
    assert_eq!(stamp(&store, &tenant(), &honest).await.expect("stamped"), 1);
}

crate::testing::also_on_postgres!(
    a_checkpoint_is_stamped_once_and_openssl_believes_the_token_for_these_bytes_only,
    a_time_stamp_whose_time_or_signature_was_changed_is_seen_and_a_forged_one_is_not_taken,
);
