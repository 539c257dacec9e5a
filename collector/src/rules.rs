//! The alerting engine's seams over the store: where rules read, write and remember.

mod source;

pub(crate) use source::{StoreDataSource, StoreSampleSink};
