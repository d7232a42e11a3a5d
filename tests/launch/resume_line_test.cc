// The line that goes on with a run, for each launcher that may have started it.
#include "launch/resume_line.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace phalanx {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kTrain = {"build/phalanx", "train",    "run.yaml",
                                         "stages[0].x=1", "--resume", "auto"};
const std::string kTrainLine = "build/phalanx train run.yaml 'stages[0].x=1' --resume auto";

class ResumeLine : public testing::Test {
 protected:
  void SetUp() override {
    starter_.launch_folder =
        fs::path(testing::TempDir()) / ("resume-line-" + std::to_string(getpid()));
    starter_.run_name = "first";
    starter_.threads = 3;
    fs::remove_all(starter_.launch_folder);
    fs::create_directories(starter_.launch_folder);
  }
  void TearDown() override { fs::remove_all(starter_.launch_folder); }

  void start(Launcher launcher, const std::vector<std::string>& hosts) {
    starter_.launch.launcher = launcher;
    starter_.hosts = hosts;
  }
  std::string file(const char* name) {
    const fs::path path = starter_.launch_folder / name;
    std::ofstream(path) << "\n";
    return path.string();
  }
  std::string line() const { return resume_line(starter_, kTrain); }

  RunStarter starter_;
};

TEST_F(ResumeLine, of_a_lone_process_has_no_launcher) {
  start(Launcher::kNobody, {"a"});
  EXPECT_EQ(line(), kTrainLine);
}

TEST_F(ResumeLine, of_open_mpi_oversubscribes_and_binds_nothing) {
  start(Launcher::kMpi, {"a", "a"});
  EXPECT_EQ(line(), "mpirun -np 2 -q --oversubscribe --bind-to none " + kTrainLine);
  starter_.is_root = true;
  EXPECT_EQ(line(),
            "mpirun -np 2 -q --oversubscribe --bind-to none --allow-run-as-root " + kTrainLine);
}

TEST_F(ResumeLine, of_mpich_has_none_of_open_mpis_words) {
  start(Launcher::kMpi, {"a", "a"});
  starter_.flavour = MpiFlavour::kMpich;
  starter_.is_root = true;
  EXPECT_EQ(line(), "mpirun -n 2 " + kTrainLine);
}

TEST_F(ResumeLine, names_the_hosts_that_mpirun_was_told) {
  start(Launcher::kMpi, {"a", "a", "b", "b"});
  EXPECT_EQ(line(), "mpirun -np 4 -q --oversubscribe --bind-to none --host a:2,b:2 " + kTrainLine);
  starter_.flavour = MpiFlavour::kMpich;
  EXPECT_EQ(line(), "mpirun -n 4 -hosts a:2,b:2 " + kTrainLine);
  const std::string hostfile = file("hostfile");
  EXPECT_EQ(line(), "mpirun -n 4 -f " + hostfile + " " + kTrainLine);
  starter_.flavour = MpiFlavour::kOpenMpi;
  EXPECT_EQ(line(), "mpirun -np 4 -q --oversubscribe --bind-to none --hostfile " + hostfile + " " +
                        kTrainLine);
  starter_.in_slurm_job = true;  // which tells mpirun its hosts
  EXPECT_EQ(line(), "mpirun -np 4 -q --oversubscribe --bind-to none " + kTrainLine);
}

TEST_F(ResumeLine, of_srun_is_srun_with_its_pmi) {
  start(Launcher::kSlurm, {"a", "a", "b", "b"});
  starter_.in_slurm_job = true;
  EXPECT_EQ(line(), "srun -N 2 -n 4 " + kTrainLine);
  start(Launcher::kMpi, {"a", "a", "b", "b"});
  starter_.launch.srun_mpi = "pmix";
  EXPECT_EQ(line(), "srun -N 2 -n 4 --mpi=pmix " + kTrainLine);
}

TEST_F(ResumeLine, of_a_batch_script_sends_it_off_again) {
  start(Launcher::kMpi, {"a", "a"});
  const std::string script = file("train.sbatch");
  EXPECT_EQ(line().find("sbatch"), std::string::npos) << "it was started outside of Slurm";
  starter_.in_slurm_job = true;
  EXPECT_EQ(line(), "sbatch " + script);
}

TEST_F(ResumeLine, of_an_mpijob_replaces_it) {
  start(Launcher::kMpi, {"first-worker-0", "first-worker-1"});
  const std::string manifest = file("mpijob.yaml");
  EXPECT_EQ(line(), "kubectl replace --force -f " + manifest);
  start(Launcher::kMpi, {"desk"});
  EXPECT_EQ(line().find("kubectl"), std::string::npos) << "it was started outside of the cluster";
}

TEST_F(ResumeLine, of_torchrun_is_its_own_line_for_each_host) {
  start(Launcher::kTorchrun, {"a", "a", "b", "b"});
  starter_.launch.agent_id = "xyz";
  EXPECT_EQ(line(),
            "env OMP_NUM_THREADS=3 torchrun --no-python --nnodes=2 --nproc-per-node=2 "
            "--rdzv-backend=c10d --rdzv-endpoint=a:29500 --rdzv-id=first " +
                kTrainLine + "  # on each of 2 hosts");
  start(Launcher::kTorchrun, {"a", "a"});
  EXPECT_EQ(line(),
            "env OMP_NUM_THREADS=3 torchrun --no-python --nnodes=1 --nproc-per-node=2 "
            "--rdzv-backend=c10d --rdzv-endpoint=localhost:29500 --rdzv-id=first " +
                kTrainLine);
}

TEST_F(ResumeLine, of_ranks_numbered_by_hand_says_so) {
  start(Launcher::kTorchrun, {"a", "a"});
  EXPECT_EQ(line(), kTrainLine +
                        "  # on each of 2 ranks, with its RANK, WORLD_SIZE, MASTER_ADDR and "
                        "MASTER_PORT");
}

}  // namespace
}  // namespace phalanx
