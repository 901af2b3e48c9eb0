/**
 * A contender that uses the npm package @codedependant/kubernetes-leader-election. It says on standard output, a JSON
 * object a line, what happens to it and when, by the machine's monotonic clock.
 */
import { Elector } from '@codedependant/kubernetes-leader-election';

const options = Object.fromEntries(
  process.argv.slice(2).map((argument) => argument.replace('--', '').split(/=(.*)/s)),
);
process.env.KUBECONFIG = options.kubeconfig;
// Without it, it leads at once, as the only process there is.
process.env.KUBERNETES_SERVICE_HOST ??= '127.0.0.1';

function say(event, leader = '') {
  const monotonicNs = String(process.hrtime.bigint());
  process.stdout.write(`${JSON.stringify({ event, identity: options.identity, leader, monotonicNs })}\n`);
}

/** It tells whom it follows in its log only. */
const log = {
  debug: (seen, text) => {
    if (text === 'attempting to become leader') say('leader', seen.holder_identity);
  },
  error: (...words) => console.error(...words),
};
log.child = () => log;

say('ready');
const elector = new Elector({
  auto_close: false,
  identity: options.identity,
  lease_name: options.lease,
  namespace: options.namespace,
  lease_duration_sec: Number(options['lease-duration-ms']) / 1000,
  renew_interval_ms: Number(options['retry-period-ms']),
  log,
});
elector.on(Elector.EVENTS.LEADERSHIP_ACQUIRED, () => say('started'));
elector.on(Elector.EVENTS.LEADERSHIP_LOST, () => say('stopped'));
process.once('SIGTERM', async () => {
  // An end that was asked for has no event.
  if (elector.current_leader) say('stopped');
  await elector.stop();
  process.exit();
});
await elector.start();
