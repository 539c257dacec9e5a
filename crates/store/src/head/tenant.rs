//! The three heads of one tenant, and all tenants' heads.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use model::{LogRecord, Seq, Signal, Span, TenantId};
use tokio::sync::oneshot;
use wire::MetricBatch;
use wire::otlp::Item;

use super::HeadSettings;
use super::chain::{Chain, Head};
use super::classes::ClassedHead;
use super::memory::Memory;
use crate::catalog::Checkpoint;
use crate::error::StoreError;
use crate::follow::Arrivals;
use crate::metrics::MetricHead;
use crate::retention::Retention;

/// The accepted items of one log record, whatever their signal.
pub(crate) enum Batch {
    Logs(Vec<(u32, Item)>),
    Spans(Vec<(u32, Item)>),
    Metrics(MetricBatch),
}

impl Batch {
    pub(crate) fn signal(&self) -> Signal {
        match self {
            Self::Logs(_) => Signal::Logs,
            Self::Spans(_) => Signal::Spans,
            Self::Metrics(_) => Signal::Metrics,
        }
    }
}

/// One tenant's heads.
pub(crate) struct TenantHeads {
    pub(crate) logs: Chain<ClassedHead<LogRecord>>,
    pub(crate) spans: Chain<ClassedHead<Span>>,
    pub(crate) metrics: Chain<MetricHead>,
}

impl TenantHeads {
    /// Queues a durable log record; [`TenantHeads::apply_waiting`] applies it.
    pub(crate) fn enqueue(
        &self,
        position: u64,
        received_at: i64,
        batch: Batch,
        applied: oneshot::Sender<()>,
    ) {
        match batch {
            Batch::Logs(items) => {
                let rows = numbered(position, items);
                self.logs.enqueue(position, received_at, rows, applied);
            }
            Batch::Spans(items) => {
                let rows = numbered(position, items);
                self.spans.enqueue(position, received_at, rows, applied);
            }
            Batch::Metrics(batch) => {
                self.metrics.enqueue(position, received_at, batch, applied);
            }
        }
    }

    pub(crate) fn apply_waiting(&self, signal: Signal) {
        match signal {
            Signal::Logs => self.logs.apply_waiting(),
            Signal::Spans => self.spans.apply_waiting(),
            Signal::Metrics => self.metrics.apply_waiting(),
        }
    }

    /// The last position of a signal that is applied or covered by a split.
    pub(crate) fn applied(&self, signal: Signal) -> u64 {
        match signal {
            Signal::Logs => self.logs.applied(),
            Signal::Spans => self.spans.applied(),
            Signal::Metrics => self.metrics.applied(),
        }
    }

    pub(crate) fn head(&self, signal: Signal) -> &(dyn Head + 'static) {
        match signal {
            Signal::Logs => &self.logs,
            Signal::Spans => &self.spans,
            Signal::Metrics => &self.metrics,
        }
    }
}

fn numbered<T>(position: u64, items: Vec<(u32, T)>) -> Vec<(Seq, T)> {
    items
        .into_iter()
        .map(|(ordinal, item)| (Seq::new(position, ordinal), item))
        .collect()
}

/// One head, kept alive by its tenant's.
#[derive(Clone)]
pub(crate) struct HeadRef {
    tenant: Arc<TenantHeads>,
    signal: Signal,
}

impl std::ops::Deref for HeadRef {
    type Target = dyn Head;

    fn deref(&self) -> &Self::Target {
        self.tenant.head(self.signal)
    }
}

/// All tenants' heads. A tenant's are made when it is first heard of.
pub(crate) struct Heads {
    row_group_rows: usize,
    retention: Retention,
    memory: Arc<Memory>,
    /// Who follows them.
    arrivals: Arc<Arrivals>,
    /// Where heads that are made begin.
    checkpoints: HashMap<(TenantId, Signal), Checkpoint>,
    tenants: RwLock<HashMap<TenantId, Arc<TenantHeads>>>,
}

impl Heads {
    pub(crate) fn new(
        row_group_rows: usize,
        retention: Retention,
        memory: Arc<Memory>,
        checkpoints: Vec<Checkpoint>,
    ) -> Self {
        let key = |checkpoint: &Checkpoint| (checkpoint.tenant.clone(), checkpoint.signal);
        Self {
            row_group_rows,
            retention,
            memory,
            arrivals: Arc::default(),
            checkpoints: checkpoints.into_iter().map(|c| (key(&c), c)).collect(),
            tenants: RwLock::new(HashMap::new()),
        }
    }

    /// A tenant's heads, made when it has none.
    ///
    /// # Errors
    ///
    /// The accumulators of its checkpoint cannot be read.
    pub(crate) fn of(&self, tenant: &TenantId) -> Result<Arc<TenantHeads>, StoreError> {
        if let Some(heads) = self.existing(tenant) {
            return Ok(heads);
        }
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(heads) = tenants.get(tenant) {
            return Ok(Arc::clone(heads));
        }
        let heads = Arc::new(TenantHeads {
            logs: self.restore(tenant, Signal::Logs)?,
            spans: self.restore(tenant, Signal::Spans)?,
            metrics: self.restore(tenant, Signal::Metrics)?,
        });
        tenants.insert(tenant.clone(), Arc::clone(&heads));
        Ok(heads)
    }

    /// A tenant's heads, when it has been heard of since the start.
    pub(crate) fn existing(&self, tenant: &TenantId) -> Option<Arc<TenantHeads>> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.get(tenant).cloned()
    }

    /// Who follows the heads.
    pub(crate) fn arrivals(&self) -> &Arc<Arrivals> {
        &self.arrivals
    }

    /// Every head.
    pub(crate) fn all(&self) -> Vec<HeadRef> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let of_tenant = |tenant: &Arc<TenantHeads>| {
            let tenant = Arc::clone(tenant);
            Signal::ALL.map(|signal| HeadRef {
                tenant: Arc::clone(&tenant),
                signal,
            })
        };
        tenants.values().flat_map(of_tenant).collect()
    }

    fn restore<H: super::HeadRows>(
        &self,
        tenant: &TenantId,
        signal: Signal,
    ) -> Result<Chain<H>, StoreError> {
        let checkpoint = self.checkpoints.get(&(tenant.clone(), signal));
        let begin = checkpoint.map_or((0, None), |checkpoint| {
            (checkpoint.position, checkpoint.accumulators.as_deref())
        });
        let shared = (Arc::clone(&self.memory), Arc::clone(&self.arrivals));
        let settings = HeadSettings {
            row_group_rows: self.row_group_rows,
            retention: Arc::new(self.retention.of(tenant, signal)),
        };
        Chain::restore(tenant.clone(), signal, &settings, begin, shared)
    }
}
