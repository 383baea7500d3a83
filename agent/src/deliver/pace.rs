//! How much is sent at once, and how fast.

use jiff::Timestamp;

/// The first chunk.
const FIRST_BYTES: u64 = 256 << 10;
/// The smallest chunk, where the configuration allows it to be so large.
const LEAST_BYTES: u64 = 4 << 10;
/// A chunk that takes longer does not grow; one that takes twice as long shrinks.
const SLOW_MS: u64 = 5_000;

/// On a link that allows only chunks smaller than this, chunks go without a checksum.
const CHECKED_FROM_BYTES: u64 = 64 << 10;

/// The length of the next chunk, and whether it carries a checksum.
///
/// A chunk with a checksum is kept as a whole or not at all, so what is cut off is lost: on a link with cuts chunks
/// shrink. Small ones cost more in headers and round trips than they save; so on a link that is cut all the time a
/// chunk is long and has no checksum, and the cloud keeps every byte that came. The digest of the whole part is
/// checked in any case; where it shows that bytes were changed on their way, chunks have checksums from then on.
///
/// Chunks double until the first cut. From then on they grow by a thirty-second part with each that got through and halve with
/// each that was cut.
#[derive(Clone, Debug)]
pub struct ChunkSize {
    bytes: u64,
    most: u64,
    was_cut: bool,
    corrupts: bool,
}

/// One chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its length.
    pub bytes: u64,
    /// Whether it carries a checksum.
    pub checked: bool,
}

impl ChunkSize {
    /// Chunks of at most so many bytes.
    pub fn new(most: u64) -> Self {
        Self { bytes: FIRST_BYTES.min(most), most, was_cut: false, corrupts: false }
    }

    /// The next chunk.
    pub fn next(&self) -> Chunk {
        let checked = self.corrupts || self.bytes >= CHECKED_FROM_BYTES.min(self.most);
        Chunk { bytes: if checked { self.bytes } else { self.most }, checked }
    }

    /// Bytes were changed on their way.
    pub fn was_corrupted(&mut self) {
        self.corrupts = true;
    }

    /// A whole chunk of this length got through in this time.
    pub fn got_through(&mut self, bytes: u64, took_ms: u64) {
        if took_ms >= 2 * SLOW_MS {
            self.shrink();
        } else if took_ms < SLOW_MS && bytes >= self.bytes {
            let grown = if self.was_cut { self.bytes + self.bytes / 32 } else { self.bytes * 2 };
            self.bytes = grown.min(self.most);
        }
    }

    /// Somebody on the way takes no request with so many bytes. Answers whether smaller ones can be tried.
    pub fn was_too_large(&mut self, bytes: u64) -> bool {
        if bytes <= LEAST_BYTES {
            return false;
        }
        self.most = (bytes / 2).max(LEAST_BYTES).min(self.most);
        self.bytes = self.bytes.min(self.most);
        true
    }

    /// A chunk was cut off.
    pub fn was_cut(&mut self) {
        self.was_cut = true;
        self.shrink();
    }

    fn shrink(&mut self) {
        self.bytes = (self.bytes / 2).max(LEAST_BYTES).min(self.most);
    }
}

/// A cap on bytes per second, over all documents: a bucket that fills at that rate and may be overdrawn by one chunk.
#[derive(Clone, Debug)]
pub struct Bandwidth {
    bytes_per_s: u64,
    /// Until when everything sent so far takes at this rate.
    busy_until: Option<Timestamp>,
}

impl Bandwidth {
    /// A cap; `None` for none.
    pub fn new(bytes_per_s: Option<u64>) -> Self {
        Self { bytes_per_s: bytes_per_s.unwrap_or(0), busy_until: None }
    }

    /// The largest chunk under this cap: what goes in two seconds, so that others get their turn.
    pub fn chunk_bytes(&self) -> u64 {
        if self.bytes_per_s == 0 { u64::MAX } else { self.bytes_per_s.saturating_mul(2).max(1) }
    }

    /// Takes a place for so many bytes, and answers how long to wait before they are sent, in milliseconds.
    pub fn take(&mut self, bytes: usize, now: Timestamp) -> u64 {
        if self.bytes_per_s == 0 {
            return 0;
        }
        let longest = super::backoff::LONGEST_ASKED_MS;
        let wait = self.busy_until.map_or(0, |until| until.duration_since(now).as_millis());
        // A longer one comes of a clock that was set back.
        let wait = u64::try_from(wait).ok().filter(|wait| *wait <= longest).unwrap_or(0);
        let takes = (bytes as u64).saturating_mul(1_000) / self.bytes_per_s;
        self.busy_until = Some(super::breaker::later(now, wait.saturating_add(takes)));
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_spreads_chunks_over_time() {
        let now = Timestamp::UNIX_EPOCH;
        let mut cap = Bandwidth::new(Some(1_000));
        assert_eq!(cap.take(2_000, now), 0);
        assert_eq!(cap.take(500, now), 2_000);
        assert_eq!(cap.take(500, super::super::breaker::later(now, 2_400)), 100);
        assert_eq!(Bandwidth::new(None).take(usize::MAX, now), 0);
    }

    /// Sends 40 MB over a link of this speed that is cut in this rhythm, and answers the share sent in vain.
    fn waste(bytes_per_s: u64, round_trip_ms: u64, cut_every_ms: u64) -> f64 {
        let mut size = ChunkSize::new(4 << 20);
        let (mut left, mut sent, mut clock) = (40_000_000u64, 0u64, 0u64);
        while left > 0 {
            let Chunk { bytes, checked } = size.next();
            let chunk = bytes.min(left);
            let takes = round_trip_ms + chunk * 1_000 / bytes_per_s;
            let cut_at = (clock / cut_every_ms + 1) * cut_every_ms;
            if clock + takes <= cut_at {
                clock += takes;
                (left, sent) = (left - chunk, sent + chunk);
                size.got_through(chunk, takes);
            } else {
                let came = (cut_at - clock) * bytes_per_s / 1_000;
                sent += came;
                left -= if checked { 0 } else { came };
                clock = cut_at + round_trip_ms;
                size.was_cut();
            }
        }
        sent as f64 / 40_000_000.0 - 1.0
    }

    #[test]
    fn chunks_that_a_proxy_does_not_take_become_smaller_and_stay_so() {
        let mut size = ChunkSize::new(4 << 20);
        let takes = 100_000;
        let mut refused = 0;
        for _ in 0..100 {
            let Chunk { bytes, .. } = size.next();
            if bytes > takes {
                refused += 1;
                assert!(size.was_too_large(bytes));
            } else {
                size.got_through(bytes, 10);
            }
        }
        assert_eq!(refused, 2, "256 KiB, 128 KiB, then never again");
        assert!(!ChunkSize::new(1 << 20).was_too_large(LEAST_BYTES), "smaller ones make no sense");
    }

    #[test]
    fn over_a_link_that_is_cut_every_five_seconds_little_is_sent_in_vain() {
        for (bytes_per_s, round_trip_ms) in [(7_000, 20), (7_000, 400), (100_000, 50), (1_000_000, 50)] {
            let waste = waste(bytes_per_s, round_trip_ms, 5_000);
            assert!(waste < 0.10, "{bytes_per_s} B/s, {round_trip_ms} ms: {waste:.3} in vain");
        }
    }
}
