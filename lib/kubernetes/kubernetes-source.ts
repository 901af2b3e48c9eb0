/** How to find and reach an API server. */
export type KubernetesSource =
  /**
   * By a kubeconfig; without a file by the usual order: the pod's service account, `KUBECONFIG`, `~/.kube/config`.
   * `context` chooses one other than the current.
   */
  | { readonly kubeconfigFile?: string | undefined; readonly context?: string | undefined }
  /** By address: `server` is its URL, `certificateAuthority` a PEM text to trust instead of the system's. */
  | {
      readonly server: string;
      readonly token?: string | undefined;
      readonly certificateAuthority?: string | undefined;
    };
