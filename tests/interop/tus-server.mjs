// A tus server by other people (@tus/server), dressed as a cloud: what Platen's agent asks for besides tus is
// answered here in the smallest way that is still true. A receipt is signed only for bytes that were read again.
//
//   node tus-server.mjs FOLDER PORT      FOLDER keeps uploads and key, so that the server may be killed and started again
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";

import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";

const [folder, port] = process.argv.slice(2);
const uploads = join(folder, "uploads");
mkdirSync(uploads, { recursive: true });

const keyFile = join(folder, "key.pem");
if (!existsSync(keyFile)) {
  const { privateKey } = generateKeyPairSync("ed25519");
  writeFileSync(keyFile, privateKey.export({ type: "pkcs8", format: "pem" }));
}
const key = createPrivateKey(readFileSync(keyFile));
const publicKey = createPublicKey(key).export({ type: "spki", format: "der" }).subarray(-32).toString("base64");

const tus = new Server({ path: "/v1/uploads", relativeLocation: true, datastore: new FileStore({ directory: uploads }) });
const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");

// The whole uploads by the digest of their bytes.
function wholeUploads() {
  const whole = new Map();
  for (const name of readdirSync(uploads).filter((name) => name.endsWith(".json"))) {
    const upload = JSON.parse(readFileSync(join(uploads, name)));
    const bytes = readFileSync(join(uploads, name.slice(0, -".json".length)));
    if (bytes.length === upload.size) whole.set(digest(bytes), upload);
  }
  return whole;
}

async function bodyOf(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function answer(request, response) {
  const path = request.url.split("?")[0];
  const json = (status, value) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(value));
  };
  if (path.startsWith("/v1/uploads")) return tus.handle(request, response);
  if (path === "/oauth/token") {
    await bodyOf(request);
    return json(200, { access_token: "token", token_type: "Bearer", expires_in: 900 });
  }
  if (path.startsWith("/v1/blobs/")) {
    response.writeHead(wholeUploads().has(path.split("/").pop()) ? 200 : 404);
    return response.end();
  }
  if (path === "/v1/documents" && request.method === "POST") {
    const body = await bodyOf(request);
    const manifest = JSON.parse(body);
    const whole = wholeUploads();
    const parts = manifest.parts.map((part) => part.sha256);
    const missing = parts.filter((part) => !whole.has(part));
    if (missing.length > 0) return json(422, { title: "parts are missing", detail: missing.join(), help: "send them" });
    const receipt = JSON.stringify({
      document_id: manifest.document_id,
      manifest_sha256: digest(body),
      parts,
      committed_at: new Date().toISOString(),
    });
    writeFileSync(join(folder, `manifest-${manifest.document_id}.json`), body);
    return json(202, { document: {}, receipt: { receipt, signature: sign(null, Buffer.from(receipt), key).toString("base64") } });
  }
  response.writeHead(404);
  response.end();
}

const server = http.createServer((request, response) => {
  answer(request, response).catch((error) => {
    console.error(error);
    response.destroy();
  });
});
server.listen(Number(port), "127.0.0.1", () => {
  console.log(JSON.stringify({ port: server.address().port, publicKey }));
});
