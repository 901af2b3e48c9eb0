"""A contender that uses the leader election of one of the two Python clients.

It says on standard output, a JSON object a line, what happens to it and when, by the machine's monotonic clock.
"""

import argparse
import asyncio
import json
import os
import signal
import time


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--client", choices=["kubernetes", "kubernetes_asyncio"], required=True)
    for name in ("kubeconfig", "namespace", "lease", "identity"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("lease-duration-ms", "renew-deadline-ms", "retry-period-ms"):
        parser.add_argument(f"--{name}", type=int, required=True)
    return parser.parse_args()


options = arguments()
told_leader = None


def say(event, leader=""):
    words = {"event": event, "identity": options.identity, "leader": leader, "monotonicNs": str(time.monotonic_ns())}
    # One write, since the handler of a signal may interrupt another.
    os.write(1, f"{json.dumps(words)}\n".encode())


def saw(found):
    """Says who leads, when that is another than before. `found` is what a lock's get gives."""
    global told_leader
    there, record = found
    leader = (record.holder_identity or "") if there else ""
    if leader not in (told_leader, options.identity):
        say("leader", leader)
        told_leader = leader
    return found


def end(*_):
    # Neither client can give the lease back: whoever ends leads until then.
    say("stopped")
    os._exit(0)


def timing():
    return {
        "lease_duration": options.lease_duration_ms // 1000,
        "renew_deadline": options.renew_deadline_ms // 1000,
        "retry_period": options.retry_period_ms // 1000,
    }


def run_kubernetes():
    from kubernetes import config
    from kubernetes.leaderelection import electionconfig, leaderelection
    from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

    class TellingLock(LeaseLock):
        def get(self, name, namespace):
            return saw(super().get(name, namespace))

    config.load_kube_config(options.kubeconfig)
    election = electionconfig.Config(
        TellingLock(options.lease, options.namespace, options.identity),
        **timing(),
        onstarted_leading=lambda: say("started"),
        onstopped_leading=lambda: say("stopped"),
    )
    leaderelection.LeaderElection(election).run()


async def run_kubernetes_asyncio():
    from kubernetes_asyncio import config
    from kubernetes_asyncio.client.api_client import ApiClient
    from kubernetes_asyncio.leaderelection import electionconfig, leaderelection
    from kubernetes_asyncio.leaderelection.resourcelock.leaselock import LeaseLock

    class TellingLock(LeaseLock):
        async def get(self, name, namespace):
            return saw(await super().get(name, namespace))

    async def started():
        say("started")

    async def stopped():
        say("stopped")

    await config.load_kube_config(options.kubeconfig)
    async with ApiClient() as client:
        election = electionconfig.Config(
            TellingLock(options.lease, options.namespace, options.identity, client),
            **timing(),
            onstarted_leading=started,
            onstopped_leading=stopped,
        )
        await leaderelection.LeaderElection(election).run()


signal.signal(signal.SIGTERM, end)
say("ready")
if options.client == "kubernetes":
    run_kubernetes()
else:
    asyncio.run(run_kubernetes_asyncio())
