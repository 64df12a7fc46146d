/** What a log host's program consists of: it makes a sink for each stream, and the host does the rest. */

/** Where the lines of one stream go. */
export interface HostedSink {
  /**
   * Takes whole lines, a piece of a line that is too long to wait for, or the last one as it is. `undefined`: all is
   * written; else it is when the promise resolves. The bytes are the host's again at once, and more may be given before:
   * all is written in the order in which it was given.
   * It never rejects: what cannot be written now is tried until it can be, and `trouble` tells.
   */
  take(block: Buffer): Promise<void> | undefined;
  /** Begins a new file, where the sink has files. */
  rotate(): Promise<void>;
  /** Finishes and closes everything. */
  end(): Promise<void>;
  /** Closes everything as it is, without waiting for better times: what was given and is not written is given again. */
  abandon(): Promise<void>;
}

/** One stream, for whom a sink is made. */
export interface HostedStream {
  /** Of the service, for messages and prefixes. */
  readonly label: string;
  /** What the plugin has said; nothing is checked yet. */
  readonly options: unknown;
  /** The service's directory, for paths that are relative to it; the host's, and closed once there is a sink. */
  readonly directoryFd: number;
  /** Tells that the stream cannot go on for now, and why. Once, until it has recovered. */
  trouble(text: string, cause: unknown): void;
  /** Tells that it goes on. */
  recovered(): void;
}

/** A kind of log host. */
export interface LogHostProgram {
  /** For ps. */
  readonly name: string;
  /** Makes a sink. Where it rejects, that is told, and it is asked again a second later. */
  open(stream: HostedStream): Promise<HostedSink>;
}
