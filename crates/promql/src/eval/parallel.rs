//! Spreading work on many series over threads, which end before the call does.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many items a thread takes at a time.
const TAKEN_AT_ONCE: usize = 16;

/// Maps items on up to `threads` threads, in their order.
///
/// # Errors
///
/// One of the errors of `map`; items not begun by then are left.
pub(super) fn map<T: Sync, R: Send, E: Send>(
    items: &[T],
    threads: usize,
    map: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let threads = threads.min(items.len().div_ceil(TAKEN_AT_ONCE));
    if threads <= 1 {
        return items.iter().map(map).collect();
    }
    let blocks: Vec<&[T]> = items.chunks(TAKEN_AT_ONCE).collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, Vec<R>)>, E> {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(block) = blocks.get(index) else {
                return Ok(done);
            };
            let results = block.iter().map(&map).collect::<Result<Vec<R>, E>>();
            if results.is_err() {
                next.store(blocks.len(), Ordering::Relaxed);
            }
            done.push((index, results?));
        }
    };
    let finished = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().map(|worker| match worker.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect::<Result<Vec<_>, E>>()
    })?;
    let mut blocks: Vec<(usize, Vec<R>)> = finished.into_iter().flatten().collect();
    blocks.sort_by_key(|(index, _)| *index);
    Ok(blocks
        .into_iter()
        .flat_map(|(_, results)| results)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_their_items() {
        let items: Vec<usize> = (0..1_000).collect();
        for threads in [1, 3, 1_000] {
            let doubled = map(&items, threads, |item| Ok::<usize, ()>(item * 2));
            assert!(
                doubled
                    .unwrap()
                    .into_iter()
                    .eq((0..1_000).map(|item| item * 2))
            );
        }
    }

    #[test]
    fn an_error_anywhere_is_the_result() {
        let items: Vec<usize> = (0..1_000).collect();
        let result = map(&items, 4, |item| match item {
            777 => Err("unlucky"),
            item => Ok(*item),
        });
        assert_eq!(result, Err("unlucky"));
        let nothing: Vec<usize> = Vec::new();
        assert_eq!(
            map(&nothing, 4, |item| Ok::<usize, ()>(*item)),
            Ok(Vec::new())
        );
    }
}
