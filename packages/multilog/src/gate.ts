/**
 * Lets a few calls at once through for each device. The threads that do them are few, and a call on a dead device never
 * comes back: without a gate the calls of one such device would soon have all threads.
 */

interface Device {
  /** How many calls are under way. */
  running: number;
  readonly waiting: (() => void)[];
}

/** A gate. What a device has under way does not count for another. */
export class Gate {
  readonly #atOnce: number;
  readonly #devices = new Map<string, Device>();

  /** `atOnce` is how many calls may be under way for one device. */
  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /** Begins a call, now or when it is its turn among those of its device. It says when it is over, once. */
  enter(name: string, begin: (leave: () => void) => void): void {
    const device = this.#devices.get(name) ?? { running: 0, waiting: [] };
    this.#devices.set(name, device);
    const start = (): void => {
      device.running++;
      begin(() => this.#leave(name, device));
    };
    if (device.running < this.#atOnce) start();
    else device.waiting.push(start);
  }

  #leave(name: string, device: Device): void {
    device.running--;
    const next = device.waiting.shift();
    if (next !== undefined) next();
    else if (device.running === 0) this.#devices.delete(name);
  }
}
