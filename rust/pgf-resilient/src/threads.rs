//! Work shared out over threads.

use std::sync::Mutex;

/// Does every piece of work, on so many threads at most, the caller's among them, each with a state of its own.
///
/// 0 and 1 mean the caller's thread alone. The results are in the order of the pieces; then the states.
pub(crate) fn each<P: Send, S: Send, T: Send>(
    threads: usize,
    pieces: impl Iterator<Item = P> + Send,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, P) -> T + Sync,
) -> (Vec<T>, Vec<S>) {
    // No more than there are pieces.
    let threads = threads.min(pieces.size_hint().1.unwrap_or(threads));
    if threads < 2 {
        let mut state = state();
        return (pieces.map(|piece| work(&mut state, piece)).collect(), vec![state]);
    }
    let pieces = Mutex::new(pieces.enumerate());
    let run = || {
        let (mut state, mut done) = (state(), Vec::new());
        loop {
            // Not held during the work, as it would be by a `while let`.
            let next = pieces.lock().expect("no piece is made in a panic").next();
            let Some((number, piece)) = next else { return (done, state) };
            done.push((number, work(&mut state, piece)));
        }
    };
    let (mut done, states) = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let (mut done, state) = run();
        let mut states = vec![state];
        for other in others {
            let (more, state) = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            done.extend(more);
            states.push(state);
        }
        (done, states)
    });
    done.sort_unstable_by_key(|d| d.0);
    (done.into_iter().map(|d| d.1).collect(), states)
}

#[cfg(test)]
mod tests {
    use super::each;

    #[test]
    fn results_are_in_the_order_of_the_pieces() {
        let count = |seen: &mut u64, n: u64| {
            *seen += 1;
            n * n
        };
        for threads in [0, 1, 2, 5] {
            let (results, seen) = each(threads, 0..100, || 0, count);
            assert_eq!(results, (0..100).map(|n| n * n).collect::<Vec<_>>());
            assert_eq!((seen.len(), seen.iter().sum::<u64>()), (threads.max(1), 100));
            assert_eq!(each(threads, 0..2, || 0, count).1.len(), threads.clamp(1, 2));
            assert!(each(threads, 0..0, || 0, count).0.is_empty());
        }
    }
}
