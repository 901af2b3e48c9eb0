/** The Lease API, as the real server has it and the embedded one must. A row holds on both, or the suite fails. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findServers } from '../rig/servers.js';
import { describeAccess } from './access-contract.js';
import { startEmbedded, startReal, type ContractServer } from './contract-server.js';
import { decodingRows } from './decoding-rows.js';
import { describeLists } from './list-contract.js';
import { httpRows } from './http-rows.js';
import { patchRows } from './patch-rows.js';
import { runRows } from './row.js';
import { validationRows } from './validation-rows.js';
import { describeWatches } from './watch-contract.js';
import { describeWrites } from './write-contract.js';
import { writingRows } from './writing-rows.js';

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

    describe('one Lease', () => {
      runRows(server, 'contract', writingRows);
    });
    describe('what can be read', () => {
      runRows(server, 'contract', decodingRows);
    });
    describe('what is valid', () => {
      runRows(server, 'contract', validationRows);
    });
    describe('patches', () => {
      runRows(server, 'contract', patchRows);
    });
    describe('methods, paths and types', () => {
      runRows(server, 'contract', httpRows);
    });
    describe('lists', () => {
      describeLists(server);
    });
    describe('watches', () => {
      describeWatches(server);
    });
    describe('writes, one after another and at once', () => {
      describeWrites(server);
    });
    describe('access', () => {
      describeAccess(server);
    });
  });
}

describeLeaseApi('the embedded Lease API server', startEmbedded);

const found = findServers();

if (found.available) {
  describeLeaseApi('the real kube-apiserver', startReal);
} else {
  describe('the real kube-apiserver', () => {
    it(`is not available, so only the embedded server was held to the contract: ${found.reason}`, () => {
      expect(found.reason).not.toBe('');
    });
  });
}
