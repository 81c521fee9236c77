/**
 * 32 bits of some bytes, other ones as soon as one byte differs (FNV-1a).
 *
 * @see Fowler, Noll, Vo (2012), The FNV non-cryptographic hash algorithm, https://datatracker.ietf.org/doc/html/rfc9923
 */
export function checksum(bytes: Uint8Array): number {
  let sum = 0x811c9dc5;
  for (const byte of bytes) sum = Math.imul(sum ^ byte, 0x01000193);
  return sum >>> 0;
}
