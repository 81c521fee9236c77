import { deflateSync } from "node:zlib";

/** A PNG in a data URI, as `pngBytes` encodes it. */
export function pngUri(width: number, pixels: Uint8Array, palette: Uint8Array): string {
  return `data:image/png;base64,${pngBytes(width, pixels, palette).toString("base64")}`;
}

/** From black to white, so that 0, the paper, does not glare on a dark page. */
export const greys: Uint8Array = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));

/**
 * Encode an image of at most 256 colours as a PNG.
 *
 * @param width - pixels in a row
 * @param pixels - (height · width) one palette entry each, row after row
 * @param palette - (3 · colours) red, green, blue, 0 … 255 each; greys unless told
 * @see W3C (2003), Portable Network Graphics (second edition), §5 and §11, https://www.w3.org/TR/PNG/
 */
export function pngBytes(width: number, pixels: Uint8Array, palette: Uint8Array = greys): Buffer {
  const height = pixels.length / width;
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3], 8); // bits per pixel, colours by palette
  const rows = Buffer.alloc(height * (width + 1)); // each row begins with its filter, 0: none
  for (let row = 0; row < height; row++)
    rows.set(pixels.subarray(row * width, (row + 1) * width), row * (width + 1) + 1);
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    chunk("IHDR", header),
    chunk("PLTE", palette),
    chunk("IDAT", deflateSync(rows, { level: 9 })),
    chunk("IEND", new Uint8Array(0)),
  ]);
}

function chunk(type: string, content: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), content]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(content.length, 0);
  framed.set(body, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}

/** zlib.crc32 came with Node 20.15; this is the definition. */
function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
