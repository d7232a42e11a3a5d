#include <gtest/gtest.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <stdexcept>

#include "launch/captured_process.h"
#include "launch/launchers/kubeflow_launch.h"
#include "launch/launchers/launch_request.h"
#include "launch/launchers/mpirun_launch.h"
#include "launch/launchers/slurm_launch.h"
#include "launch/launchers/torchrun_launch.h"

namespace phalanx {
namespace {

LaunchJob two_hosts() {
  LaunchJob job;
  job.name = "first";
  job.program = "/opt/phalanx";
  job.train = {"train", "run.yaml", "data.seed=7", "--resume", "auto"};
  job.folder = "runs/first/launch";
  job.work_folder = "/shared/work";
  job.nodes = 2;
  job.ranks_per_node = 4;
  job.cores_per_rank = 3;
  job.hosts = {{"node1", 8}, {"node2", 0}};
  return job;
}

TEST(ShellLine, quotes_what_a_shell_would_take_apart) {
  EXPECT_EQ(shell_line({"phalanx", "a=1,b", "stages[0].x=2", "it's", ""}),
            "phalanx a=1,b 'stages[0].x=2' 'it'\\''s' ''");
}

TEST(MpirunLaunch, open_mpi_binds_and_names_hosts_with_their_slots) {
  const LaunchText launch = mpirun_launch(two_hosts());
  EXPECT_EQ(shell_line(launch.command),
            "mpirun -q -np 8 --hostfile runs/first/launch/hostfile --map-by ppr:4:node:PE=3 "
            "--bind-to core -x OMP_NUM_THREADS=3 /opt/phalanx train run.yaml data.seed=7 --resume "
            "auto");
  ASSERT_EQ(launch.files.size(), 1u);
  EXPECT_EQ(launch.files[0].path, "runs/first/launch/hostfile");
  EXPECT_EQ(launch.files[0].text, "node1 slots=4\nnode2 slots=4\n");
}

TEST(MpirunLaunch, ranks_that_share_cores_are_not_bound) {
  LaunchJob job = two_hosts();
  job.hosts.clear();
  job.nodes = 1;
  job.binds = false;
  job.as_root = true;
  job.exported = {"NCCL_DEBUG"};
  job.interface = "eth0";
  job.rsh_agent = "/bin/rsh";
  const LaunchText launch = mpirun_launch(job);
  EXPECT_EQ(shell_line(launch.command),
            "mpirun -q -np 4 --map-by ppr:4:node:OVERSUBSCRIBE --bind-to none "
            "--allow-run-as-root --mca plm_rsh_agent /bin/rsh --mca btl_tcp_if_include eth0 --mca "
            "oob_tcp_if_include eth0 -x OMP_NUM_THREADS=3 -x NCCL_DEBUG /opt/phalanx train "
            "run.yaml data.seed=7 --resume auto");
  EXPECT_TRUE(launch.files.empty());
}

TEST(MpirunLaunch, mpich_has_words_of_its_own) {
  LaunchJob job = two_hosts();
  job.flavour = MpiFlavour::kMpich;
  job.mpirun = "mpiexec.hydra";
  const LaunchText launch = mpirun_launch(job);
  EXPECT_EQ(shell_line(launch.command),
            "mpiexec.hydra -n 8 -f runs/first/launch/hostfile -ppn 4 -bind-to core:3 -genv "
            "OMP_NUM_THREADS 3 /opt/phalanx train run.yaml data.seed=7 --resume auto");
  EXPECT_EQ(launch.files[0].text, "node1:4\nnode2:4\n");
}

TEST(SlurmLaunch, asks_for_ranks_gpus_a_signal_before_the_end_and_a_requeue) {
  LaunchJob job = two_hosts();
  job.gpus = true;
  job.time_limit = "24:00:00";
  job.slurm_options = {"partition=a100"};
  const LaunchText launch = slurm_launch(job);
  EXPECT_EQ(shell_line(launch.command), "sbatch runs/first/launch/train.sbatch");
  const std::string& text = launch.files.at(0).text;
  EXPECT_TRUE(launch.files[0].executable);
  for (const char* line :
       {"#!/usr/bin/env bash\n#SBATCH --job-name=first\n", "#SBATCH --nodes=2\n",
        "#SBATCH --ntasks-per-node=4\n", "#SBATCH --cpus-per-task=3\n",
        "#SBATCH --gpus-per-node=4\n", "#SBATCH --time=24:00:00\n", "#SBATCH --signal=B:USR1@300\n",
        "#SBATCH --requeue\n", "#SBATCH --partition=a100\n",
        "\n/opt/phalanx supervise -- mpirun -q -np 8 --map-by ppr:4:node:PE=3 --bind-to core -x "
        "OMP_NUM_THREADS=3 /opt/phalanx train run.yaml data.seed=7 --resume auto &\n",
        "scontrol requeue \"$SLURM_JOB_ID\"\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
  EXPECT_EQ(text.find("hostfile"), std::string::npos) << "the allocation names the hosts";
}

TEST(SlurmLaunch, takes_a_folder_as_it_is_called) {
  LaunchJob job = two_hosts();
  job.folder = "my runs/50%j/launch";
  const std::string text = slurm_launch(job).files.at(0).text;
  EXPECT_NE(text.find("#SBATCH --output=\"my runs/50%%j/launch/slurm-%j.log\"\n"),
            std::string::npos)
      << text;
}

// Slurm may preempt a job in its first moment.
TEST(SlurmLaunch, catches_signals_before_it_starts_anything) {
  const std::string text = slurm_launch(two_hosts()).files.at(0).text;
  for (const char* signal : {"' USR1\n", "' TERM\n"}) {
    const size_t trap = text.find(signal);
    ASSERT_NE(trap, std::string::npos) << text;
    EXPECT_LT(trap, text.find("/opt/phalanx supervise")) << text;
  }
}

/// Runs a batch script that is sent signals from its job's first moment on, until the job gets one
/// and ends with `code`: what scontrol was told, and the script's own code.
std::string end_of_script(int code) {
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / ("slurm-script-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  LaunchJob job = two_hosts();
  job.program = folder / "program";
  std::ofstream(job.program) << "#!/bin/bash\ntrap 'exit " << code << "' USR1\n"
                             << "for i in {1..600}; do kill -USR1 $PPID; sleep 0.05; done\n";
  std::ofstream(folder / "scontrol") << "#!/bin/bash\necho \"$@\"\n";
  std::ofstream(folder / "script") << slurm_launch(job).files.at(0).text;
  const std::string line = "cd " + folder.string() +
                           "; chmod +x program scontrol script; "
                           "PATH=$PWD:$PATH SLURM_JOB_ID=7 ./script; echo code $?";
  const CapturedProcess done = run_captured({{"bash", "-c", line}}, 60).front();
  std::filesystem::remove_all(folder);
  return done.output;
}

TEST(SlurmLaunch, hands_a_signal_on_and_requeues_what_was_stopped) {
  EXPECT_EQ(end_of_script(75), "requeue 7\ncode 75\n");
  EXPECT_EQ(end_of_script(3), "code 3\n");
}

TEST(TorchrunLaunch, starts_the_program_without_python) {
  LaunchJob job = two_hosts();
  job.port = 29400;
  EXPECT_EQ(shell_line(torchrun_launch(job).command),
            "env OMP_NUM_THREADS=3 torchrun --no-python --nnodes=2 --nproc-per-node=4 "
            "--rdzv-backend=c10d --rdzv-endpoint=node1:29400 --rdzv-id=first /opt/phalanx train "
            "run.yaml data.seed=7 --resume auto");
}

// Fields of the MPIJob resource (kubeflow.org/v2beta1) and of the pods in it that may stand in a
// manifest, as the operator's custom resource definition and the Kubernetes API name them. "*" ends
// in a list.
const std::map<std::string, std::set<std::string>> kFields = {
    {"", {"apiVersion", "kind", "metadata", "spec"}},
    {"metadata", {"name", "namespace", "labels", "annotations"}},
    {"spec",
     {"launcherCreationPolicy", "mpiImplementation", "mpiReplicaSpecs", "runLauncherAsWorker",
      "runPolicy", "slotsPerWorker", "sshAuthMountPath"}},
    {"spec.runPolicy",
     {"activeDeadlineSeconds", "backoffLimit", "cleanPodPolicy", "managedBy", "schedulingPolicy",
      "suspend", "ttlSecondsAfterFinished"}},
    {"spec.mpiReplicaSpecs", {"Launcher", "Worker"}},
    {"replica", {"replicas", "restartPolicy", "template"}},
    {"replica.template", {"metadata", "spec"}},
    {"replica.template.spec", {"containers", "volumes", "terminationGracePeriodSeconds"}},
    {"container",
     {"name", "image", "workingDir", "command", "args", "env", "lifecycle", "resources",
      "volumeMounts", "securityContext"}},
    {"volume", {"name", "persistentVolumeClaim", "emptyDir"}},
};

void expect_fields(const YAML::Node& node, const std::string& place) {
  ASSERT_TRUE(node.IsMap()) << place;
  for (const auto& field : node) {
    EXPECT_EQ(kFields.at(place).count(field.first.as<std::string>()), 1u)
        << place << " has no field " << field.first;
  }
}

void expect_pod(const YAML::Node& replica) {
  expect_fields(replica, "replica");
  expect_fields(replica["template"], "replica.template");
  const YAML::Node pod = replica["template"]["spec"];
  expect_fields(pod, "replica.template.spec");
  for (const YAML::Node& container : pod["containers"]) expect_fields(container, "container");
  std::set<std::string> volumes;
  for (const YAML::Node& volume : pod["volumes"]) {
    expect_fields(volume, "volume");
    volumes.insert(volume["name"].as<std::string>());
  }
  for (const YAML::Node& mount : pod["containers"][0]["volumeMounts"]) {
    EXPECT_EQ(volumes.count(mount["name"].as<std::string>()), 1u) << mount["name"];
  }
}

TEST(KubeflowLaunch, is_an_mpijob_with_the_fields_of_its_definition) {
  LaunchJob job = two_hosts();
  job.name = "First_Run.2";
  job.gpus = true;
  job.image = "registry/phalanx:1";
  job.volumes = {"data:/data", "runs:/shared/work"};
  const LaunchText launch = kubeflow_launch(job);
  EXPECT_EQ(shell_line(launch.command), "kubectl apply -f runs/first/launch/mpijob.yaml");
  const YAML::Node root = YAML::Load(launch.files.at(0).text);
  expect_fields(root, "");
  expect_fields(root["metadata"], "metadata");
  expect_fields(root["spec"], "spec");
  expect_fields(root["spec"]["runPolicy"], "spec.runPolicy");
  expect_fields(root["spec"]["mpiReplicaSpecs"], "spec.mpiReplicaSpecs");
  EXPECT_EQ(root["apiVersion"].as<std::string>(), "kubeflow.org/v2beta1");
  EXPECT_EQ(root["kind"].as<std::string>(), "MPIJob");
  EXPECT_EQ(root["metadata"]["name"].as<std::string>(), "first-run-2");
  EXPECT_EQ(root["spec"]["slotsPerWorker"].as<int>(), 4);
  EXPECT_EQ(root["spec"]["mpiImplementation"].as<std::string>(), "OpenMPI");
  const YAML::Node launcher = root["spec"]["mpiReplicaSpecs"]["Launcher"];
  const YAML::Node worker = root["spec"]["mpiReplicaSpecs"]["Worker"];
  expect_pod(launcher);
  expect_pod(worker);
  EXPECT_EQ(launcher["replicas"].as<int>(), 1);
  EXPECT_EQ(worker["replicas"].as<int>(), 2);
  const YAML::Node container = worker["template"]["spec"]["containers"][0];
  EXPECT_EQ(container["resources"]["limits"]["nvidia.com/gpu"].as<int>(), 4);
  EXPECT_EQ(container["resources"]["limits"]["cpu"].as<int>(), 12);
  EXPECT_EQ(container["volumeMounts"][1]["mountPath"].as<std::string>(), "/shared/work");
  const auto command =
      launcher["template"]["spec"]["containers"][0]["command"].as<std::vector<std::string>>();
  EXPECT_EQ(shell_line(command),
            "/opt/phalanx supervise -- mpirun -q -np 8 --map-by ppr:4:node:PE=3 --bind-to core "
            "--allow-run-as-root -x OMP_NUM_THREADS=3 /opt/phalanx train run.yaml data.seed=7 "
            "--resume auto");
}

TEST(KubeflowLaunch, refuses_what_it_cannot_mount) {
  LaunchJob job = two_hosts();
  job.volumes = {"data"};
  try {
    kubeflow_launch(job);
    FAIL() << "a volume without a path was taken";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "--volume: expected CLAIM:/PATH, found data");
  }
}

// What YAML would read as a number, a boolean or nothing must stay a name.
TEST(KubeflowLaunch, a_name_stays_a_string) {
  LaunchJob job = two_hosts();
  for (const char* name : {"true", "null", "no"}) {
    job.name = name;
    const YAML::Node root = YAML::Load(kubeflow_launch(job).files.at(0).text);
    EXPECT_EQ(root["metadata"]["name"].Tag(), "!") << name << " is not quoted";
    EXPECT_EQ(root["metadata"]["name"].as<std::string>(), name);
  }
}

TEST(KubeflowLaunch, names_are_what_kubernetes_takes) {
  EXPECT_EQ(kubernetes_name("7B"), "run-7b");
  EXPECT_EQ(kubernetes_name("__"), "run-");
  EXPECT_EQ(kubernetes_name(std::string(60, 'x')).size(), 40u);
}

}  // namespace
}  // namespace phalanx
