//! What the office does at its own desk for a signer: shows the link of an envelope, as a code for the signer's own
//! telephone, and sets a PIN. Who showed a link is written down: whoever has it can sign.

use std::fmt::Write as _;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};
use platen_capture::pdf::qr_code;
use platen_model::EnvelopeId;
use serde::Deserialize;

use super::actions::{Token, allow, find};
use super::session::SignedIn;
use super::{PageResult, frame, html};
use crate::app::App;
use crate::auth::User;
use crate::http::read::Form;
use crate::refusal::Refusal;
use crate::signing::desk::front::Seat;
use crate::signing::http::{refusal, set_pin};
use crate::store::audit;

/// The light squares around a code.
const QUIET: usize = 4;

#[derive(Debug, Template)]
#[template(path = "desk_link.html")]
struct LinkPage {
    frame: frame::Frame,
    id: String,
    title: String,
    address: String,
    link: String,
    /// The code as a path of squares, and its side with the light ones around it.
    squares: String,
    side: usize,
}

/// The form that sets a PIN.
#[derive(Debug, Deserialize)]
pub(super) struct PinForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    pin: String,
}

/// `POST /documents/{id}/desk/{position}/link`.
pub(super) async fn link(
    State(app): State<App>,
    who: SignedIn,
    Path((id, position)): Path<(String, u32)>,
    Form(form): Form<Token>,
) -> PageResult {
    allow(&who.0, Some(&form.csrf))?;
    let (title, envelope, seat) = seat(&app, &who.0, &id, position).await?;
    let link = app.signing.desk.link(&who.0.tenant, envelope, position).map_err(refusal)?;
    let mut write = app.store.begin().await?;
    let subject = format!("envelope {envelope}");
    audit::add(&mut write, &who.0.tenant, &who.0.name, "signing.link.shown", &subject, &seat.address).await?;
    write.commit().await?;
    let code = qr_code(&link).map_err(Refusal::internal)?;
    html(&LinkPage {
        frame: who.frame(&app, "documents").await?,
        id,
        title,
        address: seat.address,
        side: code.len() + 2 * QUIET,
        squares: squares(&code),
        link,
    })
}

/// `POST /documents/{id}/desk/{position}/pin`.
pub(super) async fn pin(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Path((id, position)): Path<(String, u32)>,
    Form(form): Form<PinForm>,
) -> PageResult {
    allow(&user, Some(&form.csrf))?;
    let (_, envelope, _) = seat(&app, &user, &id, position).await?;
    set_pin(&app, &user.tenant.clone(), &user.name.clone(), envelope, position, form.pin.trim()).await?;
    Ok(Redirect::to(&format!("/documents/{id}")).into_response())
}

/// The signer at a place of a document's envelope, who is still waited for.
async fn seat(
    app: &App,
    user: &User,
    id: &str,
    position: u32,
) -> Result<(String, EnvelopeId, Seat), Refusal> {
    let record = find(app, user, id).await?;
    let nobody = || Refusal::not_found("signer at the desk who is waited for");
    let envelope = record.document.envelope_id.ok_or_else(nobody)?;
    let front = app.signing.desk.front(&user.tenant, envelope).await.map_err(refusal)?;
    let seat = front.seats.into_iter().find(|seat| seat.position == position && seat.waited_for);
    Ok((record.document.file_name, envelope, seat.ok_or_else(nobody)?))
}

/// The dark squares as the data of an SVG path.
fn squares(code: &[Vec<bool>]) -> String {
    let mut path = String::new();
    for (y, row) in code.iter().enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|one, next| one == next) {
            if run[0] {
                let _ = write!(path, "M{} {}h{}v1h-{}z", x + QUIET, y + QUIET, run.len(), run.len());
            }
            x += run.len();
        }
    }
    path
}
