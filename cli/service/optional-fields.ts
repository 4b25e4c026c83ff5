/**
 * Fields that Docker's objects have and their JSON leaves out when they are empty. A template may
 * ask for them; a name that is not here and not in the JSON is a mistake in the template.
 */
export const optionalFields: ReadonlySet<string> = new Set(
  (
    'Aliases Args Availability BindOptions CapabilityAdd CapabilityDrop Command CompletedAt Condition ' +
    'Configs Constraints ContainerSpec ContainerStatus CredentialSpec DNSConfig Delay DesiredTasks ' +
    'Dir Discrete DiscreteResourceSpec DriverConfig DriverOpts Endpoint EndpointSpec Engine ' +
    'EngineVersion Env Err ExternalCAs FailureAction File GenericResources Global GlobalJob Groups ' +
    'Healthcheck Hostname Hosts ImageOptions Init Interval Isolation JobIteration JobStatus Labels LastExecution ' +
    'Leader Limits LogDriver ManagerStatus MaxAttempts MaxConcurrent MaxFailureRatio MaxReplicas ' +
    'MemoryBytes Message Mode Monitor Mounts Name NamedResourceSpec Nameservers NanoCPUs Networks ' +
    'NetworksAttachments NodeID OomScoreAdj OpenStdin Options Order Parallelism Pids Placement ' +
    'Platforms Plugins PortStatus Ports Preferences PreviousSpec Privileges PublishMode ' +
    'PublishedPort Reachability ReadOnly Replicas Replicated ReplicatedJob Reservations Resources ' +
    'RestartPolicy Retries RollbackConfig Runtime Search Secrets ServiceStatus Slot Source Spread ' +
    'StartInterval StartPeriod StartedAt State Status StopGracePeriod StopSignal Sysctls TLSInfo TTY ' +
    'TaskDefaults Test Timeout TmpfsOptions TotalCompletions Ulimits UpdateConfig UpdateStatus User ' +
    'VirtualIPs VolumeOptions Window'
  ).split(' '),
);
