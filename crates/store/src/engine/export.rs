//! Exports: every matching record of one moment, for as long as it takes to read them.

use model::TenantId;

use super::{Store, now};
use crate::error::QueryError;
use crate::scan::RecordPages;
use crate::search::{FoundRecord, LogExport};

/// An export that is being read: one moment's records, whatever arrives, is compacted or expires
/// meanwhile: the snapshot's lease keeps the moment's files.
#[derive(Debug)]
pub struct LogPages {
    pages: RecordPages,
}

impl LogPages {
    /// The next records, perhaps none although more follow; `None` at the end. One page takes no
    /// longer than a query may, and no memory but its own.
    ///
    /// # Errors
    ///
    /// See [`QueryError`]. Damage is an error: nothing is left out silently.
    pub async fn next(&mut self) -> Result<Option<Vec<FoundRecord>>, QueryError> {
        self.pages.next().await
    }
}

impl Store {
    /// Begins an export of log records.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    pub async fn export_logs(
        &self,
        tenant: &TenantId,
        export: LogExport,
    ) -> Result<LogPages, QueryError> {
        let now = now();
        let snapshot = self.logs(tenant, export.range).await?;
        Ok(LogPages {
            pages: RecordPages::new(snapshot, &export, self.bounds(), now)?,
        })
    }
}
