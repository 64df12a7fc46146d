/**
 * The memory that lines are put together in. It is lent for as long as a block is taken: of a thousand streams a few are
 * at it at the same time, and the others need none.
 */

/** The largest block that an engine may be given at once, in bytes. */
export const BLOCK_MAX = 131_072;
/** So much of a line is looked at, and kept until it is finished, its stamp included. In bytes. */
export const LINE_MAX = 1000;

/** Areas of one size. */
class Supply {
  /** The largest block that they are for. */
  readonly blockMax: number;
  /** Beyond so many bytes an area is full, so that another line, and another block of a long one, always fit. */
  readonly #full: number;
  readonly #free: Area[] = [];
  /** How many were free all the time since it was looked at: so many are too many. */
  #unused = 0;

  constructor(blockMax: number, full: number) {
    this.blockMax = blockMax;
    this.#full = full;
  }

  lend(): Area {
    const area = this.#free.pop() ?? this.#make();
    this.#unused = Math.min(this.#unused, this.#free.length);
    return area;
  }

  giveBack(area: Area): void {
    this.#free.push(area);
  }

  /** Lets go of what was not needed lately, and returns whether something is left. */
  trim(): boolean {
    this.#free.splice(0, this.#unused);
    this.#unused = this.#free.length;
    return this.#unused > 0;
  }

  #make(): Area {
    const bytes = Buffer.allocUnsafeSlow(this.#full + this.blockMax + LINE_MAX + 1);
    return { bytes, view: new DataView(bytes.buffer), full: this.#full, supply: this };
  }
}

/** Some memory, lent. */
export interface Area {
  readonly bytes: Buffer;
  readonly view: DataView;
  /** With more bytes in it than these it is to be written. */
  readonly full: number;
  readonly supply: Supply | undefined;
}

/** What there is while nothing is lent. */
export const AT_REST: Area = {
  bytes: Buffer.alloc(0),
  view: new DataView(new ArrayBuffer(0)),
  full: 0,
  supply: undefined,
};

const TRIM_MS = 10_000;
/** For blocks of slow streams, of multilog's, and for large ones. The largest is last. */
const supplies = [new Supply(4096, 16_384), new Supply(65_536, 131_072), new Supply(BLOCK_MAX, 2 * BLOCK_MAX)] as const;
let trimTimer: NodeJS.Timeout | undefined;

/** Lends an area for a block of that length. */
export function lendArea(blockLength: number): Area {
  const [small, middle, large] = supplies;
  return (blockLength <= small.blockMax ? small : blockLength <= middle.blockMax ? middle : large).lend();
}

/** Takes an area back. */
export function giveAreaBack(area: Area): void {
  area.supply?.giveBack(area);
  trimTimer ??= setTimeout(trim, TRIM_MS).unref();
}

function trim(): void {
  const isLeft = supplies.map((each) => each.trim()).includes(true);
  trimTimer = isLeft ? setTimeout(trim, TRIM_MS).unref() : undefined;
}
