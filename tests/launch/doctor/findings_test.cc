// What the doctor says of machines as they should be, and of each thing that may be wrong.
#include "launch/doctor/findings.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "tests/support/ranks.h"

namespace phalanx {
namespace {

/// Two hosts of two ranks with a GPU each, all as it should be.
std::vector<RankFacts> healthy() {
  std::vector<RankFacts> ranks(4);
  for (int rank = 0; rank < 4; ++rank) {
    RankFacts& facts = ranks[static_cast<size_t>(rank)];
    facts.rank = rank;
    facts.local_rank = rank % 2;
    facts.local_size = 2;
    facts.host = rank < 2 ? "node1" : "node2";
    facts.launcher = "mpirun (OMPI_COMM_WORLD_SIZE=4)";
    facts.program = facts.local_rank == 0 ? "0123456789abcdef" : "";
    facts.cores = 8;
    facts.launcher_cores = 16;
    facts.threads = 8;
    facts.mpi = "Open MPI v4.1.4";
    facts.mpi_threads = "MPI_THREAD_FUNNELED";
    facts.nvidia_driver = "580.65.06";
    facts.cuda_driver = facts.cuda_build = "13.0";
    facts.nccl = "2.28.9";
    facts.gpus = {"H100", "H100"};
    facts.gpu_bus_id = facts.local_rank == 0 ? "0000:1b:00.0" : "0000:1c:00.0";
    facts.interfaces = {{"eth0", "10.0.0.1", true, 100000}};
    facts.shm_bytes = facts.shm_free_bytes = int64_t{64} << 30;
    facts.open_files = 65536;
    facts.locked_bytes = -1;
    facts.write_bytes_per_second = facts.local_rank == 0 ? 2e9 : 0;
  }
  return ranks;
}

DoctorWishes gpu_wishes() {
  DoctorWishes wishes;
  wishes.has_config = wishes.cuda = true;
  wishes.run_folder = "runs";
  return wishes;
}

Finding find(const std::vector<Finding>& findings, const std::string& name) {
  for (const Finding& finding : findings) {
    if (finding.name == name) return finding;
  }
  ADD_FAILURE() << "no line " << name;
  return {};
}

/// The line `name`, after which all others must still be ok.
Finding only_wrong(const std::vector<RankFacts>& ranks, const std::string& name,
                   FindingLevel level) {
  const std::vector<Finding> findings = judge_facts(ranks, gpu_wishes());
  for (const Finding& finding : findings) {
    EXPECT_EQ(finding.level, finding.name == name ? level : FindingLevel::kOk)
        << finding.name << ": " << finding.detail;
    EXPECT_EQ(finding.remedy.empty(), finding.level == FindingLevel::kOk) << finding.name;
  }
  return find(findings, name);
}

void expect_says(const Finding& finding, const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    EXPECT_NE((finding.detail + finding.remedy).find(word), std::string::npos)
        << word << " in: " << finding.detail << " / " << finding.remedy;
  }
}

TEST(Findings, healthy_machines_are_ok_line_by_line) {
  const std::vector<Finding> findings = judge_facts(healthy(), gpu_wishes());
  EXPECT_EQ(findings.size(), 12u);
  EXPECT_EQ(worst_of(findings), FindingLevel::kOk) << findings_text(findings);
  expect_says(find(findings, "launch"), {"4 ranks on 2 hosts", "mpirun"});
  expect_says(find(findings, "gpus"), {"2 GPUs (H100)"});
  expect_says(find(findings, "cuda"), {"driver 580.65.06 (CUDA 13.0)", "NCCL 2.28.9"});
  expect_says(find(findings, "network"), {"eth0@100Gb/s"});
  expect_says(find(findings, "mpi"), {"Open MPI v4.1.4, MPI_THREAD_FUNNELED"});
}

TEST(Findings, another_program_on_a_host_is_an_error) {
  std::vector<RankFacts> ranks = healthy();
  ranks[2].program = "fedcba9876543210";
  expect_says(only_wrong(ranks, "program", FindingLevel::kError),
              {"0123456789abcdef on rank 0 (node1)", "fedcba9876543210 on rank 2 (node2)"});
}

TEST(Findings, ranks_bound_to_one_core_are_named) {
  std::vector<RankFacts> ranks = healthy();
  ranks[3].cores = 1;
  expect_says(only_wrong(ranks, "cores", FindingLevel::kWarning),
              {"1 core of 16", "bound too tightly: rank 3 (node2)", "--bind-to none"});
  for (RankFacts& facts : ranks) facts.threads = 0;  // no wish: the share of the cores counts
  only_wrong(ranks, "cores", FindingLevel::kWarning);
  ranks[3].cores = 8;
  EXPECT_EQ(worst_of(judge_facts(ranks, gpu_wishes())), FindingLevel::kOk);
}

TEST(Findings, two_ranks_on_a_gpu_are_an_error) {
  std::vector<RankFacts> ranks = healthy();
  ranks[3].gpu_bus_id = ranks[2].gpu_bus_id;
  expect_says(only_wrong(ranks, "gpus", FindingLevel::kError),
              {"host node2: GPU 0000:1b:00.0", "ranks 2-3", "CUDA_VISIBLE_DEVICES"});
}

TEST(Findings, ranks_that_were_told_to_share_a_gpu_may) {
  std::vector<RankFacts> ranks = healthy();
  for (RankFacts& facts : ranks) {
    facts.gpus = {"H100"};
    facts.gpu_bus_id = "0000:1b:00.0";
    facts.shares_gpus = true;
    facts.variables = {"NCCL_HOSTID=rank-" + std::to_string(facts.rank)};
  }
  expect_says(only_wrong(ranks, "gpus", FindingLevel::kWarning),
              {"as NCCL was told", "host node1: GPU 0000:1b:00.0 is that of ranks 0-1",
               "host node2: GPU 0000:1b:00.0 is that of ranks 2-3", "saves no time"});
  ranks[0].gpus = ranks[1].gpus = {"H100", "H100", "H100"};  // of three ranks that are not here
  ranks[0].local_size = ranks[1].local_size = 4;
  EXPECT_EQ(find(judge_facts(ranks, gpu_wishes()), "gpus").level, FindingLevel::kWarning);
  ranks[3].shares_gpus = false;
  expect_says(find(judge_facts(ranks, gpu_wishes()), "gpus"), {"not told so on rank 3 (node2)"});
  EXPECT_EQ(find(judge_facts(ranks, gpu_wishes()), "gpus").level, FindingLevel::kError);
}

TEST(Findings, gpus_do_not_matter_to_a_run_on_cpu) {
  std::vector<RankFacts> ranks = healthy();
  for (RankFacts& facts : ranks) facts.gpu_bus_id = ranks[0].gpu_bus_id;
  ranks[1].gpus.clear();
  DoctorWishes wishes = gpu_wishes();
  EXPECT_EQ(find(judge_facts(ranks, wishes), "gpus").level, FindingLevel::kError);
  wishes.cuda = false;
  const Finding gpus = find(judge_facts(ranks, wishes), "gpus");
  EXPECT_EQ(gpus.level, FindingLevel::kOk);
  EXPECT_EQ(gpus.detail, "not used: the run is on CPU");
}

TEST(Findings, hosts_without_gpus_matter_to_a_run_that_wants_them) {
  std::vector<RankFacts> ranks = healthy();
  for (RankFacts& facts : ranks) {
    facts.gpus.clear();
    facts.gpu_bus_id.clear();
    facts.cuda_build.clear();
  }
  expect_says(only_wrong(ranks, "gpus", FindingLevel::kError), {"asks for cuda"});
  const std::vector<Finding> on_cpu = judge_facts(ranks, DoctorWishes());
  EXPECT_EQ(find(on_cpu, "gpus").level, FindingLevel::kOk);
  expect_says(find(on_cpu, "gpus"), {"this build has no CUDA parts, and trains on CPU"});
}

TEST(Findings, different_gpus_drivers_and_libraries_are_told) {
  std::vector<RankFacts> ranks = healthy();
  ranks[2].gpus = ranks[3].gpus = {"A100", "A100"};
  expect_says(only_wrong(ranks, "gpus", FindingLevel::kWarning),
              {"2 GPUs (A100) on ranks 2-3 (node2)"});
  ranks = healthy();
  ranks[2].nvidia_driver = ranks[3].nvidia_driver = "535.1";
  only_wrong(ranks, "cuda", FindingLevel::kWarning);
  ranks = healthy();
  ranks[3].mpi = "MPICH Version: 4.0.2";
  only_wrong(ranks, "mpi", FindingLevel::kError);
}

TEST(Findings, a_host_without_a_network_is_an_error) {
  std::vector<RankFacts> ranks = healthy();
  ranks[2].interfaces[0].up = ranks[3].interfaces[0].up = false;
  expect_says(only_wrong(ranks, "network", FindingLevel::kError), {"ranks 2-3 (node2)"});
}

TEST(Findings, little_shared_memory_and_few_files_come_with_what_to_do) {
  std::vector<RankFacts> ranks = healthy();
  ranks[0].shm_bytes = ranks[0].shm_free_bytes = int64_t{64} << 20;
  expect_says(only_wrong(ranks, "shared memory", FindingLevel::kWarning),
              {"64.00 MiB", "rank 0 (node1)", "--shm-size"});
  ranks[0].shm_bytes = -1;
  only_wrong(ranks, "shared memory", FindingLevel::kError);
  ranks = healthy();
  ranks[1].open_files = 256;
  expect_says(only_wrong(ranks, "limits", FindingLevel::kWarning), {"rank 1", "ulimit -n"});
  ranks = healthy();
  ranks[1].locked_bytes = 65536;
  EXPECT_EQ(worst_of(judge_facts(ranks, gpu_wishes())), FindingLevel::kOk);
  ranks[1].infiniband = {"mlx5_0"};
  const Finding limits = find(judge_facts(ranks, gpu_wishes()), "limits");
  expect_says(limits, {"InfiniBand", "rank 1", "ulimit -l"});
}

TEST(Findings, settings_that_differ_are_told_but_not_those_of_each_rank) {
  std::vector<RankFacts> ranks = healthy();
  for (RankFacts& facts : ranks) {
    facts.variables = {"CUDA_VISIBLE_DEVICES=" + std::to_string(facts.local_rank)};
  }
  EXPECT_EQ(worst_of(judge_facts(ranks, gpu_wishes())), FindingLevel::kOk);
  ranks[2].variables.emplace_back("NCCL_SOCKET_IFNAME=eth1");
  only_wrong(ranks, "variables", FindingLevel::kWarning);
}

TEST(Findings, folder_and_data_are_those_of_every_host) {
  std::vector<RankFacts> ranks = healthy();
  ranks[2].write_bytes_per_second = 3e6;
  expect_says(only_wrong(ranks, "run folder", FindingLevel::kWarning),
              {"3 MB/s", "rank 2 (node2)"});
  ranks[2].write_error = "create runs/.doctor: Permission denied";
  expect_says(only_wrong(ranks, "run folder", FindingLevel::kError),
              {"Permission denied on rank 2 (node2)", "run.dir"});
  ranks = healthy();
  ranks[2].data_error = ranks[3].data_error = "data.sources.web.path: found nothing";
  expect_says(only_wrong(ranks, "data", FindingLevel::kError),
              {"found nothing on ranks 2-3 (node2)", "the same path"});
}

TEST(Findings, clocks_are_apart_by_what_is_certain) {
  const std::vector<RankFacts> ranks = healthy();
  const std::vector<ClockOffset> close = {{0, 0}, {-1e-4, 2e-4}, {0.1, 0.2}, {-0.5, 3.0}};
  EXPECT_EQ(judge_clocks(ranks, close).level, FindingLevel::kOk);  // 3 may be 0.5 away at least
  const Finding far = judge_clocks(ranks, {{0, 0}, {0, 0}, {-7.51, -7.49}, {0, 0}});
  EXPECT_EQ(far.level, FindingLevel::kWarning);
  expect_says(far, {"7.500000 s apart", "rank 2 (node2)", "chrony"});
}

TEST(Findings, lines_are_text_and_json) {
  const std::vector<Finding> findings = {{FindingLevel::kOk, "mpi", "Open MPI", ""},
                                         {FindingLevel::kError, "gpus", "none", "buy some"}};
  EXPECT_EQ(findings_text(findings),
            "ok       mpi            Open MPI\n"
            "error    gpus           none\n"
            "                        try: buy some\n");
  const nlohmann::json list = nlohmann::json::parse(findings_json(findings));
  EXPECT_EQ(list.at(1).at("level"), "error");
  EXPECT_EQ(list.at(1).at("remedy"), "buy some");
}

TEST(Facts, travel_as_text) {
  RankFacts facts = healthy()[1];
  facts.variables = {"NCCL_DEBUG=WARN"};
  facts.data_error = "with \"quotes\" and\nlines";
  const RankFacts back = facts_from_text(facts_text(facts));
  EXPECT_EQ(facts_text(back), facts_text(facts));
  EXPECT_EQ(back.interfaces[0].address, "10.0.0.1");
  EXPECT_EQ(back.data_error, facts.data_error);
}

TEST(Clocks, of_ranks_that_share_one_are_bounded_around_zero) {
  run_ranks(3, [](Communicator& control) {
    const std::vector<ClockOffset> offsets = clock_offsets(control, 8);
    ASSERT_EQ(offsets.size(), 3u);
    for (const ClockOffset& offset : offsets) {
      EXPECT_LE(offset.least, 0.0);
      EXPECT_GE(offset.most, 0.0);
    }
  });
}

TEST(WriteSpeed, leaves_nothing_behind_and_says_where_it_cannot_write) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "doctor-write";
  EXPECT_GT(write_speed(folder, int64_t{1} << 20), 0.0);
  EXPECT_FALSE(std::filesystem::exists(folder));
  EXPECT_THROW((void)write_speed("/proc/none", 1), std::system_error);
}

TEST(WriteSpeed, leaves_nothing_behind_where_the_disk_is_full) {
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / ("doctor-full-" + std::to_string(getpid()));
  std::filesystem::remove_all(folder);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto signal_before = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{rlim_t{1} << 20, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_THROW((void)write_speed(folder, int64_t{8} << 20), std::system_error);
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, signal_before);
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST(Stress, every_host_has_two_partners_if_there_are_enough) {
  for (const int units : {2, 3, 4, 7}) {
    for (int round = 0; round < 2; ++round) {
      std::map<int, int> members;
      for (int unit = 0; unit < units; ++unit) ++members[pair_of_unit(unit, units, round)];
      for (const auto& [pair, count] : members) {
        EXPECT_EQ(count, pair >= 0 ? 2 : units == 2 ? 2 : 1) << units << " " << round;
      }
    }
  }
  EXPECT_EQ(pair_of_unit(0, 1, 0), -1);
  EXPECT_EQ(pair_of_unit(0, 4, 1), pair_of_unit(3, 4, 1));
}

TEST(Stress, units_are_hosts_or_the_ranks_of_one) {
  const StressPairs hosts = stress_pairs({"a", "a", "b", "b"});
  EXPECT_TRUE(hosts.units_are_hosts);
  EXPECT_EQ(hosts.unit_of_rank, (std::vector<int>{0, 0, 1, 1}));
  const StressPairs ranks = stress_pairs({"a", "a", "a"});
  EXPECT_FALSE(ranks.units_are_hosts);
  EXPECT_EQ(ranks.num_units, 3);
}

TEST(Stress, the_slow_one_is_named_and_its_partners_are_not) {
  std::vector<RankFacts> ranks = healthy();
  std::vector<StressResult> results(4, {1e12, {10e9, 10e9}});
  for (Finding& finding : judge_stress(ranks, results)) EXPECT_EQ(finding.level, FindingLevel::kOk);
  results[3].flops = 0.5e12;
  const Finding products = judge_stress(ranks, results)[0];
  EXPECT_EQ(products.level, FindingLevel::kWarning);
  expect_says(products, {"slow: rank 3 (node2), 0.5 TFLOP/s"});
  for (StressResult& result : results) result.flops = 12.03e9;  // of a core
  expect_says(judge_stress(ranks, results)[0], {"a rank multiplies at 12.03 GFLOP/s"});
  // Four hosts of one rank: host 2 is slow with both of its partners, who do well with others.
  for (int rank = 0; rank < 4; ++rank) {
    ranks[size_t(rank)].host = "host" + std::to_string(rank);
    results[size_t(rank)] = {1e12, {10e9, 10e9}};
  }
  results[2].link_bytes[0] = results[3].link_bytes[0] = 1e9;
  results[1].link_bytes[1] = results[2].link_bytes[1] = 1e9;
  const Finding links = judge_stress(ranks, results)[1];
  EXPECT_EQ(links.level, FindingLevel::kWarning);
  expect_says(links, {"slow: host host2, 1 GB/s"});
  EXPECT_EQ(links.detail.find("host1"), std::string::npos);
  EXPECT_EQ(links.detail.find("host3"), std::string::npos);
}

}  // namespace
}  // namespace phalanx
