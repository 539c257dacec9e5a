//! A column of doubles, bit by bit: as integers over a power of ten where they are such, else by
//! `pco` or as they are.
//!
//! Most metrics count things or are decimal numbers. Those that are not among others that are
//! (stale markers, infinities) are written beside them.

use pco::{ChunkConfig, DeltaSpec};

use super::bytes::{Input, push_varint};
use super::integers::{self, pco_bytes, pco_numbers};
use super::{ChunkError, Effort, damaged};

/// The first byte: how values are kept.
const DECIMAL: u8 = 0;
const RAW: u8 = 1;
const PCO: u8 = 2;

/// Powers of ten that a double holds exactly and that decimal values are tried with.
const POWERS: [f64; 13] = [
    1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12,
];
/// Up to here every integer is a double.
const MAX_INTEGER: u64 = 1 << 53;
/// Decimal numbers that need more bytes than this each may be smaller another way.
const WIDE_DECIMAL: usize = 3;

/// Writes `values`, whose count the reader has to know.
pub(super) fn encode(
    values: &[f64],
    effort: Effort,
    config: fn() -> ChunkConfig,
    out: &mut Vec<u8>,
) {
    if values.is_empty() {
        return;
    }
    let begin = out.len();
    if let Some(decimals) = Decimals::of(values) {
        decimals.write(effort, out);
    } else {
        raw(values, out);
    }
    let written = out.len() - begin;
    if effort == Effort::Quick || written <= values.len() * WIDE_DECIMAL {
        return;
    }
    if let Some(bytes) = pco_bytes(values, config())
        && bytes.len() + 4 < written
    {
        out.truncate(begin);
        out.push(PCO);
        push_varint(bytes.len() as u64, out);
        out.extend_from_slice(&bytes);
    }
}

/// How `pco` treats the values of one series: neighbours are close to each other.
pub(super) fn of_a_series() -> ChunkConfig {
    ChunkConfig::default().with_delta_spec(DeltaSpec::TryConsecutive(1))
}

/// Reads what [`encode`] wrote of `count` values.
pub(super) fn decode(input: &mut Input<'_>, count: usize) -> Result<Vec<f64>, ChunkError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    match input.byte()? {
        DECIMAL => read_decimals(input, count),
        RAW => {
            let (values, _) = input.take(count * 8)?.as_chunks::<8>();
            Ok(values
                .iter()
                .map(|bytes| f64::from_le_bytes(*bytes))
                .collect())
        }
        PCO => {
            let length = input.count(input.0.len())?;
            pco_numbers(input.take(length)?, count)
        }
        other => Err(damaged(format!("unknown form {other} of doubles"))),
    }
}

fn raw(values: &[f64], out: &mut Vec<u8>) {
    out.push(RAW);
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

/// Values as integers over a power of ten.
struct Decimals {
    exponent: usize,
    integers: Vec<i64>,
    /// Indexes and bits of the values that are something else.
    others: Vec<(usize, u64)>,
}

impl Decimals {
    /// `None` when too many values are something else.
    fn of(values: &[f64]) -> Option<Self> {
        let allowed = values.len() / 8 + 1;
        let mut exponent = 0;
        let mut others = 0;
        for value in values {
            if integer(*value, exponent).is_none() {
                let next = (exponent + 1..POWERS.len()).find(|e| integer(*value, *e).is_some());
                match next {
                    Some(next) => exponent = next,
                    None => others += 1,
                }
                if others > allowed {
                    return None;
                }
            }
        }
        let mut decimals = Self {
            exponent,
            integers: Vec::with_capacity(values.len()),
            others: Vec::new(),
        };
        let mut last = 0;
        for (index, value) in values.iter().enumerate() {
            match integer(*value, exponent) {
                Some(integer) => last = integer,
                None => decimals.others.push((index, value.to_bits())),
            }
            decimals.integers.push(last);
        }
        (decimals.others.len() <= allowed).then_some(decimals)
    }

    fn write(&self, effort: Effort, out: &mut Vec<u8>) {
        out.extend([DECIMAL, self.exponent as u8]);
        push_varint(self.others.len() as u64, out);
        for (index, bits) in &self.others {
            push_varint(*index as u64, out);
            out.extend_from_slice(&bits.to_le_bytes());
        }
        integers::encode(&self.integers, effort, out);
    }
}

fn read_decimals(input: &mut Input<'_>, count: usize) -> Result<Vec<f64>, ChunkError> {
    let exponent = input.byte()?;
    let power = POWERS
        .get(usize::from(exponent))
        .ok_or_else(|| damaged(format!("decimal numbers with {exponent} places")))?;
    let others = input.count(count)?;
    let mut replaced = Vec::with_capacity(others.min(input.0.len()));
    for _ in 0..others {
        let index = input.count(count - 1)?;
        let (bits, _) = input.take(8)?.as_chunks::<8>();
        replaced.push((index, f64::from_le_bytes(bits[0])));
    }
    let integers = integers::decode(input, count)?;
    let mut values: Vec<f64> = match exponent {
        0 => integers.iter().map(|number| *number as f64).collect(),
        _ => integers
            .iter()
            .map(|number| *number as f64 / power)
            .collect(),
    };
    for (index, value) in replaced {
        values[index] = value;
    }
    Ok(values)
}

/// The integer that, divided by the power of ten, gives exactly these bits.
fn integer(value: f64, exponent: usize) -> Option<i64> {
    let (integer, back) = match exponent {
        0 => (value as i64, value as i64 as f64),
        _ => {
            let power = POWERS[exponent];
            // To the nearest, without a call for it.
            let integer = (value * power + 0.5_f64.copysign(value)) as i64;
            (integer, integer as f64 / power)
        }
    };
    let is_exact = back.to_bits() == value.to_bits() && integer.unsigned_abs() <= MAX_INTEGER;
    is_exact.then_some(integer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::metric::stale_nan;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn check(values: &[f64]) -> usize {
        let mut small = Vec::new();
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        for effort in [Effort::Quick, Effort::Small] {
            small.clear();
            encode(values, effort, of_a_series, &mut small);
            let mut input = Input(&small);
            let back = decode(&mut input, values.len()).unwrap();
            assert_eq!(bits(&back), bits(values));
            assert!(input.0.is_empty());
        }
        small.len()
    }

    proptest! {
        #[test]
        fn every_bit_comes_back(
            values in vec(
                prop_oneof![
                    4 => (-1_000_000_i64..1_000_000).prop_map(|n| n as f64),
                    4 => (any::<i32>(), 0..7).prop_map(|(n, e)| f64::from(n) / 10_f64.powi(e)),
                    1 => any::<u64>().prop_map(f64::from_bits),
                    1 => prop::sample::select(vec![-0.0, f64::INFINITY, stale_nan(), 0.1 + 0.2]),
                ],
                0..100,
            ),
        ) {
            check(&values);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..60), count in 0..400_usize) {
            let _read: Result<_, _> = decode(&mut Input(&bytes), count);
        }
    }

    #[test]
    fn a_stale_marker_does_not_spoil_its_series() {
        let mut counter: Vec<f64> = (0..240).map(|n| f64::from(n * 7)).collect();
        let without = check(&counter);
        counter[200] = stale_nan();
        assert!(check(&counter) < without + 80, "{}", check(&counter));
    }

    #[test]
    fn decimal_numbers_are_small() {
        let values: Vec<f64> = (0..240).map(|n| f64::from(n % 50) / 1000.0).collect();
        assert!(check(&values) < 200, "{}", check(&values));
    }
}
