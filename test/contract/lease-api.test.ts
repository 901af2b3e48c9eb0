/** The contract of the Lease API. Every test runs on the embedded server and, if available, on the real one. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findServers } from '../rig/servers.js';
import { describeAccess } from './access-contract.js';
import { startEmbedded, startReal, type ContractServer } from './contract-server.js';
import { describeDiscovery } from './discovery-contract.js';
import { describeLists } from './list-contract.js';
import { creatingRows } from './creating-rows.js';
import { decodingRows } from './decoding-rows.js';
import { deletingRows } from './deleting-rows.js';
import { httpRows } from './http-rows.js';
import { jsonPatchRows } from './json-patch-rows.js';
import { describeLeaseLock } from './lock-contract.js';
import { mergePatchRows } from './merge-patch-rows.js';
import { metadataRows } from './metadata-rows.js';
import { replacingRows } from './replacing-rows.js';
import { runRows } from './row.js';
import { specRows } from './spec-rows.js';
import { timeRows } from './time-rows.js';
import { describeTables } from './table-contract.js';
import { describeWatches } from './watch-contract.js';
import { describeWrites } from './write-contract.js';

function describeLeaseApi(name: string, start: () => Promise<ContractServer>): void {
  describe(name, () => {
    let running: ContractServer;
    const server = (): ContractServer => running;

    beforeAll(async () => {
      running = await start();
    });

    afterAll(async () => {
      await running.stop();
    });

    describe.each([
      ['POST and GET', creatingRows],
      ['PUT', replacingRows],
      ['DELETE', deletingRows],
      ['bodies', decodingRows],
      ['times', timeRows],
      ['rules of the spec', specRows],
      ['rules of the metadata', metadataRows],
      ['merge patches', mergePatchRows],
      ['JSON patches', jsonPatchRows],
      ['methods, paths and media types', httpRows],
    ])('%s', (_title, rows) => {
      runRows(server, 'contract', rows);
    });
    describe('lists', () => {
      describeLists(server);
    });
    describe('discovery', () => {
      describeDiscovery(server);
    });
    describe('tables', () => {
      describeTables(server);
    });
    describe('watches', () => {
      describeWatches(server);
    });
    describe('sequential and concurrent writes', () => {
      describeWrites(server);
    });
    describe('access', () => {
      describeAccess(server);
    });
    describe('the lock', () => {
      describeLeaseLock(server);
    });
  });
}

describeLeaseApi('the embedded Lease API server', startEmbedded);

const found = findServers();

if (found.available) {
  describeLeaseApi('the real kube-apiserver', startReal);
} else {
  describe('the real kube-apiserver', () => {
    it(`is not available, so only the embedded server was tested: ${found.reason}`, () => {
      expect(found.reason).not.toBe('');
    });
  });
}
