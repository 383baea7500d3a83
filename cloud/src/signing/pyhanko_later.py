"""Prints what pyHanko finds of each signature of a file that has to be enough in itself, revocation included:
python pyhanko_later.py FILE TRUSTED.pem"""

import sys

from pyhanko.keys import load_cert_from_pemder
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.dss import DocumentSecurityStore

with open(sys.argv[1], "rb") as file:
    reader = PdfFileReader(file)
    within = {
        "trust_roots": [load_cert_from_pemder(sys.argv[2])],
        "allow_fetching": False,
        "revocation_mode": "require",
    }
    store = DocumentSecurityStore.read_dss(reader)
    for signature in reader.embedded_signatures:
        status = validate_pdf_signature(
            signature,
            signer_validation_context=store.as_validation_context(within),
            ts_validation_context=store.as_validation_context(within),
        )
        stamp = status.timestamp_validity
        print(
            f"intact={status.intact} valid={status.valid} trusted={status.trusted}"
            f" stamped={bool(stamp and stamp.intact and stamp.valid and stamp.trusted)}"
        )
