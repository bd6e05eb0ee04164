//! What the processor offers, asked once per macroblock, plane or row; results never depend on the answer.

use std::sync::atomic::{AtomicBool, Ordering};

static BASELINE_ONLY: AtomicBool = AtomicBool::new(false);

/// Makes the codec use nothing beyond the baseline of the processor's architecture, for tests of those paths.
#[doc(hidden)]
pub fn use_baseline_only(on: bool) {
    BASELINE_ONLY.store(on, Ordering::Relaxed);
}

/// Whether instructions beyond the baseline may be used where there are some.
pub(crate) fn beyond_baseline() -> bool {
    !BASELINE_ONLY.load(Ordering::Relaxed)
}

/// Whether the processor has AVX2, and it may be used.
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_avx2() -> bool {
    beyond_baseline() && is_x86_feature_detected!("avx2")
}
