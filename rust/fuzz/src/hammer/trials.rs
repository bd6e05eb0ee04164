//! What must hold for an input, one function per kind; each panics where it does not.

use pgf::{ProgressiveDecoder, Rect, Samples, use_baseline_only};
use pgf_resilient::{Grammar, Next, Payload, Positions, Rules, StreamMap};

use super::damage::Container;
use super::memory::peak_of;
use super::random::Random;
use super::sources::{Sources, stream_options};
use crate::checks;
use crate::streams::{self, LIMITS, whole};

/// What a trial has.
pub struct Trial<'a> {
    pub random: Random,
    pub sources: &'a mut Sources,
    /// The input, for a report.
    pub input: Vec<u8>,
    /// The least that a decoding left of the bytes that it may take.
    pub left: isize,
}

/// A kind of trial.
pub struct Kind {
    pub name: &'static str,
    /// How often it comes, relative to the others.
    pub share: usize,
    pub run: fn(&mut Trial<'_>),
}

const fn kind(name: &'static str, share: usize, run: fn(&mut Trial<'_>)) -> Kind {
    Kind { name, share, run }
}

/// All kinds. Most inputs are only decoded, or less; what costs several decodings gets a share of them.
pub const KINDS: [Kind; 18] = [
    kind("stream decode", 500, stream_decode),
    kind("stream look", 130, stream_look),
    kind("stream in every way", 15, stream_read),
    kind("stream region", 15, stream_region),
    kind("stream repair", 15, stream_repair),
    kind("stream merge", 15, stream_merge),
    kind("stream edit", 10, stream_edit),
    kind("stream chunks", 15, stream_chunks),
    kind("stream index", 10, stream_index),
    kind("stream vector code", 10, stream_vectors),
    kind("stream transcode", 15, stream_transcode),
    kind("file decode", 140, file_decode),
    kind("file header", 60, file_header),
    kind("file in every way", 15, file_read),
    kind("file region, chunks", 15, file_region),
    kind("file vector code", 10, file_vectors),
    kind("file threads", 5, file_threads),
    kind("file transcode", 5, file_transcode),
];

/// How many times the bytes of its samples decoding may take. Planes of 16 bits and samples of 8 are three times the
/// samples, 32 and 16 bits too. Damage can make coefficients of 8-bit pictures, or sums of them, that need 32 bits: these are
/// made a few rows and macroblocks at a time.
const TIMES: usize = 4;
/// Of 8-bit streams without levels whose samples do not fit in 16 bits: planes of 32 bits, and one more of 16 while they
/// become so.
const TIMES_OF_DEEP_SAMPLES: usize = 7;

/// Of a stream whatever its size: the bit planes of one block and the tables of the coder.
const FOR_A_STREAM: usize = 128 << 10;
/// Of a file: a macroblock has 16384 coefficients in up to 31 planes, however small the picture is, and is kept as code, as
/// planes and as values.
const FOR_A_FILE: usize = 512 << 10;
/// For every byte of input: a piece of two or three bytes may be a fault with its message.
const FOR_A_BYTE: usize = 64;
/// For every base value of a stream, with the blocks at its place. There are few, but in pictures of a few rows or columns.
const FOR_A_BASE_VALUE: usize = 200;

/// For every sample of the rows that are inverted in 32 bits at a time, where a picture needs them.
const FOR_A_WINDOW_SAMPLE: usize = 5;
/// So many at most: a window of each level.
const WINDOW_ROWS: usize = 128;

/// What a picture takes however high it is: in those of few rows it is more than the planes.
fn for_windows(image: &pgf::Image) -> usize {
    FOR_A_WINDOW_SAMPLE * image.width as usize * image.channels * WINDOW_ROWS.min(image.height as usize)
}

impl Trial<'_> {
    fn input(&mut self, container: Container) -> Vec<u8> {
        let data = container.input(&mut self.random, self.sources);
        self.input.clone_from(&data);
        data
    }

    fn region(&mut self, width: u32, height: u32) -> Rect {
        let (left, right) = self.random.span(width as usize);
        let (top, bottom) = self.random.span(height as usize);
        Rect { left: left as u32, top: top as u32, right: right as u32, bottom: bottom as u32 }
    }

    /// Limits that let most inputs be small.
    fn limits(&mut self) -> pgf::Limits {
        let max_pixels = if self.random.one_in(64) { LIMITS.max_pixels } else { 1 << 16 };
        pgf::Limits { max_pixels, ..LIMITS }
    }

    fn within_memory(&mut self, peak: usize, samples: &Samples, times: usize, more: usize) {
        let bytes = bytes_of(samples);
        let most = times * bytes + more + FOR_A_BYTE * self.input.len();
        self.left = self.left.min(most as isize - peak as isize);
        assert!(peak <= most, "{peak} bytes for {bytes} of samples and {} of input, not {most}", self.input.len());
    }
}

fn bytes_of(samples: &Samples) -> usize {
    match samples {
        Samples::U8(s) => s.len(),
        Samples::U16(s) => 2 * s.len(),
        Samples::U32(s) => 4 * s.len(),
        Samples::I32(s) => 4 * s.len(),
    }
}

/// Pictures that hostile headers make large are only decoded.
fn is_small(stream: &[u8]) -> bool {
    pgf_resilient::read_picture(stream).is_ok_and(|picture| picture.header.pixels() <= 1 << 15)
}

fn stream_decode(trial: &mut Trial<'_>) {
    let data = trial.input(Container::Stream);
    let limits = trial.limits();
    let trusting = trial.random.one_in(8);
    let options = pgf_resilient::DecodeOptions { limits, trusting, ..whole() };
    let (decoded, peak) = peak_of(|| pgf_resilient::decode(&data, &options));
    let Ok((image, report)) = decoded else { return };
    assert_eq!(image.samples.as_ref().len(), image.width as usize * image.height as usize * image.channels);
    assert!(report.base_known <= report.base_total && report.bytes == data.len());
    assert!(report.faults.iter().all(|f| f.bytes.start <= f.bytes.end && f.bytes.end <= data.len()), "{report:?}");
    let picture = pgf_resilient::read_picture(&data).expect("it was decoded");
    let flat = picture.header.levels == 0 && matches!(image.samples, Samples::U8(_));
    let times = if flat && (picture.deep || !report.clean()) { TIMES_OF_DEEP_SAMPLES } else { TIMES };
    let more = FOR_A_STREAM + FOR_A_BASE_VALUE * report.base_total + for_windows(&image);
    trial.within_memory(peak, &image.samples, times, more);
}

fn stream_look(trial: &mut Trial<'_>) {
    let data = trial.input(Container::Stream);
    let _ = pgf_resilient::check(&data);
    let Ok(picture) = pgf_resilient::read_picture(&data) else {
        assert!(pgf_resilient::read_extras(&data, &LIMITS).is_err());
        return;
    };
    assert!(picture.header.width > 0 && picture.header.height > 0 && picture.levels() >= picture.header.levels);
    let _ = pgf_resilient::read_extras(&data, &trial.limits());
    let mut segments = pgf_resilient::SegmentCount::default();
    segments.feed(&data);
    assert!(segments.count <= data.len() / 2);
}

fn stream_read(trial: &mut Trial<'_>) {
    let data = trial.input(Container::Stream);
    streams::read(&data);
}

fn stream_region(trial: &mut Trial<'_>) {
    let data = trial.input(Container::Stream);
    if !is_small(&data) {
        return;
    }
    let header = pgf_resilient::read_picture(&data).expect("it is small").header;
    let level = trial.random.below(usize::from(header.levels) + 1) as u8;
    let region = trial.region(header.width, header.height);
    let trusting = trial.random.one_in(8);
    streams::region_is_crop(&data, level, region, trusting);
}

fn stream_repair(trial: &mut Trial<'_>) {
    let data = trial.input(Container::Stream);
    if is_small(&data) {
        streams::repairs(&data);
    }
}

fn stream_merge(trial: &mut Trial<'_>) {
    let sound = trial.sources.stream(&mut trial.random);
    let mut halves: Vec<Vec<u8>> = Vec::new();
    let beginnings = trial.random.one_in(4);
    for _ in 0..2 + trial.random.below(2) {
        let mut data = sound.to_vec();
        if beginnings {
            data.truncate(trial.random.below(data.len() + 1));
        } else {
            for _ in 0..trial.random.below(3) {
                Container::Stream.damage(&mut data, &mut trial.random, trial.sources);
            }
        }
        halves.push(data);
    }
    trial.input = halves.concat();
    let halves: Vec<&[u8]> = halves.iter().map(Vec::as_slice).collect();
    if !halves.iter().all(|half| is_small(half)) {
        return;
    }
    let Ok(merged) = pgf_resilient::merge(&halves, &LIMITS) else { return };
    let strictly = pgf_resilient::DecodeOptions { strict: true, ..whole() };
    let (image, report) = pgf_resilient::decode(&merged, &strictly).expect("what is merged is clean");
    if beginnings {
        let longest = halves.iter().max_by_key(|half| half.len()).expect("there are some");
        let shown = pgf_resilient::decode(longest, &strictly).expect("a beginning is clean").0;
        assert!(report.clean() && image == shown, "beginnings merged are another picture than the longest");
    }
    let header = pgf_resilient::read_picture(halves[0]).expect("it was merged").header;
    assert_eq!((image.width, image.height), (header.width, header.height));
    if halves.iter().any(|half| *half == &sound[..]) {
        let known = |data: &[u8]| pgf_resilient::decode(data, &whole()).expect("it is sound").1;
        assert!(known(&merged).base_known >= known(&sound).base_known, "merging loses base values");
    }
}

fn stream_edit(trial: &mut Trial<'_>) {
    let data = trial.input(Container::Stream);
    if !is_small(&data) {
        return;
    }
    let Ok(pieces) = pgf_resilient::segments(&data, &LIMITS) else { return };
    let gone: Vec<usize> = pieces.iter().skip(1).map(|piece| piece.bytes.start).collect();
    let gone: Vec<usize> = gone.into_iter().filter(|_| trial.random.one_in(4)).collect();
    let less = pgf_resilient::remove(&data, &gone).expect("pieces begin there");
    let missing: usize = pieces.iter().filter(|p| gone.contains(&p.bytes.start)).map(|p| p.bytes.len()).sum();
    assert_eq!(less.len() + missing, data.len());
    let _ = pgf_resilient::decode(&less, &whole());
    let budget = trial.random.below(2000);
    let mut kept = 0;
    if let Ok((suggestions, used)) = pgf_resilient::wanted(&less, budget, &LIMITS) {
        assert!(used <= less.len());
        kept = used;
        assert!(suggestions.iter().all(|s| s.gain.is_finite() && s.head.first() == Some(&0xFF)), "{suggestions:?}");
    }
    let (coefficients, _) = pgf_resilient::read_coefficients(&data, &whole()).expect("its segments are known");
    let planes = 1 + trial.random.below(3);
    if let Ok(refined) = pgf_resilient::refine(&less, &coefficients, None, planes, &LIMITS) {
        assert!(refined.starts_with(&less[..kept]));
        pgf_resilient::decode(&refined, &whole()).expect("more of the same picture");
    }
}

/// Any beginning is a picture once the header is there, and bytes are legal one by one where they are together.
fn stream_chunks(trial: &mut Trial<'_>) {
    let data = trial.input(Container::Stream);
    if !is_small(&data) {
        return;
    }
    let rules = trial.random.pick(&[Rules::Framing, Rules::Addresses, Rules::Payload]);
    let legal = Grammar::new(rules, LIMITS).legal_prefix(&data);
    assert!(legal <= data.len());
    let mut grammar = Grammar::new(rules, LIMITS);
    let mut positions = Positions::new(LIMITS);
    for (at, byte) in data.iter().enumerate() {
        let probe = trial.random.byte();
        if at.is_multiple_of(7) {
            assert_eq!(grammar.allowed().contains(probe), grammar.is_allowed(probe), "{rules:?}: {probe:02X} at {at}");
        }
        let is_legal = grammar.advance(*byte);
        assert!(is_legal == (at < legal) || at > legal, "{rules:?}: byte {at} of {legal} that are legal together");
        let next = positions.advance(*byte).next;
        assert!(rules != Rules::Payload || next != Next::Marker || grammar.is_allowed(0xFF), "no marker behind {at}");
    }
    let (mut at, mut segments) = (0, pgf_resilient::SegmentCount::default());
    while at < data.len() {
        let before = at;
        at = data.len().min(at + 1 + trial.random.below(data.len().div_ceil(2)));
        let so_far = &data[..at];
        segments.feed(&data[before..at]);
        let mut at_once = pgf_resilient::SegmentCount::default();
        at_once.feed(so_far);
        assert_eq!(segments.count, at_once.count);
        if let Ok(picture) = pgf_resilient::read_picture(so_far)
            && picture.header.pixels() <= 1 << 15
        {
            let image = match pgf_resilient::decode(so_far, &whole()) {
                Ok((image, _)) => image,
                Err(pgf::Error::Format { field: "levels", .. }) => break,
                Err(error) => panic!("a header is there, but {error}"),
            };
            assert_eq!((image.width, image.height), (picture.header.width, picture.header.height));
        }
    }
}

/// An index changes no pixel, and reading by it gives the same as reading all; damaged, it is refused or harmless.
fn stream_index(trial: &mut Trial<'_>) {
    let data = if trial.random.one_in(2) {
        let data = trial.sources.stream(&mut trial.random).to_vec();
        trial.input.clone_from(&data);
        data
    } else {
        trial.input(Container::Stream)
    };
    if !is_small(&data) {
        return;
    }
    let by_place = trial.random.one_in(2);
    let Ok(mut indexed) = pgf_resilient::add_index(&data, by_place, &LIMITS) else { return };
    let shown = pgf_resilient::decode(&data, &whole()).expect("it has an index").0;
    let again = pgf_resilient::decode(&indexed, &whole()).expect("it has an index").0;
    assert!(shown == again, "with an index (by place: {by_place}) it is another picture");
    let header = pgf_resilient::read_picture(&data).expect("it has an index").header;
    let level = trial.random.below(usize::from(header.levels) + 1) as u8;
    let region = trial.region(header.width, header.height);
    let options = pgf_resilient::DecodeOptions { level, region: Some(region), ..whole() };
    let part = by_index(&indexed, level, region).expect("an index of a sound stream");
    let wanted = pgf_resilient::decode(&indexed, &options).expect("a part of it").0;
    let found = pgf_resilient::decode(&part, &options).expect("a part of it").0;
    assert!(wanted == found, "by its index, level {level}, {region:?} is another picture");
    for _ in 0..1 + trial.random.below(2) {
        Container::Stream.damage(&mut indexed, &mut trial.random, trial.sources);
    }
    trial.input.clone_from(&indexed);
    if let Ok(part) = by_index(&indexed, level, region) {
        let _ = pgf_resilient::decode(&part, &options);
    }
}

/// What a reader does that fetches parts of a stream.
fn by_index(data: &[u8], level: u8, region: Rect) -> pgf::Result<Vec<u8>> {
    let get = |range: std::ops::Range<usize>| data.get(range).ok_or_else(|| pgf::Error::Usage("behind the end".into()));
    let mut map = StreamMap::new(data, data.len(), &LIMITS)?;
    let directory = map.directory().ok_or_else(|| pgf::Error::Usage("too short for an index".into()))?;
    map.use_directory(get(directory)?)?;
    let opening = get(map.opening())?;
    map.use_opening(opening, &LIMITS)?;
    let pages = map.pages(level, Some(region))?.into_iter().map(get).collect::<pgf::Result<Vec<_>>>()?;
    let ranges = map.ranges(level, Some(region), &pages)?;
    let found = ranges.into_iter().map(get).collect::<pgf::Result<Vec<_>>>()?;
    map.assemble(level, Some(region), &pages, opening, &found)
}

/// The same with and without instructions beyond the baseline.
fn both_ways<T: PartialEq>(call: impl Fn() -> T) {
    let fast = call();
    use_baseline_only(true);
    let slow = call();
    use_baseline_only(false);
    assert!(fast == slow, "baseline and vector code differ");
}

fn stream_vectors(trial: &mut Trial<'_>) {
    let data = trial.input(Container::Stream);
    if is_small(&data) {
        both_ways(|| pgf_resilient::decode(&data, &whole()));
        both_ways(|| pgf_resilient::rewrite(&data, Some(Payload::Packed), &whole()));
    }
}

/// The coefficients that are read, damaged or not, make streams and files that hold them.
fn stream_transcode(trial: &mut Trial<'_>) {
    let data = trial.input(Container::Stream);
    if !is_small(&data) {
        return;
    }
    let Ok((coefficients, _)) = pgf_resilient::read_coefficients(&data, &whole()) else { return };
    holds(trial, coefficients);
}

fn file_transcode(trial: &mut Trial<'_>) {
    let data = trial.input(Container::File);
    if !pgf::read_header(&data).is_ok_and(|file| file.header.pixels() <= 1 << 15) {
        return;
    }
    let Ok((coefficients, _)) = pgf::read_coefficients(&data, false, &LIMITS) else { return };
    holds(trial, coefficients);
}

fn holds(trial: &mut Trial<'_>, coefficients: pgf::Coefficients) {
    if coefficients.flags() & pgf::flags::ROI != 0 && !coefficients.roi() {
        // Tiles without a level to tile: a stream does not say so.
        return;
    }
    let options = pgf_resilient::StreamOptions { max_bytes: None, ..stream_options(&mut trial.random) };
    let Ok(stream) = pgf_resilient::write(&coefficients, &options) else { return };
    let strictly = pgf_resilient::DecodeOptions { strict: true, ..whole() };
    let (again, _) = pgf_resilient::read_coefficients(&stream, &strictly).expect("it was written");
    // Noise in 31 planes fits no macroblock. What 32 bits hold may fit in 16.
    let files = (pgf::write_coefficients(&coefficients), pgf::write_coefficients(&again));
    assert!(files.0 == files.1, "the stream holds other coefficients");
    let shown = pgf::synthesise(coefficients).expect("it was read");
    assert!(pgf::synthesise(again).expect("it was read") == shown, "the stream holds another picture");
    if let Ok(file) = files.0 {
        let (again, _) = pgf::read_coefficients(&file, true, &LIMITS).expect("it was written");
        assert!(pgf::synthesise(again).expect("it was written") == shown, "the file holds another picture");
    }
}

fn file_decode(trial: &mut Trial<'_>) {
    let data = trial.input(Container::File);
    let options = pgf::DecodeOptions { limits: trial.limits(), ..pgf::DecodeOptions::default() };
    let (decoded, peak) = peak_of(|| pgf::decode_with_report(&data, &options));
    let Ok((image, report)) = decoded else { return };
    assert_eq!(image.samples.as_ref().len(), image.width as usize * image.height as usize * image.channels);
    assert_eq!(report.intact + report.partial + report.missing, report.macroblocks, "{report:?}");
    trial.within_memory(peak, &image.samples, TIMES, FOR_A_FILE + for_windows(&image));
}

fn file_header(trial: &mut Trial<'_>) {
    let data = trial.input(Container::File);
    checks::header(&data);
}

fn file_read(trial: &mut Trial<'_>) {
    let data = trial.input(Container::File);
    checks::decode(&data);
}

fn file_region(trial: &mut Trial<'_>) {
    let data = trial.input(Container::File);
    checks::region(&data);
    let mut decoder = ProgressiveDecoder::new(LIMITS);
    let mut rest = &data[..];
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(rest.len().min(1 + trial.random.below(data.len())));
        let _ = decoder.feed(chunk);
        rest = behind;
        if trial.random.one_in(4) {
            let _ = decoder.render(0);
        }
    }
    assert_eq!(decoder.data(), data);
}

fn file_vectors(trial: &mut Trial<'_>) {
    let data = trial.input(Container::File);
    let options = pgf::DecodeOptions { limits: trial.limits(), ..pgf::DecodeOptions::default() };
    both_ways(|| pgf::decode_with_report(&data, &options));
}

fn file_threads(trial: &mut Trial<'_>) {
    let data = trial.input(Container::File);
    let options = pgf::DecodeOptions { limits: trial.limits(), ..pgf::DecodeOptions::default() };
    let alone = pgf::decode_with_report(&data, &options);
    let num_threads = 2 + trial.random.below(7);
    let together = pgf::decode_with_report(&data, &pgf::DecodeOptions { num_threads, ..options });
    assert!(alone == together, "{num_threads} threads show another picture");
}
