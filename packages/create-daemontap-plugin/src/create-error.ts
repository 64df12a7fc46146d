/** Why a plugin was not made. */

/** An error in words for the user, with the exit code of the program. */
export class CreateError extends Error {
  static {
    this.prototype.name = 'CreateError';
  }
  /** 100: wrong use, it will never work. 111: the system refuses, it may work later. */
  readonly exitCode: 100 | 111;
  constructor(message: string, exitCode: 100 | 111 = 100) {
    super(message);
    this.exitCode = exitCode;
  }
}
