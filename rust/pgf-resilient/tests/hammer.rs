//! Seeded inputs, streams and files, each looked at in one of many ways; `scripts/hammer` tries many more.

#[path = "../../fuzz/src/checks/mod.rs"]
#[allow(dead_code, unused_imports)]
mod checks;
#[path = "../../fuzz/src/hammer/mod.rs"]
#[allow(dead_code)]
mod hammer;
mod pictures;
#[path = "../../fuzz/src/streams/mod.rs"]
#[allow(dead_code)]
mod streams;

#[global_allocator]
static ALLOCATOR: hammer::Counting = hammer::Counting;

/// The hammer's own runs begin with seed 0.
const FIRST: u64 = 1 << 40;
const COUNT: u64 = 20_000;

#[test]
fn seeded_inputs() {
    let summary = hammer::run(FIRST..FIRST + COUNT, None, 10 * hammer::LONGEST, |_, _| {});
    summary.print();
    for found in &summary.findings {
        println!("seed {}, {} of {} bytes: {}", found.seed, found.kind, found.input.len(), found.message);
    }
    assert!(summary.findings.is_empty(), "see above");
    assert_eq!(summary.inputs(), COUNT);
    assert!(summary.tallies.iter().all(|tally| tally.inputs > 0), "a kind has no inputs");
}
