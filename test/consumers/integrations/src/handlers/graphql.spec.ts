/** Resolvers of @nestjs/graphql, with Apollo; subscriptions over graphql-ws. */
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import {
  Args,
  Field,
  GraphQLModule,
  Int,
  Mutation,
  ObjectType,
  Parent,
  Query,
  ResolveField,
  Resolver,
  Subscription,
} from '@nestjs/graphql';
import { createClient } from 'graphql-ws';
import { OnlyWhenLeader, currentTerm } from 'nestjs-leader';
import { Subject } from 'rxjs';
import { expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { listening, type Tested } from './application.js';

const started = new Subject<void>();
const goOn = new Subject<void>();

@ObjectType()
class Invoice {
  @Field(() => Int)
  amount!: number;
}

@Resolver(() => Invoice)
class Invoices {
  static cleaned = 0;

  @Query(() => Invoice)
  invoice(): Invoice {
    return { amount: 5 };
  }

  @ResolveField(() => String)
  @OnlyWhenLeader()
  paidIn(@Parent() { amount }: Invoice): string {
    return `${amount} in ${currentTerm().fencingToken}`;
  }

  @Query(() => Int)
  @OnlyWhenLeader()
  sync(@Args('amount', { type: () => Int }) amount: number): number {
    return amount;
  }

  @OnlyWhenLeader()
  @Mutation(() => Int)
  async async(@Args('amount', { type: () => Int }) amount: number): Promise<number> {
    return amount;
  }

  @Query(() => Int, { nullable: true })
  @OnlyWhenLeader({ otherwise: 'skip' })
  skip(): number {
    return 1;
  }

  @Query(() => Int, { nullable: true })
  @OnlyWhenLeader()
  async interrupted(): Promise<number> {
    const until = new Promise<void>((resolve) => goOn.subscribe(() => resolve()));
    started.next();
    await until;
    currentTerm().throwIfOver();
    return 1;
  }

  @Subscription(() => Int, { resolve: (value: number) => value })
  @OnlyWhenLeader()
  async *amounts(): AsyncGenerator<number> {
    try {
      for (let amount = 1; ; amount += 1) {
        yield amount;
        await new Promise<void>((resolve) => currentTerm().signal.addEventListener('abort', () => resolve()));
      }
    } finally {
      Invoices.cleaned += 1;
    }
  }
}

@OnlyWhenLeader()
@Resolver()
class Whole {
  @Query(() => Int)
  whole(): number {
    return 1;
  }
}

type Server = Tested & { url: string; ask: (query: string) => Promise<unknown> };

async function server(): Promise<Server> {
  const tested = await listening({
    imports: [
      GraphQLModule.forRoot<ApolloDriverConfig>({
        driver: ApolloDriver,
        autoSchemaFile: true,
        subscriptions: { 'graphql-ws': true },
      }),
    ],
    providers: [Invoices, Whole],
  });
  const ask = async (query: string): Promise<unknown> => {
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ query });
    return (await fetch(`${tested.url}/graphql`, { method: 'POST', headers, body })).json();
  };
  return { ...tested, ask };
}

/** What a subscription is sent, with what ended it last. */
function subscribe({ url }: { url: string }): AsyncIterator<unknown> {
  const client = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
  });
  onTestFinished(() => client.dispose());
  return client.iterate({ query: 'subscription { amounts }' });
}

it('a follower answers with NOT_LEADER and the leader', async () => {
  const { elector, ask, errors } = await server();
  elector.revoke('superseded', 'the-other');
  for (const query of [
    '{ sync(amount: 5) }',
    'mutation { async(amount: 5) }',
    '{ invoice { paidIn } }',
    '{ whole }',
  ]) {
    expect([query, await ask(query)]).toMatchObject([
      query,
      {
        errors: [
          {
            message: expect.stringContaining('the-other'),
            extensions: { code: 'NOT_LEADER', leader: 'the-other' },
          },
        ],
      },
    ]);
  }
  expect(await ask('{ skip }')).toEqual({ data: { skip: null } });
  expect(errors).toEqual([]);
});

it('the leader answers', async () => {
  const { elector, ask } = await server();
  elector.grant({ fencingToken: 3n });
  expect(await ask('{ sync(amount: 5) invoice { paidIn } skip whole }')).toEqual({
    data: { sync: 5, invoice: { paidIn: '5 in 3' }, skip: 1, whole: 1 },
  });
  expect(await ask('mutation { async(amount: 5) }')).toEqual({ data: { async: 5 } });
});

it('a query whose work ends with the term is answered with TERM_OVER', async () => {
  const { elector, ask, errors } = await server();
  elector.grant();
  const underWay = new Promise<void>((resolve) => started.subscribe(() => resolve()));
  const answer = ask('{ interrupted }');
  await underWay;
  elector.revoke('deadline', 'the-next');
  goOn.next();
  expect(await answer).toMatchObject({
    data: { interrupted: null },
    errors: [{ extensions: { code: 'TERM_OVER', leader: 'the-next' } }],
  });
  expect(errors).toEqual([]);
});

it('a subscription on a follower is refused', async () => {
  const { elector, ...at } = await server();
  elector.revoke('superseded', 'the-other');
  expect(await subscribe(at).next()).toMatchObject({
    value: { errors: [{ extensions: { code: 'NOT_LEADER', leader: 'the-other' } }] },
  });
});

it('a subscription ends with the term, and its generator cleans up', async () => {
  const { elector, ...at } = await server();
  Invoices.cleaned = 0;
  elector.grant();
  const amounts = subscribe(at);
  expect(await amounts.next()).toMatchObject({ value: { data: { amounts: 1 } } });
  const ended = amounts.next().then(
    () => 'went on',
    (error: unknown) => error,
  );
  await elector.stepDown();
  expect(await ended).toMatchObject([{ extensions: { code: 'TERM_OVER' } }]);
  expect(Invoices.cleaned).toBe(1);
});
