/** `status` beside `kubectl get leases`, on the real API server. */
import { beforeAll, expect, it } from 'vitest';
import { onRealApiServer } from '../processes/on-real-api-server.js';
import { kubectl, whyNoKubectl } from '../rig/kubectl.js';
import { runCommand } from './script-terminal.js';

const TIMING = { leaseDuration: 6_000, renewDeadline: 4_000, retryPeriod: 1_000 };

onRealApiServer('status', {}, (stage) => {
  beforeAll(() => {
    expect(whyNoKubectl()).toBeUndefined();
  });

  it('shows the names and holders that kubectl shows', async () => {
    await stage.fleet(2, TIMING);
    await stage.fleet(1, TIMING);
    const kubeconfig = await stage.server.writeKubeconfig();
    const rows = (text: string): string[][] =>
      text
        .trim()
        .split('\n')
        .map((line) => line.split(/ {2,}/).map((cell) => cell.trim()));
    const [header, ...theirs] = rows(await kubectl(kubeconfig, ['get', 'leases']));
    expect(header?.slice(0, 2)).toEqual(['NAME', 'HOLDER']);
    const { out } = await runCommand(['status', '--kubeconfig', kubeconfig]);
    const [ourHeader, ...ours] = rows(out);
    expect(ourHeader?.slice(0, 3)).toEqual(['NAME', 'HOLDER', 'STATE']);
    const nameAndHolder = (row: string[]): string[] => row.slice(0, 2);
    expect(ours.map(nameAndHolder)).toEqual(theirs.map(nameAndHolder));
    expect(ours).toHaveLength(2);
    expect(ours.every((row) => row[2] === 'held' && row.at(-1) === 'nestjs-leader')).toBe(true);

    // The API server's own Leases, which client-go writes.
    const all = rows(await kubectl(kubeconfig, ['get', 'leases', '-A'])).slice(1);
    const { out: allOfOurs } = await runCommand(['status', '-A', '--kubeconfig', kubeconfig]);
    const shown = rows(allOfOurs).slice(1);
    expect(shown.map((row) => row.slice(0, 2))).toEqual(all.map((row) => row.slice(0, 2)));
    expect(shown.find((row) => row[0] === 'kube-system')?.at(-1)).toBe('kube-apiserver');
  });
});
