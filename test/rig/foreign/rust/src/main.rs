//! A contender that uses the crate kube-leader-election as its documentation shows: it asks for the Lease again every
//! retry period, and leads from an answer that grants it until the renew deadline after that answer was asked for.
//! It says on standard output, a JSON object a line, what happens to it and when, by the machine's monotonic clock.

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube_leader_election::{LeaseLock, LeaseLockParams, LeaseLockResult};
use std::time::{Duration, Instant};
use tokio::signal::unix::{signal, SignalKind};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(contend())
}

async fn contend() -> Result<(), Box<dyn std::error::Error>> {
    let identity = argument("identity")?;
    let kubeconfig = Kubeconfig::read_from(argument("kubeconfig")?)?;
    let config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let lock = LeaseLock::new(
        kube::Client::try_from(config)?,
        &argument("namespace")?,
        LeaseLockParams {
            lease_name: argument("lease")?,
            holder_id: identity.clone(),
            lease_ttl: milliseconds("lease-duration-ms")?,
        },
    );
    let renew_deadline = milliseconds("renew-deadline-ms")?;
    let retry_period = milliseconds("retry-period-ms")?;
    let mut asked_to_end = signal(SignalKind::terminate())?;
    say("ready", &identity, "");
    let mut leads_until: Option<Instant> = None;
    let mut leader = String::new();

    loop {
        let asked_at = Instant::now();
        let patience = leads_until.map_or(renew_deadline, |until| until - asked_at);
        match tokio::time::timeout(patience, lock.try_acquire_or_renew()).await {
            Ok(Ok(LeaseLockResult::Acquired(_))) => {
                if leads_until.is_none() {
                    say("started", &identity, "");
                }
                leads_until = Some(asked_at + renew_deadline);
            }
            Ok(Ok(LeaseLockResult::NotAcquired(lease))) => {
                if leads_until.take().is_some() {
                    say("stopped", &identity, "");
                }
                let holder = lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default();
                if leader != holder {
                    say("leader", &identity, &holder);
                }
                leader = holder;
            }
            // A refusal or a time-out proves nothing.
            Ok(Err(error)) => eprintln!("{error}"),
            Err(_) => eprintln!("no answer within {patience:?}"),
        }
        if leads_until.is_some_and(|until| Instant::now() + retry_period >= until) {
            leads_until = None;
            say("stopped", &identity, "");
        }
        tokio::select! {
            _ = tokio::time::sleep(retry_period) => {}
            _ = asked_to_end.recv() => {
                if leads_until.is_some() {
                    say("stopped", &identity, "");
                    lock.step_down().await?;
                }
                return Ok(());
            }
        }
    }
}

fn argument(name: &str) -> Result<String, String> {
    let prefix = format!("--{name}=");
    std::env::args()
        .find_map(|argument| argument.strip_prefix(&prefix).map(str::to_owned))
        .ok_or(format!("{prefix} is missing"))
}

fn milliseconds(name: &str) -> Result<Duration, Box<dyn std::error::Error>> {
    Ok(Duration::from_millis(argument(name)?.parse()?))
}

fn say(event: &str, identity: &str, leader: &str) {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it only writes to `now`.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    let monotonic_ns = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
    println!(
        r#"{{"event":"{event}","identity":"{identity}","leader":"{leader}","monotonicNs":"{monotonic_ns}"}}"#
    );
}
