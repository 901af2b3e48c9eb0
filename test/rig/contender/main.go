// A contender that uses client-go's leader election, and says on standard output, a JSON object a line, what happens
// to it and when, by the machine's monotonic clock (the one Node's process.hrtime reads).
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

type line struct {
	Event       string `json:"event"`
	Identity    string `json:"identity"`
	MonotonicNs string `json:"monotonicNs"`
	Leader      string `json:"leader,omitempty"`
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "path of the kubeconfig")
	namespace := flag.String("namespace", "default", "namespace of the lease")
	lease := flag.String("lease", "contended", "name of the lease")
	identity := flag.String("identity", "client-go", "name of this contender")
	leaseDuration := flag.Duration("lease-duration", 15*time.Second, "lease duration")
	renewDeadline := flag.Duration("renew-deadline", 10*time.Second, "renew deadline")
	retryPeriod := flag.Duration("retry-period", 2*time.Second, "retry period")
	release := flag.Bool("release-on-cancel", true, "release the lease on SIGTERM")
	flag.Parse()

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	client := kubernetes.NewForConfigOrDie(config)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	say := announcer(*identity)
	say("ready", "")
	leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
		Lock: &tellingLock{
			LeaseLock: resourcelock.LeaseLock{
				LeaseMeta:  metav1.ObjectMeta{Name: *lease, Namespace: *namespace},
				Client:     client.CoordinationV1(),
				LockConfig: resourcelock.ResourceLockConfig{Identity: *identity},
			},
			say: say,
		},
		LeaseDuration:   *leaseDuration,
		RenewDeadline:   *renewDeadline,
		RetryPeriod:     *retryPeriod,
		ReleaseOnCancel: *release,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { say("started", "") },
			OnStoppedLeading: func() { say("stopped", "") },
			OnNewLeader:      func(leader string) { say("leader", leader) },
		},
	})
}

// tellingLock says when the lease is about to be given back. On a signal the leader's context is over by then, while
// OnStoppedLeading is called only after the request, when another may lead already.
type tellingLock struct {
	resourcelock.LeaseLock
	say func(event, leader string)
}

func (lock *tellingLock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	if record.HolderIdentity == "" {
		lock.say("releasing", "")
	}
	return lock.LeaseLock.Update(ctx, record)
}

func announcer(identity string) func(event, leader string) {
	var mutex sync.Mutex
	return func(event, leader string) {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			panic(err)
		}
		text, _ := json.Marshal(line{event, identity, fmt.Sprint(now.Nano()), leader})
		mutex.Lock()
		defer mutex.Unlock()
		fmt.Println(string(text))
	}
}
