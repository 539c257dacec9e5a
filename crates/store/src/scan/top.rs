//! The first rows of an order by (timestamp, seq), and the optimizer rule that tells a scan that
//! only those are wanted.

use std::collections::BinaryHeap;
use std::sync::Arc;

use arrow::array::BooleanArray;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::sorts::sort::SortExec;
use query::schema;

use super::exec::ScanExec;
use crate::search::Order;

/// A row's timestamp and seq.
pub(super) type Place = (i64, i64);

/// The best `limit` places seen so far.
#[derive(Debug)]
pub(super) struct Top {
    limit: usize,
    order: Order,
    /// Only places strictly behind this one count.
    after: Option<Place>,
    /// The worst of the best is the greatest.
    best: BinaryHeap<Place>,
}

impl Top {
    pub(super) fn new(limit: usize, order: Order, after: Option<Place>) -> Self {
        Self {
            limit,
            order,
            after,
            best: BinaryHeap::new(),
        }
    }

    /// The place as a key of which the smaller comes first.
    pub(super) fn key(&self, (time, seq): Place) -> Place {
        match self.order {
            Order::Oldest => (time, seq),
            Order::Newest => (!time, !seq),
        }
    }

    fn is_behind(&self, place: Place) -> bool {
        self.after
            .is_none_or(|after| self.key(place) > self.key(after))
    }

    /// Whether rows of these times may still belong to the best.
    pub(super) fn wants(&self, (first, last): (i64, i64)) -> bool {
        let best_time = match self.order {
            Order::Newest => last,
            Order::Oldest => first,
        };
        let best_key = self.key((best_time, 0)).0;
        self.best.len() < self.limit || self.best.peek().is_some_and(|worst| best_key <= worst.0)
    }

    /// Takes the places of a piece's rows in; which of them belong to the best now.
    pub(super) fn offer(&mut self, places: &[Place]) -> BooleanArray {
        for place in places {
            if !self.is_behind(*place) {
                continue;
            }
            let key = self.key(*place);
            if self.best.len() < self.limit {
                self.best.push(key);
            } else if let Some(mut worst) = self.best.peek_mut()
                && key < *worst
            {
                *worst = key;
            }
        }
        self.members(places)
    }

    /// Which of the places belong to the best.
    pub(super) fn members(&self, places: &[Place]) -> BooleanArray {
        let worst = self.best.peek().copied();
        let belongs = |place: &Place| {
            self.is_behind(*place) && worst.is_some_and(|worst| self.key(*place) <= worst)
        };
        places.iter().map(|place| Some(belongs(place))).collect()
    }
}

/// Tells scans below a sort with a limit which rows are wanted. The sort stays.
#[derive(Debug)]
pub(super) struct PushDownTop;

impl PhysicalOptimizerRule for PushDownTop {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(|node| {
            let Some(sort) = node.downcast_ref::<SortExec>() else {
                return Ok(Transformed::no(node));
            };
            let wanted = sort.fetch().zip(order_of(sort.expr()));
            match (sort.input().downcast_ref::<ScanExec>(), wanted) {
                (Some(scan), Some((limit, order))) => {
                    let scan: Arc<dyn ExecutionPlan> = Arc::new(scan.with_top(limit, order));
                    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
                    Ok(Transformed::yes(
                        Arc::clone(&node).replace_children(vec![scan], options)?,
                    ))
                }
                _ => Ok(Transformed::no(node)),
            }
        })
        .data()
    }

    fn name(&self) -> &str {
        "push_down_top"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The order by time, or by time and seq, that a sort asks for.
fn order_of(ordering: &LexOrdering) -> Option<Order> {
    let mut orders = Vec::new();
    for (index, sort) in ordering.iter().enumerate() {
        let column = sort.expr.downcast_ref::<Column>()?;
        let expected = *[schema::TIMESTAMP, schema::SEQ].get(index)?;
        if column.name() != expected {
            return None;
        }
        orders.push(match sort.options.descending {
            true => Order::Newest,
            false => Order::Oldest,
        });
    }
    orders.dedup();
    match orders.as_slice() {
        [only] => Some(*only),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_best_places_are_those_of_a_full_sort(
            pieces in vec(vec((0..20_i64, 0..9_i64), 0..12), 0..5),
            limit in 1..8_usize,
            newest in any::<bool>(),
            after in proptest::option::of((0..20_i64, 0..9_i64)),
        ) {
            let order = if newest { Order::Newest } else { Order::Oldest };
            let mut all: Vec<Place> = pieces.concat();
            all.sort_unstable();
            all.dedup();
            if newest {
                all.reverse();
            }
            let behind = |p: &Place| after.is_none_or(|a| if newest { *p < a } else { *p > a });
            let expected: Vec<Place> = all.into_iter().filter(behind).take(limit).collect();

            let mut top = Top::new(limit, order, after);
            let mut seen = std::collections::BTreeSet::new();
            let mut kept: Vec<Place> = Vec::new();
            for piece in pieces {
                // Rows are unique by their seq.
                let piece: Vec<Place> = piece.into_iter().filter(|p| seen.insert(*p)).collect();
                if let (Some(first), Some(last)) = (piece.iter().min(), piece.iter().max())
                    && top.wants((first.0, last.0))
                {
                    let mask = top.offer(&piece);
                    kept.extend(piece.iter().zip(mask.iter()).filter(|(_, m)| *m == Some(true)).map(|(p, _)| *p));
                }
            }
            kept.sort_unstable();
            if newest {
                kept.reverse();
            }
            kept.truncate(limit);
            prop_assert_eq!(kept, expected);
        }
    }
}
