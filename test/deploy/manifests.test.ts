/** deploy/base holds the objects of docs/operations.md, and the overlay there changes what it says. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadAllYaml } from '@kubernetes/client-node';
import { describe, expect, it } from 'vitest';
import { examplesIn } from '../package/consumer.js';
import { findKustomize } from '../rig/kustomize.js';
import { documentedOverlay } from './overlay.js';

const found = findKustomize();

interface Manifest {
  readonly kind: string;
}

/** Objects by their kind, none of which occurs twice. */
function keyed(objects: readonly Manifest[]): Map<string, Manifest> {
  return new Map(objects.map((object) => [object.kind, object]));
}

function byKind(yaml: string): Map<string, Manifest> {
  return keyed(loadAllYaml(yaml) as Manifest[]);
}

async function documented(name: string): Promise<string> {
  return (await examplesIn('docs/operations.md')).get(name) ?? '';
}

describe('deploy/base', () => {
  it('lists files that hold the objects of docs/operations.md', async () => {
    const kustomization = byKind(await readFile('deploy/base/kustomization.yaml', 'utf8')).get(
      'Kustomization',
    );
    const { resources } = kustomization as unknown as { resources: string[] };
    const files = await Promise.all(resources.map((file) => readFile(join('deploy/base', file), 'utf8')));
    expect(byKind(files.join('---\n'))).toEqual(byKind(await documented('billing.yaml')));
  });
});

describe('kustomize', () => {
  if (!found.available) {
    it(`does not build deploy/ here: ${found.reason}`, () => {
      expect(found.reason).not.toBe('');
    });
    return;
  }
  it('builds the same objects of deploy/base', async () => {
    expect(byKind(await found.build('deploy/base'))).toEqual(byKind(await documented('billing.yaml')));
  });

  it('builds the overlay of docs/operations.md on the base in node_modules', async () => {
    const objects = keyed(await documentedOverlay<Manifest>(found.build));
    expect([...objects.keys()].sort()).toEqual([...byKind(await documented('billing.yaml')).keys()].sort());
    for (const object of objects.values()) expect(object).toMatchObject({ metadata: { namespace: 'shop' } });
    expect(objects.get('RoleBinding')).toMatchObject({ subjects: [{ name: 'billing', namespace: 'shop' }] });
    expect(objects.get('Role')).toMatchObject({
      rules: [{ resources: ['leases'], resourceNames: ['invoices'] }, {}, {}, {}],
    });
    expect(objects.get('Deployment')).toMatchObject({
      spec: {
        replicas: 5,
        template: {
          spec: {
            containers: [
              {
                image: 'registry.example.com/shop/billing:2.3.0',
                env: [{ name: 'POD_NAME' }, { name: 'LEADER_ELECTION_LEASE_NAME', value: 'invoices' }],
              },
            ],
          },
        },
      },
    });
  });
});
