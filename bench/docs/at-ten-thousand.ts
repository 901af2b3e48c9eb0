/** The cost of ten thousand elections to the API server and etcd, calculated from the cost of one. */
import { figure, table } from '../markdown.js';

const ELECTIONS = 10_000;
const REPLICAS = 3;
const FOLLOWERS = REPLICAS - 1;
/** 15/10/2 s: ours renews every 10 s ÷ 3. */
const OURS_PUTS_A_SECOND = 18 / 60;
/** Measured: `steady` above. Its PUTs come every 2 s, its followers' GETs every 2 s × 1 to 2.2. */
const CLIENT_GO_PUTS_A_SECOND = 30 / 60;
const CLIENT_GO_GETS_A_SECOND = 19 / 60;
/** A Lease of ours as the API server stores it (protobuf, with managedFields); client-go's has 409. */
const LEASE_BYTES = 420;
/** The same as an event of a watch (JSON). */
const EVENT_BYTES = 763;
/** The history that etcd keeps: the API server compacts every five minutes and keeps the last five. */
const HISTORY_SECONDS = 600;
/** Watches use four fifths of the 100 streams that an API server allows per connection. */
const WATCHES_A_CONNECTION = 80;

/** How the elections are spread over processes. */
const LAYOUTS = [
  { what: '3 processes with 10,000 elections each', processes: 3 },
  { what: '30 processes with 1,000 elections each', processes: 30 },
  { what: '3,000 processes with 10 elections each', processes: 3_000 },
  { what: '30,000 processes with one election each', processes: 30_000 },
] as const;

export function atTenThousand(): string {
  const puts = ELECTIONS * OURS_PUTS_A_SECOND;
  const goPuts = ELECTIONS * CLIENT_GO_PUTS_A_SECOND;
  const goGets = ELECTIONS * FOLLOWERS * CLIENT_GO_GETS_A_SECOND;
  const watches = ELECTIONS * REPLICAS;
  const events = puts * REPLICAS;
  const megabytes = (bytes: number): string => `${figure(bytes / 1e6)} MB`;
  const costs = table(
    [
      '10,000 elections × 3 replicas, 15/10/2 s',
      'one watch an election',
      'one watch a namespace',
      'client-go',
    ],
    [
      ['PUTs a second', count(puts), count(puts), count(goPuts)],
      ['GETs a second, which etcd answers', '0', '0', count(goGets)],
      ['requests a second', count(puts), count(puts), count(goPuts + goGets)],
      ['watches', count(watches), 'one a process: see below', '0'],
      ['events a second', count(events), 'see below', '0'],
      ['events, bytes a second', megabytes(events * EVENT_BYTES), 'see below', '0'],
      ['etcd: writes a second', count(puts), count(puts), count(goPuts)],
      [
        'etcd: bytes a second, into its log and into its database',
        megabytes(puts * LEASE_BYTES),
        megabytes(puts * LEASE_BYTES),
        megabytes(goPuts * LEASE_BYTES),
      ],
      [
        'etcd: history until it is compacted',
        megabytes(puts * LEASE_BYTES * HISTORY_SECONDS),
        megabytes(puts * LEASE_BYTES * HISTORY_SECONDS),
        megabytes(goPuts * LEASE_BYTES * HISTORY_SECONDS),
      ],
    ],
  );
  const fanOut = table(
    ['', 'watches', 'events a second', 'connections of each process'],
    LAYOUTS.map(({ what, processes }) => [
      what,
      pair(watches, processes),
      pair(events, puts * processes),
      pair(Math.ceil(watches / processes / WATCHES_A_CONNECTION), 1),
    ]),
  );
  return `On paper, with every process healthy, nothing handed over, and all Leases in one namespace.

${costs}
The arithmetic, for one second:

- Ours: a leader renews every 10 s ÷ 3, ${count(ELECTIONS)} × 18 ÷ 60 = **${count(puts)} PUTs**. Followers send nothing. Each of
  the three replicas watches, the leader too, so each write is told three times: ${count(puts)} × 3 = **${count(events)} events**.
- client-go: a leader writes every 2 s, ${count(ELECTIONS)} × 30 ÷ 60 = **${count(goPuts)} PUTs**. Each of two followers reads 19
  times a minute, ${count(ELECTIONS)} × 2 × 19 ÷ 60 = **${count(goGets)} GETs**. A GET of one object is answered by etcd, not by the
  API server's watch cache.
- etcd: a Lease is ${String(LEASE_BYTES)} bytes as the API server stores it, and every PUT stores all of it:
  ${count(puts)} × ${String(LEASE_BYTES)} = ${megabytes(puts * LEASE_BYTES)}, once in the log and once in the database. The API server has etcd
  forget the past every five minutes, up to five minutes before, so up to ${String(HISTORY_SECONDS)} s of it are kept, in a database
  whose quota is 2 GB unless it was raised. An event is ${String(EVENT_BYTES)} bytes of JSON.
- For comparison: the kubelets of 5,000 nodes renew their Leases every 10 s, which is 500 PUTs a second.

**One watch for each election, or one for each namespace?** The watch cache finds the watches that name one Lease by that name,
so an event costs as much as there are replicas, however many other elections there are. A watch of the whole namespace is told
every write in it, also of elections that its process takes no part in. In each cell: one watch for each election / one for each
namespace.

${fanOut}
A shared watch saves the API server a goroutine and a buffer for each watch, and the process connections, since one carries
${String(WATCHES_A_CONNECTION)} watches beside its requests. It costs no more events where every process takes part in every election of the namespace; with 30 processes
of 1,000 elections it costs ten times the events, and with a process for each election it is out of the question. It also needs the
right to watch all Leases of the namespace, where \`resourceNames\` may allow one. So this package opens a watch for each election.

**What to do at that size.** The timing decides, not the watches: with \`leaseDuration\` 60 s, \`renewDeadline\` 40 s and \`retryPeriod\`
8 s the ${count(puts)} PUTs are ${count(puts / 4)}, a hand-over takes as long as before, and only a crash is healed later. Slots, or elections that several tasks
share, make fewer Leases.
`;
}

function pair(election: number, namespace: number): string {
  return `${count(election)} / ${count(namespace)}`;
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
