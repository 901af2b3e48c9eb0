import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.extended.leaderelection.LeaderCallbacks;
import io.fabric8.kubernetes.client.extended.leaderelection.LeaderElectionConfigBuilder;
import java.io.FileReader;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/**
 * A contender that uses the leader election of one of the two Java clients, and says on standard output, a JSON object
 * a line, what happens to it and when, by the machine's monotonic clock.
 */
final class Contender {
  private final Map<String, String> options = new HashMap<>();

  private Contender(String[] arguments) {
    for (String argument : arguments) {
      String[] parts = argument.substring("--".length()).split("=", 2);
      options.put(parts[0], parts[1]);
    }
  }

  public static void main(String[] arguments) throws Exception {
    Contender contender = new Contender(arguments);
    contender.say("ready", "");
    switch (contender.option("client")) {
      case "fabric8" -> contender.runFabric8();
      case "client-java" -> contender.runClientJava();
      default -> throw new IllegalArgumentException("--client is fabric8 or client-java");
    }
  }

  private void runFabric8() throws Exception {
    Path kubeconfig = Path.of(option("kubeconfig"));
    KubernetesClient client =
        new KubernetesClientBuilder()
            .withConfig(io.fabric8.kubernetes.client.Config.fromKubeconfig(kubeconfig.toFile()))
            .build();
    CompletableFuture<?> election =
        client
            .leaderElector()
            .withConfig(
                new LeaderElectionConfigBuilder()
                    .withName(option("lease"))
                    .withLock(
                        new io.fabric8.kubernetes.client.extended.leaderelection.resourcelock.LeaseLock(
                            option("namespace"), option("lease"), option("identity")))
                    .withLeaseDuration(duration("lease-duration-ms"))
                    .withRenewDeadline(duration("renew-deadline-ms"))
                    .withRetryPeriod(duration("retry-period-ms"))
                    .withReleaseOnCancel(true)
                    .withLeaderCallbacks(
                        new LeaderCallbacks(
                            () -> say("started", ""),
                            () -> say("stopped", ""),
                            leader -> say("leader", leader == null ? "" : leader)))
                    .build())
            .build()
            .start();
    onSignal(() -> election.cancel(true));
    try {
      election.get();
    } catch (CancellationException | ExecutionException over) {
      System.err.println(over);
    }
  }

  private void runClientJava() throws Exception {
    io.kubernetes.client.openapi.ApiClient client =
        io.kubernetes.client.util.ClientBuilder.kubeconfig(
                io.kubernetes.client.util.KubeConfig.loadKubeConfig(
                    new FileReader(option("kubeconfig"))))
            .build();
    var lock =
        new io.kubernetes.client.extended.leaderelection.resourcelock.LeaseLock(
            option("namespace"), option("lease"), option("identity"), client) {
          @Override
          public boolean update(
              io.kubernetes.client.extended.leaderelection.LeaderElectionRecord written) {
            // It gives the lease back before it calls its stop hook.
            String holder = written.getHolderIdentity();
            if (holder == null || holder.isEmpty()) say("releasing", "");
            return super.update(written);
          }
        };
    var elector =
        new io.kubernetes.client.extended.leaderelection.LeaderElector(
            new io.kubernetes.client.extended.leaderelection.LeaderElectionConfig(
                lock,
                duration("lease-duration-ms"),
                duration("renew-deadline-ms"),
                duration("retry-period-ms")));
    Thread main = Thread.currentThread();
    onSignal(
        () -> {
          elector.close();
          join(main);
        });
    elector.run(
        () -> say("started", ""),
        () -> say("stopped", ""),
        leader -> say("leader", leader == null ? "" : leader));
  }

  private static void onSignal(Runnable action) {
    Runtime.getRuntime().addShutdownHook(new Thread(action));
  }

  /** Its stop hook is called there. */
  private static void join(Thread thread) {
    try {
      thread.join();
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private String option(String name) {
    String value = options.get(name);
    if (value == null) throw new IllegalArgumentException("--" + name + " is missing");
    return value;
  }

  private Duration duration(String name) {
    return Duration.ofMillis(Long.parseLong(option(name)));
  }

  private synchronized void say(String event, String leader) {
    System.out.printf(
        "{\"event\":\"%s\",\"identity\":\"%s\",\"leader\":\"%s\",\"monotonicNs\":\"%d\"}%n",
        event, option("identity"), leader, System.nanoTime());
    System.out.flush();
  }
}
