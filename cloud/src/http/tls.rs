//! TLS for the listener, by rustls.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::Tls;

/// Longest time a peer may take for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections that may wait, handshake done, for the server to take them.
const WAITING: usize = 64;

/// A listener that answers connections once their handshake is done. Slow handshakes keep nobody else waiting.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl Listener {
    /// Wraps a bound listener.
    pub fn new(listener: TcpListener, files: &Tls) -> io::Result<Self> {
        let acceptor = TlsAcceptor::from(Arc::new(server_config(files)?));
        let address = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            while !sender.is_closed() {
                let (stream, peer) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of file descriptors, usually: others will be given back.
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                };
                let (acceptor, sender) = (acceptor.clone(), sender.clone());
                tokio::spawn(async move {
                    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                        let _ = sender.send((stream, peer)).await;
                    }
                });
            }
        });
        Ok(Self { address, ready })
    }
}

impl axum::serve::Listener for Listener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // The accepting task is gone only when the runtime ends.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
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
    use axum::extract::ConnectInfo;
    use axum::serve::ListenerExt as _;

    use super::*;

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
        let listener = Listener::new(listener, &files).expect("sound files").tap_io(|_| {});
        let told = async |peer: ConnectInfo<SocketAddr>| peer.0.ip().to_string();
        let service = axum::Router::new()
            .route("/", axum::routing::get(told))
            .into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });

        let client = reqwest::Client::builder().danger_accept_invalid_certs(true).build().expect("a client");
        let answer = client.get(format!("https://127.0.0.1:{port}/")).send().await.expect("an answer");
        assert_eq!(answer.text().await.expect("text"), "127.0.0.1");
    }
}
