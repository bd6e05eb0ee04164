//! Why a row has no picture.

use std::fmt;

/// What kind of failure, by who must act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The file could not be read.
    Unreadable,
    /// No bytes.
    Empty,
    /// No format that this crate decodes.
    UnknownFormat,
    /// The file breaks off.
    Truncated,
    /// The file contradicts its format.
    Corrupt,
    /// A well-formed file with a feature that its decoder does not have.
    Unsupported,
    /// Over the limits that protect memory.
    Limits,
    /// Dropped by [`Select`](crate::Select): a side is too short.
    TooSmall,
    /// Dropped by [`Select`](crate::Select): a side is too long.
    TooLarge,
    /// Dropped by [`Select`](crate::Select): too narrow.
    Aspect,
    /// The encoder refused.
    Encode,
}

impl FailureKind {
    /// All kinds.
    pub const ALL: &'static [FailureKind] = &[
        FailureKind::Unreadable,
        FailureKind::Empty,
        FailureKind::UnknownFormat,
        FailureKind::Truncated,
        FailureKind::Corrupt,
        FailureKind::Unsupported,
        FailureKind::Limits,
        FailureKind::TooSmall,
        FailureKind::TooLarge,
        FailureKind::Aspect,
        FailureKind::Encode,
    ];

    /// The name that statistics and Python use.
    pub fn name(self) -> &'static str {
        match self {
            FailureKind::Unreadable => "unreadable",
            FailureKind::Empty => "empty",
            FailureKind::UnknownFormat => "unknown_format",
            FailureKind::Truncated => "truncated",
            FailureKind::Corrupt => "corrupt",
            FailureKind::Unsupported => "unsupported",
            FailureKind::Limits => "limits",
            FailureKind::TooSmall => "too_small",
            FailureKind::TooLarge => "too_large",
            FailureKind::Aspect => "aspect",
            FailureKind::Encode => "encode",
        }
    }

    /// Whether the picture is fine and was left out on purpose.
    pub fn skipped(self) -> bool {
        matches!(self, FailureKind::TooSmall | FailureKind::TooLarge | FailureKind::Aspect)
    }
}

/// Why a row has no picture: its kind and a sentence that names value and bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind.
    pub kind: FailureKind,
    /// For a person.
    pub message: String,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Failure {
        Failure { kind, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.message)
    }
}

impl std::error::Error for Failure {}
