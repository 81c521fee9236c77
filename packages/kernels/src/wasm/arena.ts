/** A stretch of memory, in bytes. */
export interface Stretch {
  readonly address: number;
  readonly bytes: number;
}

/** Who has which part of memory. Stretches begin at multiples of 64 bytes. */
export interface Arena {
  take(bytes: number): Stretch;
  give(stretch: Stretch): void;
  /** Where the last stretch ends */
  readonly end: number;
}

/** First fit from `base` on; memory that is given back is joined with what is free beside it. */
export function createArena(base: number, reach: (end: number) => void): Arena {
  let free: { address: number; bytes: number }[] = [];
  let end = base;
  return {
    get end() {
      return end;
    },
    take(wanted) {
      const bytes = Math.max(64, Math.ceil(wanted / 64) * 64);
      const at = free.findIndex((hole) => hole.bytes >= bytes);
      if (at >= 0) {
        const hole = free[at];
        if (hole.bytes === bytes) free.splice(at, 1);
        else free[at] = { address: hole.address + bytes, bytes: hole.bytes - bytes };
        return { address: hole.address, bytes };
      }
      // A hole at the end becomes part of the new stretch.
      const last = free[free.length - 1];
      const address = last && last.address + last.bytes === end ? last.address : end;
      reach(address + bytes);
      if (address < end) free.pop();
      end = address + bytes;
      return { address, bytes };
    },
    give({ address, bytes }) {
      free.push({ address, bytes });
      free.sort((a, b) => a.address - b.address);
      const joined: typeof free = [];
      for (const hole of free) {
        const last = joined[joined.length - 1];
        if (last && last.address + last.bytes === hole.address) last.bytes += hole.bytes;
        else joined.push({ ...hole });
      }
      free = joined;
    },
  };
}
