//! `prometheus.WriteRequest`: labels are spelled out in every series.

use bytes::Bytes;
use model::MetricMetadata;

use super::series::{Building, Text, exemplar_fields};
use super::{Failure, each, kind};
use crate::label_bytes;
use crate::metric_batch::MetricBatch;
use crate::otlp::DecodeError;
use crate::otlp::reader::{Fields, Irregular};

pub(super) fn decode(body: &Bytes, received_at: i64) -> Result<MetricBatch, DecodeError> {
    let mut building = Building::new(body, received_at);
    each(body, 1, "timeseries", |series| {
        building.begin();
        if read_plain(series.rest(), &mut building)? {
            return Ok(());
        }
        building.restart();
        read_any(series, &mut building)
    })?;
    each(body, 3, "metadata", |fields| {
        let family = metadata(fields)?;
        building.describe(family)
    })?;
    Ok(building.finish())
}

/// Reads a series of labels in good form and samples; whether it is one. Nearly all are.
fn read_plain<'a>(series: &'a [u8], building: &mut Building<'a>) -> Result<bool, Failure> {
    let Some((labels, mut rest)) = label_bytes::plain(series) else {
        return Ok(false);
    };
    while let [0x12, length, tail @ ..] = rest {
        let Some((sample, tail)) = tail.split_at_checked(usize::from(*length)) else {
            return Ok(false);
        };
        if *length > 0x7f {
            return Ok(false);
        }
        building.sample(Fields::new(sample, super::MAX_DEPTH))?;
        rest = tail;
    }
    if !rest.is_empty() {
        return Ok(false);
    }
    building.end_plain(labels)?;
    Ok(true)
}

fn read_any<'a>(mut series: Fields<'a>, building: &mut Building<'a>) -> Result<(), Failure> {
    while let Some((number, content)) = series.next()? {
        match number {
            1 => {
                let (name, value) = label(series.inside(content)?)?;
                building.label(Text::new(name), Text::new(value))?;
            }
            2 => building.sample(series.inside(content)?)?,
            3 => {
                let mut labels = Vec::new();
                let exemplar = series.inside(content)?;
                let (value, time) = exemplar_fields(exemplar, |fields, content| {
                    let (name, value) = label(fields.inside(content)?)?;
                    labels.push((Text::new(name), Text::new(value)));
                    Ok(())
                })?;
                building.weigh_exemplar(labels.len())?;
                building.exemplar(Ok(labels.as_slice()), value, time)?;
            }
            4 => building.histogram(series.inside(content)?)?,
            _ => series.skip()?,
        }
    }
    building.end(0)
}

fn label<'a>(mut fields: Fields<'a>) -> Result<(&'a [u8], &'a [u8]), Irregular> {
    let (mut name, mut value) = (&[][..], &[][..]);
    while let Some((number, content)) = fields.next()? {
        match number {
            1 => name = content.bytes()?,
            2 => value = content.bytes()?,
            _ => fields.skip()?,
        }
    }
    Ok((name, value))
}

/// Bytes that are not UTF-8 are replaced: a description is for people.
fn metadata(mut fields: Fields<'_>) -> Result<MetricMetadata, Failure> {
    let mut family = MetricMetadata {
        family: String::new(),
        kind: kind(0),
        unit: String::new(),
        help: String::new(),
    };
    while let Some((number, content)) = fields.next()? {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        match number {
            1 => family.kind = kind(content.varint()?),
            2 => family.family = text(content.bytes()?),
            4 => family.help = text(content.bytes()?),
            5 => family.unit = text(content.bytes()?),
            _ => fields.skip()?,
        }
    }
    Ok(family)
}
