//! What a PDF page draws, as far as it decides how the page is decoded: where its images stand, and whether
//! anything else leaves ink.

use hayro_syntax::Filter;
use hayro_syntax::content::TypedIter;
use hayro_syntax::content::ops::TypedInstruction;
use hayro_syntax::object::{Dict, Name, Number, Object, Stream};
use hayro_syntax::page::{Page, Resources};

use super::jpeg2000;

/// How deep form XObjects may nest before the page counts as more than an image.
const DEPTH_MAX: u32 = 8;
/// How many instructions are looked at before the page counts as more than an image. A page with a hidden text
/// layer has some ten thousand.
const INSTRUCTIONS_MAX: u32 = 200_000;
/// How many images are noted before the page counts as more than images. Some devices write one for each 16 rows.
const IMAGES_MAX: usize = 1_024;

pub(super) type Matrix = [f64; 6];

/// A rectangle in the page's points: left, lower, right and upper edge.
pub(super) type Area = [f64; 4];

/// An image on the page.
#[derive(Clone, Debug)]
pub(super) struct Placement<'a> {
    /// From the unit square to the page's points.
    pub(super) matrix: Matrix,
    pub(super) width: u32,
    pub(super) height: u32,
    /// The size that the file states, where it is decoded in a smaller one.
    pub(super) full: Option<(u32, u32)>,
    /// Bits of a component; 1 for stencils.
    pub(super) bits: u32,
    /// The colour (red, green, blue) that a stencil lays down where it is dark; `None` for what is no stencil.
    pub(super) ink: Option<[u8; 3]>,
    /// Where it is visible; all of it where this is `None`.
    pub(super) clip: Option<Area>,
    /// Its data, for who lays out the page; `None` for an image among the instructions, which is left to the renderer.
    pub(super) stream: Option<Stream<'a>>,
}

/// The outcome.
#[derive(Debug, Default)]
pub(super) struct Content<'a> {
    pub(super) images: Vec<Placement<'a>>,
    /// Whether anything but images is visible (paths, shadings, text that is not hidden), or an image in an unusual
    /// way.
    pub(super) other_ink: bool,
    /// Whether something is to be shown that is not in the file.
    pub(super) is_missing: bool,
    instructions: u32,
}

/// Walks the page's instructions.
pub(super) fn placements<'a>(page: &Page<'a>) -> Content<'a> {
    let mut content = Content::default();
    let state = State {
        matrix: [1.0, 0.0, 0.0, 1.0, 0.0, 0.0],
        text_hidden: false,
        fill: BLACK,
        clip: None,
        plain: true,
    };
    content.walk(page.typed_operations(), page.resources(), state, 0);
    content
}

/// The colour that areas and stencils are filled with: red, green and blue, where it is known.
type Fill = Option<[u8; 3]>;

const BLACK: Fill = Some([0; 3]);
const WHITE: Fill = Some([255; 3]);

/// What `q` saves and `Q` restores.
#[derive(Clone, Copy)]
struct State {
    matrix: Matrix,
    text_hidden: bool,
    fill: Fill,
    clip: Option<Area>,
    /// Whether what is drawn covers what is below, within a rectangle.
    plain: bool,
}

impl<'a> Content<'a> {
    fn walk(&mut self, mut instructions: TypedIter<'_>, resources: &Resources<'a>, state: State, depth: u32) {
        use TypedInstruction as I;
        let mut state = state;
        let mut saved = Vec::new();
        let mut path = Outline::default();
        while let Some(instruction) = instructions.next() {
            self.instructions += 1;
            if self.instructions > INSTRUCTIONS_MAX || self.images.len() > IMAGES_MAX {
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
                I::SetGraphicsState(named) => {
                    state.plain &= resources.get_ext_g_state(named.0).is_none_or(|entries| covers(&entries));
                }
                I::NonStrokeColorDeviceGray(gray) => state.fill = colour([gray.0, gray.0, gray.0]),
                I::NonStrokeColorDeviceRgb(rgb) => state.fill = colour([rgb.0, rgb.1, rgb.2]),
                I::NonStrokeColorCmyk(cmyk) => {
                    let black = cmyk.3.as_f64() >= 1.0;
                    state.fill = if black { BLACK } else { None };
                }
                I::ColorSpaceNonStroke(_) | I::NonStrokeColor(_) | I::NonStrokeColorNamed(_) => {
                    state.fill = None;
                }
                I::RectPath(by) => {
                    let [x, y, w, h] = [&by.0, &by.1, &by.2, &by.3].map(|n| n.as_f64());
                    for (x, y) in [(x, y), (x + w, y), (x + w, y + h), (x, y + h)] {
                        path.add(state.matrix, x, y);
                    }
                }
                I::MoveTo(to) => path.add(state.matrix, to.0.as_f64(), to.1.as_f64()),
                I::LineTo(to) => path.add(state.matrix, to.0.as_f64(), to.1.as_f64()),
                I::CubicTo(_) | I::CubicStartTo(_) | I::CubicEndTo(_) => path.curved = true,
                I::ClipNonZero(_) | I::ClipEvenOdd(_) => match path.rectangle() {
                    Some(area) => state.clip = Some(state.clip.map_or(area, |clip| common(clip, area))),
                    None => state.plain = false,
                },
                I::EndPath(_) => path = Outline::default(),
                I::FillPathNonZero(_) | I::FillPathNonZeroCompatibility(_) | I::FillPathEvenOdd(_) => {
                    // White on the white page below the images is nothing.
                    self.other_ink |= state.fill != WHITE || !self.images.is_empty();
                    path = Outline::default();
                }
                I::StrokePath(_)
                | I::CloseAndStrokePath(_)
                | I::FillAndStrokeNonZero(_)
                | I::FillAndStrokeEvenOdd(_)
                | I::CloseFillAndStrokeNonZero(_)
                | I::CloseFillAndStrokeEvenOdd(_) => {
                    self.other_ink = true;
                    path = Outline::default();
                }
                I::TextRenderingMode(mode) => state.text_hidden = mode.0.as_i64() == 3,
                I::XObject(object) => self.draw(object.0, resources, state, depth),
                I::ShowText(_)
                | I::NextLineAndShowText(_)
                | I::ShowTextWithParameters(_)
                | I::ShowTexts(_) => self.other_ink |= !state.text_hidden,
                I::InlineImage(image) => self.inline(image.0, &state),
                I::Shading(_) => self.other_ink = true,
                _ => {}
            }
        }
    }

    fn draw(&mut self, name: &Name<'_>, resources: &Resources<'a>, mut state: State, depth: u32) {
        let Some(object) = resources.get_x_object(name) else {
            self.is_missing = true;
            return;
        };
        let dictionary = object.dict();
        match dictionary.get::<Name<'_>>("Subtype").as_deref() {
            Some(b"Image") => self.image(object, &state),
            Some(b"Form") if depth < DEPTH_MAX => {
                if let Some(own) = dictionary.get::<[f64; 6]>("Matrix") {
                    state.matrix = product(state.matrix, own);
                }
                if let Some([x0, y0, x1, y1]) = dictionary.get::<[f64; 4]>("BBox") {
                    let mut frame = Outline::default();
                    for (x, y) in [(x0, y0), (x1, y0), (x1, y1), (x0, y1)] {
                        frame.add(state.matrix, x, y);
                    }
                    match frame.rectangle() {
                        Some(area) => {
                            state.clip = Some(state.clip.map_or(area, |clip| common(clip, area)));
                        }
                        None => state.plain = false,
                    }
                }
                let resources = match dictionary.get::<Dict<'_>>("Resources") {
                    Some(own) => Resources::new(own),
                    None => resources.clone(),
                };
                match object.decoded_data() {
                    Ok(data) => self.walk(TypedIter::new(&data), &resources, state, depth + 1),
                    Err(_) => self.other_ink = true,
                }
            }
            _ => self.other_ink = true,
        }
    }

    fn image(&mut self, image: Stream<'a>, state: &State) {
        let dictionary = image.dict();
        let number = |name: &str| dictionary.get::<u32>(name).unwrap_or(0);
        let stencil = dictionary.get::<bool>("ImageMask").unwrap_or(false);
        let full = (number("Width"), number("Height"));
        let bits = number("BitsPerComponent");
        let is_coded_in_levels = image.filters().last() == Some(&Filter::JpxDecode);
        let size = if is_coded_in_levels { jpeg2000::fitting(full) } else { full };
        let full = Some(full).filter(|full| *full != size);
        let placed = self.placed(size, bits, stencil, state);
        self.images.push(Placement { full, stream: Some(image), ..placed });
    }

    /// An image among the instructions, as gateways of fax machines write their pages.
    fn inline(&mut self, image: &Stream<'_>, state: &State) {
        let dictionary = image.dict();
        // Its entries have short names, and may have the long ones.
        let number = |short: &str, long: &str| {
            dictionary.get::<u32>(short).or_else(|| dictionary.get::<u32>(long)).unwrap_or(0)
        };
        let size = (number("W", "Width"), number("H", "Height"));
        if size.0 == 0 || size.1 == 0 {
            self.other_ink = true;
            return;
        }
        let stencil = dictionary.get::<bool>("IM").or_else(|| dictionary.get::<bool>("ImageMask"));
        let colours =
            dictionary.get::<Object<'_>>("CS").or_else(|| dictionary.get::<Object<'_>>("ColorSpace"));
        let is_gray = matches!(&colours, Some(Object::Name(name)) if matches!(&**name, b"G" | b"DeviceGray"));
        // The two colours of one bit need not be black and white.
        let bits = if is_gray { number("BPC", "BitsPerComponent") } else { 8 };
        let placed = self.placed(size, bits, stencil.unwrap_or(false), state);
        self.images.push(placed);
    }

    /// An image where it stands, without its data.
    fn placed(
        &mut self,
        (width, height): (u32, u32),
        bits: u32,
        stencil: bool,
        state: &State,
    ) -> Placement<'a> {
        self.other_ink |= !state.plain || (stencil && state.fill.is_none());
        Placement {
            matrix: state.matrix,
            width,
            height,
            full: None,
            bits: if stencil { 1 } else { bits },
            ink: state.fill.filter(|_| stencil),
            clip: state.clip,
            stream: None,
        }
    }
}

/// The corners of a path.
#[derive(Default)]
struct Outline {
    points: Vec<(f64, f64)>,
    curved: bool,
}

impl Outline {
    fn add(&mut self, [a, b, c, d, e, f]: Matrix, x: f64, y: f64) {
        // Five close a rectangle; with more it is none.
        if self.points.len() <= 5 {
            self.points.push((a * x + c * y + e, b * x + d * y + f));
        }
    }

    /// The rectangle that it is, if it is one that lies straight.
    fn rectangle(&self) -> Option<Area> {
        let area = self.points.iter().fold([f64::MAX, f64::MAX, f64::MIN, f64::MIN], |area, &(x, y)| {
            [area[0].min(x), area[1].min(y), area[2].max(x), area[3].max(y)]
        });
        let near =
            |value: f64, one: f64, other: f64| (value - one).abs() < 0.1 || (value - other).abs() < 0.1;
        let corners =
            self.points.iter().all(|&(x, y)| near(x, area[0], area[2]) && near(y, area[1], area[3]));
        (!self.curved && matches!(self.points.len(), 4 | 5) && corners).then_some(area)
    }
}

/// Whether what is drawn with these entries of an `ExtGState` covers what is below.
fn covers(entries: &Dict<'_>) -> bool {
    let opaque = entries.get::<f64>("ca").is_none_or(|opacity| opacity >= 1.0);
    let unmasked = entries.get::<Dict<'_>>("SMask").is_none();
    let normal = match entries.get::<Object<'_>>("BM") {
        Some(Object::Name(mode)) => matches!(&*mode, b"Normal" | b"Compatible"),
        Some(_) => false,
        None => true,
    };
    opaque && unmasked && normal
}

fn colour(components: [Number; 3]) -> Fill {
    Some(components.map(|component| (component.as_f64().clamp(0.0, 1.0) * 255.0).round() as u8))
}

fn common(one: Area, other: Area) -> Area {
    [one[0].max(other[0]), one[1].max(other[1]), one[2].min(other[2]), one[3].min(other[3])]
}

/// The matrix that applies `second` first, as `cm` does (ISO 32000-1, 8.3.4).
fn product(first: Matrix, second: Matrix) -> Matrix {
    let [a, b, c, d, e, f] = first;
    let [p, q, r, s, t, u] = second;
    [a * p + c * q, b * p + d * q, a * r + c * s, b * r + d * s, a * t + c * u + e, b * t + d * u + f]
}
