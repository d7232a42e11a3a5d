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
  EXPECT_EQ(detect(Variables{{"WORLD_SIZE", "8"}, {"RANK", "3"}} + kTorchrun + kMpirun).launcher,
            Launcher::kMpi);
}

// Four ranks of mpirun that each start an agent of their own would be four runs.
TEST(Launcher, a_lone_worker_of_an_agent_under_a_launcher_of_more_is_refused) {
  const Variables alone{{"TORCHELASTIC_RUN_ID", "a"},
                        {"RANK", "0"},
                        {"WORLD_SIZE", "1"},
                        {"MASTER_ADDR", "host0"},
                        {"MASTER_PORT", "29500"}};
  EXPECT_EQ(detect(alone).size, 1);
  EXPECT_NE(complaint(alone + kMpirun).find("OMPI_COMM_WORLD_SIZE=8"), std::string::npos)
      << complaint(alone + kMpirun);
}

TEST(Launcher, launchers_that_contradict_each_other_are_refused_with_both) {
  const std::string by_hand = complaint(kTorchrun + kMpirun);
  EXPECT_EQ(by_hand.find("number of ranks: expected the launchers around this process to agree, "
                         "found mpirun (OMPI_COMM_WORLD_SIZE=8) and RANK and WORLD_SIZE=4:"),
            0u)
      << by_hand;
  const Variables one_rank = {{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "1"}};
  const Variables step = {{"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_PROCID", "2"}};
  const std::string alone = complaint(one_rank + step);
  EXPECT_NE(alone.find("found mpirun (OMPI_COMM_WORLD_SIZE=1) and srun (SLURM_STEP_NUM_TASKS=4)"),
            std::string::npos)
      << alone;
  const std::string in_step = complaint(Variables{{"WORLD_SIZE", "32"}} + kTorchrun + step);
  EXPECT_NE(in_step.find("srun (SLURM_STEP_NUM_TASKS=4) and RANK and WORLD_SIZE=32"),
            std::string::npos)
      << in_step;
  // mpirun's daemons are a step of their own, one task a host.
  EXPECT_EQ(detect(kMpirun + step).size, 8);
}

TEST(Launcher, a_choice_counts_before_everything_else) {
  const auto choose = [](const Variables& variables, const std::string& name) {
    return detect_launch(
        [&](const std::string& variable) -> std::optional<std::string> {
          const auto found = variables.find(variable);
          if (found == variables.end()) return std::nullopt;
          return found->second;
        },
        launcher_choice(name));
  };
  EXPECT_EQ(choose(kTorchrun + kMpirun, "torchrun").launcher, Launcher::kTorchrun);
  EXPECT_EQ(choose(kTorchrun + kMpirun, "mpi").size, 8);
  EXPECT_EQ(choose(kTorchrun + kMpirun, "alone").launcher, Launcher::kNobody);
  try {
    choose(kMpirun, "slurm");
    ADD_FAILURE() << "no step is around";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(),
                 "--launcher slurm: expected SLURM_STEP_NUM_TASKS in the environment, found none "
                 "of them");
  }
  EXPECT_THROW(launcher_choice("ssh"), std::invalid_argument);
}

TEST(Launcher, ranks_of_a_step_meet_at_its_first_host) {
  const LaunchInfo info = detect({{"SLURM_STEP_NUM_TASKS", "20"},
                                  {"SLURM_PROCID", "17"},
                                  {"SLURM_LOCALID", "1"},
                                  {"SLURM_NODEID", "2"},
                                  {"SLURM_STEP_NODELIST", "gpu[07-09,12]"},
                                  {"SLURM_STEP_TASKS_PER_NODE", "8(x2),4"},
                                  {"SLURM_JOB_ID", "67108863"},
                                  {"SLURM_STEP_ID", "3"}});
  EXPECT_EQ(info.store_host, "gpu07");
  EXPECT_EQ(info.local_size, 4);
  EXPECT_EQ(info.store_port, slurm_store_port(67108863, 3));
  EXPECT_GE(info.store_port, 20000);
  EXPECT_LT(info.store_port, 32768);
  EXPECT_EQ(first_host("a,b[1-2]"), "a");
  EXPECT_EQ(first_host("node3"), "node3");
  EXPECT_EQ(tasks_of_node("8(x2),4", 1), 8);
  EXPECT_EQ(tasks_of_node("3", 0), 3);
  for (const char* text : {"", "8(x2)", "many", "8(x2"}) {
    EXPECT_THROW(tasks_of_node(text, 2), std::invalid_argument) << text;
  }
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
