//! A DNS server on one TCP port that answers one request as it is told, with
//! TSIG signatures of its own making.

use std::{net::SocketAddr, sync::LazyLock};

use flywheel::{adapters::clock::SystemClock, ports::clock::Clock};
use hickory_proto::{
    op::{Message, OpCode, ResponseCode},
    rr::{
        Name, RData, Record, TSigResponseContext, TSigner,
        rdata::{
            SOA,
            tsig::{TSIG, TsigAlgorithm, TsigError, make_tsig_record},
        },
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

/// The key's name.
pub const KEY: &str = "flywheel.";
/// The key's secret, before base64.
pub const SECRET: &[u8] = b"secret-of-the-key-51e9";

static SIGNER: LazyLock<TSigner> = LazyLock::new(|| signer(SECRET));

fn signer(secret: &[u8]) -> TSigner {
    TSigner::new(secret.to_vec(), TsigAlgorithm::HmacSha256, KEY.parse().unwrap(), 300).unwrap()
}

/// How it answers.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// As a server that knows the key.
    Signed(ResponseCode),
    /// The same, signed with another secret.
    SignedByAnother(ResponseCode),
    /// Signed for another request than the one that came.
    Replayed(ResponseCode),
    /// Without any TSIG record.
    Unsigned(ResponseCode),
    /// NOTAUTH with this TSIG error.
    Rejected(u16),
    /// NOERROR with the zone's SOA record.
    Soa { zone: &'static str, authoritative: bool },
    /// Something that is not DNS.
    Garbage,
    /// A length, and nothing after it.
    Half,
    /// Nothing, and the connection closes.
    Close,
    /// Nothing, and the clock runs on.
    Silence,
}

/// Serves one request; the handle gives that request.
pub async fn serve(answer: Answer) -> (SocketAddr, JoinHandle<Message>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut bytes).await.unwrap();
        let request = Message::from_vec(&bytes).unwrap();
        let reply = match answer {
            Answer::Close => return request,
            Answer::Silence => {
                tokio::time::pause();
                std::future::pending::<()>().await;
                unreachable!()
            }
            Answer::Half => {
                stream.write_all(&[0, 90, 1]).await.unwrap();
                return request;
            }
            Answer::Garbage => b"HTTP/1.1 400 Bad Request".to_vec(),
            _ => reply(answer, &request),
        };
        stream.write_u16(reply.len().try_into().unwrap()).await.unwrap();
        stream.write_all(&reply).await.unwrap();
        request
    });
    (address, served)
}

fn reply(answer: Answer, request: &Message) -> Vec<u8> {
    let id = request.metadata.id;
    let now = u64::try_from(SystemClock.now().as_second()).unwrap();
    let mac = || request.signature().expect("an update is signed").data.mac.clone();
    let mut response = Message::response(id, request.metadata.op_code);
    let bytes = |response: &Message| response.to_vec().unwrap();
    let signature = match answer {
        Answer::Signed(code) => {
            response.metadata.response_code = code;
            Some(TSigResponseContext::new(id, now, SIGNER.clone(), mac(), None).sign(&bytes(&response)).unwrap())
        }
        Answer::SignedByAnother(code) => {
            response.metadata.response_code = code;
            Some(TSigResponseContext::new(id, now, signer(b"another"), mac(), None).sign(&bytes(&response)).unwrap())
        }
        Answer::Replayed(code) => {
            response.metadata.response_code = code;
            Some(TSigResponseContext::new(id, now, SIGNER.clone(), vec![7; 32], None).sign(&bytes(&response)).unwrap())
        }
        Answer::Rejected(error) => {
            response.metadata.response_code = ResponseCode::NotAuth;
            let data = TSIG::new(TsigAlgorithm::HmacSha256, now, 300, Vec::new(), id, Some(TsigError::from(error)), Vec::new());
            Some(Box::new(make_tsig_record(KEY.parse().unwrap(), data)))
        }
        Answer::Unsigned(code) => {
            response.metadata.response_code = code;
            None
        }
        Answer::Soa { zone, authoritative } => {
            response.metadata.authoritative = authoritative;
            let name: Name = zone.parse().unwrap();
            let soa = SOA::new(name.clone(), name.clone(), 2_026_112_301, 1, 1, 1, 1);
            response.add_answer(Record::from_rdata(name, 60, RData::SOA(soa)));
            None
        }
        Answer::Garbage | Answer::Half | Answer::Close | Answer::Silence => unreachable!("these send no message"),
    };
    if let Some(signature) = signature {
        response.set_signature(signature);
    }
    bytes(&response)
}

/// Whether an update came as it should: signed by the key, for the zone, and
/// deleting one name below it that nobody uses.
pub fn changes_nothing(request: &Message, zone: &str) -> bool {
    let zone: Name = zone.parse().unwrap();
    let proof = Name::from_ascii("_flywheel-proof").unwrap().append_domain(&zone).unwrap();
    let [query] = request.queries.as_slice() else { return false };
    let [record] = request.authorities.as_slice() else { return false };
    request.metadata.op_code == OpCode::Update
        && query.name == zone
        && record.name == proof
        && record.dns_class == hickory_proto::rr::DNSClass::ANY
        && record.ttl == 0
        && request.signature().is_some_and(|s| s.name == KEY.parse().unwrap())
}
