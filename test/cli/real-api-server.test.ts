/** The commands on the real API server, with the rights that they say they need. */
import { expect, it } from 'vitest';
import { onRealApiServer } from '../processes/on-real-api-server.js';
import { runCommand } from './script-terminal.js';

const TIMING = { leaseDuration: 6_000, renewDeadline: 4_000, retryPeriod: 1_000 };

onRealApiServer('on the real API server', { users: ['narrow'] }, (stage) => {
  it('a fleet is seen, examined and handed over', async () => {
    await stage.fleet(2, TIMING);
    const name = 'lease-1';
    const admin = ['--kubeconfig', await stage.server.writeKubeconfig()];
    const { out } = await runCommand(['status', name, ...admin]);
    expect(out).toMatch(/ held .* nestjs-leader\n$/);

    const timing = '--lease-duration 6s --renew-deadline 4s --retry-period 1s --observe 2s'.split(' ');
    const healthy = await runCommand(['doctor', name, ...timing, ...admin]);
    expect(healthy.out).not.toMatch(/^(fail|warn)/m);
    expect(healthy.out).toContain('which was created for that and is deleted');
    expect(healthy.code).toBe(0);
    const leases = await stage.server.client.demand(
      'GET',
      '/apis/coordination.k8s.io/v1/namespaces/default/leases',
    );
    expect(leases.text).not.toContain('nestjs-leader-doctor');

    const moved = await runCommand(['step-down', name, '--yes', '--json', ...admin]);
    expect(JSON.parse(moved.out)).toMatchObject({ kind: 'handedOver' });
    expect(moved.code).toBe(0);
  });

  it('a service account with the Role that `rbac` prints can lead, and the doctor says so', async () => {
    const verbs = ['get', 'create', 'update', 'watch'];
    await stage.server.grant('default', 'narrow', [
      { apiGroups: ['coordination.k8s.io'], resources: ['leases'], resourceNames: ['billing'], verbs },
    ]);
    const kubeconfig = ['--kubeconfig', await stage.server.writeKubeconfig({ user: 'narrow' })];
    const { out, code } = await runCommand(['doctor', 'billing', '--observe', '500ms', ...kubeconfig]);
    expect(out).toContain("on the Lease 'billing' in a dry run, so nothing was stored");
    expect(out).toMatch(/^ok {4}permissions /m);
    expect(code).toBe(0);
    expect((await runCommand(['status', 'billing', ...kubeconfig])).code).toBe(3);
    expect((await runCommand(['status', ...kubeconfig])).err).toContain('verbs: ["list", "watch"]');

    const events = await runCommand(['doctor', 'billing', '--events', '--observe', '500ms', ...kubeconfig]);
    expect(events.out).toContain('create on events');
    expect(events.code).toBe(3);

    const admin = ['--kubeconfig', await stage.server.writeKubeconfig()];
    const other = await runCommand([
      'doctor',
      'billing',
      '--service-account',
      'nobody',
      '--observe',
      '500ms',
      ...admin,
    ]);
    expect(other.out).toContain("Missing for the service account 'nobody'");
    expect(other.out).toContain(
      "'system:serviceaccount:default:nobody' lacks 4 permissions that the election needs",
    );
    expect(other.out).not.toContain('this pod');

    const gone = await runCommand('doctor billing --observe 500ms --pod gone'.split(' ').concat(admin));
    expect(gone.out).toMatch(/^fail {2}grace period {2}There is no pod 'default\/gone' \(404\)/m);
    expect(gone.code).toBe(3);
  });

  it('a namespace that does not exist is named', async () => {
    const path = await stage.server.writeKubeconfig({ namespace: 'nowhere' });
    const { out, code } = await runCommand(['doctor', 'billing', '--observe', '300ms', '--kubeconfig', path]);
    expect(code).toBe(3);
    expect(out).toContain("There is no namespace 'nowhere'");
  });
});
