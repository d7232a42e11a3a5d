#pragma once
// An MPIJob of Kubeflow's MPI operator (kubeflow.org/v2beta1): workers that run sshd, and a
// launcher pod whose mpirun starts the ranks there. Pure, local.
#include "launch/launchers/launch_job.h"

namespace phalanx {

/// RUN/launch/mpijob.yaml, and kubectl apply with it. job.image must be set; each volume is a
/// persistent volume claim, mounted in all pods at one path.
/// Before Kubernetes ends the launcher pod, its preStop hook sends USR1 and waits: the run saves
/// and ends with 75, and the pod is started again (OnFailure).
/// Errors: std::invalid_argument for a volume that is not CLAIM:PATH.
LaunchText kubeflow_launch(const LaunchJob& job);

/// A run's name as Kubernetes takes it: lower case, digits and "-", at most 40 letters.
std::string kubernetes_name(const std::string& name);

}  // namespace phalanx
