//! Exports the functions of ours that stand in for libgomp's (`platen_capture::ocr`): Tesseract asks for them by name and
//! version, and the linker would not think of ours.

fn main() {
    for name in [
        "GOMP_parallel",
        "GOMP_parallel_sections",
        "GOMP_sections_next",
        "GOMP_sections_end_nowait",
        "omp_get_num_threads",
        "omp_get_thread_num",
    ] {
        println!("cargo::rustc-link-arg=-Wl,--export-dynamic-symbol={name}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
