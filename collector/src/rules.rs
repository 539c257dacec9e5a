//! The alerting engine's seams over the store: where rules read, write and remember.

mod source;
mod state;

pub(crate) use source::{StoreDataSource, StoreSampleSink};
pub(crate) use state::DatabaseStateStore;
