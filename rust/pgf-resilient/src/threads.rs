//! Work shared out over threads.

use std::sync::Mutex;

/// Does every piece of work, on so many threads at most, the caller's among them; the results are in the order of the pieces.
///
/// 0 and 1 mean the caller's thread alone.
pub(crate) fn each<P: Send, T: Send>(
    threads: usize,
    pieces: impl Iterator<Item = P> + Send,
    work: impl Fn(P) -> T + Sync,
) -> Vec<T> {
    if threads < 2 {
        return pieces.map(work).collect();
    }
    let pieces = Mutex::new(pieces.enumerate());
    let run = || {
        let mut done = Vec::new();
        loop {
            // Not held during the work: a `while let` would.
            let next = pieces.lock().expect("no piece is made in a panic").next();
            let Some((number, piece)) = next else { return done };
            done.push((number, work(piece)));
        }
    };
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mut done = run();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|d| d.0);
    done.into_iter().map(|d| d.1).collect()
}

#[cfg(test)]
mod tests {
    use super::each;

    #[test]
    fn results_are_in_the_order_of_the_pieces() {
        for threads in [0, 1, 2, 5] {
            assert_eq!(each(threads, 0..100, |n| n * n), (0..100).map(|n| n * n).collect::<Vec<_>>());
            assert!(each(threads, 0..0, |n: u32| n).is_empty());
        }
    }
}
