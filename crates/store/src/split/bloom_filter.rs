//! Asks one of Parquet's bloom filters about one value, reading the 32 bytes that know.
//!
//! A *split block* filter of Parquet's specification: a short header in Thrift's compact form, then
//! blocks of 32 bytes, of which the upper half of a value's xxHash64 chooses one.

use parquet::bloom_filter::Sbbf;
use twox_hash::XxHash64;

/// Bytes of one block.
const BLOCK_BYTES: usize = 32;
/// The first byte of the header: field 1, a 32-bit integer, the length of the blocks.
const LENGTH_FIELD: u8 = 0x15;

/// Whether the filter, header included, may hold `value`; `None` when it is of another form.
pub(super) fn may_hold(filter: &[u8], value: &[u8]) -> Option<bool> {
    let blocks = blocks(filter)?;
    let count = (blocks.len() / BLOCK_BYTES) as u64;
    let hash = XxHash64::oneshot(0, value);
    let block = (((hash >> 32) * count) >> 32) as usize * BLOCK_BYTES;
    // In a filter of this one block the value's bits are the same.
    Some(Sbbf::new(&blocks[block..block + BLOCK_BYTES]).check(value))
}

/// The blocks: as many bytes at the end as the header says.
fn blocks(filter: &[u8]) -> Option<&[u8]> {
    let (LENGTH_FIELD, rest) = filter.split_first().map(|(first, rest)| (*first, rest))? else {
        return None;
    };
    let mut zigzag = 0_u64;
    for (index, byte) in rest.iter().take(5).enumerate() {
        zigzag |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            // Lengths are positive, so zigzag only doubles them.
            let length = (zigzag / 2) as usize;
            let is_whole = zigzag.is_multiple_of(2)
                && length >= BLOCK_BYTES
                && length.is_multiple_of(BLOCK_BYTES);
            let start = filter.len().checked_sub(length).filter(|_| is_whole)?;
            return Some(&filter[start..]);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_answer_is_that_of_the_whole_filter(
            held in vec(any::<[u8; 16]>(), 0..200),
            others in vec(any::<[u8; 16]>(), 1..50),
            capacity in 1..5_000_u64,
        ) {
            let mut filter = Sbbf::new_with_ndv_fpp(capacity, 0.01).unwrap();
            for value in &held {
                filter.insert(value.as_slice());
            }
            let mut bytes = Vec::new();
            filter.write(&mut bytes).unwrap();
            for value in held.iter().chain(&others) {
                prop_assert_eq!(may_hold(&bytes, value), Some(filter.check(value.as_slice())));
            }
        }

        #[test]
        fn other_bytes_are_no_filter_or_answer_without_harm(
            bytes in vec(any::<u8>(), 0..100),
            value in any::<[u8; 8]>(),
        ) {
            may_hold(&bytes, &value);
        }
    }
}
