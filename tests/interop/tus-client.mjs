// A tus client by other people (tus-js-client) sends a file to Platen's cloud.
//
//   node tus-client.mjs ENDPOINT FILE [--chunk BYTES] [--stop-at BYTES] [--resume URL]
//
// The token comes in TOKEN. Prints one JSON line for each thing that happens: {created}, {at}, {stopped}, {done}.
import { createHash } from "node:crypto";
import { createReadStream, readFileSync, statSync } from "node:fs";
import { parseArgs } from "node:util";

import { Upload } from "tus-js-client";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { chunk: { type: "string" }, "stop-at": { type: "string" }, resume: { type: "string" } },
});
const [endpoint, file] = positionals;
const stopAt = values["stop-at"] ? Number(values["stop-at"]) : Infinity;
const say = (what) => console.log(JSON.stringify(what));

const upload = new Upload(createReadStream(file), {
  endpoint,
  uploadUrl: values.resume ?? null,
  uploadSize: statSync(file).size,
  chunkSize: values.chunk ? Number(values.chunk) : Infinity,
  // Patient enough for a cloud that is being started again.
  retryDelays: Array(60).fill(250),
  headers: { authorization: `Bearer ${process.env.TOKEN}` },
  metadata: { sha256: createHash("sha256").update(readFileSync(file)).digest("hex"), mime: "application/octet-stream" },
  onUploadUrlAvailable: () => say({ created: upload.url }),
  onChunkComplete: (_size, at) => {
    say({ at });
    if (at >= stopAt) {
      upload.abort().then(() => {
        say({ stopped: upload.url });
        process.exit(0);
      });
    }
  },
  onSuccess: () => say({ done: upload.url }),
  onError: (error) => {
    console.error(String(error));
    process.exit(1);
  },
});
upload.start();
