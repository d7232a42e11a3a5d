// The parts of an experiment that need no process: places for runs, the job array, the table.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "launch/experiment/experiment_results.h"
#include "launch/experiment/experiment_runner.h"
#include "launch/experiment/run_slots.h"
#include "launch/experiment/slurm_array.h"

namespace phalanx {
namespace {

std::string error_of(const SlotRequest& request, const std::vector<int>& cores,
                     const std::string& gpus) {
  try {
    (void)make_slots(request, cores, gpus);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(Slots, ShareNothing) {
  const std::vector<RunSlot> slots = make_slots({2, 0, 2}, {1, 3, 5, 7, 9}, "4,2,0,1");
  ASSERT_EQ(slots.size(), 2u);
  EXPECT_EQ(slots[0].cores, (std::vector<int>{1, 3}));
  EXPECT_EQ(slots[1].cores, (std::vector<int>{5, 7}));
  EXPECT_EQ(slots[0].gpus, "4,2");
  EXPECT_EQ(slots[1].gpus, "0,1");
  EXPECT_EQ(make_slots({2, 1, 1}, {0, 1}, "")[1].gpus, "1");
  EXPECT_EQ(make_slots({2, 1, 0}, {0, 1}, "5")[1].gpus, "");
}

TEST(Slots, TooFewAreRefused) {
  EXPECT_EQ(error_of({3, 2, 0}, {0, 1, 2, 3}, ""),
            "parallel: 3 runs at one time with 2 cores each need 6, found 4; lower parallel or "
            "cores_per_run");
  EXPECT_EQ(error_of({2, 1, 2}, {0, 1}, "0,1,2"),
            "gpus_per_run: 2 for each of 2 runs at one time need 4, found 3 in "
            "CUDA_VISIBLE_DEVICES (0,1,2)");
}

TEST(Commands, OfARun) {
  ExperimentConfig experiment;
  experiment.base = "run.yaml";
  experiment.launcher = "mpirun -n  2";
  ExperimentRun run;
  run.overrides = {"a=1"};
  EXPECT_EQ(train_command(experiment, run, "/bin/phalanx"),
            (std::vector<std::string>{"mpirun", "-n", "2", "/bin/phalanx", "train", "run.yaml",
                                      "a=1", "--resume", "auto"}));
}

TEST(SlurmArray, HasATaskARun) {
  ExperimentConfig experiment;
  experiment.name = "curricula";
  experiment.file = "my files/it's.yaml";
  experiment.parallel = 4;
  experiment.cores_per_run = 8;
  experiment.gpus_per_run = 1;
  const std::string script = slurm_array_script(experiment, 9, "/opt/phalanx");
  EXPECT_TRUE(script.starts_with("#!/usr/bin/env bash\n#SBATCH "));
  for (const char* line :
       {"\n#SBATCH --array=0-8%4\n", "\n#SBATCH --cpus-per-task=8\n",
        "\n#SBATCH --gpus-per-task=1\n", "\n#SBATCH --requeue\n",
        "\n/opt/phalanx experiment 'my files/it'\\''s.yaml' --only \"$SLURM_ARRAY_TASK_ID\" &\n"}) {
    EXPECT_NE(script.find(line), std::string::npos) << line << script;
  }
}

TEST(SlurmArray, CatchesSignalsBeforeItStartsAnything) {
  ExperimentConfig experiment;
  experiment.file = "x.yaml";
  const std::string script = slurm_array_script(experiment, 3, "phalanx");
  EXPECT_LT(script.find("trap "), script.find("--only"));
}

/// What the array's tasks do, with a program that notes how it was called in the place of phalanx.
TEST(SlurmArray, PassesSignalsOnAndRequeues) {
  std::string folder = (std::filesystem::temp_directory_path() / "phalanx-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  ExperimentConfig experiment;
  experiment.name = "x";
  experiment.file = "x.yaml";
  std::ofstream(folder + "/program")
      << "#!/bin/bash\necho \"$@\" >>" << folder << "/calls\ntrap 'exit 75' USR1\ntouch " << folder
      << "/up\nwhile :; do sleep 0.05; done\n";
  std::ofstream(folder + "/scontrol") << "#!/bin/bash\necho \"$@\" >>" << folder << "/calls\n";
  std::ofstream(folder + "/array.sh") << slurm_array_script(experiment, 3, folder + "/program");
  std::ofstream(folder + "/driver.sh")
      << "cd " << folder << "\nchmod +x program scontrol\nexport PATH=" << folder
      << ":$PATH SLURM_ARRAY_TASK_ID=2 SLURM_ARRAY_JOB_ID=7\nbash array.sh &\narray=$!\n"
      << "for i in {1..400}; do [[ -e up ]] && break; sleep 0.05; done\n"
      << "kill -USR1 $array\nwait $array\n";
  const int status = std::system(("bash " + folder + "/driver.sh").c_str());
  std::ifstream file(folder + "/calls");
  const std::string calls{std::istreambuf_iterator<char>(file), {}};
  std::filesystem::remove_all(folder);
  EXPECT_EQ(WEXITSTATUS(status), 75);
  EXPECT_EQ(calls, "experiment x.yaml --only 2\nrequeue 7_2\n");
}

TEST(ResultsTable, QuotesWhatItMust) {
  ReportData data;
  RunSummary run;
  run.name = "late-seed-3";
  run.status = RunStatus::kFinished;
  run.problems = {"a \"word\", and\nmore"};
  run.steps = 10;
  run.tokens = 5120;
  data.runs = {run};
  data.labels = {"late-seed-3"};
  data.groups = {{"late", {0}, {0}, true}};
  data.measures = {{MeasureKind::kTrainLoss, ""}, {MeasureKind::kBitsPerByte, "web"}};
  data.run_figures = {{2.5, NAN, NAN, {}, {}}};
  EXPECT_EQ(results_csv(data),
            "run,group,seed,status,reason,steps,tokens,train_loss,bits_per_byte.web\r\n"
            "late-seed-3,late,3,finished,\"a \"\"word\"\", and\nmore\",10,5120,2.5,\r\n");
}

}  // namespace
}  // namespace phalanx
