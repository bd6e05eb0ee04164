//! Every stage on its own, forwards and backwards, with and without the processor's vector instructions.
//!
//!     cargo bench -p pgf --bench kernels
//!
//! Throughput counts the bytes that a stage has to read and write.

#[path = "picture/mod.rs"]
mod picture;

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pgf::stages::{Direction, STAGES, Stages};
use pgf::use_baseline_only;

/// Quality 0 is lossless; 5 is about one bit per pixel and halves the colour planes.
const QUALITIES: [u8; 2] = [0, 5];
const LEVELS: [(&str, bool); 2] = [("vector", false), ("baseline", true)];
const DIRECTIONS: [(&str, Direction); 2] = [("encode", Direction::Encode), ("decode", Direction::Decode)];

fn kernels(criterion: &mut Criterion) {
    let picture = picture::read(&picture::sample());
    for quality in QUALITIES {
        let mut stages =
            Stages::new(picture.width, picture.height, &picture.pixels, quality).expect("a valid photograph");
        for (verb, direction) in DIRECTIONS {
            for stage in STAGES {
                let bytes = stages.bytes(stage) as u64;
                if bytes == 0 {
                    continue;
                }
                let mut group = criterion.benchmark_group(format!("{verb} {stage:?} quality {quality}"));
                group.throughput(Throughput::Bytes(bytes));
                for (level, baseline) in LEVELS {
                    use_baseline_only(baseline);
                    group.bench_function(BenchmarkId::from_parameter(level), |bencher| {
                        bencher.iter_custom(|times| {
                            let mut spent = Duration::ZERO;
                            for _ in 0..times {
                                stages.prepare(direction, stage);
                                let start = Instant::now();
                                stages.run(direction, stage);
                                spent += start.elapsed();
                            }
                            spent
                        });
                    });
                }
                use_baseline_only(false);
                group.finish();
            }
        }
        let mut group = criterion.benchmark_group(format!("whole quality {quality}"));
        group.throughput(Throughput::Bytes(picture.pixels.len() as u64));
        for (level, baseline) in LEVELS {
            use_baseline_only(baseline);
            group.bench_function(BenchmarkId::new("encode", level), |bencher| bencher.iter(|| stages.encode()));
            group.bench_function(BenchmarkId::new("decode", level), |bencher| bencher.iter(|| stages.decode()));
        }
        use_baseline_only(false);
        group.finish();
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
