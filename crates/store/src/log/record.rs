//! One entry's bytes in a segment: a fixed head, then the payload, each with its checksum.
//!
//! Layout (little endian), see `docs/formats/ingest-log.md`:
//!
//! ```text
//! head, 32 bytes:  magic u32 | payload length u32 | position u64 | durable u64
//!                  | CRC32 of the payload u32 | CRC32 of the 28 bytes before u32
//! payload:         signal u8 | encoding u8 | tenant length u8 | tenant
//!                  | received_at i64 | rejected count u32 | rejected ordinals u32 …  | body
//! ```
//!
//! `durable` is the last position known to be durable when the record was written. A torn write
//! can only hit records after it, so a record that does not check out at a position that a later
//! record calls durable is damage, not a torn tail.

use bytes::{Buf, BufMut, Bytes};
use model::{Encoding, Signal, TenantId};

use super::{Entry, LogError};

/// `WKRC`, read as a little-endian number.
const MAGIC: u32 = u32::from_le_bytes(*b"WKRC");
/// Length of a record's head.
pub(super) const HEAD_BYTES: usize = 32;
/// The largest payload: well above any request the receivers accept.
const MAX_PAYLOAD_BYTES: usize = 1 << 30;

/// An entry encoded except for its position.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The payload without the body.
    meta: Vec<u8>,
    body: Bytes,
    crc32: u32,
}

impl Prepared {
    pub(super) fn new(entry: Entry) -> Result<Self, LogError> {
        let tenant = entry.tenant.as_str().as_bytes();
        let mut meta = Vec::with_capacity(16 + tenant.len() + 4 * entry.rejected.len());
        meta.put_u8(entry.signal.code());
        meta.put_u8(entry.encoding.code());
        meta.put_u8(u8::try_from(tenant.len()).expect("a tenant has at most 150 bytes"));
        meta.put_slice(tenant);
        meta.put_i64_le(entry.received_at);
        meta.put_u32_le(
            u32::try_from(entry.rejected.len()).expect("a request has at most 2^20 items"),
        );
        for ordinal in &entry.rejected {
            meta.put_u32_le(*ordinal);
        }
        let bytes = meta.len() + entry.body.len();
        if bytes > MAX_PAYLOAD_BYTES {
            return Err(LogError::TooLarge {
                bytes: bytes as u64,
                limit: MAX_PAYLOAD_BYTES as u64,
            });
        }
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&meta);
        hasher.update(&entry.body);
        Ok(Self {
            crc32: hasher.finalize(),
            meta,
            body: entry.body,
        })
    }

    /// Bytes of the whole record.
    pub(super) fn record_bytes(&self) -> u64 {
        (HEAD_BYTES + self.meta.len() + self.body.len()) as u64
    }

    /// Everything but the body.
    pub(super) fn put_front(&self, position: u64, durable: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.put_u32_le(MAGIC);
        out.put_u32_le((self.meta.len() + self.body.len()) as u32);
        out.put_u64_le(position);
        out.put_u64_le(durable);
        out.put_u32_le(self.crc32);
        let crc32 = crc32fast::hash(&out[start..]);
        out.put_u32_le(crc32);
        out.put_slice(&self.meta);
    }

    pub(super) fn body(&self) -> &Bytes {
        &self.body
    }
}

/// A record's head that checked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) payload_bytes: usize,
    pub(super) position: u64,
    pub(super) durable: u64,
    pub(super) crc32: u32,
}

impl Head {
    /// Reads a head; the message says what is wrong with it.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let Some(head) = bytes.get(..HEAD_BYTES) else {
            return Err(format!(
                "{} bytes are left, a record's head has {HEAD_BYTES}",
                bytes.len()
            ));
        };
        let mut fields = head;
        let magic = fields.get_u32_le();
        let head_of = Self {
            payload_bytes: fields.get_u32_le() as usize,
            position: fields.get_u64_le(),
            durable: fields.get_u64_le(),
            crc32: fields.get_u32_le(),
        };
        if magic != MAGIC {
            return Err("no record begins here".to_owned());
        }
        if fields.get_u32_le() != crc32fast::hash(&head[..HEAD_BYTES - 4]) {
            return Err("the checksum of a record's head does not match".to_owned());
        }
        Ok(head_of)
    }

    /// Bytes of the whole record.
    pub(super) fn record_bytes(&self) -> usize {
        HEAD_BYTES + self.payload_bytes
    }
}

/// Checks and reads the payload behind `head`. `payload` begins where it begins; the entry's body
/// shares its memory.
pub(super) fn read_payload(head: &Head, payload: &Bytes) -> Result<Entry, String> {
    if payload.len() < head.payload_bytes {
        return Err(format!(
            "{} bytes are left of a payload of {}",
            payload.len(),
            head.payload_bytes
        ));
    }
    let mut payload = payload.slice(..head.payload_bytes);
    if crc32fast::hash(&payload) != head.crc32 {
        return Err("the checksum of a record's payload does not match".to_owned());
    }
    parse(&mut payload).ok_or_else(|| "a record's payload cannot be read".to_owned())
}

fn parse(payload: &mut Bytes) -> Option<Entry> {
    let signal = Signal::from_code(payload.try_get_u8().ok()?)?;
    let encoding = Encoding::from_code(payload.try_get_u8().ok()?)?;
    let tenant_bytes = usize::from(payload.try_get_u8().ok()?);
    if payload.len() < tenant_bytes {
        return None;
    }
    let tenant: TenantId = std::str::from_utf8(&payload.split_to(tenant_bytes))
        .ok()?
        .parse()
        .ok()?;
    let received_at = payload.try_get_i64_le().ok()?;
    let rejected_count = payload.try_get_u32_le().ok()? as usize;
    if payload.len() / 4 < rejected_count {
        return None;
    }
    let rejected = (0..rejected_count).map(|_| payload.get_u32_le()).collect();
    Some(Entry {
        tenant,
        signal,
        encoding,
        received_at,
        rejected,
        body: payload.clone(),
    })
}

/// Whether anywhere in `bytes` a record's head says that `position` was durable.
pub(super) fn says_durable(bytes: &[u8], position: u64) -> bool {
    let magic = MAGIC.to_le_bytes();
    bytes.windows(HEAD_BYTES).any(|window| {
        window[..4] == magic && Head::read(window).is_ok_and(|head| head.durable >= position)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> impl Strategy<Value = Entry> {
        (
            "[a-z]{1,20}",
            0..3_usize,
            prop::sample::select(Encoding::ALL.to_vec()),
            any::<i64>(),
            proptest::collection::vec(any::<u32>(), 0..5),
            proptest::collection::vec(any::<u8>(), 0..200),
        )
            .prop_map(
                |(tenant, signal, encoding, received_at, rejected, body)| Entry {
                    tenant: tenant.parse().unwrap(),
                    signal: Signal::ALL[signal],
                    encoding,
                    received_at,
                    rejected,
                    body: Bytes::from(body),
                },
            )
    }

    fn bytes_of(entry: &Entry) -> Vec<u8> {
        let prepared = Prepared::new(entry.clone()).unwrap();
        let mut bytes = Vec::new();
        prepared.put_front(7, 6, &mut bytes);
        bytes.extend_from_slice(prepared.body());
        assert_eq!(bytes.len() as u64, prepared.record_bytes());
        bytes
    }

    proptest! {
        #[test]
        fn a_record_reads_back_as_written(entry in entry()) {
            let bytes = Bytes::from(bytes_of(&entry));
            let head = Head::read(&bytes).unwrap();
            prop_assert_eq!((head.position, head.durable), (7, 6));
            prop_assert_eq!(head.record_bytes(), bytes.len());
            prop_assert_eq!(read_payload(&head, &bytes.slice(HEAD_BYTES..)).unwrap(), entry);
        }

        #[test]
        fn any_flipped_bit_is_noticed(entry in entry(), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
            let mut bytes = bytes_of(&entry);
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            let bytes = Bytes::from(bytes);
            let read = Head::read(&bytes)
                .and_then(|head| read_payload(&head, &bytes.slice(HEAD_BYTES..)));
            prop_assert!(read.is_err(), "{:?}", read);
        }
    }
}
