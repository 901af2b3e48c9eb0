/** gRPC: a refusal is UNAVAILABLE with the leader in its metadata, for every kind of call. */
import { Metadata, credentials, loadPackageDefinition, status, type ServiceError } from '@grpc/grpc-js';
import { fromJSON, type PackageDefinition } from '@grpc/proto-loader';
import { Controller, Injectable } from '@nestjs/common';
import {
  GrpcMethod,
  GrpcStreamCall,
  GrpcStreamMethod,
  Payload,
  Transport,
  type MicroserviceOptions,
} from '@nestjs/microservices';
import { OnlyWhenLeader, currentTerm } from 'nestjs-leader';
import { NEVER, firstValueFrom, merge, of, type Observable } from 'rxjs';
import { expect, it, onTestFinished } from 'vitest';
import { freePort, prepared, type Tested } from './application.js';

interface Amount {
  readonly amount: number;
}

const method = { requestType: 'Amount', responseType: 'Amount', comment: '' };
const fromStream = { ...method, requestStream: true };

/** As of a file of definitions. */
const definition: PackageDefinition = fromJSON({
  nested: {
    ledger: {
      nested: {
        Amount: { fields: { amount: { type: 'int32', id: 1 } } },
        Ledger: {
          methods: {
            Book: method,
            Further: method,
            List: { ...method, responseStream: true },
            Sum: fromStream,
            Echo: { ...fromStream, responseStream: true },
            Hand: fromStream,
            HandEcho: { ...fromStream, responseStream: true },
          },
        },
      },
    },
  },
});

@Injectable()
class Store {
  @OnlyWhenLeader()
  async book(amount: Amount): Promise<Amount> {
    return amount;
  }
}

@Controller()
class Ledger {
  constructor(private readonly store: Store) {}

  @GrpcMethod('Ledger', 'Book')
  @OnlyWhenLeader()
  async book(@Payload() { amount }: Amount): Promise<Amount> {
    return { amount: amount + Number(currentTerm().fencingToken) };
  }

  /** Not gated itself. */
  @GrpcMethod('Ledger', 'Further')
  further(request: Amount): Promise<Amount> {
    return this.store.book(request);
  }

  @OnlyWhenLeader()
  @GrpcMethod('Ledger', 'List')
  list(): Observable<Amount> {
    return merge(of({ amount: 1 }), NEVER);
  }

  @GrpcStreamMethod('Ledger', 'Sum')
  @OnlyWhenLeader()
  sum(amounts: Observable<Amount>): Promise<Amount> {
    return firstValueFrom(amounts);
  }

  @GrpcStreamMethod('Ledger', 'Echo')
  @OnlyWhenLeader()
  echo(amounts: Observable<Amount>): Observable<Amount> {
    return amounts;
  }

  @GrpcStreamCall('Ledger', 'Hand')
  @OnlyWhenLeader()
  hand(_call: unknown, callback: (error: null, amount: Amount) => void): void {
    callback(null, { amount: 7 });
  }

  @GrpcStreamCall('Ledger', 'HandEcho')
  @OnlyWhenLeader()
  handEcho(call: { write(amount: Amount): void; end(): void }): void {
    call.write({ amount: 8 });
    call.end();
  }
}

interface ClientCall {
  on(event: 'data', listener: (amount: Amount) => void): this;
  on(event: 'error', listener: (error: ServiceError) => void): this;
  on(event: 'end', listener: () => void): this;
  write(amount: Amount): void;
  end(): void;
}
type Callback = (error: ServiceError | null, amount?: Amount) => void;
type Client = Record<'Book' | 'Further', (amount: Amount, callback: Callback) => void> &
  Record<'Sum' | 'Hand', (callback: Callback) => ClientCall> &
  Record<'Echo' | 'HandEcho', () => ClientCall> & {
    List(amount: Amount): ClientCall;
    close(): void;
  };

async function withClient(
  identity = 'the-other',
): Promise<Tested & { client: Client; calls: Record<string, () => Promise<unknown>> }> {
  const tested = await prepared({ controllers: [Ledger], providers: [Store] });
  const url = `127.0.0.1:${await freePort()}`;
  tested.app.connectMicroservice<MicroserviceOptions>({
    transport: Transport.GRPC,
    options: { package: 'ledger', packageDefinition: definition, url },
  });
  await tested.app.startAllMicroservices();
  await tested.app.init();
  const loaded = loadPackageDefinition(definition)['ledger'] as unknown as {
    Ledger: new (url: string, credentials: unknown) => Client;
  };
  const client = new loaded.Ledger(url, credentials.createInsecure());
  onTestFinished(() => client.close());
  tested.elector.revoke('superseded', identity);
  const answered =
    (resolve: (value: unknown) => void): Callback =>
    (error, amount) =>
      resolve(error ?? amount);
  const streamed = (call: ClientCall): Promise<unknown> =>
    new Promise((resolve) => {
      const seen: Amount[] = [];
      call
        .on('data', (amount) => seen.push(amount))
        .on('error', resolve)
        .on('end', () => resolve(seen));
    });
  const sending = (call: ClientCall): ClientCall => {
    call.write({ amount: 5 });
    call.end();
    return call;
  };
  const calls = {
    Book: () => new Promise((resolve) => client.Book({ amount: 5 }, answered(resolve))),
    Further: () => new Promise((resolve) => client.Further({ amount: 5 }, answered(resolve))),
    List: () => streamed(client.List({ amount: 5 })),
    Sum: () => new Promise((resolve) => sending(client.Sum(answered(resolve)))),
    Echo: () => streamed(sending(client.Echo())),
    Hand: () => new Promise((resolve) => sending(client.Hand(answered(resolve)))),
    HandEcho: () => streamed(sending(client.HandEcho())),
  };
  return { ...tested, client, calls };
}

/** What a client sees of an error. */
function seen(error: unknown): unknown {
  const { code, details, metadata } = error as ServiceError;
  expect(metadata).toBeInstanceOf(Metadata);
  return { code, details, leader: metadata.get('leader'), reason: metadata.get('code') };
}

it('a follower refuses every kind of call with UNAVAILABLE, and says who leads', async () => {
  const { calls, errors } = await withClient();
  for (const [name, call] of Object.entries(calls)) {
    expect([name, seen(await call())]).toEqual([
      name,
      {
        code: status.UNAVAILABLE,
        details: expect.stringContaining('the-other'),
        leader: ['the-other'],
        reason: ['NOT_LEADER'],
      },
    ]);
  }
  expect(errors).toEqual([]);
});

it('the leader answers', async () => {
  const { elector, calls } = await withClient();
  elector.grant({ fencingToken: 3n });
  expect([await calls['Book']?.(), await calls['Sum']?.(), await calls['Echo']?.()]).toMatchObject([
    { amount: 8 },
    { amount: 5 },
    [{ amount: 5 }],
  ]);
  expect([await calls['Hand']?.(), await calls['HandEcho']?.()]).toMatchObject([
    { amount: 7 },
    [{ amount: 8 }],
  ]);
});

it('a stream that is cut off with the term ends with UNAVAILABLE and TERM_OVER', async () => {
  const { elector, client, errors } = await withClient();
  elector.grant();
  const amounts: number[] = [];
  const ended = new Promise<unknown>((resolve) => {
    client
      .List({ amount: 5 })
      .on('data', ({ amount }) => {
        amounts.push(amount);
        elector.revoke('superseded', 'the-next');
      })
      .on('error', resolve)
      .on('end', () => resolve('ended'));
  });
  expect(seen(await ended)).toMatchObject({ code: status.UNAVAILABLE, reason: ['TERM_OVER'] });
  expect([amounts, errors]).toEqual([[1], []]);
});

it('an identity that metadata cannot hold is escaped', async () => {
  const { calls } = await withClient('bücher\n1');
  expect(seen(await calls['Book']?.())).toMatchObject({
    code: status.UNAVAILABLE,
    leader: ['b%C3%BCcher\\u000a1'],
  });
});
