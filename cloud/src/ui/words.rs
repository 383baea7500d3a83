//! How states, events, times and confidences are said on the screen.

use jiff::Timestamp;
use platen_model::event::{Actor, Event, EventBody, Status};

/// What a state asks of a person; the name of a colour in the style sheet.
pub fn tone(status: Status) -> &'static str {
    match status {
        Status::Received | Status::OcrComplete | Status::Classified | Status::Validated | Status::Routed => {
            "busy"
        }
        Status::EnvelopeCreated | Status::Sent | Status::Viewed => "wait",
        Status::InReview | Status::Declined | Status::Expired | Status::Voided => "person",
        Status::Quarantined | Status::Rejected => "bad",
        Status::Signed | Status::Archived => "good",
        Status::Deleted => "ended",
    }
}

/// A state's name for people.
pub fn label(status: Status) -> String {
    match status {
        Status::InReview => "needs review".into(),
        Status::OcrComplete => "text read".into(),
        other => other.as_str().replace('_', " "),
    }
}

/// Words of types that are initials.
const INITIALS: [&str; 2] = ["hr", "nda"];

/// A name from a rule file or an API as words: `invoice_number` as "Invoice number".
pub fn title_case(name: &str) -> String {
    let words: Vec<_> = name
        .split(['_', '-'])
        .map(|word| if INITIALS.contains(&word) { word.to_uppercase() } else { word.to_owned() })
        .collect();
    let words = words.join(" ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A fragment, as refusals have them, as a sentence.
pub fn as_sentence(fragment: &str) -> String {
    let mut letters = fragment.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let sentence: String = first.chain(letters).collect();
    if sentence.ends_with(['.', '!', '?']) { sentence } else { format!("{sentence}.") }
}

/// A time to the minute.
pub fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A time to the second, for histories.
pub fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A confidence in whole percent, rounded down: 99.6 % is not certainty.
pub fn percent(confidence: f32) -> u32 {
    (confidence.clamp(0.0, 1.0) * 100.0) as u32
}

/// Who caused an event.
pub fn actor(actor: &Actor) -> String {
    match actor {
        Actor::Device(_) => "by the scanning device".into(),
        Actor::Client(_) => "by a program".into(),
        Actor::User(name) => format!("by {name}"),
        Actor::Signer(address) => format!("by {address}"),
        Actor::Provider(name) => format!("told by {name}"),
        Actor::System => String::new(),
    }
}

/// An event as a sentence.
pub fn sentence(event: &Event) -> String {
    match &event.body {
        EventBody::Received { parts, awaiting, .. } if !awaiting.is_empty() => {
            let here = parts.iter().filter(|part| !awaiting.contains(&part.sha256)).count();
            format!("Received with {here} files; {} will follow.", originals(awaiting.len()))
        }
        EventBody::Received { parts, .. } if parts.len() == 1 => "Received as one file.".into(),
        EventBody::Received { parts, .. } => format!("Received with {} files.", parts.len()),
        EventBody::OriginalsArrived { originals: came } => format!("{} followed.", originals(came.len())),
        EventBody::Captured { .. } => "Captured: pages straightened and read, searchable PDF made.".into(),
        EventBody::TextSupplied { .. } => "Page text supplied by a program.".into(),
        EventBody::Reprocessed { reason } => format!("To be captured anew{}", said(reason.as_deref())),
        EventBody::OcrComplete { page_count, ocr_confidence, .. } => {
            let pages = if *page_count == 1 { "1 page".into() } else { format!("{page_count} pages") };
            format!("Text of {pages} in place, read with {} % confidence.", percent(*ocr_confidence))
        }
        EventBody::Classified { decision } => {
            let kind = title_case(&decision.document_type.0);
            format!("Classified as {kind}, {} % sure.", percent(decision.confidence))
        }
        EventBody::FormRecognised { forms, fields } => {
            let names: Vec<&str> = fields.keys().map(String::as_str).collect();
            let form = forms.first().map_or("", |form| form.name.as_str());
            format!("Known as a copy of “{form}”; read where it was shown: {}.", names.join(", "))
        }
        EventBody::ReviewRequested { reasons, .. } => format!("Sent to review: {}", reasons.join(" ")),
        EventBody::Approved { comment, document_type, fields, override_reason, overridden, .. } => {
            let mut text = String::from("Approved");
            if let Some(document_type) = document_type {
                text += &format!(" as {}", title_case(&document_type.0));
            }
            if !fields.is_empty() {
                text += &format!(", {} corrected", named(fields.keys()));
            }
            text += &said(comment.as_deref());
            if let Some(reason) = override_reason {
                let rules: Vec<&str> =
                    overridden.iter().map(|violation| violation.message.as_str()).collect();
                text += &format!(" Overridden, because “{}”: {}", reason.trim(), rules.join(" "));
            }
            text
        }
        EventBody::Rejected { comment } => format!("Rejected{}", said(Some(comment))),
        EventBody::Validated { .. } => "Passed validation.".into(),
        EventBody::Routed { route, provider: Some(provider), recipients, .. } => {
            let addresses: Vec<&str> = recipients.iter().map(|r| r.address.as_str()).collect();
            format!("Routed by “{route}” to {provider} for {}.", addresses.join(", then "))
        }
        EventBody::Routed { route, provider: None, .. } => {
            format!("Routed by “{route}” to the archive, without a signature.")
        }
        EventBody::EnvelopeCreated { provider, .. } => format!("Envelope prepared for {provider}."),
        EventBody::Sent { .. } => "Sent to the signer.".into(),
        EventBody::Viewed { signer } => format!("Opened by {signer}."),
        EventBody::RecipientSigned { signer } => format!("{signer} has done their part."),
        EventBody::Signed { signers, accepted_because: Some(reason), .. } => {
            format!(
                "Taken for signed by {}, though its signatures are broken{}",
                signers.join(" and "),
                said(Some(reason))
            )
        }
        EventBody::Signed { signers, finding, .. } => {
            let found = finding
                .as_ref()
                .map(|finding| format!(" Digital signatures in the PDF: {}.", finding.verdict.as_words()));
            format!("Signed by {}.{}", signers.join(" and "), found.unwrap_or_default())
        }
        EventBody::Declined { signer, reason } => format!("{signer} declined{}", said(Some(reason))),
        EventBody::Expired => "The time to sign ran out.".into(),
        EventBody::Voided { reason } => format!("Withdrawn{}", said(Some(reason))),
        EventBody::Archived { .. } => "Archived with its evidence.".into(),
        EventBody::Quarantined { reason, .. } => format!("Set aside: {reason}."),
        EventBody::Retried => "Sent on its way again.".into(),
        EventBody::Corrected { document_type, fields, department, .. } => {
            let to = document_type.iter().map(|to| format!("it is {}", title_case(&to.0)));
            let fields = (!fields.is_empty()).then(|| named(fields.keys()));
            let department = department.iter().map(|name| format!("the department is {name}"));
            let all: Vec<String> = to.chain(fields).chain(department).collect();
            format!("Corrected: {}.", all.join("; "))
        }
    }
}

/// Fields by their names for people.
fn named<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(|name| title_case(name)).collect::<Vec<_>>().join(", ")
}

/// So many originals.
pub fn originals(count: usize) -> String {
    if count == 1 { "1 original".into() } else { format!("{count} originals") }
}

/// The colour of an event in the history.
pub fn event_tone(body: &EventBody) -> &'static str {
    match body {
        EventBody::Signed { accepted_because: Some(_), .. } => "person",
        EventBody::Approved { .. } | EventBody::Signed { .. } | EventBody::Archived { .. } => "good",
        EventBody::Rejected { .. } | EventBody::Quarantined { .. } => "bad",
        EventBody::ReviewRequested { .. }
        | EventBody::Declined { .. }
        | EventBody::Expired
        | EventBody::Voided { .. } => "person",
        EventBody::EnvelopeCreated { .. }
        | EventBody::Sent { .. }
        | EventBody::Viewed { .. }
        | EventBody::RecipientSigned { .. } => "wait",
        _ => "busy",
    }
}

fn said(comment: Option<&str>) -> String {
    match comment.map(str::trim).filter(|comment| !comment.is_empty()) {
        Some(comment) => format!(": “{comment}”"),
        None => ".".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_files_become_words_and_certainty_is_not_rounded_up() {
        assert_eq!(title_case("invoice_number"), "Invoice number");
        assert_eq!((title_case("hr_form"), title_case("nda")), ("HR form".into(), "NDA".into()));
        assert_eq!(title_case(""), "");
        assert_eq!((percent(0.999), percent(1.0), percent(f32::NAN)), (99, 100, 0));
        assert_eq!(minute(Timestamp::UNIX_EPOCH), "1970-01-01 00:00 UTC");
    }
}
