//! `prometheus.WriteRequest`: labels are spelled out in every series.

use bytes::Bytes;
use model::MetricMetadata;

use super::series::{Building, Text, exemplar_fields};
use super::{Failure, each, kind};
use crate::metric_batch::{LabelHasher, MetricBatch};
use crate::otlp::DecodeError;
use crate::otlp::reader::{Fields, Irregular};

pub(super) fn decode(body: &Bytes, received_at: i64) -> Result<MetricBatch, DecodeError> {
    let hasher = LabelHasher::of_process();
    let mut building = Building::new(body, received_at);
    let mut exemplar_labels = Vec::new();
    each(body, 1, "timeseries", |mut series| {
        building.begin();
        while let Some((number, content)) = series.next()? {
            match number {
                1 => {
                    let (name, value) = label(series.inside(content)?)?;
                    building.label(Text::new(name, hasher), Text::new(value, hasher))?;
                }
                2 => building.sample(series.inside(content)?)?,
                3 => {
                    exemplar_labels.clear();
                    let exemplar = series.inside(content)?;
                    let (value, time) = exemplar_fields(exemplar, |fields, content| {
                        let (name, value) = label(fields.inside(content)?)?;
                        exemplar_labels.push((Text::new(name, hasher), Text::new(value, hasher)));
                        Ok(())
                    })?;
                    building.weigh_exemplar(exemplar_labels.len())?;
                    building.exemplar(Ok(exemplar_labels.as_slice()), value, time)?;
                }
                4 => building.histogram(series.inside(content)?)?,
                _ => series.skip()?,
            }
        }
        building.end(0)
    })?;
    each(body, 3, "metadata", |fields| {
        let family = metadata(fields)?;
        building.describe(family)
    })?;
    Ok(building.finish())
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
