//! TLS for the server's connections, by rustls.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::Tls;

/// What makes connections with these files secure.
pub fn acceptor(files: &Tls) -> io::Result<TlsAcceptor> {
    Ok(TlsAcceptor::from(Arc::new(server_config(files)?)))
}

fn server_config(files: &Tls) -> io::Result<ServerConfig> {
    let bad = |path: &std::path::Path, error: &dyn std::fmt::Display| {
        io::Error::other(format!("{}: {error}", path.display()))
    };
    let read = |path: &std::path::Path| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|error| bad(path, &error))?;
        BufReader::new(file).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let chain = read(&files.certificate)?;
    let chain = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(&files.certificate, &error))?;
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|error| bad(&files.key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| bad(&files.certificate, &error))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use axum::extract::ConnectInfo;
    use tokio::net::TcpListener;

    use super::*;
    use crate::http::connections::{Bounds, serve};

    #[tokio::test]
    async fn over_tls_the_address_of_a_connection_is_known() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder");
        let files = Tls { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
        let pair = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let certificate = params.self_signed(&pair).expect("a certificate");
        std::fs::write(&files.certificate, certificate.pem()).expect("written");
        std::fs::write(&files.key, pair.serialize_pem()).expect("written");

        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let tls = acceptor(&files).expect("sound files");
        let told = async |peer: ConnectInfo<SocketAddr>| peer.0.ip().to_string();
        let router = axum::Router::new().route("/", axum::routing::get(told));
        let minute = Duration::from_secs(60);
        let bounds = Bounds { connections: 2, head: minute, patience: minute };
        tokio::spawn(serve(listener, Some(tls), router, bounds, std::future::pending()));

        let client = reqwest::Client::builder().danger_accept_invalid_certs(true).build().expect("a client");
        let answer = client.get(format!("https://127.0.0.1:{port}/")).send().await.expect("an answer");
        assert_eq!(answer.text().await.expect("text"), "127.0.0.1");
    }
}
