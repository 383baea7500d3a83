"""Makes signed PDFs for tests, with keys of its own: python pyhanko_make.py WHAT FOLDER [ARGUMENT...]

keys FOLDER                     root.pem, and key and certificate (*.key.pem, *.pem) of signers and an authority under it
sign FOLDER IN OUT WHO [FLAG]   WHO signs IN; FLAG is stamped (with a time-stamp) or final (a certification, no changes)
page|text|note FOLDER IN OUT    IN with a further page, another content, or a note, as an incremental update
anew FOLDER IN OUT              IN written anew
dss FOLDER IN OUT               IN with the means to check its signature later
"""

import datetime
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from pyhanko.keys import load_cert_from_pemder
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import PageObject, copy_into_new_writer
from pyhanko.sign import fields, signers
from pyhanko.sign.timestamps import DummyTimeStamper
from pyhanko.sign.validation.dss import DocumentSecurityStore

what, folder, arguments = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
DOCUMENT_SIGNING = ObjectIdentifier("1.3.6.1.5.5.7.3.36")


def certify(name, key, issuer, issuer_key, days, purpose=None, is_ca=False):
    now = datetime.datetime.now(datetime.timezone.utc)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=40))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if purpose:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


def keep(name, key, certificate):
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / f"{name}.key.pem").write_bytes(private)
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def keys():
    root_key = ec.generate_private_key(ec.SECP384R1())
    root = certify("Root of a test", root_key, None, root_key, 100, is_ca=True)
    keep("root", root_key, root)
    middle_key = ec.generate_private_key(ec.SECP256R1())
    middle = certify("Middle of a test", middle_key, root.subject, root_key, 100, is_ca=True)
    keep("middle", middle_key, middle)
    p256 = lambda: ec.generate_private_key(ec.SECP256R1())
    for name, key, days, purpose in [
        ("Ada Lovelace", p256(), 50, DOCUMENT_SIGNING),
        ("Bob", rsa.generate_private_key(65537, 2048), 50, None),
        ("Carol", ec.generate_private_key(ec.SECP384R1()), 50, None),
        ("Expired", p256(), -5, None),
        ("Server", p256(), 50, ExtendedKeyUsageOID.SERVER_AUTH),
        ("Authority", rsa.generate_private_key(65537, 2048), 50, ExtendedKeyUsageOID.TIME_STAMPING),
    ]:
        keep(name.split()[0].lower(), key, certify(name, key, middle.subject, middle_key, days, purpose))
    key = p256()
    keep("stranger", key, certify("Stranger", key, None, key, 50))


def signer_of(who):
    pem = lambda name: str(folder / f"{name}.pem")
    return signers.SimpleSigner.load(pem(f"{who}.key"), pem(who), ca_chain_files=(pem("middle"),))


def sign(source, target, who, flag=None):
    stamper = None
    if flag == "stamped":
        key = signer_of("authority")
        stamper = DummyTimeStamper(
            tsa_cert=key.signing_cert, tsa_key=key.signing_key, certs_to_embed=key.cert_registry
        )
    with open(source, "rb") as file:
        writer = IncrementalPdfFileWriter(file)
        metadata = signers.PdfSignatureMetadata(
            field_name=f"Signature {who}",
            md_algorithm="sha384" if who == "carol" else "sha256",
            subfilter=fields.SigSeedSubFilter.PADES,
            certify=flag == "final",
            docmdp_permissions=fields.MDPPerm.NO_CHANGES if flag == "final" else fields.MDPPerm.FILL_FORMS,
        )
        with open(target, "wb+") as output:
            signers.sign_pdf(writer, metadata, signer=signer_of(who), timestamper=stamper, output=output)


def update(source, target, change):
    with open(source, "rb") as file:
        writer = IncrementalPdfFileWriter(file)
        change(writer)
        with open(target, "wb") as output:
            writer.write(output)


def content(writer, drawing):
    return writer.add_object(generic.StreamObject(stream_data=drawing))


def add_page(writer):
    writer.insert_page(PageObject(contents=content(writer, b"0 0 10 10 re f"), media_box=(0, 0, 595, 842)))


def first_page(writer):
    return writer.root["/Pages"]["/Kids"][0]


def change_text(writer):
    page = first_page(writer)
    page["/Contents"] = content(writer, b"0 0 595 842 re f")
    writer.update_container(page)


def add_note(writer):
    name = generic.NameObject
    note = generic.DictionaryObject(
        {
            name("/Type"): name("/Annot"),
            name("/Subtype"): name("/FreeText"),
            name("/Rect"): generic.ArrayObject(map(generic.NumberObject, [10, 10, 500, 500])),
            name("/Contents"): generic.TextStringObject("paid in full"),
        }
    )
    page = first_page(writer)
    before = list(page.get("/Annots", []))
    page[name("/Annots")] = generic.ArrayObject(
        [page["/Annots"].raw_get(index) for index in range(len(before))] + [writer.add_object(note)]
    )
    writer.update_container(page)


if what == "keys":
    keys()
elif what == "sign":
    sign(*arguments)
elif what == "page":
    update(*arguments, add_page)
elif what == "text":
    update(*arguments, change_text)
elif what == "note":
    update(*arguments, add_note)
elif what == "anew":
    with open(arguments[0], "rb") as file, open(arguments[1], "wb") as output:
        copy_into_new_writer(PdfFileReader(file)).write(output)
elif what == "dss":
    source, target = arguments
    Path(target).write_bytes(Path(source).read_bytes())
    with open(target, "rb+") as file:
        signature = PdfFileReader(file).embedded_signatures[0]
        contents = signature.pkcs7_content.hex().encode("ascii")
        chain = [load_cert_from_pemder(str(folder / f"{name}.pem")) for name in ("middle", "root")]
        DocumentSecurityStore.add_dss(file, contents, certs=chain)
