//! How many threads a call uses at most.

use std::thread::{Builder, Scope};

/// Each takes a few hundred KiB.
const MOST: usize = 256;

/// As many threads as asked for, within reason.
pub(crate) fn clamped(asked: usize) -> usize {
    asked.min(MOST)
}

/// Starts `work(number)` for the numbers from 1 to below `threads`, on as many threads as the system grants.
///
/// The caller's thread is number 0 and must be able to do everything alone.
pub(crate) fn start<'scope, 'env, T: Send + 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    threads: usize,
    work: impl Fn(usize) -> T + Clone + Send + 'scope,
) -> Vec<std::thread::ScopedJoinHandle<'scope, T>> {
    let start = |number| {
        let work = work.clone();
        Builder::new().spawn_scoped(scope, move || work(number)).ok()
    };
    (1..threads).map_while(start).collect()
}
