#include "launch/launchers/kubeflow_launch.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "launch/launchers/mpirun_launch.h"

namespace phalanx {
namespace {

// The operator appends "-worker-N" and "-launcher" to it, and a label holds 63 letters.
constexpr size_t kNameLetters = 40;
constexpr int kGraceSeconds = 600;

/// A scalar that YAML reads back as this string: JSON's strings are YAML's.
std::string quoted(const std::string& text) { return nlohmann::json(text).dump(); }

struct Volume {
  std::string claim, path;
};

std::vector<Volume> volumes_of(const LaunchJob& job) {
  std::vector<Volume> volumes;
  for (const std::string& text : job.volumes) {
    const size_t colon = text.find(":/");
    if (colon == 0 || colon == std::string::npos) {
      throw std::invalid_argument(fmt::format("--volume: expected CLAIM:/PATH, found {}", text));
    }
    volumes.push_back({text.substr(0, colon), text.substr(colon + 1)});
  }
  return volumes;
}

/// A pod's part of the manifest, at the place of `template`.
std::string pod_text(const LaunchJob& job, const std::string& container) {
  std::string text = "      template:\n        spec:\n";
  text += fmt::format("          terminationGracePeriodSeconds: {}\n", kGraceSeconds);
  text += "          containers:\n" + container;
  const std::vector<Volume> volumes = volumes_of(job);
  if (!volumes.empty()) text += "            volumeMounts:\n";
  for (size_t i = 0; i < volumes.size(); ++i) {
    text += fmt::format("            - name: data-{}\n              mountPath: {}\n", i,
                        quoted(volumes[i].path));
  }
  // NCCL and Open MPI meet in /dev/shm, of which a pod has 64 MiB by default.
  text += volumes.empty() ? "            volumeMounts:\n" : "";
  text += "            - name: shm\n              mountPath: /dev/shm\n          volumes:\n";
  for (size_t i = 0; i < volumes.size(); ++i) {
    text += fmt::format(
        "          - name: data-{}\n            persistentVolumeClaim:\n              claimName: "
        "{}\n",
        i, quoted(volumes[i].claim));
  }
  return text + "          - name: shm\n            emptyDir:\n              medium: Memory\n";
}

std::string launcher_container(const LaunchJob& job) {
  std::vector<std::string> words = {job.program, "supervise", "--"};
  for (const std::string& word : mpirun_words(job)) words.push_back(word);
  std::string text = fmt::format(
      "          - name: launcher\n            image: {}\n            workingDir: {}\n            "
      "command:\n",
      quoted(job.image), quoted(job.work_folder));
  for (const std::string& word : words) text += fmt::format("            - {}\n", quoted(word));
  return text + R"(            lifecycle:
              preStop:
                exec:
                  command: ["sh", "-c", "kill -USR1 1; while kill -0 1; do sleep 1; done"]
)";
}

std::string worker_container(const LaunchJob& job) {
  std::string text = fmt::format(
      "          - name: worker\n            image: {}\n            command: "
      "[\"/usr/sbin/sshd\"]\n            args: [\"-De\"]\n            resources:\n"
      "              limits:\n                cpu: {}\n",
      quoted(job.image), job.ranks_per_node * job.cores_per_rank);
  if (job.gpus) text += fmt::format("                nvidia.com/gpu: {}\n", job.ranks_per_node);
  return text;
}

std::string manifest_text(const LaunchJob& job) {
  return fmt::format(R"(apiVersion: kubeflow.org/v2beta1
kind: MPIJob
metadata:
  name: {}
spec:
  mpiImplementation: {}
  slotsPerWorker: {}
  launcherCreationPolicy: WaitForWorkersReady
  runPolicy:
    cleanPodPolicy: Running
  mpiReplicaSpecs:
    Launcher:
      replicas: 1
      restartPolicy: OnFailure
{}    Worker:
      replicas: {}
      restartPolicy: Never
{})",
                     quoted(kubernetes_name(job.name)),
                     job.flavour == MpiFlavour::kMpich ? "MPICH" : "OpenMPI", job.ranks_per_node,
                     pod_text(job, launcher_container(job)), job.nodes,
                     pod_text(job, worker_container(job)));
}

}  // namespace

std::string kubernetes_name(const std::string& name) {
  std::string text;
  for (const char letter : name) {
    const bool upper = letter >= 'A' && letter <= 'Z';
    const bool plain = (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9');
    const char kept = upper ? static_cast<char>(letter - 'A' + 'a') : plain ? letter : '-';
    if (text.empty() && kept == '-') continue;
    text += kept;
  }
  text.resize(std::min(text.size(), kNameLetters));
  while (!text.empty() && text.back() == '-') text.pop_back();
  return text.empty() || (text[0] >= '0' && text[0] <= '9') ? "run-" + text : text;
}

LaunchText kubeflow_launch(const LaunchJob& job) {
  LaunchJob pods = job;
  pods.hosts.clear();  // the operator writes the hostfile and tells mpirun where it is
  pods.rsh_agent.clear();
  pods.as_root = true;  // in a container, unless its image says otherwise; harmless then
  const std::string file = job.folder + "/mpijob.yaml";
  return {{{file, manifest_text(pods), false}}, {"kubectl", "apply", "-f", file}};
}

}  // namespace phalanx
