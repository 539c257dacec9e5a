//! Which columns files of one kind need not have in common: sparse ones, and those of attributes.
//!
//! A *sparse* column is a fixed one that a file has only when a row has a value in it. Files have
//! them after their other fixed columns and before the promoted ones.
//!
//! An attribute that is a string, integer, double or boolean is *promoted*: it lies in the column
//! `attr.<key>` or `resource.<key>` of its own type. When a key comes with a second type, that
//! type gets `attr.<key>:<type>`. At most [`MAX_PROMOTED`] columns exist in a split; values
//! without a column lie in an overflow column.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use model::Value;

use super::names;

/// Promoted columns in one split.
pub const MAX_PROMOTED: usize = 100;

/// Keys longer than this, in bytes, stay in the overflow column.
const MAX_KEY_BYTES: usize = 256;

/// Whether a column is sparse.
pub fn is_sparse(field: &Field) -> bool {
    field.name() == names::SEVERITY_IN_TEXT
}

/// Whose attributes a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Attributes of the resource.
    Resource,
    /// Attributes of the log record or span.
    Attribute,
}

impl Family {
    /// What the names of the family's columns begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Resource => "resource.",
            Self::Attribute => "attr.",
        }
    }
}

/// The types that have columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ColumnType {
    /// UTF-8 text.
    String,
    /// Signed 64-bit integers.
    Int,
    /// IEEE 754 doubles.
    Double,
    /// Booleans.
    Bool,
}

impl ColumnType {
    pub(super) const ALL: [Self; 4] = [Self::String, Self::Int, Self::Double, Self::Bool];

    /// The type of the column that can hold `value`; `None` for values that always overflow.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(_) => Some(Self::String),
            Value::Int(_) => Some(Self::Int),
            Value::Double(_) => Some(Self::Double),
            Value::Bool(_) => Some(Self::Bool),
            Value::Empty | Value::Bytes(_) | Value::Array(_) | Value::Map(_) => None,
        }
    }

    /// The word after the colon of a second type's column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Double => "double",
            Self::Bool => "bool",
        }
    }

    /// The column's Arrow type.
    pub fn data_type(self) -> DataType {
        match self {
            Self::String => DataType::Utf8,
            Self::Int => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Bool => DataType::Boolean,
        }
    }

    /// The column type that is stored as `data_type`.
    pub fn from_data_type(data_type: &DataType) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.data_type() == *data_type)
    }
}

/// A promoted attribute column: whose attribute, its key and its type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Promotion {
    /// Whose attribute it is.
    pub family: Family,
    /// The attribute's key.
    pub key: String,
    /// The type of the column.
    pub kind: ColumnType,
}

impl Promotion {
    /// The column's name: `attr.<key>`, or `attr.<key>:<type>` for a second type of the key.
    pub fn name(&self, secondary: bool) -> String {
        let Self { family, key, kind } = self;
        if secondary {
            format!("{}{key}:{}", family.prefix(), kind.as_str())
        } else {
            format!("{}{key}", family.prefix())
        }
    }

    /// The column's Arrow field under `name`.
    pub fn field(&self, name: &str) -> Field {
        Field::new(name, self.kind.data_type(), true)
    }

    /// Reads a file's column back; `None` for columns that are no promoted attribute.
    pub fn from_field(field: &Field) -> Option<Self> {
        let (family, rest) = [Family::Resource, Family::Attribute]
            .into_iter()
            .find_map(|family| Some((family, field.name().strip_prefix(family.prefix())?)))?;
        let kind = ColumnType::from_data_type(field.data_type())?;
        let key = rest
            .rsplit_once(':')
            .filter(|(_, suffix)| *suffix == kind.as_str())
            .map_or(rest, |(key, _)| key);
        Some(Self {
            family,
            key: key.to_owned(),
            kind,
        })
    }
}

/// Whether a key may have a column: names stay unambiguous, short and free of control characters.
pub fn is_promotable(key: &str) -> bool {
    let ends_like_a_type = key.rsplit_once(':').is_some_and(|(_, suffix)| {
        ColumnType::ALL
            .into_iter()
            .any(|kind| kind.as_str() == suffix)
    });
    !key.is_empty()
        && key.len() <= MAX_KEY_BYTES
        && !ends_like_a_type
        && !key.chars().any(char::is_control)
}

/// The promoted columns of one split in the making, in the order in which they were promoted, and
/// its sparse ones.
///
/// A head hands the same `Promotions` to each of its row groups, so that equal columns have equal
/// names and the split stays within [`MAX_PROMOTED`].
#[derive(Debug, Clone, Default)]
pub struct Promotions {
    sparse: Vec<FieldRef>,
    columns: Vec<(Promotion, String)>,
    resource: HashMap<String, [Option<usize>; 4]>,
    attribute: HashMap<String, [Option<usize>; 4]>,
}

impl Promotions {
    /// Nothing promoted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The most frequent of these columns, at most [`MAX_PROMOTED`]; each comes with the number of
    /// its values.
    pub(crate) fn by_frequency(counted: impl IntoIterator<Item = (usize, Promotion)>) -> Self {
        let mut counted: Vec<(usize, Promotion)> = counted.into_iter().collect();
        // A total order, so that equal rows make equal files.
        counted.sort_by(|(a_count, a), (b_count, b)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
        let mut promotions = Self::new();
        for (_, promotion) in counted.into_iter().take(MAX_PROMOTED) {
            promotions.add(promotion);
        }
        promotions
    }

    /// Adds the sparse columns that a file has.
    pub fn add_sparse_of(&mut self, file: &Schema) {
        for field in file.fields().iter().filter(|field| is_sparse(field)) {
            if !self.sparse.iter().any(|known| known.name() == field.name()) {
                self.sparse.push(FieldRef::clone(field));
            }
        }
    }

    /// The sparse columns.
    pub fn sparse(&self) -> &[FieldRef] {
        &self.sparse
    }

    /// Promotes one column whatever the limit; returns its index.
    pub fn add(&mut self, promotion: Promotion) -> usize {
        let next = self.columns.len();
        let keys = match promotion.family {
            Family::Resource => &mut self.resource,
            Family::Attribute => &mut self.attribute,
        };
        let types = keys.entry(promotion.key.clone()).or_default();
        let secondary = types.iter().any(Option::is_some);
        let index = *types[promotion.kind as usize].get_or_insert(next);
        if index == next {
            let name = promotion.name(secondary);
            self.columns.push((promotion, name));
        }
        index
    }

    /// The index of the column for values of type `kind` under `key`.
    pub fn position(&self, family: Family, key: &str, kind: ColumnType) -> Option<usize> {
        let keys = match family {
            Family::Resource => &self.resource,
            Family::Attribute => &self.attribute,
        };
        keys.get(key)?[kind as usize]
    }

    /// Whether this column is promoted.
    pub fn has(&self, promotion: &Promotion) -> bool {
        let Promotion { family, key, kind } = promotion;
        self.position(*family, key, *kind).is_some()
    }

    /// The promoted columns with their names, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Promotion, &str)> {
        self.columns
            .iter()
            .map(|(promotion, name)| (promotion, name.as_str()))
    }

    /// How many columns there are.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether nothing is promoted.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promotion(key: &str, kind: ColumnType) -> Promotion {
        Promotion {
            family: Family::Attribute,
            key: key.to_owned(),
            kind,
        }
    }

    #[test]
    fn a_second_type_of_a_key_gets_a_column_of_its_own() {
        let mut promotions = Promotions::new();
        promotions.add(promotion("code", ColumnType::Int));
        promotions.add(promotion("code", ColumnType::String));
        promotions.add(promotion("code", ColumnType::Int));
        let names: Vec<&str> = promotions.iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["attr.code", "attr.code:string"]);
        for (promotion, name) in promotions.iter() {
            assert_eq!(
                Promotion::from_field(&promotion.field(name)).as_ref(),
                Some(promotion)
            );
        }
    }

    #[test]
    fn the_most_frequent_keys_are_promoted_until_the_limit() {
        let counted = |i: usize| (1000 - i, promotion(&format!("k{i:03}"), ColumnType::Int));
        let promotions = Promotions::by_frequency((0..MAX_PROMOTED + 5).rev().map(counted));
        assert_eq!(promotions.len(), MAX_PROMOTED);
        let position = |key| promotions.position(Family::Attribute, key, ColumnType::Int);
        assert_eq!(position("k000"), Some(0));
        assert_eq!(position("k100"), None);
    }

    #[test]
    fn keys_that_would_make_names_ambiguous_are_not_promoted() {
        for key in ["", "a:int", "a\0b", &"x".repeat(300)] {
            assert!(!is_promotable(key), "{key:?}");
        }
        for key in ["http.route", "a:b", "größe", "a=b"] {
            assert!(is_promotable(key), "{key:?}");
        }
    }
}
