//! When to try again: a pure decision.

use jiff::{SignedDuration, Timestamp};

/// The wait after the first failure.
pub const FIRST_WAIT_MS: u64 = 1_000;
/// The longest wait of a document that may yet go through by itself.
pub const LONGEST_WAIT_MS: u64 = 5 * 60 * 1_000;
/// The longest wait that the cloud may ask for.
pub const LONGEST_ASKED_MS: u64 = 60 * 60 * 1_000;
/// The wait of a document the cloud refused: a person is needed, but the cloud may be put right meanwhile.
pub const REFUSED_WAIT_MS: u64 = 60 * 60 * 1_000;

/// The next moment to try, after `failures` failed attempts (at least one).
///
/// The wait doubles up to `longest_ms`; a random half of it, drawn from `seed`, keeps a thousand devices
/// from coming back in the same second. What the cloud asked for is never cut short.
pub fn next_try(
    failures: u32,
    now: Timestamp,
    seed: u64,
    longest_ms: u64,
    asked_ms: Option<u64>,
) -> Timestamp {
    let doubled =
        FIRST_WAIT_MS.saturating_mul(1u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX));
    let full = doubled.min(longest_ms);
    let wait = full / 2 + mix(seed ^ u64::from(failures)) % (full / 2 + 1);
    let wait = wait.max(asked_ms.unwrap_or(0).min(LONGEST_ASKED_MS));
    let wait = SignedDuration::from_millis(i64::try_from(wait).unwrap_or(i64::MAX));
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// A seed for a document: its own, so that no two wait in step.
pub fn seed_of(id: platen_model::DocumentId) -> u64 {
    let (high, low) = id.as_uuid().as_u64_pair();
    mix(high ^ low)
}

/// The finalizer of SplitMix64: every bit of the input moves half of the output's.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wait_ms(failures: u32, seed: u64, asked_ms: Option<u64>) -> u64 {
        let now = Timestamp::UNIX_EPOCH;
        let next = next_try(failures, now, seed, LONGEST_WAIT_MS, asked_ms);
        u64::try_from(next.duration_since(now).as_millis()).expect("never in the past")
    }

    proptest! {
        #[test]
        fn the_wait_grows_to_its_limit_and_no_further(failures in 1u32.., seed: u64) {
            let wait = wait_ms(failures, seed, None);
            let full = FIRST_WAIT_MS.saturating_mul(2u64.saturating_pow(failures - 1)).min(LONGEST_WAIT_MS);
            prop_assert!((full / 2..=full).contains(&wait), "{failures} failures wait {wait} ms of {full}");
        }

        #[test]
        fn what_the_cloud_asks_for_is_waited_within_reason(failures in 1u32..50, seed: u64, asked in 0u64..1 << 40) {
            prop_assert!(wait_ms(failures, seed, Some(asked)) >= asked.min(LONGEST_ASKED_MS));
        }
    }

    #[test]
    fn two_documents_do_not_wait_in_step() {
        let waits: std::collections::BTreeSet<u64> =
            (0..100).map(|seed| wait_ms(9, mix(seed), None)).collect();
        assert!(waits.len() > 90, "{} different waits of 100", waits.len());
    }
}
