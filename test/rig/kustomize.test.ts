import { describe, expect, it } from 'vitest';
import { findKustomize } from './kustomize.js';

const found = findKustomize();

describe('kustomize', () => {
  it(found.available ? 'refuses a folder that it cannot build' : `is not here: ${found.reason}`, async () => {
    if (found.available) await expect(found.build('test/rig')).rejects.toThrow('kustomization');
  });
});
