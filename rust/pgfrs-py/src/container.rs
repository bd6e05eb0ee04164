//! Which container a file is, and the same calls for both.

use pgf::{DecodeOptions, FileHeader, Header, Image, Limits, Palette, Report, Result, SamplesMut, flags};
use pgf_resilient::{Payload, StreamOptions, StreamReport};

/// What decoding found, in either container.
pub enum Found {
    Pgf(Report),
    Stream(Box<StreamReport>),
}

/// Whether data are a resilient stream: the first byte of both containers tells, damaged or not.
pub fn is_stream(data: &[u8]) -> bool {
    match pgf_resilient::check(data) {
        Some(true) => true,
        // The beginning of a header: nothing else begins so.
        None => !data.is_empty(),
        Some(false) => pgf::check(data) == Some(false) && pgf_resilient::read_picture(data).is_ok(),
    }
}

fn stream_options(options: &DecodeOptions) -> pgf_resilient::DecodeOptions {
    pgf_resilient::DecodeOptions {
        level: options.level,
        region: options.region,
        strict: options.strict,
        limits: options.limits,
        num_threads: options.num_threads,
        trusting: false,
    }
}

/// What both containers say in front.
pub struct About {
    pub file: FileHeader,
    pub user_data: Vec<u8>,
    /// `None` for `.pgf`.
    pub stream: Option<pgf_resilient::Picture>,
}

pub fn read_about(data: &[u8], limits: &Limits) -> Result<About> {
    if !is_stream(data) {
        let file = pgf::read_header(data)?;
        let user_data = data[file.user_data.clone()].to_vec();
        return Ok(About { file, user_data, stream: None });
    }
    let picture = pgf_resilient::read_picture(data)?;
    let extras = pgf_resilient::read_extras(data, limits)?;
    let file = FileHeader {
        flags: flags::CURRENT | if extras.roi { flags::ROI } else { 0 },
        header: picture.header,
        palette: extras.palette,
        user_data: 0..0,
        level_lengths: Vec::new(),
        data_offset: 0,
    };
    Ok(About { file, user_data: extras.user_data, stream: Some(picture) })
}

/// The fixed header and palette alone.
pub fn read_header(data: &[u8]) -> Result<Header> {
    if is_stream(data) { Ok(pgf_resilient::read_picture(data)?.header) } else { Ok(pgf::read_header(data)?.header) }
}

pub fn palette(data: &[u8], limits: &Limits) -> Result<Option<Box<Palette>>> {
    if is_stream(data) {
        Ok(pgf_resilient::read_extras(data, limits)?.palette)
    } else {
        Ok(pgf::read_header(data)?.palette)
    }
}

pub fn decode(data: &[u8], options: &DecodeOptions) -> Result<(Image, Found)> {
    if is_stream(data) {
        let (image, report) = pgf_resilient::decode(data, &stream_options(options))?;
        return Ok((image, Found::Stream(Box::new(report))));
    }
    let (image, report) = pgf::decode_with_report(data, options)?;
    Ok((image, Found::Pgf(report)))
}

pub fn decode_into(data: &[u8], options: &DecodeOptions, samples: SamplesMut<'_>) -> Result<Found> {
    if is_stream(data) {
        let report = pgf_resilient::decode_into(data, &stream_options(options), samples)?;
        return Ok(Found::Stream(Box::new(report)));
    }
    pgf::decode_into(data, options, samples).map(Found::Pgf)
}

pub fn check(data: &[u8]) -> Option<bool> {
    match (pgf::check(data), pgf_resilient::check(data)) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (None, _) | (_, None) => None,
        _ => Some(false),
    }
}

/// A clean file of what data tell; `stream` says in which container, `None` in their own.
pub fn repair(data: &[u8], stream: Option<bool>, limits: &Limits) -> Result<Vec<u8>> {
    let options = pgf_resilient::DecodeOptions { limits: *limits, ..pgf_resilient::DecodeOptions::default() };
    let from = is_stream(data);
    match (from, stream.unwrap_or(from)) {
        (true, true) => Ok(pgf_resilient::rewrite(data, None, &options)?.0),
        (true, false) => pgf::write_coefficients(&pgf_resilient::read_coefficients(data, &options)?.0),
        (false, true) => {
            let (coefficients, _) = pgf::read_coefficients(data, false, limits)?;
            pgf_resilient::write(&coefficients, &pgf_resilient::StreamOptions::default())
        }
        (false, false) => Ok(pgf::repair(data, limits)?.0),
    }
}

/// The same coefficients in another container or payload, or bare or not; refuses what is damaged, and a `.pgf` that is
/// cut.
pub fn transcode(
    data: &[u8],
    stream: bool,
    (payload, bare): (Option<Payload>, Option<bool>),
    limits: &Limits,
) -> Result<Vec<u8>> {
    let options =
        pgf_resilient::DecodeOptions { strict: true, limits: *limits, ..pgf_resilient::DecodeOptions::default() };
    let write = |coefficients, payload, bare| {
        pgf_resilient::write(coefficients, &StreamOptions { payload, bare, ..StreamOptions::default() })
    };
    match (is_stream(data), stream) {
        (true, true) => {
            let picture = pgf_resilient::read_picture(data)?;
            match bare.filter(|bare| *bare != picture.bare) {
                None => Ok(pgf_resilient::rewrite(data, payload, &options)?.0),
                // Another base: nothing of the segments stays.
                Some(bare) => {
                    let (coefficients, _) = pgf_resilient::read_coefficients(data, &options)?;
                    write(&coefficients, payload.unwrap_or(picture.payload), bare)
                }
            }
        }
        (true, false) => pgf::write_coefficients(&pgf_resilient::read_coefficients(data, &options)?.0),
        (false, true) => {
            let (coefficients, _) = pgf::read_coefficients(data, true, limits)?;
            write(&coefficients, payload.unwrap_or_default(), bare.unwrap_or(false))
        }
        (false, false) => {
            let (coefficients, _) = pgf::read_coefficients(data, true, limits)?;
            pgf::write_coefficients(&coefficients)
        }
    }
}
