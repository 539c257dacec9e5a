//! Several splits → one: full row groups are copied page by page, short ones are sorted together
//! into full ones, and the indexes are stacked. What is read is checked, so damage never spreads.

use std::io::Write;
use std::sync::Arc;

use super::open::Split;
use super::regroup::{self, Place};
use super::row_group::{MAX_ROW_GROUP_ROWS, RowGroup};
use super::write::{SplitWriter, wait};
use crate::columns::Promotions;
use crate::error::StoreError;
use crate::head::SplitSummary;
use crate::index::{self, BlockSet, IndexPart};

/// Row groups that are sorted together take at most this much memory decoded, bytes, and about
/// three times that while they are sorted.
const MAX_DECODED_BYTES: u64 = 64 << 20;

/// A split made of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedSplit {
    /// What the catalog keeps of it, but for the services, which the splits' own entries know.
    pub summary: SplitSummary,
    /// What was copied page by page.
    pub copied: Amount,
    /// What was encoded anew, measured before.
    pub encoded: Amount,
}

/// Rows and their encoded bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Rows.
    pub rows: u64,
    /// Encoded bytes of their column chunks.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, size: Size) {
        self.rows += size.rows as u64;
        self.bytes += size.encoded_bytes;
    }
}

/// Writes the rows of `splits`, of one table and in this order, as one split to `out`.
/// `row_group_rows` is what a full row group has. CPU-heavy; before each row group `is_stopped` is
/// asked whether to give up.
///
/// # Errors
///
/// [`StoreError::Damaged`] names the split that is; [`StoreError::ShuttingDown`] after a stop.
pub fn merge(
    splits: &[Arc<Split>],
    row_group_rows: usize,
    out: impl Write + Send,
    is_stopped: &dyn Fn() -> bool,
) -> Result<MergedSplit, StoreError> {
    let first = one_table(splits)?;
    let table = first.table();
    let all: Vec<Vec<Place<'_>>> = splits
        .iter()
        .map(|split| {
            (0..split.file().row_groups())
                .map(|group| (split.file(), group))
                .collect()
        })
        .collect();
    let places = all.iter().flatten();
    let kept = regroup::promotions_of(places.map(|(file, group)| (&***file, *group)));
    let sizes: Vec<Vec<Size>> = all
        .iter()
        .map(|groups| groups.iter().map(|place| Size::of(*place, &kept)).collect())
        .collect();

    let mut written = Written {
        writer: SplitWriter::new(table, first.file().schema(), &kept, out)?,
        parts: Vec::new(),
        copied: Amount::default(),
        encoded: Amount::default(),
    };
    for step in arrange(&sizes, row_group_rows.clamp(1, MAX_ROW_GROUP_ROWS)) {
        if is_stopped() {
            return Err(StoreError::ShuttingDown);
        }
        match step {
            Step::Copy { split, group } => {
                written.writer.copy(splits[split].file(), group)?;
                written.copied.add(sizes[split][group]);
                written.keep_blocks(split, &splits[split], group);
            }
            Step::Encode(members) => {
                let places: Vec<Place<'_>> = members
                    .iter()
                    .map(|(split, group)| all[*split][*group])
                    .collect();
                let row_group = regroup::regroup(table, &places, &kept)?;
                written.writer.copy(&row_group.file, 0)?;
                for (split, group) in members {
                    written.encoded.add(sizes[split][group]);
                }
                written.parts.push(Part::Encoded(row_group));
            }
        }
    }
    written.finish(splits)
}

/// The first of the splits, when all are of its table.
fn one_table(splits: &[Arc<Split>]) -> Result<&Split, StoreError> {
    let refused = |message: &str| StoreError::Encoding {
        action: "merge splits",
        message: message.to_owned(),
    };
    let first = splits.first().ok_or_else(|| refused("there are none"))?;
    if splits.iter().any(|split| split.table() != first.table()) {
        return Err(refused("splits of logs and spans do not mix"));
    }
    Ok(first)
}

/// A split in the making, with what its index is to be made of.
struct Written<W: Write + Send> {
    writer: SplitWriter<W>,
    parts: Vec<Part>,
    copied: Amount,
    encoded: Amount,
}

enum Part {
    Encoded(RowGroup),
    /// Blocks of the split with this number.
    Copied(usize, BlockSet),
}

impl<W: Write + Send> Written<W> {
    fn keep_blocks(&mut self, number: usize, split: &Split, group: usize) {
        if !matches!(self.parts.last(), Some(Part::Copied(last, _)) if *last == number) {
            self.parts
                .push(Part::Copied(number, BlockSet::none(split.blocks())));
        }
        if let Some(Part::Copied(_, blocks)) = self.parts.last_mut() {
            split
                .file()
                .blocks(group)
                .for_each(|block| blocks.insert(block));
        }
    }

    fn finish(self, splits: &[Arc<Split>]) -> Result<MergedSplit, StoreError> {
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            parts.push(match part {
                Part::Encoded(row_group) => IndexPart::RowGroup(row_group.terms()),
                Part::Copied(split, blocks) => {
                    IndexPart::Split(wait(splits[*split].index())?, blocks)
                }
            });
        }
        let index = index::build(&parts).map_err(|err| StoreError::Encoding {
            action: "stack the indexes of splits",
            message: err.to_string(),
        })?;
        Ok(MergedSplit {
            summary: self.writer.finish(&index, None)?,
            copied: self.copied,
            encoded: self.encoded,
        })
    }
}

/// How large a row group is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Size {
    rows: usize,
    encoded_bytes: u64,
    /// About what it takes in memory.
    decoded_bytes: u64,
    /// It has a column for which the new split has no room.
    must_change: bool,
}

impl Size {
    fn of((file, group): Place<'_>, kept: &Promotions) -> Self {
        let metadata = file.parquet().row_group(group);
        let decoded = |column: &parquet::file::metadata::ColumnChunkMetaData| {
            let texts = column.unencoded_byte_array_data_bytes().unwrap_or(0);
            let others = column.uncompressed_size();
            u64::try_from(texts.max(others)).unwrap_or(0)
        };
        Self {
            rows: file.rows(group),
            encoded_bytes: u64::try_from(metadata.compressed_size()).unwrap_or(0),
            decoded_bytes: metadata.columns().iter().map(decoded).sum(),
            must_change: !regroup::fits(file.schema(), kept),
        }
    }

    /// Whether it is worth being merged with others.
    fn is_short(&self, full_rows: usize) -> bool {
        self.rows <= full_rows / 2 && self.decoded_bytes <= MAX_DECODED_BYTES / 2
    }
}

/// The next row group of a new split.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// As it is.
    Copy { split: usize, group: usize },
    /// From these (split, row group), sorted together.
    Encode(Vec<(usize, usize)>),
}

/// Which row groups are copied and which are encoded together, in the order of the new split.
///
/// A split's copied row groups stay together, so that its index is read once; row groups made of
/// short ones follow the split of their last member.
fn arrange(splits: &[Vec<Size>], full_rows: usize) -> Vec<Step> {
    let mut encoded: Vec<Vec<(usize, usize)>> = Vec::new();
    let mut open: Vec<(usize, usize)> = Vec::new();
    let (mut rows, mut bytes) = (0, 0);
    let groups = splits.iter().enumerate().flat_map(|(split, groups)| {
        groups
            .iter()
            .enumerate()
            .map(move |(group, size)| ((split, group), size))
    });
    for (place, size) in groups.filter(|(_, size)| size.is_short(full_rows)) {
        if rows + size.rows > full_rows || bytes + size.decoded_bytes > MAX_DECODED_BYTES {
            encoded.push(std::mem::take(&mut open));
            (rows, bytes) = (0, 0);
        }
        open.push(place);
        rows += size.rows;
        bytes += size.decoded_bytes;
    }
    encoded.push(open);
    // Alone, a short row group stays as it is.
    encoded.retain(|members| members.len() > 1);

    let mut steps = Vec::new();
    for (split, groups) in splits.iter().enumerate() {
        for (group, size) in groups.iter().enumerate() {
            let place = (split, group);
            if encoded.iter().any(|members| members.contains(&place)) {
                continue;
            }
            steps.push(match size.must_change {
                true => Step::Encode(vec![place]),
                false => Step::Copy { split, group },
            });
        }
        let ends_here =
            |members: &&Vec<(usize, usize)>| members.last().is_some_and(|(last, _)| *last == split);
        steps.extend(encoded.iter().filter(ends_here).cloned().map(Step::Encode));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row groups of these numbers of rows.
    fn splits(rows: &[&[usize]]) -> Vec<Vec<Size>> {
        let size = |rows: &usize| Size {
            rows: *rows,
            ..Size::default()
        };
        rows.iter()
            .map(|groups| groups.iter().map(size).collect())
            .collect()
    }

    /// `3.1` is copied, `(0.1 1.1)` are encoded together.
    fn shown(steps: &[Step]) -> String {
        let steps = steps.iter().map(|step| match step {
            Step::Copy { split, group } => format!("{split}.{group}"),
            Step::Encode(members) => {
                let members = members
                    .iter()
                    .map(|(split, group)| format!("{split}.{group}"));
                format!("({})", members.collect::<Vec<_>>().join(" "))
            }
        });
        steps.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn full_row_groups_are_copied_and_short_ones_encoded_together() {
        let cases: [(&[&[usize]], &str); 6] = [
            (&[&[100, 100], &[100]], "0.0 0.1 1.0"),
            (&[&[100, 10], &[100, 20], &[100]], "0.0 1.0 (0.1 1.1) 2.0"),
            (&[&[30], &[40], &[50], &[20]], "(0.0 1.0) (2.0 3.0)"),
            // One alone stays, and what is more than half full is not short.
            (&[&[30], &[51]], "0.0 1.0"),
            (&[&[10, 100, 10], &[100]], "0.1 (0.0 0.2) 1.0"),
            (&[&[50], &[50], &[1]], "(0.0 1.0) 2.0"),
        ];
        for (rows, expected) in cases {
            assert_eq!(shown(&arrange(&splits(rows), 100)), expected, "{rows:?}");
        }
    }

    #[test]
    fn large_rows_are_not_collected_and_what_has_no_room_is_encoded() {
        let mut groups = splits(&[&[10, 10], &[10, 100]]);
        for size in groups.iter_mut().flatten() {
            size.decoded_bytes = MAX_DECODED_BYTES / 2;
        }
        groups[1][1].must_change = true;
        assert_eq!(shown(&arrange(&groups, 100)), "(0.0 0.1) 1.0 (1.1)");
        groups[0][0].decoded_bytes += 1;
        assert_eq!(shown(&arrange(&groups, 100)), "0.0 (1.1) (0.1 1.0)");
    }
}
