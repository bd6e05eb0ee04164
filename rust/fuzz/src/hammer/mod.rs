//! Inputs by the million: each is made from a seed, and something that must hold for any bytes is looked at.

mod damage;
mod memory;
mod random;
mod sources;
mod trials;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub use memory::Counting;
use random::Random;
use sources::Sources;
use trials::{KINDS, Trial};

/// An input that takes longer than this, checks included, is worth a look.
pub const LONGEST: Duration = Duration::from_secs(2);

/// One that takes longer than this is said while it still runs: it may never end.
const HANGING: Duration = Duration::from_secs(20);

/// What went wrong with an input.
#[derive(Debug, Clone)]
pub struct Finding {
    pub seed: u64,
    pub kind: &'static str,
    pub message: String,
    pub input: Vec<u8>,
}

/// What became of the inputs of a kind.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub inputs: u64,
    pub time: Duration,
    /// The longest time of an input, and its seed.
    pub longest: (Duration, u64),
    /// The least that a decoding left of the bytes that it may take, and its seed.
    pub left: Option<(isize, u64)>,
}

/// Inputs that were tried.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// By kind, as in [`names`].
    pub tallies: Vec<Tally>,
    pub findings: Vec<Finding>,
}

/// The names of all kinds.
pub fn names() -> Vec<&'static str> {
    KINDS.iter().map(|kind| kind.name).collect()
}

impl Summary {
    pub fn inputs(&self) -> u64 {
        self.tallies.iter().map(|t| t.inputs).sum()
    }

    /// A line for every kind, and one for all.
    pub fn print(&self) {
        println!("inputs      microseconds each  longest ms (seed)      bytes left (seed)      kind");
        for (kind, tally) in KINDS.iter().zip(&self.tallies).filter(|(_, t)| t.inputs > 0) {
            let each = tally.time.as_micros() as u64 / tally.inputs;
            let left = tally.left.map_or("-".into(), |(bytes, seed)| format!("{bytes} ({seed})"));
            let longest = format!("{} ({})", tally.longest.0.as_millis(), tally.longest.1);
            println!("{:<11} {each:<18} {longest:<22} {left:<22} {}", tally.inputs, kind.name);
        }
        println!("{} inputs, {} findings", self.inputs(), self.findings.len());
    }
}

thread_local! {
    static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Tries the inputs of `seeds`, those of one kind only if `only` names it; `tell` hears of findings at once, and of
/// every ten thousandth input. An input that takes longer than `longest` is a finding.
pub fn run(
    seeds: impl Iterator<Item = u64>,
    only: Option<&str>,
    longest: Duration,
    mut tell: impl FnMut(Option<&Finding>, &Summary),
) -> Summary {
    let hook = take_hook();
    set_hook(Box::new(|info| MESSAGE.set(info.to_string())));
    let watch = Watch::new();
    let mut sources = Sources::new();
    let mut summary = Summary { tallies: vec![Tally::default(); KINDS.len()], ..Summary::default() };
    let total: usize = KINDS.iter().map(|kind| kind.share).sum();
    for seed in seeds {
        let mut random = Random::new(seed);
        let mut place = random.below(total);
        let index = KINDS.iter().position(|kind| {
            let here = place < kind.share;
            place = place.wrapping_sub(if here { 0 } else { kind.share });
            here
        });
        let index = index.expect("below the sum of all");
        let kind = &KINDS[index];
        if only.is_some_and(|name| name != kind.name) {
            continue;
        }
        let mut trial = Trial { random: random.clone(), sources: &mut sources, input: Vec::new(), left: isize::MAX };
        pgf_resilient::limit_trials(trials(seed));
        let mut attempt = || {
            trial.random = random.clone();
            watch.begin(seed);
            let start = Instant::now();
            let outcome = catch_unwind(AssertUnwindSafe(|| (kind.run)(&mut trial)));
            watch.end();
            (outcome, start.elapsed())
        };
        let (mut outcome, mut time) = attempt();
        if outcome.is_ok() && time > longest {
            // A busy machine may have been elsewhere.
            let before = busy();
            let (again, shorter) = attempt();
            let worked = before.zip(busy()).map_or(shorter, |(before, after)| after.saturating_sub(before));
            (outcome, time) = (again, time.min(worked));
        }
        let message = match outcome {
            Err(_) => {
                pgf::use_baseline_only(false);
                Some(MESSAGE.take())
            }
            Ok(()) if time > longest => Some(format!("takes {time:?}")),
            Ok(()) => None,
        };
        let Trial { input, left, .. } = trial;
        let tally = &mut summary.tallies[index];
        tally.inputs += 1;
        tally.time += time;
        tally.longest = tally.longest.max((time, seed));
        if left < tally.left.map_or(isize::MAX, |l| l.0) {
            tally.left = Some((left, seed));
        }
        if let Some(message) = message {
            summary.findings.push(Finding { seed, kind: kind.name, message, input });
            tell(summary.findings.last(), &summary);
        } else if summary.inputs().is_multiple_of(10_000) {
            tell(None, &summary);
        }
    }
    set_hook(hook);
    pgf_resilient::limit_trials(ALL_TRIALS);
    summary
}

/// The time that this thread has had a processor, where the system tells.
fn busy() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
}

/// Trials that readers make to correct a damaged segment.
const ALL_TRIALS: usize = 1 << 15;

/// How many of them they make for an input: nearly all of the time would go into them.
fn trials(seed: u64) -> usize {
    match Random::new(!seed).below(256) {
        0 => ALL_TRIALS,
        1..17 => 1 << 9,
        _ => 1 << 5,
    }
}

/// Says which input hangs.
struct Watch {
    /// The seed, and when it began in milliseconds; 0 while nothing runs.
    state: Arc<(AtomicU64, AtomicU64)>,
    done: Arc<AtomicBool>,
    origin: Instant,
}

impl Watch {
    fn new() -> Watch {
        let watch = Watch { state: Arc::default(), done: Arc::default(), origin: Instant::now() };
        let (state, done, origin) = (Arc::clone(&watch.state), Arc::clone(&watch.done), watch.origin);
        thread::spawn(move || {
            let mut told = u64::MAX;
            while !done.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(500));
                let (seed, since) = (state.0.load(Ordering::Relaxed), state.1.load(Ordering::Relaxed));
                let now = origin.elapsed().as_millis() as u64;
                if since > 0 && now.saturating_sub(since) > HANGING.as_millis() as u64 && told != seed {
                    eprintln!("seed {seed} still runs");
                    told = seed;
                }
            }
        });
        watch
    }

    fn begin(&self, seed: u64) {
        self.state.0.store(seed, Ordering::Relaxed);
        self.state.1.store(1 + self.origin.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    fn end(&self) {
        self.state.1.store(0, Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
    }
}
