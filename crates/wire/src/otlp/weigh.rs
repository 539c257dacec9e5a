//! Estimates what a protobuf body grows to before anything is decoded.
//!
//! An empty sub-message takes two bytes on the wire and up to a few hundred in memory, so the
//! limit on a body's bytes alone bounds nothing. This walks the wire format by a table of which
//! fields are messages and how heavy each is, allocating nothing.

use super::DecodeError;

/// Memory that the decoded messages of one body may take, besides the body's own bytes.
const MAX_WEIGHT: usize = 256 << 20;

/// No message takes fewer bytes on the wire, its key and length, and none weighs more: most bodies
/// are known to be bearable by their length.
const MIN_MESSAGE: usize = 2;
const MAX_MESSAGE_WEIGHT: usize = 400;

/// Which fields of a message are messages themselves.
pub(crate) struct Schema {
    /// Bytes in memory of one such message, without what it points to.
    weight: usize,
    /// Field numbers with their schemas.
    fields: &'static [(u64, &'static Schema)],
}

// `AnyValue`, `ArrayValue` and `KeyValueList` contain each other, and a static may refer to
// itself.
static ANY_VALUE: Schema = Schema {
    weight: 32,
    fields: &[(5, &ARRAY_VALUE), (6, &KEY_VALUE_LIST)],
};
static ARRAY_VALUE: Schema = Schema {
    weight: 24,
    fields: &[(1, &ANY_VALUE)],
};
static KEY_VALUE_LIST: Schema = Schema {
    weight: 24,
    fields: &[(1, &KEY_VALUE)],
};
static KEY_VALUE: Schema = Schema {
    weight: 64,
    fields: &[(2, &ANY_VALUE)],
};
static RESOURCE: Schema = Schema {
    weight: 64,
    fields: &[(1, &KEY_VALUE), (3, &LEAF)],
};
/// Messages that hold no others: entity references, statuses, buckets, quantiles.
static LEAF: Schema = Schema {
    weight: 96,
    fields: &[],
};
static SCOPE: Schema = Schema {
    weight: 80,
    fields: &[(3, &KEY_VALUE)],
};

pub(super) static LOGS: Schema = Schema {
    weight: 24,
    fields: &[(1, &RESOURCE_LOGS)],
};
static RESOURCE_LOGS: Schema = Schema {
    weight: 112,
    fields: &[(1, &RESOURCE), (2, &SCOPE_LOGS)],
};
static SCOPE_LOGS: Schema = Schema {
    weight: 136,
    fields: &[(1, &SCOPE), (2, &LOG_RECORD)],
};
static LOG_RECORD: Schema = Schema {
    weight: 208,
    fields: &[(5, &ANY_VALUE), (6, &KEY_VALUE)],
};

pub(crate) static LOKI_PUSH: Schema = Schema {
    weight: 24,
    fields: &[(1, &LOKI_STREAM)],
};
static LOKI_STREAM: Schema = Schema {
    weight: 160,
    fields: &[(2, &LOKI_ENTRY)],
};
// With the log record that it becomes.
static LOKI_ENTRY: Schema = Schema {
    weight: 320,
    fields: &[(1, &LEAF), (3, &LOKI_PAIR)],
};
static LOKI_PAIR: Schema = Schema {
    weight: 128,
    fields: &[],
};

pub(super) static SPANS: Schema = Schema {
    weight: 24,
    fields: &[(1, &RESOURCE_SPANS)],
};
static RESOURCE_SPANS: Schema = Schema {
    weight: 112,
    fields: &[(1, &RESOURCE), (2, &SCOPE_SPANS)],
};
static SCOPE_SPANS: Schema = Schema {
    weight: 136,
    fields: &[(1, &SCOPE), (2, &SPAN)],
};
static SPAN: Schema = Schema {
    weight: 288,
    fields: &[(9, &KEY_VALUE), (11, &EVENT), (13, &LINK), (15, &LEAF)],
};
static EVENT: Schema = Schema {
    weight: 64,
    fields: &[(3, &KEY_VALUE)],
};
static LINK: Schema = Schema {
    weight: 104,
    fields: &[(4, &KEY_VALUE)],
};

pub(super) static METRICS: Schema = Schema {
    weight: 24,
    fields: &[(1, &RESOURCE_METRICS)],
};
static RESOURCE_METRICS: Schema = Schema {
    weight: 112,
    fields: &[(1, &RESOURCE), (2, &SCOPE_METRICS)],
};
static SCOPE_METRICS: Schema = Schema {
    weight: 136,
    fields: &[(1, &SCOPE), (2, &METRIC)],
};
static METRIC: Schema = Schema {
    weight: 136,
    fields: &[
        (5, &NUMBERS),
        (7, &NUMBERS),
        (9, &HISTOGRAMS),
        (10, &EXPONENTIALS),
        (11, &SUMMARIES),
        (12, &KEY_VALUE),
    ],
};
static NUMBERS: Schema = Schema {
    weight: 32,
    fields: &[(1, &NUMBER_POINT)],
};
static HISTOGRAMS: Schema = Schema {
    weight: 32,
    fields: &[(1, &HISTOGRAM_POINT)],
};
static EXPONENTIALS: Schema = Schema {
    weight: 32,
    fields: &[(1, &EXPONENTIAL_POINT)],
};
static SUMMARIES: Schema = Schema {
    weight: 24,
    fields: &[(1, &SUMMARY_POINT)],
};
// A point's weight includes the sample that it becomes.
static NUMBER_POINT: Schema = Schema {
    weight: 240,
    fields: &[(7, &KEY_VALUE), (5, &EXEMPLAR)],
};
static HISTOGRAM_POINT: Schema = Schema {
    weight: 320,
    fields: &[(9, &KEY_VALUE), (8, &EXEMPLAR)],
};
static EXPONENTIAL_POINT: Schema = Schema {
    weight: 400,
    fields: &[(1, &KEY_VALUE), (8, &LEAF), (9, &LEAF), (11, &EXEMPLAR)],
};
static SUMMARY_POINT: Schema = Schema {
    weight: 240,
    fields: &[(7, &KEY_VALUE), (6, &LEAF)],
};
static EXEMPLAR: Schema = Schema {
    weight: 136,
    fields: &[(7, &KEY_VALUE)],
};

/// Whether `body` decodes to a bearable size. Malformed input passes: the decoder says what is
/// wrong with it.
pub(super) fn check(body: &[u8], schema: &Schema) -> Result<(), DecodeError> {
    if body.len() / MIN_MESSAGE * MAX_MESSAGE_WEIGHT < MAX_WEIGHT {
        return Ok(());
    }
    let mut weight = 0;
    weigh(body, schema, &mut weight, 0);
    if weight > MAX_WEIGHT {
        return Err(DecodeError::TooHeavy { limit: MAX_WEIGHT });
    }
    Ok(())
}

/// Adds up the messages in `body`; stops at malformed input, past the limit, and below the depth
/// at which the decoder gives up.
fn weigh(mut body: &[u8], schema: &Schema, weight: &mut usize, depth: usize) {
    while *weight <= MAX_WEIGHT && depth <= 100 && !body.is_empty() {
        let Some((field, content)) = next_field(&mut body) else {
            return;
        };
        let Some(content) = content else {
            continue;
        };
        if let Some((_, inner)) = schema.fields.iter().find(|(number, _)| *number == field) {
            *weight += inner.weight;
            weigh(content, inner, weight, depth + 1);
        }
    }
}

/// Takes one field off the front; its content when it is length-delimited.
fn next_field<'a>(body: &mut &'a [u8]) -> Option<(u64, Option<&'a [u8]>)> {
    let key = varint(body)?;
    let skip = match key & 7 {
        0 => {
            varint(body)?;
            0
        }
        1 => 8,
        2 => {
            let length = usize::try_from(varint(body)?).ok()?;
            let content = body.get(..length)?;
            *body = &body[length..];
            return Some((key >> 3, Some(content)));
        }
        5 => 4,
        // Groups are refused by the decoder.
        _ => return None,
    };
    *body = body.get(skip..)?;
    Some((key >> 3, None))
}

fn varint(body: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = body.split_first()?;
        *body = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` empty log records, two bytes each, in their envelopes.
    fn empty_records(count: usize) -> Vec<u8> {
        let length = |mut n: usize| {
            let mut out = Vec::new();
            while n >= 0x80 {
                out.push(n as u8 | 0x80);
                n >>= 7;
            }
            out.push(n as u8);
            out
        };
        let records = [0x12, 0x00].repeat(count);
        let scope = [vec![0x12], length(records.len()), records].concat();
        [vec![0x0a], length(scope.len()), scope].concat()
    }

    #[test]
    fn a_body_of_empty_messages_is_refused_before_decoding() {
        assert_eq!(check(&empty_records(1_000), &LOGS), Ok(()));
        assert_eq!(
            check(&empty_records(8 << 20), &LOGS),
            Err(DecodeError::TooHeavy { limit: MAX_WEIGHT })
        );
    }
}
