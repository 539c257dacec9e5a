//! The tree of routes: which receivers an alert goes to, and with whom it is grouped.

use model::Labels;

use super::matcher::Matchers;

/// How alerts of a route are grouped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GroupBy {
    /// By all labels: every alert is its own group.
    All,
    /// By these labels; none of them is one group for the route.
    Labels(Vec<String>),
}

/// A node of the tree, with everything it inherits filled in.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// Its number in the tree, depth first; tells routes with equal keys apart.
    pub(crate) index: usize,
    /// Alertmanager's key: `{}/{severity="page"}`.
    pub(crate) key: String,
    /// What an alert must fulfil.
    pub(crate) matchers: Matchers,
    /// Whether later siblings see the alert too.
    pub(crate) continues: bool,
    /// Who is notified.
    pub(crate) receiver: String,
    /// How alerts are grouped.
    pub(crate) group_by: GroupBy,
    /// From a group's first alert to its first message, ms.
    pub(crate) group_wait_ms: i64,
    /// Between two looks at a group, ms.
    pub(crate) group_interval_ms: i64,
    /// From a message to its repetition, ms.
    pub(crate) repeat_interval_ms: i64,
    /// Children, in order.
    pub(crate) routes: Vec<Route>,
}

impl Route {
    /// The routes that take an alert with `labels`: depth first, the first matching child ends
    /// the search unless it continues, and without a matching child it is the node itself.
    pub(crate) fn find(&self, labels: &Labels) -> Vec<&Route> {
        if !self.matchers.matches(labels) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for child in &self.routes {
            let taken = child.find(labels);
            let ends = !taken.is_empty() && !child.continues;
            found.extend(taken);
            if ends {
                break;
            }
        }
        if found.is_empty() {
            found.push(self);
        }
        found
    }

    /// Numbers the tree, depth first from 0. To be called once, on the root.
    pub(crate) fn number(&mut self) {
        fn visit(route: &mut Route, next: &mut usize) {
            route.index = *next;
            *next += 1;
            for child in &mut route.routes {
                visit(child, next);
            }
        }
        visit(self, &mut 0);
    }

    /// This route and all below it.
    pub(crate) fn all(&self) -> Vec<&Route> {
        let mut all = vec![self];
        for child in &self.routes {
            all.extend(child.all());
        }
        all
    }

    /// The labels of `labels` that name the alert's group.
    pub(crate) fn group_labels(&self, labels: &Labels) -> Labels {
        match &self.group_by {
            GroupBy::All => labels.clone(),
            GroupBy::Labels(names) => labels.filter(|name| names.iter().any(|n| n == name)),
        }
    }
}
