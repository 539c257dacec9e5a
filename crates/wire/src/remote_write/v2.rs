//! `io.prometheus.write.v2.Request`: strings lie in a table of symbols, series refer to them.

use std::collections::HashSet;

use bytes::Bytes;
use model::MetricMetadata;

use super::series::{Building, Text, exemplar_fields};
use super::{Failure, each, family, kind, packed};
use crate::admission::RejectReason;
use crate::metric_batch::MetricBatch;
use crate::otlp::DecodeError;
use crate::otlp::reader::{Content, Fields};

pub(super) fn decode(body: &Bytes, received_at: i64) -> Result<MetricBatch, DecodeError> {
    let mut building = Building::new(body, received_at);
    // The symbols may come behind the series that refer to them.
    let mut symbols = Vec::new();
    each(body, 4, "symbols", |text| {
        building.weigh(size_of::<Text<'_>>())?;
        symbols.push(Text::new(text.rest()));
        Ok(())
    })?;
    let mut reader = Reader {
        symbols,
        described: HashSet::new(),
        labels: Vec::new(),
        exemplar_labels: Vec::new(),
    };
    each(body, 5, "timeseries", |series| {
        reader.series(series, &mut building)
    })?;
    Ok(building.finish())
}

/// What a series' description says, in symbols.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Description {
    kind: u64,
    help: u64,
    unit: u64,
}

struct Reader<'a> {
    symbols: Vec<Text<'a>>,
    /// Names of metrics, by where they lie, with the descriptions that they were given.
    described: HashSet<(usize, Description)>,
    /// References of the series that is read, and of an exemplar of it: names and values in turn.
    labels: Vec<u32>,
    exemplar_labels: Vec<u32>,
}

impl<'a> Reader<'a> {
    fn series(
        &mut self,
        mut series: Fields<'a>,
        building: &mut Building<'a>,
    ) -> Result<(), Failure> {
        building.begin();
        self.labels.clear();
        let mut created_ms = 0;
        let mut description = Description::default();
        while let Some((number, content)) = series.next()? {
            match number {
                1 => references(content, &mut self.labels)?,
                2 => building.sample(series.inside(content)?)?,
                3 => building.histogram(series.inside(content)?)?,
                4 => self.exemplar(series.inside(content)?, building)?,
                5 => description = read_description(series.inside(content)?)?,
                6 => created_ms = content.varint()? as i64,
                _ => series.skip()?,
            }
        }
        for label in self.labels.chunks(2) {
            match self.pair(label) {
                Ok((name, value)) => building.label(name, value)?,
                Err(reason) => building.refuse(reason),
            }
        }
        building.end(created_ms)?;
        self.describe(description, building)
    }

    fn exemplar(&mut self, fields: Fields<'a>, building: &mut Building<'a>) -> Result<(), Failure> {
        self.exemplar_labels.clear();
        let (value, time) = exemplar_fields(fields, |_, content| {
            references(content, &mut self.exemplar_labels)
        })?;
        building.weigh_exemplar(self.exemplar_labels.len() / 2)?;
        let pairs = self.exemplar_labels.chunks(2).map(|label| self.pair(label));
        let pairs: Result<Vec<_>, RejectReason> = pairs.collect();
        building.exemplar(pairs.as_deref().map_err(|reason| *reason), value, time)
    }

    /// The name and value that two references stand for.
    fn pair(&self, label: &[u32]) -> Result<(Text<'a>, Text<'a>), RejectReason> {
        let symbol = |number: u32| self.symbols.get(number as usize).copied();
        match label {
            [name, value] => symbol(*name).zip(symbol(*value)),
            _ => None,
        }
        .ok_or(RejectReason::UnknownSymbol)
    }

    /// Describes the family of the series that was read.
    fn describe(
        &mut self,
        description: Description,
        building: &mut Building<'a>,
    ) -> Result<(), Failure> {
        let Some(name) = building.metric_name() else {
            return Ok(());
        };
        if description == Description::default() {
            return Ok(());
        }
        let seen = (name.bytes.as_ptr().addr(), description);
        if !self.described.insert(seen) {
            return Ok(());
        }
        let text = |number: u64| {
            let index = usize::try_from(number).unwrap_or(usize::MAX);
            let symbol = self.symbols.get(index);
            symbol.map(|text| String::from_utf8_lossy(text.bytes).into_owned())
        };
        let kind = kind(description.kind);
        building.describe(MetricMetadata {
            family: family::of(name.as_str(), kind).to_owned(),
            kind,
            unit: text(description.unit).unwrap_or_default(),
            help: text(description.help).unwrap_or_default(),
        })
    }
}

/// Reads numbers of symbols; none has the highest.
fn references(content: Content<'_>, out: &mut Vec<u32>) -> Result<(), Failure> {
    packed(content, |number| {
        out.push(u32::try_from(number).unwrap_or(u32::MAX));
        Ok(())
    })
}

fn read_description(mut fields: Fields<'_>) -> Result<Description, Failure> {
    let mut description = Description::default();
    while let Some((number, content)) = fields.next()? {
        match number {
            1 => description.kind = content.varint()?,
            3 => description.help = content.varint()?,
            4 => description.unit = content.varint()?,
            _ => fields.skip()?,
        }
    }
    Ok(description)
}
