//! Other people's viewers, asked what they make of a PDF: poppler, MuPDF, PDFium, and pdf.js in Chromium.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The page that shows `/document.pdf` with pdf.js.
const PDFJS_PAGE: &str = include_str!("../viewers/pdfjs.html");
/// The script that asks MuPDF.
const MUPDF_SCRIPT: &str = include_str!("../viewers/mupdf.js");
/// The script that asks PDFium.
const PDFIUM_SCRIPT: &str = include_str!("../viewers/pdfium.py");

/// Where `packaging/build-deps.sh --test` puts what is no package of the system.
///
/// # Panics
///
/// Where it was not run.
pub fn installed() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    // target/<profile>/deps/<test>
    let target = test.ancestors().nth(3).expect("tests are three levels below the target folder");
    let folder = target.join("test");
    assert!(folder.is_dir(), "there is no {}; run packaging/build-deps.sh --test", folder.display());
    folder
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// What `pdftotext` reads, with the marks of direction left out.
pub fn poppler(pdf: &Path) -> String {
    let text = said(Command::new("pdftotext").args(["-enc", "UTF-8"]).arg(pdf).arg("-"));
    text.chars().filter(|mark| !('\u{202A}'..='\u{202E}').contains(mark)).collect()
}

/// What PDFium reads on the first page, and the boxes where it finds phrases: `{text, found}`.
pub fn pdfium(pdf: &Path, phrases: &[&str]) -> Value {
    let python = installed().join("python/bin/python");
    let answer = said(Command::new(python).args(["-c", PDFIUM_SCRIPT]).arg(pdf).args(phrases));
    serde_json::from_str(&answer).expect("JSON")
}

/// The boxes where MuPDF finds phrases on the first page: `{phrase: [box, ...]}`.
pub fn mupdf(pdf: &Path, phrases: &[&str]) -> Value {
    let mut script = tempfile::NamedTempFile::new().expect("a file");
    script.write_all(MUPDF_SCRIPT.as_bytes()).expect("write");
    serde_json::from_str(&said(Command::new("mutool").arg("run").arg(script.path()).arg(pdf).args(phrases)))
        .expect("JSON")
}

/// What the validator of hOCR has to say against a file; nothing if it is in order.
pub fn hocr_faults(hocr: &Path) -> String {
    let validator = installed().join("python/bin/hocr-spec");
    let mut command = Command::new(validator);
    let output = command.args(["--profile", "standard"]).arg(hocr).output();
    let output =
        output.unwrap_or_else(|error| panic!("hocr-spec: {error}; run packaging/build-deps.sh --test"));
    match output.status.success() {
        true => String::new(),
        false => String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
    }
}

/// Serves a PDF with pdf.js on this machine until the process ends; answers the address of the page that shows it.
pub fn serve_with_pdfjs(pdf: Vec<u8>) -> String {
    let package = installed().join("node_modules/pdfjs-dist");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}/", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A browser that went away needs no answer.
            let _ = answer(stream, &package, &pdf);
        }
    });
    address
}

fn answer(mut stream: TcpStream, package: &Path, pdf: &[u8]) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let path = request.split(' ').nth(1).unwrap_or("/");
    let (mime, body) = match path {
        "/" => ("text/html", PDFJS_PAGE.as_bytes().to_vec()),
        "/document.pdf" => ("application/pdf", pdf.to_vec()),
        "/build/pdf.mjs" | "/build/pdf.worker.mjs" | "/web/pdf_viewer.mjs" => {
            let file = path.replace("/build/", "/legacy/build/").replace("/web/", "/legacy/web/");
            ("text/javascript", std::fs::read(package.join(&file[1..]))?)
        }
        "/web/pdf_viewer.css" => ("text/css", std::fs::read(package.join("legacy/web/pdf_viewer.css"))?),
        _ => {
            return stream
                .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {mime}; charset=utf-8\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(&body)
}
