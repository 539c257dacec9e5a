//! Protobuf's wire format, read in place: nothing is copied, nothing is allocated.
//!
//! This reads the plain form that encoders write. Whatever is unusual — damage, groups, a
//! sub-message that comes twice and would have to be merged, nesting past prost's limit — is
//! [`Irregular`], and prost decides what it means.

/// How many messages prost reads inside each other.
pub(crate) const MAX_DEPTH: u32 = 100;

/// Not in the plain form: perhaps malformed, perhaps only unusual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Irregular;

/// The fields of one message, in the order of the bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    /// How many messages may lie inside of this one.
    depth: u32,
}

/// A field's content, as its wire type says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    /// A string, bytes or a message.
    Delimited(&'a [u8]),
}

impl<'a> Fields<'a> {
    /// The fields of `message`, in which messages may nest `depth` deep.
    pub(crate) fn new(message: &'a [u8], depth: u32) -> Self {
        Self {
            rest: message,
            depth,
        }
    }

    /// The fields of a message that is a field of this one.
    pub(crate) fn inside(&self, content: Content<'a>) -> Result<Self, Irregular> {
        let depth = self.depth.checked_sub(1).ok_or(Irregular)?;
        Ok(Self::new(content.bytes()?, depth))
    }

    /// What is left of the message, when messages may nest `levels` deep in it.
    #[inline]
    pub(super) fn allows(&self, levels: u32) -> Option<&'a [u8]> {
        (self.depth >= levels).then_some(self.rest)
    }

    /// What is not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next number of a packed run, as which this message is read.
    pub(crate) fn next_varint(&mut self) -> Result<Option<u64>, Irregular> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.varint().map(Some)
    }

    /// Passes over a field that is not known.
    pub(crate) fn skip(&self) -> Result<(), Irregular> {
        // prost counts an unknown field as one more level.
        if self.depth == 0 {
            return Err(Irregular);
        }
        Ok(())
    }

    /// The next field: its number and content.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Content<'a>)>, Irregular> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = u32::try_from(self.varint()?).map_err(|_| Irregular)?;
        let number = key >> 3;
        if number == 0 {
            return Err(Irregular);
        }
        let content = match key & 7 {
            0 => Content::Varint(self.varint()?),
            1 => Content::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Irregular)?;
                Content::Delimited(self.take(length)?)
            }
            5 => Content::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(Irregular),
        };
        Ok(Some((number, content)))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Irregular> {
        let (&first, rest) = self.rest.split_first().ok_or(Irregular)?;
        if first < 0x80 {
            self.rest = rest;
            return Ok(u64::from(first));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, Irregular> {
        let mut value = 0_u64;
        for (index, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                // The tenth byte holds the last bit of 64.
                if index == 9 && byte > 1 {
                    return Err(Irregular);
                }
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(Irregular)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], Irregular> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Irregular)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Irregular> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Irregular)?;
        self.rest = rest;
        Ok(*taken)
    }
}

/// The text that the bytes are, if they are UTF-8.
///
/// Telemetry is nearly all short texts of ASCII, which `from_utf8` reads byte by byte: that was a
/// thirteenth of what taking in logs costs.
#[inline]
#[allow(unsafe_code, reason = "nothing safe tells that ASCII is UTF-8")]
pub(crate) fn utf8(bytes: &[u8]) -> Option<&str> {
    if is_ascii(bytes) {
        // SAFETY: every text of ASCII is one of UTF-8.
        return Some(unsafe { std::str::from_utf8_unchecked(bytes) });
    }
    std::str::from_utf8(bytes).ok()
}

/// As the standard library's, by words that may overlap at the end instead of byte by byte.
#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    const BEYOND_ASCII: u64 = u64::from_ne_bytes([0x80; 8]);
    let (words, rest) = bytes.as_chunks();
    let words = words
        .iter()
        .fold(0, |bits, word| bits | u64::from_ne_bytes(*word));
    let end = match bytes.last_chunk() {
        Some(last) => u64::from_ne_bytes(*last),
        None => rest.iter().fold(0, |bits, byte| bits | u64::from(*byte)),
    };
    (words | end) & BEYOND_ASCII == 0
}

impl<'a> Content<'a> {
    #[inline]
    pub(crate) fn bytes(self) -> Result<&'a [u8], Irregular> {
        match self {
            Self::Delimited(bytes) => Ok(bytes),
            _ => Err(Irregular),
        }
    }

    #[inline]
    pub(crate) fn text(self) -> Result<&'a str, Irregular> {
        utf8(self.bytes()?).ok_or(Irregular)
    }

    /// Protobuf's narrower integers drop the bits that they have no room for.
    #[inline]
    pub(crate) fn varint(self) -> Result<u64, Irregular> {
        match self {
            Self::Varint(number) => Ok(number),
            _ => Err(Irregular),
        }
    }

    #[inline]
    pub(crate) fn fixed64(self) -> Result<u64, Irregular> {
        match self {
            Self::Fixed64(number) => Ok(number),
            _ => Err(Irregular),
        }
    }

    #[inline]
    pub(crate) fn fixed32(self) -> Result<u32, Irregular> {
        match self {
            Self::Fixed32(number) => Ok(number),
            _ => Err(Irregular),
        }
    }
}

/// Takes a message that a field may bring once; a second one would have to be merged.
#[inline]
pub(crate) fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Irregular> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Irregular),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_are_those_of_the_standard_library(
            text in "[a-zé€😀]{0,30}",
            bytes in vec(any::<u8>(), 0..40),
            from in 0..9_usize,
        ) {
            // Also texts that begin or end within a character.
            for bytes in [text.as_bytes(), &bytes] {
                let bytes = bytes.get(from..).unwrap_or_default();
                prop_assert_eq!(is_ascii(bytes), bytes.is_ascii());
                prop_assert_eq!(utf8(bytes), std::str::from_utf8(bytes).ok());
            }
        }
    }
}
