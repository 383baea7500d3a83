// Where MuPDF finds phrases on the first page of a PDF.
//
// usage: mutool run mupdf.js FILE PHRASE...    prints one JSON object: for each phrase its boxes (left, top, right, bottom) in
// points from the top left
var page = new Document(scriptArgs[0]).loadPage(0);
var found = {};
scriptArgs.slice(1).forEach(function (phrase) {
    found[phrase] = page.search(phrase).map(function (quad) {
        // The corners: upper left, upper right, lower left, lower right. A search may hit more than once.
        quad = quad.length === 8 ? quad : [].concat.apply([], quad);
        var xs = [quad[0], quad[2], quad[4], quad[6]], ys = [quad[1], quad[3], quad[5], quad[7]];
        return [Math.min.apply(null, xs), Math.min.apply(null, ys), Math.max.apply(null, xs), Math.max.apply(null, ys)];
    });
});
print(JSON.stringify(found));
