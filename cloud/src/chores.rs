//! What a server does now and then beside its work: each chore may be done by every node, at any time.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::app::App;
use crate::store::people;
use crate::{blobs, checkpoints, ingest, webhooks};

/// How often uploads whose time is over are forgotten.
const SWEEP: Duration = Duration::from_secs(600);
/// How often copies that the desk could not send are tried again.
const COPIES: Duration = Duration::from_secs(1800);
/// How often garbage is looked for.
const GARBAGE: Duration = Duration::from_secs(6 * 3600);

/// Does the chores until it is aborted.
pub async fn run(app: App) {
    let checkpoints = Duration::from_secs(app.config.limits.checkpoint_seconds.max(1));
    let mut sweeps = pausing(SWEEP);
    let mut copies = pausing(COPIES);
    let mut collections = pausing(GARBAGE);
    let mut checkpoints = pausing(checkpoints);
    loop {
        tokio::select! {
            _ = sweeps.tick() => sweep(&app).await,
            _ = copies.tick() => send_copies(&app).await,
            _ = collections.tick() => {
                forget_deliveries(&app).await;
                forget_ingest(&app).await;
                forget_pictures(&app).await;
                collect(&app).await;
                learn(&app).await;
            }
            _ = checkpoints.tick() => {
                checkpoint(&app).await;
                stamp(&app).await;
            }
        }
    }
}

/// A clock whose first stroke comes after one pause: a server that starts has better things to do.
fn pausing(pause: Duration) -> Interval {
    let mut clock = tokio::time::interval_at(Instant::now() + pause, pause);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    clock
}

async fn sweep(app: &App) {
    if let Err(refusal) = ingest::tus::sweep(app).await {
        tracing::warn!(detail = refusal.problem().detail, "cannot forget old uploads");
    }
}

async fn send_copies(app: &App) {
    if let Err(error) = app.signing.desk.send_copies().await {
        tracing::warn!(%error, "cannot look for copies that were not sent");
    }
}

async fn collect(app: &App) {
    let delay = Duration::from_secs(app.config.limits.garbage_seconds);
    match blobs::garbage::collect(&app.keep, delay).await {
        Ok(done) => tracing::info!(forgotten = done.forgotten, removed = done.removed, "garbage"),
        Err(error) => tracing::warn!(%error, "cannot remove garbage"),
    }
}

async fn forget_deliveries(app: &App) {
    if let Err(error) = webhooks::forget(app).await {
        tracing::warn!(%error, "cannot forget old deliveries");
    }
}

async fn forget_pictures(app: &App) {
    if let Err(error) = crate::ui::pictures::forget(&app.store).await {
        tracing::warn!(%error, "cannot forget old pictures of pages");
    }
}

/// Lets the database learn what it holds, so that it goes on choosing the right indices.
async fn learn(app: &App) {
    if let Err(error) = app.store.learn().await {
        tracing::warn!(%error, "the database cannot look at what it holds");
    }
}

/// Time-stamps for checkpoints, where an authority is configured.
async fn stamp(app: &App) {
    let Some(url) = &app.config.timestamp_url else { return };
    let tenants = match people::tenants(&app.store).await {
        Ok(tenants) => tenants,
        Err(error) => return tracing::warn!(%error, "cannot list tenants"),
    };
    for tenant in tenants {
        match checkpoints::timestamps::stamp(&app.store, &tenant, url).await {
            Ok(0) => {}
            Ok(stamped) => tracing::info!(%tenant, stamped, "checkpoints have their time-stamps"),
            Err(error) => tracing::warn!(%error, %tenant, "no time-stamp; it is asked for again"),
        }
    }
}

async fn forget_ingest(app: &App) {
    match ingest::tus::landing::sweep_pieces(app).await {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "pieces of uploads that nobody recorded were removed"),
        Err(refusal) => tracing::warn!(detail = refusal.problem().detail, "cannot look for stray pieces"),
    }
    if let Err(error) = crate::store::idempotency::forget(&app.store).await {
        tracing::warn!(%error, "cannot forget old idempotency keys");
    }
}

async fn checkpoint(app: &App) {
    let tenants = match people::tenants(&app.store).await {
        Ok(tenants) => tenants,
        Err(error) => return tracing::warn!(%error, "cannot list tenants"),
    };
    for tenant in tenants {
        match checkpoints::make_alone(&app.store, &tenant, &app.checkpoint_key).await {
            Ok(Some(kept)) => tracing::info!(%tenant, number = kept.checkpoint.number, "checkpoint"),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, %tenant, "cannot make a checkpoint"),
        }
    }
}
