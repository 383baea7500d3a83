//! Callbacks that carry the right signature and say something else than their provider would: each is read or refused, none
//! brings the server down.

use std::cell::Cell;

use super::*;
use crate::fuzz_tests::fuzz;

/// A body with what proves that it is its provider's.
fn signed(kind: Kind, second: i64, body: Vec<u8>) -> Sent {
    let header = |name: &str, value: String| vec![(name.to_owned(), value)];
    let headers = match kind {
        Kind::Documenso => header("x-documenso-secret", WEBHOOK_SECRET.into()),
        Kind::Docuseal => {
            let tag = hex(&hmac(WEBHOOK_SECRET, &[format!("{second}.").as_bytes(), &body].concat()));
            header("x-docuseal-signature", format!("{second}.{tag}"))
        }
        Kind::Docusign => header("x-docusign-signature-1", base64(&hmac(WEBHOOK_SECRET, &body))),
        // Its proof is in the body, over its time and type.
        Kind::DropboxSign => header("content-type", "multipart/form-data; boundary=x".into()),
        Kind::Foxit => header("x-foxit-signature", base64(&hmac(WEBHOOK_SECRET, &body))),
        Kind::Esignly => Vec::new(),
    };
    Sent { headers, query: String::new(), body }
}

#[test]
fn a_callback_that_is_signed_may_say_anything_and_is_read_or_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let now = Timestamp::now().as_second();
    for kind in ALL {
        let trial = runtime.block_on(Trial::new(kind));
        let genuine = sent(kind, WEBHOOK_SECRET, now).body;
        let expected = trial.provider.capabilities().callbacks != Callbacks::None;
        assert_eq!(verify(&trial, &signed(kind, now, genuine.clone()), now).is_ok(), expected, "{kind:?}");
        let read = Cell::new(0u32);
        fuzz(&[&genuine], |input| {
            if verify(&trial, &signed(kind, now, input.to_vec()), now).is_ok() {
                read.set(read.get() + 1);
            }
            trial.provider.redact(input);
        });
        assert_eq!(read.get() > 0, expected, "{kind:?}: nothing came past the signature");
    }
}
