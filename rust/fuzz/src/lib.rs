//! What must hold for any input, one function per fuzz target.
//!
//! The functions are compiled into the regression tests of the crate `pgf` too.
pub mod checks;
