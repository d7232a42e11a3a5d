#include "parallel/launcher.h"

#include <gtest/gtest.h>

#include <map>
#include <stdexcept>

namespace phalanx {
namespace {

using Variables = std::map<std::string, std::string>;

LaunchInfo detect(const Variables& variables) {
  return detect_launch([&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  });
}

std::string complaint(const Variables& variables) {
  try {
    detect(variables);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "none";
}

const Variables kMpirun = {{"OMPI_COMM_WORLD_RANK", "3"},
                           {"OMPI_COMM_WORLD_SIZE", "8"},
                           {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                           {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}};
const Variables kTorchrun = {{"RANK", "2"},
                             {"WORLD_SIZE", "4"},
                             {"LOCAL_RANK", "0"},
                             {"LOCAL_WORLD_SIZE", "2"},
                             {"MASTER_ADDR", "host0"},
                             {"MASTER_PORT", "29500"}};

Variables operator+(Variables left, const Variables& right) {
  left.insert(right.begin(), right.end());
  return left;
}

TEST(Launcher, no_variables_mean_a_world_of_one) {
  const LaunchInfo info = detect({});
  EXPECT_EQ(info.launcher, Launcher::kNobody);
  EXPECT_EQ(info.size, 1);
  EXPECT_EQ(info.rank, 0);
}

TEST(Launcher, mpirun_is_believed_before_slurm) {
  const LaunchInfo info =
      detect(kMpirun + Variables{{"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_PROCID", "0"}});
  EXPECT_EQ(info.launcher, Launcher::kMpi);
  EXPECT_EQ(info.rank, 3);
  EXPECT_EQ(info.size, 8);
  EXPECT_EQ(info.local_rank, 1);
  EXPECT_EQ(info.local_size, 4);
}

TEST(Launcher, mpich_and_pmix_variables_count_as_mpi) {
  EXPECT_EQ(detect({{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}}).size, 2);
  const LaunchInfo pmix = detect({{"PMIX_RANK", "1"}});
  EXPECT_EQ(pmix.launcher, Launcher::kMpi);
  EXPECT_EQ(pmix.size, std::nullopt);
  EXPECT_EQ(detect({{"PMIX_RANK", "1"}, {"SLURM_STEP_NUM_TASKS", "6"}}).size, 6);
}

TEST(Launcher, slurm_counts_only_inside_a_step) {
  // What a lone command of a batch script with four tasks sees.
  const LaunchInfo batch = detect({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}});
  EXPECT_EQ(batch.launcher, Launcher::kNobody);
  EXPECT_EQ(batch.size, 1);
  const LaunchInfo step =
      detect({{"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_PROCID", "2"}, {"SLURM_LOCALID", "0"}});
  EXPECT_EQ(step.launcher, Launcher::kSlurm);
  EXPECT_EQ(step.rank, 2);
  EXPECT_EQ(step.size, 4);
}

TEST(Launcher, torchrun_variables_give_the_store) {
  const LaunchInfo info = detect(kTorchrun);
  EXPECT_EQ(info.launcher, Launcher::kTorchrun);
  EXPECT_EQ(info.rank, 2);
  EXPECT_EQ(info.size, 4);
  EXPECT_EQ(info.store_host, "host0");
  EXPECT_EQ(info.store_port, 29500);
  EXPECT_FALSE(info.agent_serves_store);
}

TEST(Launcher, workers_of_a_torchrun_agent_ignore_what_started_the_agent) {
  const LaunchInfo info = detect(kTorchrun + kMpirun +
                                 Variables{{"TORCHELASTIC_RUN_ID", "a"},
                                           {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                                           {"TORCHELASTIC_RESTART_COUNT", "2"}});
  EXPECT_EQ(info.launcher, Launcher::kTorchrun);
  EXPECT_EQ(info.size, 4);
  EXPECT_TRUE(info.agent_serves_store);
  EXPECT_EQ(info.restart, 2);
  // RANK and WORLD_SIZE without an agent are believed last.
  EXPECT_EQ(detect(kTorchrun + kMpirun).launcher, Launcher::kMpi);
}

TEST(Launcher, an_interactive_step_of_one_task_may_hold_ranks_set_by_hand) {
  const Variables shell = {{"SLURM_STEP_NUM_TASKS", "1"}, {"SLURM_PROCID", "0"}};
  EXPECT_EQ(detect(shell + kTorchrun).launcher, Launcher::kTorchrun);
  EXPECT_EQ(detect(shell).size, 1);
}

TEST(Launcher, bad_values_name_the_variable_and_what_was_found) {
  EXPECT_EQ(complaint({{"OMPI_COMM_WORLD_SIZE", "four"}}),
            "environment variable OMPI_COMM_WORLD_SIZE: expected an integer of at least 1, found "
            "\"four\"");
  EXPECT_EQ(complaint({{"OMPI_COMM_WORLD_SIZE", "4"}}),
            "environment variable OMPI_COMM_WORLD_RANK: expected a value because "
            "OMPI_COMM_WORLD_SIZE is set, found none");
  EXPECT_EQ(complaint({{"PMI_RANK", "2"}, {"PMI_SIZE", "2"}}),
            "an MPI launcher (PMI_SIZE=2): expected a rank below 2, found 2");
  EXPECT_EQ(complaint({{"RANK", "0"}, {"WORLD_SIZE", "2"}}),
            "environment variable MASTER_ADDR: expected the host of rank 0 because WORLD_SIZE is "
            "set, found none");
  EXPECT_EQ(
      complaint(
          {{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "99999"}}),
      "environment variable MASTER_PORT: expected 1 to 65535, found 99999");
}

}  // namespace
}  // namespace phalanx
