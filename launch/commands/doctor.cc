#include "launch/commands/doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>

#include "configs/read_config.h"
#include "configs/units.h"
#include "launch/command_errors.h"
#include "launch/cuda_settings.h"
#include "launch/doctor/findings.h"
#include "launch/environment.h"
#include "launch/install_paths.h"
#include "launch/speak_once.h"
#include "launch/store_environment.h"
#include "parallel/agreement.h"
#include "parallel/nccl_communicator.h"
#include "trainer/run_data.h"

namespace phalanx {
namespace {

constexpr int64_t kWriteBytes = int64_t{64} << 20;
constexpr int kClockRounds = 32;

struct DoctorArguments {
  ConfigRequest request;
  std::string launcher = "auto";
  std::string stress;
  double stress_seconds = 0;
  bool json = false;
};

/// What can only be found out by trying: writing to the run's folder, and opening the data.
void try_run(const RunConfig& config, const Session& session, RankFacts& facts) {
  try {
    if (facts.local_rank == 0) facts.write_bytes_per_second = write_speed(config.dir, kWriteBytes);
  } catch (const std::exception& error) {
    facts.write_error = error.what();
  }
  try {
    (void)open_run_data(config, session.rank(), session.size(), store_environment(environment));
  } catch (const std::exception& error) {
    facts.data_error = error.what();
  }
}

std::vector<RankFacts> gather_facts(Session& session, const RunConfig* config) {
  const std::string mine = together(session.control(), [&] {
    RankFacts facts = look_around(session, config);
    if (config) try_run(*config, session, facts);
    return facts_text(facts);
  });
  std::vector<RankFacts> ranks;
  for (const std::string& text : all_gather_strings(session.control(), mine)) {
    ranks.push_back(facts_from_text(text));
  }
  return ranks;
}

/// Every rank has a GPU, or none is used.
bool all_have_gpus(const std::vector<RankFacts>& ranks) {
  return std::none_of(ranks.begin(), ranks.end(),
                      [](const RankFacts& facts) { return facts.gpu_bus_id.empty(); });
}

std::vector<Finding> examine(const DoctorArguments& arguments, Session& session) {
  const std::optional<ResolvedConfig> config =
      together(session.control(), [&]() -> std::optional<ResolvedConfig> {
        if (arguments.request.file.empty()) return std::nullopt;
        ConfigRequest request = arguments.request;
        request.num_ranks = session.size() > 1 ? session.size() : 0;
        return read_run_config(request);
      });
  const RunConfig* run = config ? &config->run : nullptr;
  const std::vector<RankFacts> ranks = gather_facts(session, run);
  DoctorWishes wishes;
  wishes.has_config = run != nullptr;
  wishes.cuda = run && run->parallel.device == DeviceKind::kCuda;
  if (run) wishes.run_folder = run->dir;
  std::vector<Finding> findings = judge_facts(ranks, wishes);
  findings.push_back(judge_clocks(ranks, clock_offsets(session.control(), kClockRounds)));
  const bool may_stress = worst_of(findings) != FindingLevel::kError;
  if (arguments.stress_seconds == 0) return findings;
  if (!may_stress) {
    findings.push_back({FindingLevel::kWarning, "stress", "left out, because of the errors above",
                        "mend them first"});
    return findings;
  }
  std::vector<std::string> hosts;
  for (const RankFacts& facts : ranks) hosts.push_back(facts.host);
  const bool cuda = all_have_gpus(ranks) && (!run || wishes.cuda);
  if (cuda) prepare_cuda(/*same_bits=*/false);
  for (Finding& finding :
       judge_stress(ranks, run_stress(session, hosts, arguments.stress_seconds, cuda))) {
    findings.push_back(std::move(finding));
  }
  return findings;
}

ExitCode doctor(DoctorArguments& arguments) {
  if (!arguments.stress.empty()) {
    try {
      arguments.stress_seconds = parse_seconds(arguments.stress);
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument(fmt::format("--stress: {}", error.what()));
    }
  }
  arguments.request.config_dir = find_config_dir();
  SessionOptions options;
  // Ranks that meet without MPI are GPU ranks in training; here they only talk.
  options.device = Device::kCuda;
  options.launcher = launcher_choice(arguments.launcher);
  Session session = open_session(environment, options);
  return speak_once(session, [&] {
    const std::vector<Finding> findings = examine(arguments, session);
    if (session.rank() == 0) {
      std::fputs((arguments.json ? findings_json(findings) : findings_text(findings)).c_str(),
                 stdout);
    }
    session.control().barrier();
    return worst_of(findings) == FindingLevel::kError ? ExitCode::kBadInput : ExitCode::kDone;
  });
}

}  // namespace

void add_doctor_command(CLI::App& app) {
  auto arguments = std::make_shared<DoctorArguments>();
  CLI::App* command =
      app.add_subcommand("doctor", "Check the machines of a run: a line each, with what helps");
  command->footer(
      "Examples:\n"
      "  phalanx doctor\n"
      "  mpirun -np 16 --hostfile hosts phalanx doctor run.yaml --stress 2min\n"
      "Start it as the training would be started: it looks at every rank and host of its launch.\n"
      "Each line is ok, warning or error. Exit code: 0, or 2 with an error.");
  command->add_option("config", arguments->request.file,
                      "YAML file of a run: then its folder and data are tried too");
  command->add_option("overrides", arguments->request.overrides, "key=value, after the file");
  command->add_option("--stress", arguments->stress,
                      "So long (as 2min) multiply and reduce, and name who is slow");
  command
      ->add_option("--launcher", arguments->launcher,
                   "Whose variables say which rank this is: auto, mpi, slurm, torchrun or alone")
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "The lines as JSON, for scripts");
  command->callback([arguments] {
    const ExitCode code = doctor(*arguments);
    if (code != ExitCode::kDone) throw CLI::RuntimeError(static_cast<int>(code));
  });
}

}  // namespace phalanx
