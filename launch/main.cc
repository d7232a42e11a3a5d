// The program: hands the command line to the commands and turns what leaves them into a message
// on stderr and an exit code. Exit codes are in ARCHITECTURE.md; a command that ends with one of
// its own throws CLI::RuntimeError(code).
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "launch/command_errors.h"
#include "launch/commands/checkpoint.h"
#include "launch/commands/config.h"
#include "launch/commands/data.h"
#include "launch/commands/plan.h"
#include "launch/commands/tokenizer.h"
#include "launch/commands/train.h"
#include "parallel/exit_codes.h"

namespace {

void add_commands(CLI::App& app) {
  phalanx::add_tokenizer_command(app);
  phalanx::add_data_command(app);
  phalanx::add_train_command(app);
  phalanx::add_plan_command(app);
  phalanx::add_checkpoint_command(app);
  phalanx::add_config_command(app);
}

int report(const std::exception& error) {
  const phalanx::ExitCode code = phalanx::exit_code_of(error);
  const bool bug = code == phalanx::ExitCode::kBug;
  std::fflush(stdout);
  std::fprintf(stderr, "phalanx: %s: %s%s\n", bug ? "internal error" : "error", error.what(),
               bug ? "\nThis is a bug; please report it." : "");
  return static_cast<int>(code);
}

}  // namespace

int main(int argc, char** argv) {
  // A write past the limit on file sizes then fails like one on a full disk: with a message.
  std::signal(SIGXFSZ, SIG_IGN);
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
    return report(std::invalid_argument(phalanx::command_line_error(app, error, words)));
  } catch (const std::exception& error) {
    return report(error);
  }
}
