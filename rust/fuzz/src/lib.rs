//! What must hold for any input, one function per fuzz target.
//!
//! The functions are compiled into the regression tests of the crates `pgf` and `pgf-resilient` too.
pub mod checks;
pub mod streams;
