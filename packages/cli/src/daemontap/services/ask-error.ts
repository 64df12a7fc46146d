/** A question to a kernel that was not answered. */

/** Why: `nobody` listens, it was `refused` and nothing was done, or the answer was `lost` and nobody knows. */
export class AskError extends Error {
  static {
    this.prototype.name = 'AskError';
  }
  readonly kind: 'nobody' | 'refused' | 'lost';
  constructor(kind: AskError['kind'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** An answer that did not come, or is none. */
export function lost(message: string, cause?: unknown): AskError {
  return new AskError('lost', message, { cause });
}
