/**
 * The cyclic redundancy check of some bytes by Castagnoli's polynomial, from the definition.
 *
 * @returns 32 bits, as a number ≥ 0
 * @see Sheinwald, Satran, Thaler, Cavanna (2002), iSCSI CRC/checksum considerations, https://datatracker.ietf.org/doc/html/rfc3385
 */
export function crc32c(bytes: Iterable<number>): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}
