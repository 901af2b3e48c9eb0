/** The LeaseCandidates of a simulated API server, and the connections through which processes use them. */
import type { CandidateObject } from '../../../lib/kubernetes/coordinated/candidate-object.js';
import { KubernetesConnection, type ClusterRequest } from '../../../lib/kubernetes/connection.js';
import {
  ABORTED,
  TransportError,
  type HttpResponse,
  type HttpStream,
} from '../../../lib/kubernetes/transport.js';
import type { EventFaults, RequestFaults } from '../../../lib/testing/simulated-faults.js';
import type { SimulatedTime } from '../../../lib/testing/simulated-time.js';

const GROUP = '/apis/coordination.k8s.io/';
const LATENCY_MS = 1;

/** A candidate as the server stores it. */
export type StoredCandidate = CandidateObject & {
  readonly metadata: { readonly name: string; readonly creationTimestamp: number };
  readonly spec: { readonly emulationVersion: string; readonly binaryVersion: string };
};

/** What happens to the requests and the watch of one process. */
export interface CandidatePath {
  /** Runs the callbacks of the process. */
  readonly deliver: (callback: () => void) => void;
  readonly fate: (verb: 'get' | 'update') => RequestFaults;
  readonly eventFate: () => EventFaults;
}

interface Watcher {
  readonly name: string;
  readonly path: CandidatePath;
  readonly tell: (type: string, candidate: StoredCandidate) => void;
  readonly end: () => void;
}

/** Every LeaseCandidate is one for the same lease. */
export class SimulatedCandidates {
  readonly #time: SimulatedTime;
  readonly #onChange: (name: string, candidate: StoredCandidate | undefined) => void;
  readonly #stored = new Map<string, StoredCandidate>();
  readonly #watchers = new Set<Watcher>();
  #isServed = true;
  #isUp = true;
  #version = 0;

  constructor(
    time: SimulatedTime,
    onChange: (name: string, candidate: StoredCandidate | undefined) => void = () => undefined,
  ) {
    this.#time = time;
    this.#onChange = onChange;
  }

  get stored(): readonly StoredCandidate[] {
    return [...this.#stored.values()];
  }

  has(name: string): boolean {
    return this.#stored.has(name);
  }

  get isServed(): boolean {
    return this.#isServed;
  }

  /** Whether this API server has LeaseCandidates. It is restarted to change that. */
  set isServed(isServed: boolean) {
    this.#isServed = isServed;
    this.endWatches();
  }

  goDown(): void {
    this.#isUp = false;
    this.endWatches();
  }

  comeUp(): void {
    this.#isUp = true;
  }

  /** Ends the watches of this process, or all. */
  endWatches(path?: CandidatePath): void {
    for (const watcher of [...this.#watchers]) if (path === undefined || watcher.path === path) watcher.end();
  }

  /** Asks whether a candidate is alive. Does nothing if it is no longer in this version. */
  ping(candidate: StoredCandidate, pingTime: string): void {
    const { name } = candidate.metadata;
    if (this.#stored.get(name) === candidate)
      this.#store(name, { ...candidate, spec: { ...candidate.spec, pingTime } });
  }

  /** Collects what processes that died have left. */
  remove(name: string): void {
    const candidate = this.#stored.get(name);
    if (candidate === undefined) return;
    this.#stored.delete(name);
    this.#tell('DELETED', candidate);
    this.#onChange(name, undefined);
  }

  connection(path: CandidatePath): KubernetesConnection {
    return new CandidateConnection(
      (request) => this.#carry(request, path),
      (url, signal) => this.#watch(url, path, signal),
    );
  }

  #carry({ method, path: url, body, signal }: ClusterRequest, path: CandidatePath): Promise<HttpResponse> {
    const {
      lost,
      delayMs = 0,
      replyDelayMs = 0,
      error,
      carriedOut = error === undefined,
    } = path.fate(method === 'GET' ? 'get' : 'update');
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => {
        reject(new TransportError(ABORTED, true, { cause: signal.reason }));
      });
      if (lost === 'request') return;
      this.#time.schedule(LATENCY_MS + delayMs, () => {
        const isUp = this.#isUp;
        const response = isUp && carriedOut ? this.#respond(method, url, body) : undefined;
        if (lost === 'reply') return;
        this.#time.schedule(LATENCY_MS + replyDelayMs, () => {
          path.deliver(() => {
            if (!isUp) reject(new TransportError('ECONNREFUSED', false));
            else resolve(error === undefined && response !== undefined ? response : answer(500, {}));
          });
        });
      });
    });
  }

  #respond(method: string, url: string, body: unknown): HttpResponse {
    const [version = '', ...rest] = url.slice(GROUP.length).split('/');
    if (rest.length === 0) {
      const resources = version === 'v1beta1' && this.#isServed ? [{ name: 'leasecandidates' }] : [];
      return answer(200, { resources });
    }
    if (!this.#isServed) return answer(404, { kind: 'Status', reason: 'NotFound', details: {} });
    const name = rest.at(-1) ?? '';
    if (method === 'PUT') return this.#put(name, body as StoredCandidate);
    const stored = this.#stored.get(name);
    if (stored === undefined) return MISSING;
    if (method === 'DELETE') this.remove(name);
    return answer(200, stored);
  }

  #put(name: string, candidate: StoredCandidate): HttpResponse {
    const stored = this.#stored.get(name);
    const { resourceVersion } = candidate.metadata as { readonly resourceVersion?: string };
    if (resourceVersion === undefined && stored !== undefined)
      return answer(422, { kind: 'Status', details: { causes: [{ field: 'metadata.resourceVersion' }] } });
    if (resourceVersion !== undefined && stored === undefined) return MISSING;
    if (resourceVersion !== stored?.metadata.resourceVersion) return answer(409, { kind: 'Status' });
    return answer(stored === undefined ? 201 : 200, this.#store(name, candidate));
  }

  #store(name: string, { metadata, spec, ...rest }: StoredCandidate): StoredCandidate {
    const before = this.#stored.get(name);
    this.#version += 1;
    const version = String(this.#version);
    const { uid, creationTimestamp } = before?.metadata ?? {
      uid: `candidate-${version}`,
      // The server keeps whole seconds.
      creationTimestamp: Math.floor(this.#time.now / 1_000),
    };
    const stored = {
      ...rest,
      metadata: { ...metadata, uid, resourceVersion: version, creationTimestamp },
      spec,
    };
    this.#stored.set(name, stored);
    this.#tell(before === undefined ? 'ADDED' : 'MODIFIED', stored);
    this.#onChange(name, stored);
    return stored;
  }

  #tell(type: string, candidate: StoredCandidate): void {
    for (const { name, tell } of this.#watchers) if (name === candidate.metadata.name) tell(type, candidate);
  }

  #watch(url: string, path: CandidatePath, signal: AbortSignal): Promise<HttpStream> {
    const name = /fieldSelector=metadata\.name%3D([^&]*)/.exec(url)?.[1] ?? '';
    return new Promise((resolve, reject) => {
      const refuse = (): void => {
        reject(new TransportError(ABORTED, true, { cause: signal.reason }));
      };
      signal.addEventListener('abort', refuse);
      if (path.fate('get').lost !== undefined) return;
      this.#time.schedule(2 * LATENCY_MS, () => {
        path.deliver(() => {
          if (!this.#isUp || !this.#isServed) reject(new TransportError('ECONNREFUSED', false));
          else if (!signal.aborted) resolve(this.#stream(name, path, signal));
        });
      });
    });
  }

  #stream(name: string, path: CandidatePath, signal: AbortSignal): HttpStream {
    const lines = new LineStream();
    const send = (what: () => void, delayMs = 0): void => {
      this.#time.schedule(LATENCY_MS + delayMs, () => {
        path.deliver(what);
      });
    };
    let isEnding = false;
    const watcher: Watcher = {
      name,
      path,
      tell: (type, object) => {
        if (isEnding) return;
        const { dropped = false, delayMs } = path.eventFate();
        if (dropped) return;
        send(() => {
          lines.push(`${JSON.stringify({ type, object })}\n`);
        }, delayMs);
      },
      // If the process does not hear of the end, it may be told again.
      end: () => {
        isEnding = true;
        send(() => {
          this.#watchers.delete(watcher);
          lines.end();
        });
      },
    };
    this.#watchers.add(watcher);
    signal.addEventListener('abort', () => {
      this.#watchers.delete(watcher);
      lines.end();
    });
    const stored = this.#stored.get(name);
    if (stored !== undefined) watcher.tell('ADDED', stored);
    return lines;
  }
}

class CandidateConnection extends KubernetesConnection {
  readonly #carry: (request: ClusterRequest) => Promise<HttpResponse>;
  readonly #watch: (url: string, signal: AbortSignal) => Promise<HttpStream>;

  constructor(
    carry: (request: ClusterRequest) => Promise<HttpResponse>,
    watch: (url: string, signal: AbortSignal) => Promise<HttpStream>,
  ) {
    super();
    this.#carry = carry;
    this.#watch = watch;
  }

  override request(request: ClusterRequest): Promise<HttpResponse> {
    return this.#carry(request);
  }

  override stream(url: string, signal: AbortSignal): Promise<HttpStream> {
    return this.#watch(url, signal);
  }
}

/** The body of a watch. */
class LineStream implements HttpStream {
  readonly statusCode = 200;
  readonly headers = {};
  readonly #lines: string[] = [];
  #hasEnded = false;
  #wake: () => void = () => undefined;

  push(line: string): void {
    this.#lines.push(line);
    this.#wake();
  }

  end(): void {
    this.#hasEnded = true;
    this.#wake();
  }

  destroy(): void {
    this.end();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Buffer> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) yield Buffer.from(line);
      else if (this.#hasEnded) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

const MISSING = answer(404, { kind: 'Status', reason: 'NotFound', details: { kind: 'leasecandidates' } });

function answer(status: number, body: object): HttpResponse {
  return { status, headers: {}, text: JSON.stringify(body) };
}
