//! Numbers of few bytes, and a slice that is read from its front.

use super::{ChunkError, damaged};

/// Appends a number in as many groups of seven bits as it needs, the lowest first.
pub(super) fn push_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a number whose sign is its lowest bit, so that those near 0 are short.
pub(super) fn push_signed(number: i64, out: &mut Vec<u8>) {
    push_varint(zigzag(number), out);
}

/// 0, −1, 1, −2 … as 0, 1, 2, 3 …
pub(super) fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// What is not read yet of a chunk.
pub(in crate::metrics) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn byte(&mut self) -> Result<u8, ChunkError> {
        let (first, rest) = self.0.split_first().ok_or_else(cut)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn take(&mut self, bytes: usize) -> Result<&'a [u8], ChunkError> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or_else(cut)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn varint(&mut self) -> Result<u64, ChunkError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth group holds the last bit of 64.
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(damaged("a number is longer than 64 bits"))
    }

    pub(super) fn signed(&mut self) -> Result<i64, ChunkError> {
        let number = self.varint()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// A number of things, at most `limit`.
    pub(super) fn count(&mut self, limit: usize) -> Result<usize, ChunkError> {
        let number = self.varint()?;
        let count = usize::try_from(number).ok().filter(|count| *count <= limit);
        count.ok_or_else(|| damaged(format!("{number} is more than {limit}")))
    }
}

fn cut() -> ChunkError {
    damaged("it is cut off")
}
