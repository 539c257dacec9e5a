//! Identifiers: trace, span, and the place of a row in the ingest log.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A trace's 16 bytes, never all zero. Prints as 32 lowercase hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TraceId([u8; 16]);

/// A span's 8 bytes, never all zero. Prints as 16 lowercase hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SpanId([u8; 8]);

/// Why a text or byte string is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The number of bytes or hex digits is wrong.
    #[error("expected {expected} bytes, got {got}")]
    Length {
        /// How many bytes this kind of identifier has.
        expected: usize,
        /// How many bytes there were.
        got: usize,
    },
    /// All bytes are zero, which OpenTelemetry declares invalid.
    #[error("an identifier of zeros is invalid")]
    Zero,
    /// A character is no hex digit, or there are too many digits.
    #[error("expected at most {digits} hex digits, got {text:?}")]
    Hex {
        /// How many digits this kind of identifier has.
        digits: usize,
        /// What was given.
        text: String,
    },
}

macro_rules! identifier {
    ($name:ident, $bytes:literal) => {
        impl $name {
            /// The identifier of exactly these bytes; an empty slice means "not set" in OTLP
            /// and is an error here, so callers decide what absence means.
            ///
            /// # Errors
            ///
            /// A wrong length, or all zeros.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdError> {
                let array: [u8; $bytes] = bytes.try_into().map_err(|_| IdError::Length {
                    expected: $bytes,
                    got: bytes.len(),
                })?;
                if array == [0; $bytes] {
                    return Err(IdError::Zero);
                }
                Ok(Self(array))
            }

            /// The bytes, most significant first.
            pub fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&const_hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            /// Reads hex digits of either case; missing leading zeros are added, as tracing
            /// UIs strip them.
            fn from_str(text: &str) -> Result<Self, IdError> {
                let hex_error = || IdError::Hex {
                    digits: $bytes * 2,
                    text: text.to_owned(),
                };
                if text.is_empty() || text.len() > $bytes * 2 || !text.is_ascii() {
                    return Err(hex_error());
                }
                let padded = format!("{text:0>width$}", width = $bytes * 2);
                let mut array = [0u8; $bytes];
                const_hex::decode_to_slice(&padded, &mut array).map_err(|_| hex_error())?;
                Self::from_bytes(&array)
            }
        }
    };
}

identifier!(TraceId, 16);
identifier!(SpanId, 8);

/// A row's place in the ingest log: the log record's position and the row's ordinal in it.
///
/// Ordered by position, then ordinal. It is stored in one signed 64-bit column: 43 bits of
/// position and 20 bits of ordinal, so one request carries at most [`Seq::MAX_ITEMS`] items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seq(i64);

impl Seq {
    /// Items that one log record can number.
    pub const MAX_ITEMS: usize = 1 << 20;
    /// The highest position that fits.
    pub const MAX_POSITION: u64 = (1 << 43) - 1;

    /// The place of item `ordinal` of the log record at `position`.
    ///
    /// # Panics
    ///
    /// When either is past its limit; receivers reject such requests before they are numbered.
    pub fn new(position: u64, ordinal: u32) -> Self {
        assert!(
            position <= Self::MAX_POSITION,
            "log position {position} is past the format's limit"
        );
        assert!(
            (ordinal as usize) < Self::MAX_ITEMS,
            "item {ordinal} is past the format's limit"
        );
        Self(((position << 20) | u64::from(ordinal)) as i64)
    }

    /// The position of the log record that carried the row.
    pub fn position(self) -> u64 {
        (self.0 as u64) >> 20
    }

    /// The row's index among the items of its log record.
    pub fn ordinal(self) -> u32 {
        (self.0 & ((1 << 20) - 1)) as u32
    }

    /// The column's form.
    pub fn as_i64(self) -> i64 {
        self.0
    }

    /// Reads the column's form.
    pub fn from_i64(raw: i64) -> Self {
        Self(raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_in_either_case_and_padded() {
        let id: TraceId = "ABC".parse().unwrap();
        assert_eq!(id.to_string(), format!("{:0>32}", "abc"));
        for bad in ["", "0", "xyz", &"a".repeat(33), "é"] {
            assert!(bad.parse::<TraceId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn seq_orders_by_position_then_ordinal() {
        let last = Seq::new(7, (Seq::MAX_ITEMS - 1) as u32);
        assert!(last < Seq::new(8, 0));
        assert_eq!(
            (last.position(), last.ordinal()),
            (7, (Seq::MAX_ITEMS - 1) as u32)
        );
        assert!(Seq::new(Seq::MAX_POSITION, 0).as_i64() > 0);
    }
}
