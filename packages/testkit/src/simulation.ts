/** A kernel whose world is simulated: no process, no file, no time but what the test makes. */
import { superviseScanDirectory, superviseService } from '@daemontap/kernel';
import type {
  Command,
  ControlPort,
  Kernel,
  KernelOptions,
  Plugin,
  Report,
  ServiceDirectory,
  ServiceStatus,
} from '@daemontap/kernel';
import { basePlan } from './base-plan.ts';
import { FakeFiles } from './fake-files.ts';
import type { FakeService } from './fake-files.ts';
import { FakeProcesses } from './fake-processes.ts';
import type { FakeProcess } from './fake-processes.ts';
import { FakeReadiness } from './fake-readiness.ts';
import { SimulatedClock } from './simulated-clock.ts';

/** What a simulation begins with. */
export interface SimulationOptions {
  /** The plugins under test; default: none. */
  readonly plugins?: readonly Plugin[];
  /** Service directories by name, made long before the kernel begins; default: none. */
  readonly services?: Readonly<Record<string, FakeService>>;
  /** As the kernel's option, in milliseconds; default: `undefined`, no service is ever killed. */
  readonly stopTimeoutMs?: number;
  /** Changes the world just before the kernel begins in it: plans failures, takes locks. */
  readonly before?: (world: World) => void;
}

/** The parts of a simulated world. */
export interface World {
  readonly clock: SimulatedClock;
  readonly processes: FakeProcesses;
  readonly files: FakeFiles;
  readonly readiness: FakeReadiness;
}

/** What the simulation of one service begins with. */
export interface ServiceSimulationOptions extends Omit<SimulationOptions, 'services'> {
  /** What the service directory holds. */
  readonly service?: FakeService;
}

/** What is still open. Zero everywhere once a kernel is done. */
export interface Leftovers {
  /** Calls of `wakeAt` that have neither come due nor been closed. */
  readonly timers: number;
  /** Directories that are held. */
  readonly heldDirectories: number;
  /** Service directories that are claimed. */
  readonly locks: number;
  /** Processes that run. */
  readonly processes: number;
  /** Descriptors that are watched. */
  readonly watches: number;
}

/** A kernel in a simulated world, and the world. */
export interface Simulation extends World {
  readonly kernel: Kernel;
  /** What the kernel was given: the simulation's own plugin, which is to stay, and then the plugins under test. */
  readonly plugins: readonly Plugin[];
  /** Everything that the hook `reported` told, in order. */
  readonly reports: readonly Report[];
  /** What the telling hooks told, one line each: `started finger`, `ended finger`, `released finger`, `failed finger`. */
  readonly story: readonly string[];
  /** Lets everything happen that needs no time. */
  settle(): Promise<void>;
  /** Lets time pass, timer by timer; what one timer sets going is done before the next. */
  advanceMs(ms: number): Promise<void>;
  /** Sends commands to a service by its label, as a control transport does. @throws Error when it is not supervised */
  command(label: string, commands: string): void;
  /** The last status of a supervised service; `undefined`: it is not supervised. */
  statusOf(label: string): ServiceStatus | undefined;
  /** The running process in a directory, by the directory's path now; `undefined`: none. */
  processIn(path: string): FakeProcess | undefined;
  /** Ends the running process in a directory. @throws Error when there is none */
  endIn(path: string, end?: FakeProcess['end']): void;
  /** What is open now. */
  leftovers(): Leftovers;
  /** Whether `kernel.done` has resolved. */
  isDone(): boolean;
}

/**
 * A kernel for the scan directory `/service` of a simulated world.
 * @example
 * const simulation = simulateScan({ services: { finger: { log: true } } });
 * await simulation.settle();
 * simulation.endIn('/service/finger');
 * await simulation.advanceMs(1000);
 * simulation.story; // ['started finger/log', 'started finger', 'ended finger', 'started finger']
 */
export function simulateScan({ services = {}, ...options }: SimulationOptions = {}): Simulation {
  return simulate(options, '/service', superviseScanDirectory, (files) => {
    files.makeDirectory('/service');
    for (const [name, service] of Object.entries(services)) files.makeService(`/service/${name}`, service);
  });
}

/**
 * A kernel for the one service `/service/finger` of a simulated world. Its label is its path.
 * @throws what `superviseService` throws
 */
export function simulateService({ service = {}, ...options }: ServiceSimulationOptions = {}): Simulation {
  const path = '/service/finger';
  return simulate(options, path, superviseService, (files) => files.makeService(path, service));
}

interface Watched {
  readonly service: ServiceDirectory;
  readonly control: ControlPort;
  status: ServiceStatus | undefined;
}

function simulate(
  { plugins = [], stopTimeoutMs, before }: SimulationOptions,
  path: string,
  supervise: (options: KernelOptions) => Kernel,
  prepare: (files: FakeFiles) => void,
): Simulation {
  const clock = new SimulatedClock();
  const files = new FakeFiles(clock);
  const processes = new FakeProcesses();
  const readiness = new FakeReadiness();
  const observer = observe();
  prepare(files);
  clock.advanceMs(60_000);
  before?.({ clock, files, processes, readiness });
  const all = [observer.plugin, ...plugins];
  const kernel = supervise({
    path: Buffer.from(path),
    plugins: all,
    ports: { clock, files, processes, readiness },
    basePlan,
    runtimeRoot: '/run/daemontap',
    stopTimeoutMs,
  });
  let done = false;
  void kernel.done.then(() => (done = true));

  const advanceMs = async (ms: number): Promise<void> => {
    await settle();
    const targetNs = clock.monotonicNs() + BigInt(Math.round(ms * 1e6));
    for (let next = clock.nextTimerAtNs; next !== undefined && next <= targetNs; next = clock.nextTimerAtNs) {
      clock.advanceNs(next > clock.monotonicNs() ? next - clock.monotonicNs() : 0n);
      await settle();
    }
    clock.advanceNs(targetNs - clock.monotonicNs());
    await settle();
  };
  const processIn = (directory: string): FakeProcess | undefined =>
    processes.running.find(({ request }) => files.pathOf(request.directoryFd) === directory);

  return {
    kernel,
    plugins: all,
    clock,
    files,
    processes,
    readiness,
    reports: observer.reports,
    story: observer.story,
    settle,
    advanceMs,
    command(label, commands) {
      const watched = observer.find(label);
      if (watched === undefined) throw new Error(`unable to command ${label}: it is not supervised`);
      for (const letter of commands) watched.control.command(letter as Command); // the kernel ignores what is none
    },
    statusOf: (label) => observer.find(label)?.status,
    processIn,
    endIn(directory, end) {
      const found = processIn(directory);
      if (found === undefined) throw new Error(`unable to end a process in ${directory}: none runs`);
      processes.end(found.pid, end);
    },
    leftovers: () => ({
      timers: clock.pendingTimers,
      heldDirectories: files.heldDirectories,
      locks: files.heldLocks,
      processes: processes.running.length,
      watches: readiness.watched.length,
    }),
    isDone: () => done,
  };
}

/** Everything that waits for a promise alone is done when an immediate comes. */
function settle(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

interface Observer {
  readonly plugin: Plugin;
  readonly reports: readonly Report[];
  readonly story: readonly string[];
  find(label: string): Watched | undefined;
}

/** A plugin that notes what the hooks tell, and is a control transport that `command` speaks through. */
function observe(): Observer {
  const reports: Report[] = [];
  const story: string[] = [];
  const watched: Watched[] = [];
  const statuses = new Map<ServiceDirectory, ServiceStatus>();
  const plugin: Plugin = {
    name: 'simulation',
    apiVersion: 1,
    meetsHelpers: true,
    apply({ hooks }) {
      hooks.reported.tap('simulation', (report) => void reports.push(report));
      hooks.openControl.tap('simulation', (service, control) => {
        watched.push({ service, control, status: statuses.get(service) });
      });
      hooks.statusChanged.tap('simulation', (service, status) => {
        statuses.set(service, status);
        const found = watched.find((each) => each.service === service);
        if (found !== undefined) found.status = status;
      });
      hooks.serviceStarted.tap('simulation', ({ label }) => void story.push(`started ${label}`));
      hooks.startFailed.tap('simulation', ({ label }) => void story.push(`failed ${label}`));
      hooks.serviceEnded.tap('simulation', ({ label }) => void story.push(`ended ${label}`));
      hooks.serviceReleased.tap('simulation', (service) => {
        story.push(`released ${service.label}`);
        watched.splice(
          watched.findIndex((each) => each.service === service),
          1,
        );
      });
    },
  };
  return { plugin, reports, story, find: (label) => watched.find(({ service }) => service.label === label) };
}
