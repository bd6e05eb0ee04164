//! Time of every stage on its own, of the whole codec, and of plain copies, as JSON on standard output.
//!
//!     stage_times ROUNDS QUALITY[,QUALITY...] PICTURE.png...
//!
//! A round visits all pictures, and at each all stages; times are medians over the rounds of the sum over the
//! pictures, in seconds of processor time. `copies` are as large as the memory named, source and target together, and
//! as fast as the median says: `bytes_per_second` counts bytes read and bytes written.

#[path = "../benches/picture/mod.rs"]
mod picture;

use std::hint::black_box;
use std::path::PathBuf;

use cpu_time::ProcessTime;
use pgf::stages::{Direction, STAGES, Stage, Stages};
use picture::Picture;
use serde_json::{Value, json};

const DIRECTIONS: [(&str, Direction); 2] = [("encode", Direction::Encode), ("decode", Direction::Decode)];
/// Source and target of the copies, together: about the planes of a small photograph, and beyond all.
const COPIES: [(&str, usize); 2] = [("4 MiB", 4 << 20), ("256 MiB", 256 << 20)];

/// Of the processor, so that other programs do not count.
fn seconds(work: impl FnOnce()) -> f64 {
    let start = ProcessTime::now();
    work();
    start.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

/// Bytes read and written per second, copying half of `size` bytes to the other half.
fn copy_speed(size: usize, buffer: &mut [u8]) -> f64 {
    let (from, to) = buffer[..size].split_at_mut(size / 2);
    let times = ((32 << 20) / size).max(1);
    let spent = seconds(|| {
        for _ in 0..times {
            black_box(&mut *to).copy_from_slice(black_box(&*from));
        }
    });
    (times * size) as f64 / spent
}

fn measure(rounds: usize, quality: u8, pictures: &[Picture]) -> Value {
    let mut all: Vec<Stages> = pictures
        .iter()
        .map(|p| Stages::new(p.width, p.height, &p.pixels, quality).unwrap_or_else(|e| panic!("{e}")))
        .collect();
    // By direction: the stages, then the whole.
    let mut times = vec![vec![vec![0.0; rounds]; STAGES.len() + 1]; DIRECTIONS.len()];
    for round in 0..rounds {
        for (times, (_, direction)) in times.iter_mut().zip(DIRECTIONS) {
            for stages in &mut all {
                for (times, stage) in times.iter_mut().zip(STAGES) {
                    // In the codec, what a stage reads has just been written: a first run brings it into the cache.
                    // Not so for bits, whose branches it would teach the processor.
                    if stage != Stage::Bits {
                        stages.prepare(direction, stage);
                        stages.run(direction, stage);
                    }
                    stages.prepare(direction, stage);
                    times[round] += seconds(|| stages.run(direction, stage));
                }
                times[STAGES.len()][round] += seconds(|| match direction {
                    Direction::Encode => drop(black_box(stages.encode())),
                    Direction::Decode => drop(black_box(stages.decode())),
                });
            }
        }
    }
    let mut result = json!({"quality": quality, "file_bytes": all.iter().map(|s| s.file().len()).sum::<usize>()});
    for (times, (verb, _)) in times.into_iter().zip(DIRECTIONS) {
        let mut medians: Vec<f64> = times.into_iter().map(median).collect();
        let whole = medians.pop().expect("the whole is last");
        let stages: Vec<Value> = STAGES
            .iter()
            .zip(medians)
            .map(|(stage, seconds)| {
                let bytes: usize = all.iter().map(|s| s.bytes(*stage)).sum();
                json!({"stage": format!("{stage:?}").to_lowercase(), "seconds": seconds, "bytes": bytes})
            })
            .collect();
        result[verb] = json!({"whole_seconds": whole, "stages": stages});
    }
    result
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rounds, qualities, paths @ ..] = &arguments[..] else { panic!("rounds, qualities and pictures are needed") };
    let rounds: usize = rounds.parse().expect("a number of rounds");
    let qualities: Vec<u8> = qualities.split(',').map(|q| q.parse().expect("a quality")).collect();
    assert!(rounds > 0 && !paths.is_empty(), "at least one round and one picture are needed");
    let pictures: Vec<Picture> = paths.iter().map(|path| picture::read(&PathBuf::from(path))).collect();

    let mut buffer = vec![1; COPIES.iter().map(|(_, size)| *size).max().expect("sizes")];
    let mut speeds = vec![Vec::new(); COPIES.len()];
    let mut copy = |speeds: &mut Vec<Vec<f64>>| {
        for (speeds, (_, size)) in speeds.iter_mut().zip(COPIES) {
            speeds.extend((0..5).map(|_| copy_speed(size, &mut buffer)));
        }
    };
    copy(&mut speeds);
    let mut results = Vec::new();
    for quality in qualities {
        results.push(measure(rounds, quality, &pictures));
        copy(&mut speeds);
    }
    let copies: Vec<Value> = COPIES
        .iter()
        .zip(speeds)
        .map(|((memory, _), speeds)| json!({"memory": memory, "bytes_per_second": median(speeds)}))
        .collect();
    let pixels: u64 = pictures.iter().map(|p| u64::from(p.width) * u64::from(p.height)).sum();
    println!("{}", json!({"pictures": pictures.len(), "pixels": pixels, "copies": copies, "qualities": results}));
}
