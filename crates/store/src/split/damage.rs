//! What is wrong with a file, on its way through libraries that have error types of their own.

use parquet::errors::ParquetError;

use crate::error::StoreError;

/// Bytes that are not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("damaged at byte {offset}: {message}")]
pub(crate) struct Damage {
    /// Where the damaged region begins.
    pub(crate) offset: u64,
    /// What is wrong there.
    pub(crate) message: String,
}

impl Damage {
    pub(crate) fn new(offset: u64, message: impl ToString) -> Self {
        Self {
            offset,
            message: message.to_string(),
        }
    }

    pub(crate) fn in_file(self, file: &str) -> StoreError {
        StoreError::Damaged {
            file: file.to_owned(),
            offset: self.offset,
            message: self.message,
        }
    }
}

/// A reader's error as ours. What the bytes themselves cause is damage; what an object store
/// answers is not.
pub(crate) fn from_parquet(file: &str, err: ParquetError) -> StoreError {
    if let ParquetError::External(source) = &err {
        if let Some(damage) = source.downcast_ref::<Damage>() {
            return damage.clone().in_file(file);
        }
        if let Some(object) = source.downcast_ref::<datafusion::object_store::Error>() {
            return StoreError::Object {
                action: "read",
                key: file.to_owned(),
                message: object.to_string(),
            };
        }
    }
    Damage::new(0, err).in_file(file)
}

/// An encoder's error as ours.
pub(crate) fn encoding(action: &'static str) -> impl Fn(ParquetError) -> StoreError {
    move |err| StoreError::Encoding {
        action,
        message: err.to_string(),
    }
}
