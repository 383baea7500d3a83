//! What stands between the agent and its cloud, over real sockets: TLS with right and wrong certificates, proxies,
//! captive portals. A document gets through, or the reason is named and the document waits.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::*;

/// A server on a free port of this machine; `serve` has each connection.
fn serve<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + Sync + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("for tokio");
    let port = listener.local_addr().expect("an address").port();
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(serve(connection));
        }
    });
    port
}

fn address_of(url: &str) -> String {
    url.trim_start_matches("http://").to_owned()
}

/// An authority and a certificate of its own.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("randomness");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        Self { issuer, folder: tempfile::tempdir().expect("a folder") }
    }

    /// Its certificate in a file, for `cloud.ca_file`.
    fn file(&self) -> PathBuf {
        let file = self.folder.path().join("ca.pem");
        std::fs::write(&file, self.issuer.pem()).expect("written");
        file
    }

    /// A front that speaks TLS with a certificate for `name`, and passes everything on to the cloud.
    fn front(&self, name: &str, expired: bool, cloud: &str) -> String {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        if expired {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().expect("randomness");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate and its key");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let cloud = address_of(cloud);
        let port = serve(move |connection| {
            let (acceptor, cloud) = (acceptor.clone(), cloud.clone());
            async move {
                let Ok(mut tls) = acceptor.accept(connection).await else { return };
                let Ok(mut cloud) = TcpStream::connect(cloud).await else { return };
                let _ = copy_bidirectional(&mut tls, &mut cloud).await;
            }
        });
        format!("https://localhost:{port}")
    }
}

/// A proxy that makes tunnels, for those who name themselves `clerk` with the password `secret`.
fn proxy() -> u16 {
    serve(|mut connection| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match connection.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8_lossy(&head).to_lowercase();
        // RFC 7617: "clerk:secret".
        if !head.contains(&"proxy-authorization: Basic Y2xlcms6c2VjcmV0".to_lowercase()) {
            let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\n\
                          content-length: 0\r\nconnection: close\r\n\r\n";
            let _ = connection.write_all(answer.as_bytes()).await;
            return;
        }
        let Some(target) = head.strip_prefix("connect ").and_then(|rest| rest.split(' ').next()) else {
            return;
        };
        let Ok(mut target) = TcpStream::connect(target).await else { return };
        if connection.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_ok() {
            let _ = copy_bidirectional(&mut connection, &mut target).await;
        }
    })
}

/// Answers everything with these bytes.
fn portal(answer: &'static str) -> u16 {
    serve(move |mut connection| async move {
        let mut asked = [0; 4096];
        if connection.read(&mut asked).await.is_ok() {
            let _ = connection.write_all(answer.as_bytes()).await;
        }
    })
}

/// Nothing gets through, the reason contains these words, and the document waits.
async fn check_named(config: &CloudConfig, words: &str, front: impl FnOnce(&str) -> String) {
    let office = office_behind(500, config, front).await;
    match office.deliver().await {
        Err(Trouble::Link(reason)) => assert!(reason.contains(words), "{words:?} is not in {reason:?}"),
        other => panic!("{words:?}: {other:?}"),
    }
    assert!(office.cloud.lock().manifests.is_empty());
    assert!(office.outbox.get(office.id).expect("the outbox").expect("an entry").is_waiting());
}

#[tokio::test]
async fn a_document_gets_through_tls_with_an_authority_of_ones_own() {
    let authority = Authority::new();
    let config = CloudConfig { ca_file: Some(authority.file()), ..CloudConfig::default() };
    let office = office_behind(5_000, &config, |cloud| authority.front("localhost", false, cloud)).await;
    office.deliver().await.expect("delivered");
    check_arrived(&office);
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_named() {
    let authority = Authority::new();
    let trusted = CloudConfig { ca_file: Some(authority.file()), ..CloudConfig::default() };
    let plain = CloudConfig::default();
    let front = |cloud: &str| authority.front("localhost", false, cloud);
    check_named(&plain, "issuer this device does not trust", front).await;
    let front = |cloud: &str| authority.front("elsewhere.example", false, cloud);
    check_named(&trusted, "is for another name", front).await;
    let front = |cloud: &str| authority.front("localhost", true, cloud);
    check_named(&trusted, "has expired", front).await;
    let plain_text = |cloud: &str| cloud.replace("http://127.0.0.1", "https://localhost");
    check_named(&trusted, "does not speak TLS", plain_text).await;
}

#[tokio::test]
async fn a_document_gets_through_a_proxy_that_knows_the_device_and_one_that_does_not_is_named() {
    let authority = Authority::new();
    let behind = |proxy: String| CloudConfig {
        proxy: Some(proxy),
        ca_file: Some(authority.file()),
        ..CloudConfig::default()
    };
    let port = proxy();
    let known = behind(format!("http://clerk:secret@127.0.0.1:{port}"));
    let office = office_behind(5_000, &known, |cloud| authority.front("localhost", false, cloud)).await;
    office.deliver().await.expect("delivered");
    check_arrived(&office);
    let stranger = behind(format!("http://127.0.0.1:{port}"));
    let front = |cloud: &str| authority.front("localhost", false, cloud);
    check_named(&stranger, "the proxy wants a name and a password", front).await;
    // Where nobody listens.
    let closed = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
    let front = |cloud: &str| authority.front("localhost", false, cloud);
    check_named(&behind(format!("http://{closed}")), "connection refused", front).await;
}

#[tokio::test]
async fn a_captive_portal_is_named_whatever_it_answers() {
    let answers = [
        "HTTP/1.1 302 Found\r\nlocation: http://login.hotel/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 5\r\nconnection: close\r\n\r\nlogin",
        "HTTP/1.1 511 Network Authentication Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    ];
    for answer in answers {
        let front = |_: &str| format!("http://127.0.0.1:{}", portal(answer));
        check_named(&CloudConfig::default(), "with a browser", front).await;
    }
}
