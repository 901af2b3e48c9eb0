// A contender that uses client-go's leader election, and says on standard output, a JSON object a line, what happens
// to it and when, by the machine's monotonic clock (the one Node's process.hrtime reads).
package main

import (
	"context"
	"encoding/json"
	"errors"
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
	Lease       string `json:"lease"`
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "path of the kubeconfig")
	namespace := flag.String("namespace", "default", "namespace of the lease")
	lease := flag.String("lease", "contended", "name of the lease")
	elections := flag.Int("elections", 1, "how many elections on one client; several are on <lease>-0, <lease>-1, and so on")
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
	// Its default of 5 requests a second is less than many elections need.
	config.QPS = -1
	client := kubernetes.NewForConfigOrDie(config)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	announce := announcer(*identity)
	announce("ready", "", "")
	var running sync.WaitGroup
	for index := range *elections {
		name := *lease
		if *elections > 1 {
			name = fmt.Sprintf("%s-%d", *lease, index)
		}
		say := func(event, leader string) { announce(event, leader, name) }
		running.Go(func() {
			leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
				Lock: &tellingLock{
					LeaseLock: resourcelock.LeaseLock{
						LeaseMeta:  metav1.ObjectMeta{Name: name, Namespace: *namespace},
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
		})
	}
	running.Wait()
}

// tellingLock says when the lease is about to be given back, and when a request has run out of time. On a signal the
// leader's context is over when the lease is given back, while OnStoppedLeading is called only after the request, when
// another may lead already.
type tellingLock struct {
	resourcelock.LeaseLock
	say func(event, leader string)
}

func (lock *tellingLock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	if record.HolderIdentity == "" {
		lock.say("releasing", "")
	}
	return lock.tell(lock.LeaseLock.Update(ctx, record))
}

func (lock *tellingLock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return lock.tell(lock.LeaseLock.Create(ctx, record))
}

func (lock *tellingLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := lock.LeaseLock.Get(ctx)
	return record, raw, lock.tell(err)
}

func (lock *tellingLock) tell(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		lock.say("timeout", "")
	}
	return err
}

func announcer(identity string) func(event, leader, lease string) {
	var mutex sync.Mutex
	return func(event, leader, lease string) {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			panic(err)
		}
		text, _ := json.Marshal(line{event, identity, fmt.Sprint(now.Nano()), leader, lease})
		mutex.Lock()
		defer mutex.Unlock()
		fmt.Println(string(text))
	}
}
