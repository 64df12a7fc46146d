/** The API: from a request to its answer. It knows no sockets; what is wrong with a request is thrown. */
import type { Clock, PluginProfile } from '@daemontap/kernel';
import { ApiError, quoted } from './api-error.ts';
import { conditionOf, planCommand } from './commands.ts';
import type { Condition } from './commands.ts';
import type { EventSink, EventStreams } from './event-streams.ts';
import type { ExitHistory } from './exit-history.ts';
import { nearestName } from './nearest.ts';
import { parseCommand, parseState, parseTimeout } from './parse.ts';
import { API, DEFAULT_WAIT_MS } from './schema.ts';
import type { KernelAnswer, PluginsAnswer, ServiceDetailsAnswer, ServicesAnswer } from './schema.ts';
import type { Services, Supervised } from './services.ts';
import { shownExit, shownPlugin, shownService } from './shown.ts';
import { splitTarget } from './target.ts';
import { Waits } from './waits.ts';

/** A request, and the ways to answer it. */
export interface ApiCall {
  readonly method: string;
  /** What the request line names: a path, and what is asked behind it. */
  readonly target: string;
  /** Hands over the body, read as JSON. What is thrown there is an answer, too. */
  readBody(then: (value: unknown) => void): void;
  /** Answers with JSON; the status is 200 unless it is given. */
  answer(body: object, status?: number): void;
  /** Answers with an error. */
  fail(error: ApiError): void;
  /** Answers with events. */
  stream(): EventSink;
  /** Calls back where the client goes away before it has the answer. */
  whenGone(callback: () => void): void;
}

/** What is answered from. */
export interface ApiOptions {
  readonly clock: Clock;
  readonly services: Services;
  readonly history: ExitHistory;
  readonly streams: EventStreams;
  /** What does not change about the kernel, and where its scan directory is now. */
  about(): Omit<KernelAnswer, 'version' | 'program'>;
  profiles(): readonly PluginProfile[];
}

interface Endpoint {
  readonly method: 'GET' | 'POST';
  /** What may be asked behind the path. */
  readonly parameters: readonly string[];
  run(call: ApiCall, parameters: ReadonlyMap<string, string>): void;
}

const METHODS = ['GET', 'POST'];
const ACTIONS: readonly string[] = ['commands', 'wait'];

/** All that can be asked of a kernel. */
export class Api {
  readonly #options: ApiOptions;
  readonly #waits: Waits;

  constructor(options: ApiOptions) {
    this.#options = options;
    this.#waits = new Waits(options.clock, options.services);
  }

  /** Answers, now or later. @throws ApiError */
  handle(call: ApiCall): void {
    const { segments, parameters } = splitTarget(call.target);
    const endpoint = this.#endpoint(segments);
    if (endpoint === undefined) throw new ApiError('NO_SUCH_PATH', 'there is no such path: it must begin with /v1');
    const { method } = endpoint;
    if (call.method !== method) {
      const known = METHODS.includes(call.method) ? call.method : 'this method';
      throw new ApiError('METHOD_NOT_ALLOWED', `${known} is not for this path, ${method} is`, {
        headers: { allow: method },
      });
    }
    const unknown = [...parameters.keys()].find((each) => !endpoint.parameters.includes(each));
    if (unknown !== undefined) throw new ApiError('BAD_REQUEST', `unknown parameter ${quoted(unknown)}`);
    endpoint.run(call, parameters);
  }

  /** Ends what waits, with an answer. */
  close(): void {
    this.#waits.close();
    this.#options.streams.close();
  }

  #endpoint([version, first, ...rest]: readonly string[]): Endpoint | undefined {
    if (version !== `v${API}`) return undefined;
    const get = (run: (call: ApiCall) => void): Endpoint => ({ method: 'GET', parameters: [], run });
    const name = rest.join('/');
    switch (first) {
      case undefined:
        return get((call) => this.#tellKernel(call));
      case 'plugins':
        return rest.length > 0 ? undefined : get((call) => this.#tellPlugins(call));
      case 'events':
        if (rest.length > 0) return undefined;
        return {
          method: 'GET',
          parameters: ['service'],
          run: (call, given) => this.#follow(call, given.get('service')),
        };
      case 'services': {
        if (rest.length === 0) return get((call) => call.answer(this.#allServices()));
        const action = rest.at(-1) ?? '';
        if (rest.length === 1 || !ACTIONS.includes(action)) return get((call) => this.#tellService(call, name));
        const owner = rest.slice(0, -1).join('/');
        if (action === 'commands') return { method: 'POST', parameters: [], run: (call) => this.#command(call, owner) };
        return {
          method: 'GET',
          parameters: ['for', 'timeoutMs'],
          run: (call, given) => this.#waitFor(call, owner, given),
        };
      }
      default:
        return undefined;
    }
  }

  #tellKernel(call: ApiCall): void {
    const answer: KernelAnswer = { version: API, program: 'daemontap', ...this.#options.about() };
    call.answer(answer);
  }

  #tellPlugins(call: ApiCall): void {
    const plugins = this.#options.profiles().map(shownPlugin);
    const answer: PluginsAnswer = { version: API, pid: process.pid, plugins };
    call.answer(answer);
  }

  #tellService(call: ApiCall, name: string): void {
    const service = this.#find(name);
    const exits = this.#options.history.of(service.directory).map(shownExit);
    const answer: ServiceDetailsAnswer = { version: API, service: { ...this.#shown(service), exits } };
    call.answer(answer);
  }

  #allServices(name?: string): ServicesAnswer {
    const all = this.#options.services.all.filter(({ directory }) => name === undefined || directory.label === name);
    return { version: API, services: all.map((service) => this.#shown(service)) };
  }

  #follow(call: ApiCall, name: string | undefined): void {
    if (name !== undefined) this.#find(name);
    const begin = () => ({ sink: call.stream(), snapshot: this.#allServices(name) });
    const stream = this.#options.streams.open(name, begin);
    call.whenGone(() => stream.close());
  }

  #command(call: ApiCall, name: string): void {
    this.#find(name); // nobody is asked for a body in vain
    call.readBody((body) => {
      const { command, wait = false, timeoutMs = DEFAULT_WAIT_MS } = parseCommand(body);
      const service = this.#find(name);
      const { letters, isDone } = planCommand(command, { ...service });
      for (const letter of letters) service.control.command(letter);
      if (wait) this.#wait(call, { service, isMet: isDone, timeoutMs, what: `${command} is not done` });
      else call.answer({ version: API, service: this.#shown(service) }, 202);
    });
  }

  #waitFor(call: ApiCall, name: string, parameters: ReadonlyMap<string, string>): void {
    const state = parseState(parameters.get('for'));
    const timeoutMs = parseTimeout(parameters.get('timeoutMs'));
    const service = this.#find(name);
    const isMet = conditionOf(state, { ...service });
    this.#wait(call, { service, isMet, timeoutMs, what: `it is not ${state}` });
  }

  #wait(
    call: ApiCall,
    {
      service,
      isMet,
      timeoutMs,
      what,
    }: { readonly service: Supervised; readonly isMet: Condition; readonly timeoutMs: number; readonly what: string },
  ): void {
    const wait = this.#waits.begin({
      service,
      isMet,
      timeoutMs,
      done: (outcome) => {
        const { label } = service.directory;
        const shown = this.#shown(service);
        if (outcome === 'met') call.answer({ version: API, service: shown });
        else if (outcome === 'released') call.fail(new ApiError('NO_SUCH_SERVICE', `${label} is no longer supervised`));
        else if (outcome === 'closed') call.fail(new ApiError('UNAVAILABLE', 'this socket is being closed'));
        else {
          const { state } = shown;
          const reason = service.failure === undefined ? '' : `; its last start has failed: ${service.failure}`;
          const message = `${label}: after ${timeoutMs} ms ${what}, but ${state}${reason}`;
          call.fail(new ApiError('TIMEOUT', message, { service: shown }));
        }
      },
    });
    call.whenGone(() => wait.close());
  }

  /** @throws ApiError `NO_SUCH_SERVICE` */
  #find(name: string): Supervised {
    const { services } = this.#options;
    const found = services.find(name);
    if (found !== undefined) return found;
    const nearest = nearestName(
      name,
      services.all.map(({ directory }) => directory.label),
    );
    const meant = nearest === undefined ? '' : ` (did you mean ${nearest}?)`;
    throw new ApiError('NO_SUCH_SERVICE', `no service ${quoted(name)} is supervised${meant}`);
  }

  #shown(service: Supervised): ReturnType<typeof shownService> {
    return shownService(service, this.#options.clock.wallNs());
  }
}
