/** The costs of a process, from /proc on Linux. */
import { readFile, readdir, readlink } from 'node:fs/promises';

/** The CPU time of all its threads, in milliseconds. Threads that have ended are not counted; those of Node and Go do not end. */
async function cpuMs(pid: number): Promise<number> {
  const threads = await readdir(`/proc/${String(pid)}/task`);
  const times = await Promise.all(
    threads.map(async (thread) => {
      const text = await readFile(`/proc/${String(pid)}/task/${thread}/schedstat`, 'utf8');
      return Number(text.split(' ')[0]) / 1e6;
    }),
  );
  return times.reduce((sum, time) => sum + time, 0);
}

/** Its resident memory, in MB of 1,000,000 bytes. */
async function rssMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${String(pid)}/status`, 'utf8');
  return (Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024) / 1e6;
}

/** Its open TCP connections to a port of this machine. */
export async function socketsTo(pid: number, port: number): Promise<number> {
  const folder = `/proc/${String(pid)}`;
  const links = await Promise.all(
    (await readdir(`${folder}/fd`)).map((fd) => readlink(`${folder}/fd/${fd}`).catch(() => '')),
  );
  const own = new Set(links.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]));
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`${folder}/net/${name}`, 'utf8')));
  const remote = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const ESTABLISHED = '01';
  return tables
    .flatMap((table) => table.split('\n').map((line) => line.trim().split(/\s+/)))
    .filter(
      ([, , to, state, , , , , , inode]) => to?.endsWith(remote) && state === ESTABLISHED && own.has(inode),
    ).length;
}

/** The resources that a process used in an interval. */
export interface Usage {
  /** Percent of one core. */
  readonly cpuPercent: number;
  readonly rssMb: number;
}

/** Starts measuring. The returned function returns what was used since. */
export async function usageOf(pid: number): Promise<() => Promise<Usage>> {
  const before = { cpu: await cpuMs(pid), at: performance.now() };
  return async () => {
    const cpu = await cpuMs(pid);
    return {
      cpuPercent: ((cpu - before.cpu) / (performance.now() - before.at)) * 100,
      rssMb: await rssMb(pid),
    };
  };
}
