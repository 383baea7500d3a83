//! Waiting for a condition, with a deadline and a sentence for when it does not come.

use std::time::{Duration, Instant};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks at `condition` until it yields something; fails with `what` after `deadline`.
pub async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> F,
) -> Result<T, String> {
    let start = Instant::now();
    loop {
        if let Some(found) = condition().await {
            return Ok(found);
        }
        if start.elapsed() > deadline {
            return Err(format!("waited {} s in vain for: {what}", deadline.as_secs()));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
