//! What must hold for any input, one function per fuzz target; and the hammer, which makes inputs itself.
//!
//! The functions are compiled into the regression tests of the crates `pgf` and `pgf-resilient` too.
pub mod checks;
#[cfg(feature = "hammer")]
pub mod hammer;
#[cfg(feature = "hammer")]
#[path = "../../pgf-resilient/tests/pictures/mod.rs"]
pub mod pictures;
pub mod streams;
