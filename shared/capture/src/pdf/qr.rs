//! QR codes, as squares that are dark or light.

use platen_model::{Failure, FailureClass, Stage};
use rxing::qrcode::QRCodeWriter;
use rxing::{BarcodeFormat, EncodeHints, Writer as _};

/// The code of a text, row by row from the top, without the light margin that has to be around it: four squares.
///
/// # Errors
///
/// Where the text is too long for a code.
pub fn qr_code(text: &str) -> Result<Vec<Vec<bool>>, Failure> {
    let hints =
        EncodeHints { ErrorCorrection: Some("M".into()), Margin: Some("0".into()), ..EncodeHints::default() };
    let code =
        QRCodeWriter.encode_with_hints(text, &BarcodeFormat::QR_CODE, 0, 0, &hints).map_err(|error| {
            Failure::new(FailureClass::Internal, Stage::Bind, format!("the values make no code: {error}"))
        })?;
    Ok((0..code.getHeight()).map(|y| (0..code.getWidth()).map(|x| code.get(x, y)).collect()).collect())
}
