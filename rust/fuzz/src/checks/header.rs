//! Headers.

use pgf::{FileHeader, MAX_CHANNELS, MAX_LEVELS, check, read_header};

/// Parses a header strictly and leniently; what the strict parser takes, the lenient one takes.
pub fn header(data: &[u8]) {
    let strict = FileHeader::parse(data);
    let lenient = read_header(data);
    let magic = check(data);
    assert!(lenient.is_ok() || strict.is_err(), "the strict parser takes it, the lenient one says {lenient:?}");
    if strict.is_ok() {
        assert_eq!(magic, Some(true));
    }
    for file in [&strict, &lenient].into_iter().flatten() {
        let header = &file.header;
        assert!(file.user_data.start <= file.user_data.end && file.user_data.end <= file.data_offset);
        assert!(file.data_offset <= data.len());
        assert_eq!(file.level_lengths.len(), usize::from(header.levels));
        assert!(header.width > 0 && header.height > 0 && header.levels <= MAX_LEVELS);
        assert!((1..=MAX_CHANNELS).contains(&usize::from(header.channels)));
        assert!((1..=31).contains(&header.used_bits));
    }
}
