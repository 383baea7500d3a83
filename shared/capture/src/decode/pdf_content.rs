//! What a PDF page draws, as far as it decides how the page is decoded: where its images stand, and whether
//! anything else leaves ink.

use hayro_syntax::Filter;
use hayro_syntax::content::TypedIter;
use hayro_syntax::content::ops::TypedInstruction;
use hayro_syntax::object::{Dict, Name, Object, Stream};
use hayro_syntax::page::{Page, Resources};

/// How deep form XObjects may nest before the page counts as more than an image.
const DEPTH_MAX: u32 = 8;
/// How many instructions are looked at before the page counts as more than an image. A page with a hidden text
/// layer has some ten thousand.
const INSTRUCTIONS_MAX: u32 = 200_000;

type Matrix = [f64; 6];

/// An image on the page.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    /// From the unit square to the page's points.
    pub(super) matrix: Matrix,
    pub(super) width: u32,
    pub(super) height: u32,
    /// Bits of a component; 1 for stencils.
    pub(super) bits: u32,
    /// The image's bytes, where they are a JPEG in plain gray or RGB without mask.
    pub(super) jpeg: Option<Vec<u8>>,
}

/// The outcome.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) images: Vec<Placement>,
    /// Whether anything but images is visible: paths, shadings, text that is not hidden.
    pub(super) other_ink: bool,
    instructions: u32,
}

/// Walks the page's instructions.
pub(super) fn placements(page: &Page<'_>) -> Content {
    let mut content = Content::default();
    let identity = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];
    content.walk(page.typed_operations(), page.resources(), identity, 0);
    content
}

/// What `q` saves and `Q` restores.
#[derive(Clone, Copy)]
struct State {
    matrix: Matrix,
    text_hidden: bool,
}

impl Content {
    fn walk(
        &mut self,
        mut instructions: TypedIter<'_>,
        resources: &Resources<'_>,
        matrix: Matrix,
        depth: u32,
    ) {
        use TypedInstruction as I;
        let mut state = State { matrix, text_hidden: false };
        let mut saved = Vec::new();
        while let Some(instruction) = instructions.next() {
            self.instructions += 1;
            if self.instructions > INSTRUCTIONS_MAX {
                self.other_ink = true;
                return;
            }
            match instruction {
                I::SaveState(_) => saved.push(state),
                I::RestoreState(_) => state = saved.pop().unwrap_or(state),
                I::Transform(by) => {
                    let [a, b, c, d, e, f] = [&by.0, &by.1, &by.2, &by.3, &by.4, &by.5].map(|n| n.as_f64());
                    state.matrix = product(state.matrix, [a, b, c, d, e, f]);
                }
                I::TextRenderingMode(mode) => state.text_hidden = mode.0.as_i64() == 3,
                I::XObject(object) => self.draw(object.0, resources, state.matrix, depth),
                I::ShowText(_)
                | I::NextLineAndShowText(_)
                | I::ShowTextWithParameters(_)
                | I::ShowTexts(_) => self.other_ink |= !state.text_hidden,
                I::StrokePath(_)
                | I::CloseAndStrokePath(_)
                | I::FillPathNonZero(_)
                | I::FillPathNonZeroCompatibility(_)
                | I::FillPathEvenOdd(_)
                | I::FillAndStrokeNonZero(_)
                | I::FillAndStrokeEvenOdd(_)
                | I::CloseFillAndStrokeNonZero(_)
                | I::CloseFillAndStrokeEvenOdd(_)
                | I::Shading(_)
                | I::InlineImage(_) => self.other_ink = true,
                _ => {}
            }
        }
    }

    fn draw(&mut self, name: &Name<'_>, resources: &Resources<'_>, matrix: Matrix, depth: u32) {
        let Some(object) = resources.get_x_object(name) else { return };
        let dictionary = object.dict();
        match dictionary.get::<Name<'_>>("Subtype").as_deref() {
            Some(b"Image") => self.images.push(placement(&object, matrix)),
            Some(b"Form") if depth < DEPTH_MAX => {
                let own = dictionary.get::<[f64; 6]>("Matrix").map_or(matrix, |own| product(matrix, own));
                let resources = match dictionary.get::<Dict<'_>>("Resources") {
                    Some(own) => Resources::new(own),
                    None => resources.clone(),
                };
                match object.decoded_data() {
                    Ok(data) => self.walk(TypedIter::new(&data), &resources, own, depth + 1),
                    Err(_) => self.other_ink = true,
                }
            }
            _ => self.other_ink = true,
        }
    }
}

fn placement(image: &Stream<'_>, matrix: Matrix) -> Placement {
    let dictionary = image.dict();
    let number = |name: &str| dictionary.get::<u32>(name).unwrap_or(0);
    let stencil = dictionary.get::<bool>("ImageMask").unwrap_or(false);
    let filters = image.filters();
    let plain = ["SMask", "Mask", "Decode"].iter().all(|name| !dictionary.contains_key(name));
    let colours = match dictionary.get::<Object<'_>>("ColorSpace") {
        Some(Object::Name(name)) => matches!(&*name, b"DeviceGray" | b"DeviceRGB"),
        Some(Object::Array(array)) => array
            .iter::<Name<'_>>()
            .next()
            .is_some_and(|kind| matches!(&*kind, b"ICCBased" | b"CalGray" | b"CalRGB")),
        _ => false,
    };
    let jpeg = matches!(filters.as_slice(), [Filter::DctDecode]) && plain && colours && !stencil;
    Placement {
        matrix,
        width: number("Width"),
        height: number("Height"),
        bits: if stencil { 1 } else { number("BitsPerComponent") },
        jpeg: jpeg.then(|| image.raw_data().into_owned()),
    }
}

/// The matrix that applies `second` first, as `cm` does (ISO 32000-1, 8.3.4).
fn product(first: Matrix, second: Matrix) -> Matrix {
    let [a, b, c, d, e, f] = first;
    let [p, q, r, s, t, u] = second;
    [a * p + c * q, b * p + d * q, a * r + c * s, b * r + d * s, a * t + c * u + e, b * t + d * u + f]
}
