//! An admin API over mutual TLS that answers every request alike, and the
//! certificates for it.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, http::StatusCode, serve::Listener};
use flywheel::{ports::edge::ClientIdentity, telemetry};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Signs certificates.
pub struct Authority {
    /// Its own certificate, PEM.
    pub pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one.
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let own = params.self_signed(&key).unwrap();
        Self { pem: own.pem(), der: own.der().clone(), issuer: Issuer::new(params, key) }
    }

    /// A certificate for one name or address, and its key.
    pub fn leaf(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A client's certificate and key.
    pub fn client(&self) -> ClientIdentity {
        let (certificate, key) = self.leaf("controller");
        ClientIdentity { certificate: certificate.pem(), key: key.serialize_pem().into() }
    }
}

/// An admin API; it ends with this value.
pub struct AdminApi {
    /// Where it answers.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for AdminApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl AdminApi {
    /// Answers `GET /id/flywheel-routes` alike for ever. Its certificate is for
    /// `name`, and it lets in whom `clients` signed.
    pub async fn start(servers: &Authority, name: &str, clients: &Authority, code: StatusCode, body: &str) -> Self {
        telemetry::install_crypto_provider();
        let mut roots = RootCertStore::empty();
        roots.add(clients.der.clone()).unwrap();
        let (certificate, key) = servers.leaf(name);
        let config = ServerConfig::builder()
            .with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap())
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let body = body.to_owned();
        let router = Router::new().route("/id/flywheel-routes", axum::routing::get(move || async move { (code, body) }));
        let tls = Tls { listener, acceptor: TlsAcceptor::from(Arc::new(config)) };
        let task = tokio::spawn(async move { axum::serve(tls, router).await.unwrap() });
        Self { address, task }
    }
}

/// A listener that ends TLS.
pub struct Tls {
    /// What it listens on.
    pub listener: TcpListener,
    /// How it shakes hands.
    pub acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            // A handshake that fails concerns that client alone.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
