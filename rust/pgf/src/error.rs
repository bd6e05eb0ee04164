//! What can go wrong, sorted by who must act.

use std::fmt;

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error that names the field, the value found and the bound that it breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The data end before the header does, or (in strict mode) before the picture does.
    Truncated {
        /// What was being read.
        field: &'static str,
        /// Bytes needed, counted from the start of the data.
        need: u64,
        /// Bytes there are.
        have: u64,
    },
    /// The data contradict the format.
    Format {
        /// The field of the format.
        field: &'static str,
        /// Byte offset of the field from the start of the data.
        offset: u64,
        /// The value found and the bound it breaks.
        message: String,
    },
    /// The data are well formed but ask for more than the caller's [`Limits`](crate::Limits) allow.
    Limits {
        /// What is limited.
        field: &'static str,
        /// The value the data ask for.
        value: u64,
        /// The caller's bound.
        bound: u64,
    },
    /// A part of the format that this codec does not offer.
    Unsupported(String),
    /// The caller passed something that does not fit.
    Usage(String),
}

impl Error {
    pub(crate) fn format(field: &'static str, offset: usize, message: impl Into<String>) -> Self {
        Error::Format { field, offset: offset as u64, message: message.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Truncated { field, need, have } => {
                write!(f, "{field}: the data end at byte {have}, byte {need} is needed")
            }
            Error::Format { field, offset, message } => write!(f, "{field} (byte {offset}): {message}"),
            Error::Limits { field, value, bound } => write!(f, "{field}: {value} is over the limit of {bound}"),
            Error::Unsupported(what) => write!(f, "unsupported: {what}"),
            Error::Usage(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}
