//! `AnyValue` and attributes, read in place.

use model::Value;

use super::reader::{Content, Fields, Irregular, once, utf8};

/// A value that borrows from the message it lies in.
#[derive(Debug, Clone, Copy)]
pub enum ValueView<'a> {
    /// A value without any content.
    Empty,
    /// UTF-8 text.
    String(&'a str),
    /// `true` or `false`.
    Bool(bool),
    /// A signed 64-bit integer.
    Int(i64),
    /// An IEEE 754 double.
    Double(f64),
    /// Arbitrary bytes.
    Bytes(&'a [u8]),
    /// A list or a map: [`ValueView::to_value`] reads it.
    Nested(NestedView<'a>),
}

/// A list or a map as its message, already checked.
#[derive(Debug, Clone, Copy)]
pub struct NestedView<'a> {
    fields: Fields<'a>,
    is_map: bool,
}

/// One attribute: its key and value.
pub type Entry<'a> = (&'a str, ValueView<'a>);

/// Attributes in their order.
pub type Entries<'a> = Vec<Entry<'a>>;

impl ValueView<'_> {
    /// The value on its own.
    pub fn to_value(self) -> Value {
        match self {
            Self::Empty => Value::Empty,
            Self::String(text) => Value::String(text.to_owned()),
            Self::Bool(flag) => Value::Bool(flag),
            Self::Int(number) => Value::Int(number),
            Self::Double(number) => Value::Double(number),
            Self::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Self::Nested(nested) => nested
                .to_value()
                .expect("a nested view is made of a message that was read to its end"),
        }
    }
}

impl NestedView<'_> {
    fn to_value(self) -> Result<Value, Irregular> {
        let mut fields = self.fields;
        if self.is_map {
            let mut entries = Vec::new();
            while let Some((number, content)) = fields.next()? {
                if number == 1 {
                    let (key, value) = entry(fields.inside(content)?)?;
                    entries.push((key.to_owned(), value.to_value()));
                }
            }
            return Ok(Value::Map(entries));
        }
        let mut values = Vec::new();
        while let Some((number, content)) = fields.next()? {
            if number == 1 {
                values.push(value(fields.inside(content)?)?.to_value());
            }
        }
        Ok(Value::Array(values))
    }
}

/// Reads an `AnyValue`, and checks all that lies in it.
pub(super) fn value(mut fields: Fields<'_>) -> Result<ValueView<'_>, Irregular> {
    let mut found = ValueView::Empty;
    let mut nested = None;
    while let Some((number, content)) = fields.next()? {
        // Of several fields the last counts, but messages of one kind would be merged.
        found = match number {
            1 => ValueView::String(content.text()?),
            2 => ValueView::Bool(content.varint()? != 0),
            3 => ValueView::Int(content.varint()? as i64),
            4 => ValueView::Double(f64::from_bits(content.fixed64()?)),
            5 | 6 => {
                once(&mut nested, ())?;
                let view = NestedView {
                    fields: fields.inside(content)?,
                    is_map: number == 6,
                };
                check_nested(view)?;
                ValueView::Nested(view)
            }
            7 => ValueView::Bytes(content.bytes()?),
            // A reference into a profile's string table means nothing in the other signals.
            8 => {
                content.varint()?;
                ValueView::Empty
            }
            _ => {
                fields.skip()?;
                found
            }
        };
    }
    Ok(found)
}

fn check_nested(view: NestedView<'_>) -> Result<(), Irregular> {
    let mut fields = view.fields;
    while let Some((number, content)) = fields.next()? {
        match number {
            1 if view.is_map => entry(fields.inside(content)?).map(|_| ())?,
            1 => value(fields.inside(content)?).map(|_| ())?,
            _ => fields.skip()?,
        }
    }
    Ok(())
}

/// Reads a `KeyValue`.
pub(super) fn entry(fields: Fields<'_>) -> Result<Entry<'_>, Irregular> {
    match fields.allows(1).and_then(short_entry) {
        Some(entry) => Ok(entry),
        None => any_entry(fields),
    }
}

/// A `KeyValue` as nearly all of them are: a key and a value of a simple type, each once, in this
/// order and shorter than 128 bytes. `None` for every other, malformed ones too.
#[inline]
fn short_entry(message: &[u8]) -> Option<Entry<'_>> {
    let (key, rest) = short_field(message, KEY_TAG)?;
    let (value, []) = short_field(rest, VALUE_TAG)? else {
        return None;
    };
    let value = match value.split_first()? {
        (&STRING_TAG, _) => {
            let (text, []) = short_field(value, STRING_TAG)? else {
                return None;
            };
            ValueView::String(utf8(text)?)
        }
        (&BOOL_TAG, [flag @ 0..=1]) => ValueView::Bool(*flag == 1),
        (&INT_TAG, number) => ValueView::Int(short_varint(number)?),
        (&DOUBLE_TAG, bits) => {
            ValueView::Double(f64::from_bits(u64::from_le_bytes(bits.try_into().ok()?)))
        }
        _ => return None,
    };
    Some((utf8(key)?, value))
}

/// Tags of a `KeyValue`'s and an `AnyValue`'s fields: number << 3 | wire type.
const KEY_TAG: u8 = 1 << 3 | 2;
const VALUE_TAG: u8 = 2 << 3 | 2;
const STRING_TAG: u8 = 1 << 3 | 2;
const BOOL_TAG: u8 = 2 << 3;
const INT_TAG: u8 = 3 << 3;
const DOUBLE_TAG: u8 = 4 << 3 | 1;

/// A delimited field with this tag and a length of one byte, and what follows it.
#[inline]
fn short_field(message: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    match message {
        [first, length @ 0..=0x7f, rest @ ..] if *first == tag => {
            rest.split_at_checked(usize::from(*length))
        }
        _ => None,
    }
}

/// A varint of at most two bytes that is all there is.
#[inline]
fn short_varint(bytes: &[u8]) -> Option<i64> {
    match bytes {
        [number @ 0..=0x7f] => Some(i64::from(*number)),
        [low @ 0x80..=0xff, high @ 0..=0x7f] => Some(i64::from(low & 0x7f) | i64::from(*high) << 7),
        _ => None,
    }
}

fn any_entry(mut fields: Fields<'_>) -> Result<Entry<'_>, Irregular> {
    let mut key = "";
    let mut found = None;
    while let Some((number, content)) = fields.next()? {
        match number {
            1 => key = content.text()?,
            2 => once(&mut found, value(fields.inside(content)?)?)?,
            // A reference into a profile's string table.
            3 => content.varint().map(|_| ())?,
            _ => fields.skip()?,
        }
    }
    Ok((key, found.unwrap_or(ValueView::Empty)))
}

/// Checks a `Resource` or an `InstrumentationScope`, which have these fields: `texts`, attributes,
/// a count, and perhaps references to entities.
pub(super) fn check_origin(
    mut fields: Fields<'_>,
    [attributes, count, entities]: [u32; 3],
    texts: &[u32],
) -> Result<(), Irregular> {
    while let Some((number, content)) = fields.next()? {
        if number == attributes {
            entry(fields.inside(content)?)?;
        } else if number == count {
            content.varint()?;
        } else if number == entities {
            check_texts(fields.inside(content)?)?;
        } else if texts.contains(&number) {
            content.text()?;
        } else {
            fields.skip()?;
        }
    }
    Ok(())
}

/// Checks an `EntityRef`: four fields, all of them texts.
fn check_texts(mut fields: Fields<'_>) -> Result<(), Irregular> {
    while let Some((number, content)) = fields.next()? {
        match number {
            1..=4 => content.text().map(|_| ())?,
            _ => fields.skip()?,
        }
    }
    Ok(())
}

/// Owned attributes.
pub(super) fn attributes(entries: &Entries<'_>) -> model::Attributes {
    model::Attributes(
        entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.to_value()))
            .collect(),
    )
}

/// A content of a narrower integer type.
pub(super) fn narrow(content: Content<'_>) -> Result<u32, Irregular> {
    Ok(content.varint()? as u32)
}
