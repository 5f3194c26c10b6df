//! Bodies that a service sends compressed, as they were before: nobody here asks for
//! that, and some send it all the same. What a body is decoded to has the limit that
//! the body itself has, so that a few bytes can't become more than that.

use std::io::Read;

use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::http::too_long;
use crate::suite::Answer;

/// Most encodings on top of each other.
const MAX_LAYERS: usize = 3;

/// The answer with its body decoded, as far as its encodings are known. A body that
/// can't be decoded counts as one that broke off.
pub(super) fn decoded(mut reply: Answer, limit: usize) -> Answer {
    let named = reply.header("content-encoding").unwrap_or_default().to_ascii_lowercase();
    let names: Vec<_> = named.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "identity").collect();
    if names.is_empty() || reply.body.is_empty() || names.len() > MAX_LAYERS || !names.iter().all(|name| is_known(name)) {
        return reply;
    }
    for name in names.iter().rev() {
        let (body, broke) = unpacked(name, &reply.body, limit);
        let broke = match broke {
            Some(error) => Some(format!("its {name} can't be decoded: {error}")),
            None if body.len() > limit => Some(too_long(limit)),
            None => None,
        };
        reply.body = body;
        reply.body.truncate(limit);
        // Why it was cut as it came is told first.
        reply.cut = reply.cut.or(broke);
    }
    reply
}

fn is_known(name: &str) -> bool {
    matches!(name, "gzip" | "x-gzip" | "deflate" | "br")
}

/// As much as there is, one byte more than the limit at most, and what went wrong.
fn unpacked(name: &str, body: &[u8], limit: usize) -> (Vec<u8>, Option<std::io::Error>) {
    let reader: Box<dyn Read + '_> = match name {
        "br" => Box::new(brotli_decompressor::Decompressor::new(body, 4096)),
        // Many send deflate without the wrapping that it should have.
        "deflate" if body[0] & 0x0f == 8 => Box::new(ZlibDecoder::new(body)),
        "deflate" => Box::new(DeflateDecoder::new(body)),
        _ => Box::new(MultiGzDecoder::new(body)),
    };
    let mut made = Vec::new();
    let broke = reader.take(limit as u64 + 1).read_to_end(&mut made).err();
    (made, broke)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };

    use super::*;

    const LIMIT: usize = 1000;
    /// `{"a":1}` by `brotli`.
    const BROTLI: [u8; 11] = [0x0b, 0x03, 0x80, 0x7b, 0x22, 0x61, 0x22, 0x3a, 0x31, 0x7d, 0x03];

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut made = GzEncoder::new(Vec::new(), Compression::best());
        made.write_all(body).unwrap();
        made.finish().unwrap()
    }

    fn of(encoding: &str, body: Vec<u8>) -> Answer {
        decoded(Answer { status: 200, headers: vec![("content-encoding".into(), encoding.into())], body, cut: None }, LIMIT)
    }

    #[test]
    fn each_encoding_is_undone() {
        let zlib = {
            let mut made = ZlibEncoder::new(Vec::new(), Compression::default());
            made.write_all(br#"{"a":1}"#).unwrap();
            made.finish().unwrap()
        };
        let raw = {
            let mut made = DeflateEncoder::new(Vec::new(), Compression::default());
            made.write_all(br#"{"a":1}"#).unwrap();
            made.finish().unwrap()
        };
        let plain = br#"{"a":1}"#.to_vec();
        for (encoding, body) in [
            ("gzip", gzip(&plain)),
            ("X-GZip", gzip(&plain)),
            ("deflate", zlib),
            ("deflate", raw),
            ("br", BROTLI.to_vec()),
            ("identity", plain.clone()),
            ("", plain.clone()),
            ("gzip, gzip", gzip(&gzip(&plain))),
            ("br, gzip", gzip(&BROTLI)),
            // Nobody knows what that is: it is the body.
            ("rot13", plain.clone()),
            ("gzip", Vec::new()),
        ] {
            let expected = if body.is_empty() { Vec::new() } else { plain.clone() };
            let answer = of(encoding, body);
            assert_eq!((answer.body, answer.cut), (expected, None), "{encoding}");
        }
    }

    #[test]
    fn what_is_no_such_thing_is_cut() {
        for encoding in ["gzip", "deflate", "br"] {
            let answer = of(encoding, b"plainly none of these".to_vec());
            assert!(answer.cut.as_ref().is_some_and(|cut| cut.contains("can't be decoded")), "{encoding}: {answer:?}");
        }
        let half = gzip(&(0..200).map(|i: u8| i.wrapping_mul(73)).collect::<Vec<_>>());
        let answer = of("gzip", half[..half.len() / 2].to_vec());
        assert!(answer.cut.is_some(), "{answer:?}");
    }

    #[test]
    fn a_bomb_stays_within_the_limit() {
        let bomb = gzip(&vec![b'x'; 64 << 20]);
        for (encoding, body) in [("gzip", bomb.clone()), ("gzip, gzip", gzip(&bomb))] {
            let answer = of(encoding, body);
            assert!(answer.body.len() <= LIMIT && answer.cut.is_some(), "{encoding}: {} {:?}", answer.body.len(), answer.cut);
        }
    }
}
