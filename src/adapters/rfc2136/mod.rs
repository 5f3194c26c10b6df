//! A DNS server that takes dynamic updates (RFC 2136) signed with TSIG
//! (RFC 8945), over TCP, so that an answer of any size arrives whole. This file is
//! the exchange: it signs, checks the answer's signature, and says what a refusal
//! means. Names and whose they are is `names.rs`.

mod names;

use std::{net::SocketAddr, str::FromStr, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{
        Name, Record, RecordType, TSigner,
        rdata::tsig::{TsigAlgorithm, TsigError},
    },
};
use secrecy::ExposeSecret;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::clock::SystemClock;
use crate::{
    api::{conditions::Reason, factory::DnsSpec},
    ports::{
        clock::Clock,
        dns::TsigKey,
        error::{Class, PortError},
    },
};

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Seconds that the server's clock and ours may differ; RFC 8945 recommends 300.
const FUDGE: u16 = 300;

/// One zone on its primary server.
pub struct Rfc2136 {
    address: SocketAddr,
    server: String,
    zone: Name,
    signer: TSigner,
}

impl Rfc2136 {
    /// A client for the zone of `spec`, signing with `key`.
    pub fn new(spec: &DnsSpec, key: &TsigKey) -> Result<Self, PortError> {
        let settings = spec.rfc2136.as_ref().ok_or_else(|| PortError::invalid("spec.dns.rfc2136", "is required with provider Rfc2136"))?;
        let address = settings
            .server
            .parse()
            .map_err(|_| PortError::invalid("spec.dns.rfc2136.server", format!("{:?} is not IP:port", settings.server)))?;
        let mut zone = Name::from_ascii(&spec.zone).map_err(|e| PortError::invalid("spec.dns.zone", e))?;
        zone.set_fqdn(true);
        Ok(Self { address, server: format!("the DNS server at {address}"), zone, signer: signer(key)? })
    }

    async fn exchange(&self, request: &[u8]) -> Result<Vec<u8>, PortError> {
        let unreachable = |e: std::io::Error| PortError::unreachable(&self.server).because(e);
        let talk = async {
            let mut stream = TcpStream::connect(self.address).await?;
            let length = u16::try_from(request.len()).map_err(std::io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes(), request].concat()).await?;
            let mut answer = vec![0; usize::from(stream.read_u16().await?)];
            stream.read_exact(&mut answer).await?;
            Ok(answer)
        };
        timeout(TIMEOUT, talk).await.map_err(|e| unreachable(e.into()))?.map_err(unreachable)
    }

    fn understand(&self, answer: &[u8]) -> Result<Message, PortError> {
        Message::from_vec(answer).map_err(|e| self.unexpected("something that is not DNS").because(e))
    }

    fn unexpected(&self, what: impl std::fmt::Display) -> PortError {
        PortError::new(Class::Bug, Reason::UnexpectedAnswer, format!("{} answered with {what}", self.server))
    }

    fn not_served(&self) -> PortError {
        PortError::new(
            Class::Invalid,
            Reason::ZoneNotServed,
            format!("{} is not authoritative for {}: add the zone there, or correct spec.dns", self.server, self.zone),
        )
    }

    fn server_error(&self) -> PortError {
        PortError::new(
            Class::Transient,
            Reason::ServerError,
            format!("{} failed (SERVFAIL): look at its log (tried again by itself)", self.server),
        )
    }

    /// Asks for a name's records of one type, of whoever is authoritative.
    async fn query(&self, name: &Name, kind: RecordType) -> Result<Vec<Record>, PortError> {
        let mut message = Message::query();
        message.metadata.message_type = MessageType::Query;
        message.metadata.op_code = OpCode::Query;
        message.metadata.recursion_desired = false;
        message.add_query(Query::query(name.clone(), kind));
        let request =
            message.to_vec().map_err(|e| PortError::new(Class::Bug, Reason::InternalError, "a query could not be encoded").because(e))?;
        let reply = self.understand(&self.exchange(&request).await?)?;
        match reply.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain if reply.metadata.authoritative => Ok(reply.answers),
            ResponseCode::ServFail => Err(self.server_error()),
            ResponseCode::NoError | ResponseCode::Refused | ResponseCode::NXDomain | ResponseCode::NotAuth => Err(self.not_served()),
            other => Err(self.unexpected(format_args!("{other} to a query for {name}"))),
        }
    }

    /// Signs and sends an update, and checks the answer's own signature. False
    /// when a prerequisite did not hold, and so nothing was changed.
    async fn update(&self, mut message: Message) -> Result<bool, PortError> {
        let conditional = !message.answers.is_empty();
        let bug =
            |e: hickory_proto::ProtoError| PortError::new(Class::Bug, Reason::InternalError, "an update could not be signed").because(e);
        let now = u64::try_from(SystemClock.now().as_second()).unwrap_or_default();
        let verifier = message.finalize(&self.signer, now).map_err(bug)?;
        let answer = self.exchange(&message.to_vec().map_err(bug)?).await?;
        let reply = self.understand(&answer)?;
        let key = self.signer.signer_name();
        match reply.response_code {
            ResponseCode::NoError => {}
            ResponseCode::YXRRSet | ResponseCode::NXRRSet | ResponseCode::YXDomain | ResponseCode::NXDomain if conditional => {}
            ResponseCode::NotAuth => {
                // RFC 8945 §5.2: the TSIG record says what is wrong; without one
                // the server is not the zone's primary (RFC 2136 §3.1.2).
                let error = reply.signature().and_then(|tsig| tsig.data.error);
                return Err(match error {
                    Some(TsigError::BadTime) => PortError::new(
                        Class::Invalid,
                        Reason::KeyRejected,
                        format!("{}: its clock and ours differ by more than {FUDGE} s: set both by NTP", self.server),
                    ),
                    Some(_) => PortError::new(
                        Class::Denied,
                        Reason::KeyRejected,
                        format!(
                            "{} does not know the TSIG key {key}, or its secret differs: compare keyName, algorithm and secret with the server's",
                            self.server
                        ),
                    ),
                    None => self.not_served(),
                });
            }
            ResponseCode::NotZone => return Err(self.not_served()),
            ResponseCode::Refused => {
                return Err(PortError::new(
                    Class::Denied,
                    Reason::UpdateRefused,
                    format!(
                        "{} knows the key {key} but refuses its updates of {}: grant them in the zone's update-policy",
                        self.server, self.zone
                    ),
                ));
            }
            ResponseCode::ServFail => return Err(self.server_error()),
            other => return Err(self.unexpected(format_args!("{other} to an update"))),
        }
        let mut verifier = verifier.ok_or_else(|| self.unexpected("an unverifiable answer"))?;
        verifier.verify(&answer).map_err(|e| {
            PortError::new(
                Class::Denied,
                Reason::KeyRejected,
                format!("{} answered without the key's signature: something between us and it may have changed the answer", self.server),
            )
            .because(e)
        })?;
        Ok(reply.response_code == ResponseCode::NoError)
    }
}

fn signer(key: &TsigKey) -> Result<TSigner, PortError> {
    // No value is quoted, nor an error that may quote one: with two keys mixed up,
    // any of them is the secret.
    let invalid = |problem: &str| PortError::secret_invalid(format!("the DNS key can't be used: {problem}"));
    let algorithm = match key.algorithm.to_ascii_lowercase().trim_end_matches('.') {
        "hmac-sha256" => TsigAlgorithm::HmacSha256,
        "hmac-sha384" => TsigAlgorithm::HmacSha384,
        "hmac-sha512" => TsigAlgorithm::HmacSha512,
        _ => return Err(invalid("algorithm is not hmac-sha256, hmac-sha384 or hmac-sha512")),
    };
    let secret = BASE64_STANDARD.decode(key.secret.expose_secret().trim()).map_err(|_| invalid("secret is not base64"))?;
    let name = Name::from_str(&key.name).map_err(|_| invalid("keyName is not a domain name"))?;
    TSigner::new(secret, algorithm, name, FUDGE).map_err(|_| invalid("the signer does not take it"))
}
