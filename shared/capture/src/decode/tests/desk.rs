//! What lies open on a worker's desk.

use std::time::{Duration, SystemTime};

use crate::Passwords;

use super::*;

#[test]
fn a_file_stays_open_until_it_changes_or_another_is_laid_in_its_place() {
    let limits = Limits::default();
    let small = coded(DynamicImage::ImageLuma8(drawing(40, 30)), ImageFormat::Png);
    let large = coded(DynamicImage::ImageLuma8(drawing(80, 60)), ImageFormat::Png);
    let mut desk = Desk::default();
    let width = |desk: &mut Desk, file: &File| {
        let document = desk
            .lay(file.try_clone().expect("a second handle"), &limits, &Passwords::default())
            .expect("it opens");
        document.page(0, &limits).expect("it decodes").dimensions().0
    };

    let mut changing = file(&small);
    assert_eq!(width(&mut desk, &changing), 40);
    let other = file(&large);
    assert_eq!(width(&mut desk, &other), 80);
    assert_eq!(width(&mut desk, &changing), 40);

    changing.set_len(0).expect("emptied");
    std::io::Seek::rewind(&mut changing).expect("rewound");
    changing.write_all(&large).expect("written");
    // Two writes within one tick of the clock have the same time; a person is not that fast.
    let later = SystemTime::now() + Duration::from_secs(5);
    changing.set_modified(later).expect("a time");
    assert_eq!(width(&mut desk, &changing), 80, "what was read before is not shown again");
}
