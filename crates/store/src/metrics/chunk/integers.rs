//! A column of integers: packed into as few bits as their range needs, or by `pco`.
//!
//! Timestamps, counters and decimal numbers all become such a column. Packing costs next to
//! nothing, also when it is read. Where a few values lie far from the rest, all would pay for
//! them, and `pco` is worth its price.

use pco::data_types::Number;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, ModeSpec, PagingSpec};

use super::bytes::{Input, push_signed, push_varint, zigzag};
use super::{ChunkError, Effort, damaged};

/// The first byte: whether values or the differences between them are kept, and how.
const DIFFERENCES: u8 = 1;
const PCO: u8 = 2;

/// Columns longer than this are packed: `pco` holds all of one in memory several times.
const MAX_PCO: usize = 1 << 20;
/// Bytes that hold a number of 64 bits, whichever bit of the first it begins at.
const WINDOW: usize = 16;
/// Packed columns of fewer bytes than this are not worth the attempt.
const MIN_PCO: usize = 48;

/// Writes `numbers`, whose count the reader has to know.
pub(super) fn encode(numbers: &[i64], effort: Effort, out: &mut Vec<u8>) {
    let Some(&first) = numbers.first() else {
        return;
    };
    let steps: Vec<i64> = numbers
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect();
    let (of_values, of_steps) = (Frame::of(numbers), Frame::of(&steps));
    let is_stepwise = of_steps.width < of_values.width;
    let (order, column, frame) = match is_stepwise {
        true => (DIFFERENCES, steps.as_slice(), of_steps),
        false => (0, numbers, of_values),
    };
    let packed_bytes = (column.len() * frame.width as usize).div_ceil(8);
    // The one long step of a counter that is reset is as wide as all its values, or a bit more:
    // packed, its steps are no gain, but to `pco` they are.
    let is_reset = || of_steps.width <= of_values.width + 1 && of_steps.is_uneven(&steps);
    let for_pco = match effort {
        Effort::Small if packed_bytes >= MIN_PCO => {
            if frame.is_uneven(column) {
                Some((order, column))
            } else if !is_stepwise && is_reset() {
                Some((DIFFERENCES, steps.as_slice()))
            } else {
                None
            }
        }
        _ => None,
    };
    let compressed = for_pco.and_then(|(order, column)| {
        let config = ChunkConfig::default()
            .with_mode_spec(ModeSpec::Classic)
            .with_delta_spec(DeltaSpec::NoOp);
        let bytes = pco_bytes(column, config)?;
        // What `pco` saves must be worth its slower reading.
        (bytes.len() < packed_bytes / 10 * 9).then_some((order, bytes))
    });
    let form = match &compressed {
        Some((order, _)) => order | PCO,
        None => order,
    };
    out.push(form);
    if form & DIFFERENCES != 0 {
        push_signed(first, out);
    }
    match compressed {
        Some((_, bytes)) => {
            push_varint(bytes.len() as u64, out);
            out.extend_from_slice(&bytes);
        }
        None => frame.pack(column, out),
    }
}

/// Reads what [`encode`] wrote of `count` numbers.
pub(super) fn decode(input: &mut Input<'_>, count: usize) -> Result<Vec<i64>, ChunkError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let form = input.byte()?;
    if form & !(DIFFERENCES | PCO) != 0 {
        return Err(damaged(format!("unknown form {form} of integers")));
    }
    let first = match form & DIFFERENCES {
        0 => None,
        _ => Some(input.signed()?),
    };
    let kept = count - usize::from(first.is_some());
    let mut numbers = match form & PCO {
        0 => unpack(input, kept)?,
        _ => {
            let length = input.count(input.0.len())?;
            pco_numbers(input.take(length)?, kept)?
        }
    };
    let Some(first) = first else {
        return Ok(numbers);
    };
    numbers.insert(0, first);
    let mut last = 0_i64;
    for number in &mut numbers {
        last = last.wrapping_add(*number);
        *number = last;
    }
    Ok(numbers)
}

/// The range of a column: its smallest number, and the bits that the others need above it.
#[derive(Debug, Clone, Copy)]
struct Frame {
    base: i64,
    width: u32,
}

impl Frame {
    fn of(numbers: &[i64]) -> Self {
        let mut bounds = (i64::MAX, i64::MIN);
        for number in numbers {
            bounds = (bounds.0.min(*number), bounds.1.max(*number));
        }
        match numbers {
            [] => Self { base: 0, width: 0 },
            _ => Self {
                base: bounds.0,
                width: bits(bounds.1.wrapping_sub(bounds.0) as u64),
            },
        }
    }

    /// Whether the numbers themselves have far fewer bits than their range.
    fn is_uneven(self, column: &[i64]) -> bool {
        let Some(&reference) = column.first() else {
            return false;
        };
        let mut totals = [0_usize; 3];
        for number in column {
            let above = number.wrapping_sub(self.base) as u64;
            let beside = zigzag(number.wrapping_sub(reference));
            for (total, number) in totals.iter_mut().zip([above, zigzag(*number), beside]) {
                *total += bits(number) as usize;
            }
        }
        let least = totals.into_iter().min().unwrap_or(0);
        // `pco` spends about a bit and a half on saying which size a number has.
        (least * 2 + column.len() * 3) * 5 < column.len() * self.width as usize * 8
    }

    fn pack(self, column: &[i64], out: &mut Vec<u8>) {
        push_signed(self.base, out);
        out.push(self.width as u8);
        if self.width == 0 {
            return;
        }
        let (mut buffer, mut filled) = (0_u128, 0);
        for number in column {
            buffer |= u128::from(number.wrapping_sub(self.base) as u64) << filled;
            filled += self.width;
            if filled >= 64 {
                out.extend_from_slice(&(buffer as u64).to_le_bytes());
                buffer >>= 64;
                filled -= 64;
            }
        }
        let left = (filled as usize).div_ceil(8);
        out.extend_from_slice(&(buffer as u64).to_le_bytes()[..left]);
    }
}

fn unpack(input: &mut Input<'_>, count: usize) -> Result<Vec<i64>, ChunkError> {
    let base = input.signed()?;
    let width = u32::from(input.byte()?);
    if width > 64 {
        return Err(damaged(format!("integers of {width} bits")));
    }
    let bytes = input.take((count * width as usize).div_ceil(8))?;
    let mask = match width {
        0 => return Ok(vec![base; count]),
        _ => u64::MAX >> (64 - width),
    };
    let width = width as usize;
    // One more than the column needs at most, for its difference to the number before it.
    let mut numbers = Vec::with_capacity(count + 1);
    // A number is taken out of the sixteen bytes from where it begins. The last begin too near the
    // end for that and are read from a copy, which goes on with zeros.
    let whole = match bytes.len().checked_sub(WINDOW) {
        None => 0,
        Some(last) => count.min(last * 8 / width + 1),
    };
    let begin = whole * width / 8;
    let mut ending = [0; 2 * WINDOW];
    ending[..bytes.len() - begin].copy_from_slice(&bytes[begin..]);
    let number = |bytes: &[u8], bit: usize| {
        let window = bytes[bit / 8..].first_chunk::<WINDOW>();
        let window = u128::from_le_bytes(*window.expect("its window lies inside"));
        base.wrapping_add(((window >> (bit % 8)) as u64 & mask) as i64)
    };
    numbers.extend((0..whole).map(|index| number(bytes, index * width)));
    numbers.extend((whole..count).map(|index| number(&ending, index * width - begin * 8)));
    Ok(numbers)
}

fn bits(number: u64) -> u32 {
    64 - number.leading_zeros()
}

/// A stream of `pco` without the parts that say what every chunk's reader knows; `None` when it
/// refuses the numbers.
pub(super) fn pco_bytes<T: Number>(numbers: &[T], config: ChunkConfig) -> Option<Vec<u8>> {
    if numbers.is_empty() || numbers.len() > MAX_PCO {
        return None;
    }
    let config = config.with_paging_spec(PagingSpec::Exact(vec![numbers.len()]));
    let compressor = FileCompressor::default();
    let mut out = Vec::new();
    compressor.write_header(&mut out).ok()?;
    let mut chunk = compressor.chunk_compressor(numbers, &config).ok()?;
    chunk.write_meta(&mut out).ok()?;
    chunk.write_page(0, &mut out).ok()?;
    Some(out)
}

/// Reads what [`pco_bytes`] wrote of `count` numbers.
pub(super) fn pco_numbers<T: Number + Default>(
    bytes: &[u8],
    count: usize,
) -> Result<Vec<T>, ChunkError> {
    let failed = |error: pco::errors::PcoError| damaged(error.to_string());
    let (file, rest) = FileDecompressor::new(bytes).map_err(failed)?;
    let (mut chunk, rest) = file.chunk_decompressor::<T, _>(rest).map_err(failed)?;
    let mut page = chunk.page_decompressor(rest, count).map_err(failed)?;
    let mut numbers = vec![T::default(); count];
    let progress = page.read(&mut numbers).map_err(failed)?;
    if progress.n_processed != count || !page.into_src().is_empty() {
        return Err(damaged("a compressed column has another length"));
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn check(numbers: &[i64]) -> usize {
        let mut small = Vec::new();
        for effort in [Effort::Quick, Effort::Small] {
            small.clear();
            encode(numbers, effort, &mut small);
            let mut input = Input(&small);
            assert_eq!(decode(&mut input, numbers.len()).unwrap(), numbers);
            assert!(input.0.is_empty());
        }
        small.len()
    }

    proptest! {
        #[test]
        fn numbers_come_back(
            start in any::<i64>(),
            steps in vec(prop_oneof![-3..3_i64, any::<i32>().prop_map(i64::from), any::<i64>()], 0..300),
            width in 0..64_u32,
        ) {
            let walk = steps.iter().scan(start, |last, step| {
                *last = last.wrapping_add(step >> width);
                Some(*last)
            });
            check(&walk.collect::<Vec<_>>());
            check(&steps);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..60), count in 0..400_usize) {
            let _read: Result<_, _> = decode(&mut Input(&bytes), count);
        }
    }

    #[test]
    fn regular_and_nearly_regular_columns_are_small() {
        let regular: Vec<i64> = (0..240).map(|n| 1_700_000_000_000 + n * 15_000).collect();
        assert!(check(&regular) <= 14, "{}", check(&regular));
        let constant = [42; 240];
        assert!(check(&constant) <= 4);
        // A missed scrape must not widen all the others.
        let gap: Vec<i64> = regular
            .iter()
            .map(|time| time + i64::from(*time > regular[100]) * 15_000)
            .collect();
        assert!(check(&gap) < 60, "{}", check(&gap));
        // Nor may a counter that is reset once: its values would take 12 bits each, 360 bytes.
        let reset: Vec<i64> = (0..240)
            .map(|n| (n * n % 7 + 20 * n) % (20 * 130) + 1)
            .collect();
        assert!(check(&reset) < 250, "{}", check(&reset));
    }
}
