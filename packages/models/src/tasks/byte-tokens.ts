/** Bytes are token ids from 1; 0 is padding. */
export const byteVocabulary = 257;

export function encodeBytes(bytes: Uint8Array): Int32Array {
  const tokens = new Int32Array(bytes);
  for (let at = 0; at < tokens.length; at++) tokens[at]++;
  return tokens;
}

/** Read token ids as UTF-8 text, without padding; bytes that are none become �. */
export function decodeBytes(tokens: Int32Array): string {
  return Buffer.from(tokens.filter((token) => token !== 0).map((token) => token - 1)).toString("utf8");
}
