"""What PDFium reads on the first page of a PDF: its text, and where it finds each of the phrases.

usage: pdfium.py FILE PHRASE...    prints one JSON object; boxes are left, top, right, bottom in points from the top left
"""

import json
import sys

import pypdfium2

page = pypdfium2.PdfDocument(sys.argv[1])[0]
height = page.get_height()
layer = page.get_textpage()
text = layer.get_text_range()
found = {}
for phrase in sys.argv[2:]:
    # The mark that PDFium leaves where it puts a divided word together; viewers pass over it as they search.
    kept = [at for at, character in enumerate(text) if character not in "\ufffe\u0002"]
    at = "".join(text[index] for index in kept).find(phrase)
    if at < 0:
        found[phrase] = None
        continue
    boxes = [layer.get_charbox(kept[index]) for index in range(at, at + len(phrase)) if not text[kept[index]].isspace()]
    found[phrase] = [
        min(box[0] for box in boxes),
        height - max(box[3] for box in boxes),
        max(box[2] for box in boxes),
        height - min(box[1] for box in boxes),
    ]
json.dump({"text": text, "found": found}, sys.stdout)
