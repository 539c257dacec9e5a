//! Compressed request bodies, with a bound on what they may grow to.

use std::io::Read;
use std::str::FromStr;

use bytes::Bytes;

/// A `Content-Encoding` (or `grpc-encoding`) that receivers understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Sent as it is.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 1950, or RFC 1951 alone, which many senders call the same.
    Deflate,
    /// RFC 8878.
    Zstd,
    /// Snappy's block format. It is part of formats that are always compressed, and no
    /// `Content-Encoding`.
    Snappy,
}

impl FromStr for Compression {
    type Err = DecompressError;

    fn from_str(name: &str) -> Result<Self, DecompressError> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            "zstd" => Ok(Self::Zstd),
            _ => Err(DecompressError::Unsupported(name.to_owned())),
        }
    }
}

/// Why a body cannot be decompressed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecompressError {
    /// An encoding that receivers do not understand.
    #[error("unsupported content encoding {0:?}; expected gzip, deflate, zstd or identity")]
    Unsupported(String),
    /// More decompressed bytes than allowed.
    #[error("body grows past the limit of {limit} bytes when decompressed; send smaller batches")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The bytes are not of this encoding, or cut short.
    #[error("malformed {encoding} body: {message}")]
    Malformed {
        /// The encoding's name.
        encoding: &'static str,
        /// What the decoder says.
        message: String,
    },
}

/// The body without its compression, at most `limit` bytes.
///
/// # Errors
///
/// Malformed or truncated input, or more than `limit` bytes: the output is never held past the
/// limit, whatever the body claims.
pub fn decompress(
    compression: Compression,
    body: Bytes,
    limit: usize,
) -> Result<Bytes, DecompressError> {
    match compression {
        Compression::Identity if body.len() > limit => Err(DecompressError::TooLarge { limit }),
        Compression::Identity => Ok(body),
        Compression::Gzip => read_bounded(
            "gzip",
            flate2::read::MultiGzDecoder::new(body.as_ref()),
            body.len(),
            limit,
        ),
        // A zlib header is a multiple of 31 that names the method 8.
        Compression::Deflate if has_zlib_header(&body) => read_bounded(
            "deflate",
            flate2::read::ZlibDecoder::new(body.as_ref()),
            body.len(),
            limit,
        ),
        Compression::Deflate => read_bounded(
            "deflate",
            flate2::read::DeflateDecoder::new(body.as_ref()),
            body.len(),
            limit,
        ),
        Compression::Snappy => {
            let malformed = |err: snap::Error| DecompressError::Malformed {
                encoding: "snappy",
                message: err.to_string(),
            };
            let length = snap::raw::decompress_len(&body).map_err(malformed)?;
            if length > limit {
                return Err(DecompressError::TooLarge { limit });
            }
            let out = snap::raw::Decoder::new().decompress_vec(&body);
            Ok(out.map_err(malformed)?.into())
        }
        Compression::Zstd => {
            let malformed = |err: std::io::Error| DecompressError::Malformed {
                encoding: "zstd",
                message: err.to_string(),
            };
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(body.as_ref()).map_err(malformed)?;
            // A frame may ask for a window of 2 GiB; senders use far less than 8 MiB (2^23).
            decoder.window_log_max(23).map_err(malformed)?;
            read_bounded("zstd", decoder, body.len(), limit)
        }
    }
}

fn has_zlib_header(body: &[u8]) -> bool {
    match body {
        [method, flags, ..] => {
            method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31)
        }
        _ => false,
    }
}

fn read_bounded(
    encoding: &'static str,
    reader: impl Read,
    compressed_len: usize,
    limit: usize,
) -> Result<Bytes, DecompressError> {
    let mut out = Vec::with_capacity(compressed_len.saturating_mul(4).min(limit));
    // One byte more than allowed tells "exactly at the limit" from "past it".
    reader
        .take(limit as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|err| DecompressError::Malformed {
            encoding,
            message: err.to_string(),
        })?;
    if out.len() > limit {
        return Err(DecompressError::TooLarge { limit });
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(body: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap().into()
    }

    fn zlib(body: &[u8]) -> Bytes {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap().into()
    }

    fn deflate(body: &[u8]) -> Bytes {
        let fast = flate2::Compression::fast();
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), fast);
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap().into()
    }

    fn snappy(body: &[u8]) -> Bytes {
        snap::raw::Encoder::new().compress_vec(body).unwrap().into()
    }

    fn zstd(body: &[u8]) -> Bytes {
        zstd::encode_all(body, 1).unwrap().into()
    }

    #[test]
    fn the_limit_is_on_decompressed_bytes() {
        let body = vec![0_u8; 1_000_000];
        for (compression, packed) in [
            (Compression::Gzip, gzip(&body)),
            (Compression::Deflate, zlib(&body)),
            (Compression::Deflate, deflate(&body)),
            (Compression::Snappy, snappy(&body)),
            (Compression::Zstd, zstd(&body)),
        ] {
            let whole = decompress(compression, packed.clone(), body.len()).unwrap();
            assert_eq!(whole, body);
            assert_eq!(
                decompress(compression, packed, body.len() - 1),
                Err(DecompressError::TooLarge {
                    limit: body.len() - 1
                })
            );
        }
    }

    #[test]
    fn damaged_and_truncated_bodies_are_errors() {
        for (compression, packed) in [
            (Compression::Gzip, gzip(b"telemetry")),
            (Compression::Deflate, zlib(b"telemetry")),
            (Compression::Snappy, snappy(b"telemetry")),
            (Compression::Zstd, zstd(b"telemetry")),
        ] {
            let cut = packed.slice(..packed.len() - 5);
            let garbage = Bytes::from_static(b"not compressed at all");
            for body in [cut, garbage] {
                let result = decompress(compression, body, 1_000);
                assert!(
                    matches!(result, Err(DecompressError::Malformed { .. })),
                    "{result:?}"
                );
            }
        }
    }

    #[test]
    fn unknown_encodings_name_the_known_ones() {
        let err = "br".parse::<Compression>().unwrap_err();
        assert_eq!(
            err.to_string(),
            r#"unsupported content encoding "br"; expected gzip, deflate, zstd or identity"#
        );
    }
}
