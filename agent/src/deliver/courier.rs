//! The courier: carries a [`Journey`]'s requests over the network, and its decisions past the reactor.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use platen_model::crash;

use super::dispatch::Delivery;
use super::journey::{Journey, Load, Next, Tools};
use super::trouble::Trouble;
use super::wire::{Answer, Cut, Wire};
use crate::outbox::Lease;

/// Carries one document as far as it gets, and gives its lease back.
pub async fn carry(
    tools: Arc<Tools>,
    wire: Wire,
    lease: Lease,
    load: Load,
) -> (Lease, Result<Delivery, Trouble>) {
    let mut journey = Journey::begin(lease, load);
    let mut answer: Option<Result<Answer, Cut>> = None;
    loop {
        let shared = Arc::clone(&tools);
        let came = answer.take();
        let step = move || step(journey, &shared, came);
        let next;
        (journey, next) = match tokio::task::spawn_blocking(step).await {
            Ok(stepped) => stepped,
            // `step` catches what panics; only a runtime that shuts down ends here, and nobody waits for us then.
            Err(_) => std::future::pending().await,
        };
        match next {
            Next::Ended(outcome) => return (journey.into_lease(), outcome),
            Next::Send(request) => {
                let turn_ms = tools.turn_ms(request.body.len(), Timestamp::now());
                tokio::time::sleep(Duration::from_millis(turn_ms)).await;
                answer = Some(wire.exchange(request).await);
                crash::point("an answer has come");
            }
        }
    }
}

/// Takes in what came and asks what is next. A defect of ours that one document meets does not stop all others.
fn step(mut journey: Journey, tools: &Tools, came: Option<Result<Answer, Cut>>) -> (Journey, Next) {
    let next = catch_unwind(AssertUnwindSafe(|| {
        if let Some(came) = came {
            journey.answered(tools, came, Timestamp::now());
        }
        journey.next(tools, Timestamp::now())
    }));
    let message = "the agent panicked; its log says where".to_owned();
    let panicked = || Next::Ended(Err(Trouble::Own { message, needs_person: true }));
    (journey, next.unwrap_or_else(|_| panicked()))
}
