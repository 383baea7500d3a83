"""Prints what pyHanko finds of each signature in a PDF: python pyhanko.py FILE TRUSTED.pem"""

import sys

from pyhanko.keys import load_cert_from_pemder
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

with open(sys.argv[1], "rb") as file:
    reader = PdfFileReader(file)
    trusted = ValidationContext(trust_roots=[load_cert_from_pemder(sys.argv[2])])
    for signature in reader.embedded_signatures:
        status = validate_pdf_signature(signature, trusted)
        stamp = status.timestamp_validity
        print(
            f"intact={status.intact} valid={status.valid} trusted={status.trusted}"
            f" coverage={status.coverage.name} changes={status.modification_level.name}"
            f" stamped={bool(stamp and stamp.intact and stamp.valid)}"
        )
