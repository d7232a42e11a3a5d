#include "launch/launchers/launch_request.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "launch/captured_process.h"
#include "launch/cores.h"
#include "launch/launchers/launcher_check.h"

namespace phalanx {
namespace {

ThisMachine sixteen_cores() {
  ThisMachine machine;
  machine.gpus = 8;
  machine.cores = 16;
  machine.program = "/opt/phalanx";
  return machine;
}

RunConfig gpu_run() {
  RunConfig config;
  config.name = "first";
  config.parallel.device = DeviceKind::kCuda;
  return config;
}

template <typename Call>
std::string complaint(const Call& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "none";
}

TEST(LaunchRequest, a_rank_a_gpu_and_its_share_of_the_cores) {
  LaunchRequest request;
  request.config.file = "run.yaml";
  request.config.overrides = {"data.seed=7"};
  const LaunchJob job = make_job(request, gpu_run(), sixteen_cores());
  EXPECT_EQ(job.num_ranks(), 8);
  EXPECT_EQ(job.cores_per_rank, 2);
  EXPECT_TRUE(job.binds);
  EXPECT_TRUE(job.gpus);
  EXPECT_EQ(job.folder, "runs/first/launch");
  EXPECT_EQ(shell_line(job.train), "train run.yaml data.seed=7 --resume auto");
}

TEST(LaunchRequest, threads_of_the_configuration_count_and_may_be_more_than_fit) {
  RunConfig config = gpu_run();
  config.parallel.threads_per_rank = 4;
  LaunchRequest request;
  LaunchJob job = make_job(request, config, sixteen_cores());
  EXPECT_EQ(job.cores_per_rank, 4);
  EXPECT_FALSE(job.binds);
  request.on = LaunchTarget::kSlurm;  // its nodes are not this machine
  EXPECT_TRUE(make_job(request, config, sixteen_cores()).binds);
}

TEST(LaunchRequest, gpus_that_nobody_can_count_must_be_named) {
  ThisMachine laptop = sixteen_cores();
  laptop.gpus = 0;
  EXPECT_EQ(complaint([&] { make_job({}, gpu_run(), laptop); }),
            "--gpus-per-node: expected the number of GPUs of a host, since parallel.device is cuda "
            "and none is found here to count");
  LaunchRequest request;
  request.nodes = 240;
  request.ranks_per_node = 8;
  EXPECT_EQ(make_job(request, gpu_run(), laptop).num_ranks(), 1920);
}

TEST(LaunchRequest, what_a_launcher_cannot_do_is_said) {
  LaunchJob job;
  EXPECT_EQ(complaint([&] { make_launch(LaunchTarget::kKubeflow, job); }),
            "--image: expected the container image that the pods run, found none");
  EXPECT_EQ(complaint([&] { make_launch(LaunchTarget::kTorchrun, job); }).substr(0, 61),
            "--on torchrun: expected parallel.device: cuda, found cpu: ran");
}

TEST(Hostfile, reads_both_forms_and_comments) {
  const std::vector<HostSlots> hosts =
      read_hostfile("# two\nnode1 slots=8\n\nnode2:4  # old\nnode3\n", "hosts");
  ASSERT_EQ(hosts.size(), 3u);
  EXPECT_EQ(hosts[0].slots, 8);
  EXPECT_EQ(hosts[1].name, "node2");
  EXPECT_EQ(hosts[1].slots, 4);
  EXPECT_EQ(hosts[2].slots, 0);
}

TEST(Hostfile, what_it_cannot_be_is_named_with_its_line) {
  for (const char* line :
       {"node1 slots=many", "node1 slots=0", "node1 slots 4", "node1 x slots=4"}) {
    EXPECT_EQ(complaint([&] { read_hostfile("node0\n" + std::string(line), "hosts"); }),
              "hosts:2: expected HOST, HOST slots=N or HOST:N, found '" + std::string(line) + "'");
  }
  EXPECT_EQ(complaint([&] { read_hostfile("# none\n", "hosts"); }),
            "hosts: expected a host a line, found none");
}

TEST(Hostfile, hosts_need_room_for_their_ranks) {
  const std::vector<HostSlots> hosts = {{"node1", 8}, {"node2", 4}};
  EXPECT_EQ(choose_hosts(hosts, 1, 8, "hosts").size(), 1u);
  EXPECT_EQ(complaint([&] { choose_hosts(hosts, 2, 8, "hosts"); }),
            "hosts: host node2: expected at least 8 slots, one for each of its ranks, found 4; "
            "lower --gpus-per-node (--ranks-per-node), or raise slots= if the host can take more");
  EXPECT_EQ(complaint([&] { choose_hosts(hosts, 3, 1, "hosts"); }),
            "hosts: expected at least 3 hosts for --nodes 3, found 2");
}

TEST(MpirunCheck, a_launcher_of_another_mpi_is_refused_with_both) {
  LaunchJob job;
  job.mpirun = "sh";  // `sh --version` is an error of its own
  EXPECT_NE(complaint([&] { check_mpirun(job, "Open MPI v4"); }).find("expected the launcher of"),
            std::string::npos);
  job.mpirun = "no-such-mpirun";
  EXPECT_EQ(complaint([&] { check_mpirun(job, "Open MPI v4"); }),
            "--mpirun: expected the launcher of Open MPI v4, found no program at "
            "'no-such-mpirun'");
}

TEST(Cores, two_threads_of_a_core_count_once) {
  const std::filesystem::path root = std::filesystem::path(testing::TempDir()) / "cores";
  for (int cpu = 0; cpu < 1024; ++cpu) {
    const auto folder = root / ("sys/devices/system/cpu/cpu" + std::to_string(cpu)) / "topology";
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "thread_siblings_list") << "0-1023\n";  // all are one core
  }
  EXPECT_EQ(physical_cores(root), 1);
  std::filesystem::remove_all(root);
  EXPECT_EQ(physical_cores(root), available_cores());  // nothing is known of threads
}

TEST(Cores, are_shared_by_ranks_that_are_bound_alike) {
  EXPECT_EQ(share_of_cores(8, "a 0-7", {"a 0-7", "a 0-7", "b 0-7", "b 0-7"}), 4);  // unbound
  EXPECT_EQ(share_of_cores(4, "a 4-7", {"a 0-3", "a 4-7", "b 0-3", "b 4-7"}), 4);  // bound
  EXPECT_EQ(share_of_cores(1, "a 0", {"a 0", "a 0"}), 1);
}

TEST(CapturedProcess, tells_codes_and_output_and_ends_what_takes_too_long) {
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<CapturedProcess> results =
      run_captured({{"sh", "-c", "echo out; echo err >&2; exit 3"}, {"no-such-program"}}, 60);
  const std::vector<CapturedProcess> late = run_captured({{"sh", "-c", "sleep 60"}}, 0.5);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
  EXPECT_TRUE(results[0].ended);
  EXPECT_EQ(results[0].exit_code, 3);
  EXPECT_EQ(results[0].output, "out\nerr\n");
  EXPECT_EQ(results[1].exit_code, 127);
  EXPECT_FALSE(late[0].ended);
}

// As mpirun takes it: "ssh -p 2222".
TEST(HostCheck, an_agent_may_have_words_of_its_own) {
  LaunchJob job;
  job.program = "/opt/phalanx";
  job.rsh_agent = "echo  -e as me";
  job.hosts = {{"far1", 1}};
  const std::string text = complaint([&] { check_hosts(job, "phalanx 0.1.0", 10); });
  EXPECT_NE(text.find("host far1: 'as me far1 /opt/phalanx --version'"), std::string::npos) << text;
}

TEST(HostCheck, hosts_that_do_not_answer_are_named_once) {
  LaunchJob job;
  const std::string program = testing::TempDir() + "/answers";
  std::ofstream(program) << "#!/bin/sh\necho welcome\necho phalanx 0.1.0\n";
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  job.program = program;
  job.rsh_agent = "echo";  // answers with what it is told to run
  job.hosts = {{"localhost", 1}, {"far1", 1}, {"far2", 1}};
  const std::string text = complaint([&] { check_hosts(job, "phalanx 0.1.0", 10); });
  EXPECT_EQ(text.find("hosts: expected each to answer 'phalanx 0.1.0' when asked"), 0u) << text;
  EXPECT_NE(text.find("host far1: 'far1 " + program + " --version'; host far2: "),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("localhost"), std::string::npos) << text;
  job.hosts.clear();
  EXPECT_EQ(complaint([&] { check_hosts(job, "phalanx 0.1.0", 10); }), "none");
  job.program = "/opt/no-phalanx";
  EXPECT_NE(complaint([&] { check_hosts(job, "phalanx 0.1.0", 10); }).find("localhost: no such"),
            std::string::npos);
}

}  // namespace
}  // namespace phalanx
