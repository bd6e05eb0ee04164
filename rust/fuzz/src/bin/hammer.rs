//! `hammer COUNT [FIRST] [KIND]`: tries COUNT inputs from seed FIRST on (0 unless told), all or those of one kind;
//! `hammer --seed SEED`: tries one again, and lets it panic where it may. Inputs that fail are left in
//! `artifacts/hammer`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use pgf_fuzz::hammer::{Counting, LONGEST, names, run};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize| arguments.get(i).and_then(|text| text.replace('_', "").parse::<u64>().ok());
    let again = arguments.first().is_some_and(|a| a == "--seed");
    let (first, count) = match (again, number(0), number(1)) {
        (true, _, Some(seed)) => (seed, 1),
        (false, Some(count), first) => (first.unwrap_or(0), count),
        _ => {
            eprintln!("hammer COUNT [FIRST] [KIND], or hammer --seed SEED; kinds: {}", names().join(", "));
            return ExitCode::from(2);
        }
    };
    let only = arguments.get(2).map(String::as_str);
    if let Some(only) = only.filter(|only| !names().contains(only)) {
        eprintln!("no kind {only}: there are {}", names().join(", "));
        return ExitCode::from(2);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts/hammer");
    let start = Instant::now();
    let summary = run(first..first.saturating_add(count), only, LONGEST, |finding, so_far| match finding {
        Some(finding) => {
            println!("FINDING seed {}, {}: {}", finding.seed, finding.kind, finding.message);
            fs::create_dir_all(&folder).expect("a folder for what fails");
            fs::write(folder.join(finding.seed.to_string()), &finding.input).expect("room for an input");
        }
        None if so_far.inputs().is_multiple_of(100_000) => {
            println!("{} inputs after {} s", so_far.inputs(), start.elapsed().as_secs());
        }
        None => {}
    });
    if again {
        for finding in &summary.findings {
            println!("input: {} bytes, {:02X?}", finding.input.len(), &finding.input[..finding.input.len().min(100)]);
        }
    }
    println!("{} s from seed {first}", start.elapsed().as_secs());
    summary.print();
    ExitCode::from(u8::from(!summary.findings.is_empty()))
}
