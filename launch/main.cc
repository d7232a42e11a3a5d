// The program: hands the command line to the commands and turns what leaves them into a message
// on stderr and an exit code. Exit codes are in README.md; a command that ends with one of
// its own throws CLI::RuntimeError(code).
#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "launch/command_errors.h"
#include "launch/commands/checkpoint.h"
#include "launch/commands/config.h"
#include "launch/commands/data.h"
#include "launch/commands/doctor.h"
#include "launch/commands/experiment.h"
#include "launch/commands/import_export.h"
#include "launch/commands/launch.h"
#include "launch/commands/plan.h"
#include "launch/commands/report.h"
#include "launch/commands/runs.h"
#include "launch/commands/score.h"
#include "launch/commands/supervise.h"
#include "launch/commands/tokenizer.h"
#include "launch/commands/train.h"
#include "launch/environment.h"
#include "launch/no_memory.h"
#include "launch/speak_once.h"
#include "parallel/exit_codes.h"
#include "parallel/launcher.h"
#include "parallel/session.h"

namespace {

void add_commands(CLI::App& app) {
  phalanx::add_tokenizer_command(app);
  phalanx::add_data_command(app);
  phalanx::add_train_command(app);
  phalanx::add_launch_command(app);
  phalanx::add_doctor_command(app);
  phalanx::add_supervise_command(app);
  phalanx::add_experiment_command(app);
  phalanx::add_report_command(app);
  phalanx::add_plan_command(app);
  phalanx::add_runs_command(app);
  phalanx::add_checkpoint_command(app);
  phalanx::add_import_command(app);
  phalanx::add_export_command(app);
  phalanx::add_score_command(app);
  phalanx::add_config_command(app);
}

int report(const std::exception& error) {
  const phalanx::ExitCode code = phalanx::exit_code_of(error);
  const bool bug = code == phalanx::ExitCode::kBug;
  std::fflush(stdout);
  std::fprintf(stderr, "phalanx: %s: %s%s\n", phalanx::message_kind(code),
               phalanx::error_text(error).c_str(), bug ? "\nThis is a bug; please report it." : "");
  return static_cast<int>(code);
}

/// Once for all ranks of a launch, which have been given the same words.
int report_once(const std::exception& error) {
  try {
    if (phalanx::detect_launch(phalanx::environment).size != 1) {
      // Any session will do that lets the ranks agree on the message.
      phalanx::Session session(phalanx::environment, {phalanx::Device::kCuda});
      return static_cast<int>(phalanx::speak_of_all(session, error));
    }
  } catch (const std::exception&) {  // none is to be had: each for itself
  }
  return report(error);
}

int run(int argc, char** argv) {
  CLI::App app("phalanx: pretraining of phi-4-style language models on many ranks", "phalanx");
  app.footer("Example:\n  mpirun -np 2 phalanx train configs/quickstart.yaml");
  app.set_version_flag("--version", "phalanx " PHALANX_VERSION);
  app.require_subcommand(1);
  add_commands(app);
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::RuntimeError& error) {
    return error.get_exit_code();
  } catch (const CLI::Error& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help and --version
    const std::vector<std::string> words(argv + 1, argv + argc);
    return report_once(std::invalid_argument(phalanx::command_line_error(app, error, words)));
  }
}

/// What was printed may still be in memory, and a full disk be noticed only now. After an error,
/// which has had its message, that is no news.
int flushed(int code) {
  errno = 0;
  const bool flushed = std::fflush(stdout) == 0;
  const bool failed = code != 0 && code != static_cast<int>(phalanx::ExitCode::kStopped);
  if (failed || (flushed && std::ferror(stdout) == 0)) return code;
  std::fprintf(stderr, "phalanx: error: cannot write standard output%s%s\n", errno == 0 ? "" : ": ",
               errno == 0 ? "" : std::strerror(errno));
  return code == 0 ? static_cast<int>(phalanx::ExitCode::kBadInput) : code;
}

}  // namespace

int main(int argc, char** argv) {
  // A write past the limit on file sizes then fails like one on a full disk: with a message.
  std::signal(SIGXFSZ, SIG_IGN);
  phalanx::speak_when_memory_runs_out();
  int code = 0;
  try {
    code = run(argc, argv);
  } catch (const std::exception& error) {
    code = report(error);
  }
  return flushed(code);
}
